//! Units that a user may ask for, and those of labels. Sizes are binary, as in pprof: a MB is a MiB.
#![forbid(unsafe_code)]

use super::units;

/// Units of one kind, the smallest first.
#[derive(Debug, PartialEq)]
struct Family {
    units: &'static [Unit],
    /// The one for values asked for in a unit of another family.
    default: usize,
}

#[derive(Debug, PartialEq)]
struct Unit {
    shown: &'static str,
    /// In lower case, and in the singular.
    names: &'static [&'static str],
    /// In the smallest unit of the family.
    factor: f64,
}

const MEMORY: Family = Family {
    units: &[
        unit("B", &["b", "byte"], 1.0),
        unit(
            "KiB",
            &["kb", "kib", "kbyte", "kilobyte", "kibibyte"],
            1024.0,
        ),
        unit(
            "MiB",
            &["mb", "mib", "mbyte", "megabyte", "mebibyte"],
            1_048_576.0,
        ),
        unit(
            "GiB",
            &["gb", "gib", "gbyte", "gigabyte", "gibibyte"],
            1_073_741_824.0,
        ),
        unit(
            "TiB",
            &["tb", "tib", "tbyte", "terabyte", "tebibyte"],
            1_099_511_627_776.0,
        ),
        unit(
            "PiB",
            &["pb", "pib", "pbyte", "petabyte", "pebibyte"],
            1_125_899_906_842_624.0,
        ),
    ],
    default: 0,
};

const TIME: Family = Family {
    units: &[
        unit("ns", &["ns", "nanosecond"], 1.0),
        unit("µs", &["us", "µs", "μs", "microsecond"], 1e3),
        unit("ms", &["ms", "millisecond"], 1e6),
        unit("s", &["s", "sec", "second"], 1e9),
        unit("h", &["h", "hr", "hour"], 3.6e12),
    ],
    default: 3,
};

static FAMILIES: [Family; 2] = [MEMORY, TIME];

const fn unit(shown: &'static str, names: &'static [&'static str], factor: f64) -> Unit {
    Unit {
        shown,
        names,
        factor,
    }
}

fn find(name: &str) -> Option<(&'static Family, &'static Unit)> {
    let name = name.to_lowercase();
    let singular = match name.chars().count() > 2 {
        true => name.strip_suffix('s').unwrap_or(&name),
        false => &name,
    };
    FAMILIES.iter().find_map(|family| {
        let mut units = family.units.iter();
        let unit = units.find(|unit| unit.names.contains(&singular))?;
        Some((family, unit))
    })
}

/// Whether this is the name of a unit.
pub(super) fn is_unit(name: &str) -> bool {
    find(name).is_some()
}

/// `value` in the unit `to`, with the name of the unit that it is in; a unit of another family leads to the default of
/// the value's own. The names of no unit are empty.
pub(super) fn convert<'a>(value: i64, from: &str, to: &'a str) -> (f64, &'a str) {
    let Some((family, from)) = find(from) else {
        return match to {
            "count" | "sample" | "unit" => (value as f64, ""),
            _ => (value as f64, find(to).map_or(to, |(_, unit)| unit.shown)),
        };
    };
    let to = find(to).filter(|(other, _)| std::ptr::eq(*other, family));
    let to = to.map_or(&family.units[family.default], |(_, unit)| unit);
    (value as f64 * from.factor / to.factor, to.shown)
}

/// The unit to write values in.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Scale {
    fixed: Option<(&'static Family, &'static Unit)>,
}

impl Scale {
    /// `auto`, or a unit such as `MiB`, `kB`, `bytes`, `ms`.
    ///
    /// # Errors
    /// What is accepted.
    pub fn parse(text: &str) -> Result<Scale, String> {
        if text.eq_ignore_ascii_case("auto") {
            return Ok(Scale::default());
        }
        match find(text) {
            Some(fixed) => Ok(Scale { fixed: Some(fixed) }),
            None => Err("auto is accepted, B, KiB, MiB, GiB, TiB or PiB (kB and MB are the same), and ns, us, ms, s or h".to_owned()),
        }
    }

    /// The unit, if it is one of values that are in `unit`.
    fn applies(self, unit: &str) -> Option<(&'static Unit, f64)> {
        let (family, wanted) = self.fixed?;
        let (own, from) = find(unit)?;
        std::ptr::eq(own, family).then_some((wanted, from.factor / wanted.factor))
    }

    /// A value in its unit, as [`units::quantity`]; in a fixed unit with up to two decimals.
    pub fn quantity(self, value: i64, unit: &str) -> String {
        match self.applies(unit) {
            Some((wanted, factor)) => format!("{} {}", number(value as f64 * factor), wanted.shown),
            None => units::quantity(value, unit),
        }
    }

    /// The same with a `+` in front of what is above zero.
    pub fn change(self, value: i64, error: Option<f64>, unit: &str) -> String {
        let text = self.with_error(value, error, unit);
        if value > 0 { format!("+{text}") } else { text }
    }

    /// A value and its standard error, as [`units::with_error`].
    pub fn with_error(self, value: i64, error: Option<f64>, unit: &str) -> String {
        match (self.applies(unit), error) {
            (Some((wanted, factor)), Some(error)) => format!(
                "{} ± {} {}",
                number(value as f64 * factor),
                number(error * factor),
                wanted.shown
            ),
            (Some(_), None) => self.quantity(value, unit),
            (None, _) => units::with_error(value, error, unit),
        }
    }
}

/// At most two decimals, and none where they are zeros.
fn number(value: f64) -> String {
    let text = format!("{:.2}", value.abs());
    let text = text.strip_suffix(".00").unwrap_or(&text);
    let minus = if value < 0.0 && text != "0" {
        "−"
    } else {
        ""
    };
    format!("{minus}{text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_have_many_names() {
        for name in ["MB", "mb", "MiB", "megabytes", "Mbyte", "mbytes"] {
            let scale = Scale::parse(name).unwrap();
            assert_eq!(scale.quantity(-1_572_864, "bytes"), "−1.50 MiB", "{name}");
            assert_eq!(scale.quantity(2_113, "count"), "2,113", "{name}");
        }
        let scale = Scale::parse("s").unwrap();
        assert_eq!(
            scale.with_error(2_000_000, Some(10_000_000.0), "nanoseconds"),
            "0 ± 0.01 s"
        );
        assert_eq!(
            Scale::parse("auto").unwrap().quantity(1536, "bytes"),
            "1.5 KiB"
        );
        assert!(Scale::parse("furlong").is_err());
    }

    #[test]
    fn another_family_leads_to_the_default() {
        assert_eq!(convert(2048, "bytes", "kb"), (2.0, "KiB"));
        assert_eq!(convert(2048, "bytes", "ms"), (2048.0, "B"));
        assert_eq!(convert(3, "", ""), (3.0, ""));
        assert_eq!(convert(3, "widgets", "kb"), (3.0, "KiB"));
    }
}
