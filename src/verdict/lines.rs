//! Places, rates and odds in words.
#![forbid(unsafe_code)]

use crate::find::{Place, Rate, Suspect};
use crate::view::name::{self, printable};
use crate::view::units;

/// `src/cache.rs:42 (MetricsCache::set)`
pub(super) fn place(place: &Place) -> String {
    let function = name::short_function(&place.function);
    if place.file.is_empty() {
        return function;
    }
    let file = printable(&place.file);
    let file = within_package(name::source(&file));
    match (place.line > 0, function.is_empty()) {
        (true, false) => format!("{file}:{} ({function})", place.line),
        (true, true) => format!("{file}:{}", place.line),
        (false, _) => format!("{file} ({function})"),
    }
}

/// An absolute path from its package's folder on, which is what tells: `shop/src/cache.rs`.
fn within_package(path: &str) -> &str {
    const FOLDERS: [&str; 4] = ["/src/", "/examples/", "/tests/", "/benches/"];
    let package = FOLDERS.iter().find_map(|folder| path.rfind(folder));
    match package.filter(|_| path.starts_with('/')) {
        Some(end) => &path[path[..end].rfind('/').map_or(0, |at| at + 1)..],
        None => path,
    }
}

/// `1.9 ± 0.1 MiB/min`, in the span of time that makes the number readable; or per count: `3.1 ± 0.2 KiB per request`.
pub(super) fn rate(rate: &Rate, per: &str) -> String {
    let (factor, unit) = scale(rate.bytes, per);
    let error = Some(rate.std_error * factor).filter(|&error| error > 0.0);
    let bytes = units::with_error((rate.bytes * factor).round() as i64, error, "bytes");
    format!("{bytes}{unit}")
}

/// `1.7 to 2.1 MiB/min`
pub(super) fn interval(rate: &Rate, per: &str) -> String {
    let (factor, unit) = scale(rate.bytes, per);
    let [low, high] = [rate.low, rate.high].map(|bytes| units::bytes(bytes * factor));
    format!("{low} to {high}{unit}")
}

fn scale(bytes: f64, per: &str) -> (f64, String) {
    const SPANS: [(f64, &str); 4] = [
        (1.0, "/s"),
        (60.0, "/min"),
        (3_600.0, "/h"),
        (86_400.0, "/day"),
    ];
    if per != "second" {
        return (1.0, format!(" per {}", printable(per)));
    }
    let fits = |(factor, _): &&(f64, &str)| bytes * factor >= (256 << 10) as f64;
    let (factor, unit) = SPANS.iter().find(fits).unwrap_or(&SPANS[3]);
    (*factor, (*unit).to_owned())
}

/// `12% of all growth`, and never 100 or 0 where it is not all or nothing.
pub(super) fn of_growth(part: f64) -> String {
    match part * 100.0 {
        all if all >= 99.95 => "all of the growth".to_owned(),
        _ => format!("{} of all growth", share(part)),
    }
}

/// `12%`, and never 100 or 0 where it is not all or nothing.
pub(super) fn share(share: f64) -> String {
    match share * 100.0 {
        all if all >= 99.95 => "all".to_owned(),
        most if most > 99.0 => ">99%".to_owned(),
        some if some >= 1.0 => format!("{some:.0}%"),
        none if none > 0.0 => "<1%".to_owned(),
        _ => "none".to_owned(),
    }
}

/// How long a suspect has been growing, nanoseconds.
pub(super) fn grown_for(suspect: &Suspect, uptime: u64) -> u64 {
    uptime.saturating_sub(suspect.since_nanos)
}

/// `1 line`, `2,113 lines`
pub(super) fn of_lines(count: usize) -> String {
    match count {
        1 => "1 line".to_owned(),
        count => format!("{} lines", units::count(count as i64)),
    }
}

/// What chance has to do with it.
pub(super) fn odds(confidence: f64, judged: usize) -> String {
    let p = 1.0 - confidence;
    let lines = of_lines(judged);
    match p {
        p if p < 1e-6 => {
            format!("sure: chance does this less than once in a million (of {lines} judged)")
        }
        p => format!(
            "{:.2}% sure: chance does this in {p:.1e} of cases (of {lines} judged)",
            100.0 * confidence
        ),
    }
}

/// Eight heights for eight windows.
pub(super) fn bars(values: &[f64]) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = values.iter().copied().fold(0.0, f64::max);
    let bar = |&value: &f64| match value > 0.0 {
        true => BARS[((value / most * 8.0).ceil() as usize).clamp(1, 8) - 1],
        false => '·',
    };
    values.iter().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: f64) -> Rate {
        Rate {
            bytes,
            std_error: bytes / 20.0,
            low: bytes * 0.9,
            high: bytes * 1.1,
        }
    }

    #[test]
    fn places_are_short_and_tell_the_line() {
        let at = Place {
            function: "shop::cache::MetricsCache<K, alloc::string::String>::set".into(),
            file: "/home/me/shop/src/cache.rs".into(),
            line: 42,
            crate_name: "shop".into(),
        };
        assert_eq!(place(&at), "shop/src/cache.rs:42 (MetricsCache::set)");
        let bare = Place {
            file: String::new(),
            ..at
        };
        assert_eq!(place(&bare), "MetricsCache::set");
        let free = Place {
            function: "main".into(),
            file: "a.rs".into(),
            line: 1,
            ..Place::default()
        };
        assert_eq!(place(&free), "a.rs:1 (main)");
        let closure = Place {
            function: "shop::serve::{{closure}}".into(),
            file: "a.rs".into(),
            line: 1,
            ..Place::default()
        };
        assert_eq!(place(&closure), "a.rs:1 (shop::serve::{{closure}})");
    }

    #[test]
    fn rates_come_in_readable_spans() {
        for (bytes, expected) in [
            (3e6, "2.9 ± 0.1 MiB/s"),
            (35_000.0, "2.0 ± 0.1 MiB/min"),
            (100.0, "351.6 ± 17.6 KiB/h"),
            (1.0, "84.4 ± 4.2 KiB/day"),
        ] {
            assert_eq!(rate(&of(bytes), "second"), expected);
        }
        assert_eq!(rate(&of(2048.0), "request"), "2.0 ± 0.1 KiB per request");
        assert_eq!(interval(&of(3e6), "second"), "2.6 MiB to 3.1 MiB/s");
    }

    #[test]
    fn shares_are_never_rounded_to_all_or_nothing() {
        assert_eq!(
            [1.0, 0.996, 0.94, 0.004, 0.0].map(share),
            ["all", ">99%", "94%", "<1%", "none"]
        );
    }

    #[test]
    fn bars_show_what_is_there() {
        assert_eq!(bars(&[0.0, 1.0, 4.0, 8.0]), "·▁▄█");
        assert_eq!(bars(&[0.0, 0.0]), "··");
    }
}
