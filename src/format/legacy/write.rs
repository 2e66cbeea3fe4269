//! The writing half: what Go serves as `heap?debug=1`, in the words that google-pprof and jeprof know as well.
#![forbid(unsafe_code)]

use std::cmp::Reverse;
use std::fmt::Write as _;
use std::io::Write;

use super::{MAPS, scaled};
use crate::error::{Error, Result};
use crate::profile::{Location, Profile, Sample, Tally};

/// Writes a heap profile of the four usual sample types as text, with `maps` (the text of `/proc/PID/maps`) below it.
///
/// Readers scale counts by the rate and by the mean size of a stack's samples, so counts are as sampled, wherever that
/// gives the profile's values. Where it would not (sizes of one stack differ much, or the interval was changed), they are
/// the counts that scale to those values, rounded to whole samples. Names stand in comments, as Go has them.
///
/// # Errors
/// The profile is not whole ([`Profile::check`]), or `out` fails.
pub(crate) fn write(profile: &Profile, maps: &str, out: &mut dyn Write) -> Result<()> {
    profile.check()?;
    let rate = u64::try_from(profile.period).unwrap_or(0).max(1);
    let mut rows: Vec<(Row, &Sample)> = profile
        .samples
        .iter()
        .map(|sample| (Row::new(sample, rate), sample))
        .collect();
    rows.sort_by_key(|(row, _)| Reverse(row.live.1)); // stable: equal ones stay in the profile's order
    let mut total = Row::default();
    for (row, _) in &rows {
        total.add(row);
    }
    if total.live == total.ever {
        // Readers take equal totals for a file without a second column.
        total.ever.1 += 1;
    }
    let mut text = format!("heap profile: {} @ heap_v2/{rate}\n", total.text());
    for (row, sample) in rows {
        write_stack(&mut text, &row, sample, profile);
    }
    text.push('\n');
    text.push_str(MAPS);
    text.push('\n');
    text.push_str(maps);
    out.write_all(text.as_bytes())
        .map_err(|error| Error::io("cannot write the profile as text", error))
}

fn write_stack(text: &mut String, row: &Row, sample: &Sample, profile: &Profile) {
    let locations = || {
        let location = |id: &crate::profile::LocationId| &profile.locations[id.0 as usize];
        sample.locations.iter().map(location)
    };
    text.push_str(&row.text());
    text.push_str(" @");
    for location in locations() {
        // Readers take one off: they expect return addresses.
        let _ = write!(text, " {:#x}", location.address.saturating_add(1));
    }
    text.push('\n');
    for location in locations() {
        write_names(text, location, profile);
    }
    if locations().any(|location| !location.lines.is_empty()) {
        text.push('\n');
    }
}

/// `#  0x5581c0a02000  shop::cart::add  /src/cart.rs:12`, inlined functions first.
fn write_names(text: &mut String, location: &Location, profile: &Profile) {
    for line in &location.lines {
        let function = &profile.functions[line.function.0 as usize];
        let file = match function.filename.as_str() {
            "" => "??",
            file => file,
        };
        let (address, name) = (location.address, plain(&function.name));
        let _ = writeln!(
            text,
            "#\t{address:#x}\t{name}\t{}:{}",
            plain(file),
            line.line
        );
    }
}

/// A text that stays in its column.
fn plain(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// Objects and bytes: live, and ever allocated.
#[derive(Default)]
struct Row {
    live: (u64, u64),
    ever: (u64, u64),
}

impl Row {
    fn new(sample: &Sample, rate: u64) -> Row {
        let value = |index: usize| sample.values.get(index).copied().unwrap_or(0).max(0) as u64;
        let detail = sample.detail.as_deref();
        let seen =
            |tally: Option<Tally>| tally.map_or((0, 0), |tally| (tally.objects, tally.bytes));
        let ever = seen(detail.map(|detail| detail.alloc));
        let live = seen(detail.map(|detail| detail.live));
        Row {
            live: unscaled(live, (value(2), value(3)), rate),
            ever: unscaled(ever, (value(0), value(1)), rate),
        }
    }

    fn add(&mut self, other: &Row) {
        for (sum, more) in [(&mut self.live, other.live), (&mut self.ever, other.ever)] {
            *sum = (sum.0.saturating_add(more.0), sum.1.saturating_add(more.1));
        }
    }

    fn text(&self) -> String {
        let (Row { live, ever },) = (self,);
        format!("{}: {} [{}: {}]", live.0, live.1, ever.0, ever.1)
    }
}

/// The counts to write: `seen`, if readers make about `value` of it, else those of which they do.
fn unscaled(seen: (u64, u64), value: (u64, u64), rate: u64) -> (u64, u64) {
    /// Far below what rounding a value to whole objects does.
    const CLOSE: f64 = 1e-3;
    if value.0 == 0 || value.1 == 0 || rate <= 1 {
        return value;
    }
    let near =
        |read: i64, value: u64| (read as f64 - value as f64).abs() <= 1.0 + CLOSE * value as f64;
    let read = scaled(seen.0, seen.1, Some(rate));
    if near(read[0], value.0) && near(read[1], value.1) {
        return seen;
    }
    let size = value.1 as f64 / value.0 as f64;
    let chosen = -(-size / rate as f64).exp_m1();
    let objects = (value.0 as f64 * chosen).round().max(1.0);
    (objects as u64, (objects * size).round().max(1.0) as u64)
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use super::*;
    use crate::profile::addresses::Builder;
    use crate::profile::{Function, FunctionId, Line, SiteDetail, ValueType};

    const RATE: u64 = 1000;

    /// What allocations of these sizes, so many sampled of each, are counted as and stand for.
    fn tally(sampled: &[(u64, u64)]) -> Tally {
        let mut tally = Tally::default();
        for &(objects, size) in sampled {
            let weight = -1.0 / (-(size as f64) / RATE as f64).exp_m1();
            tally.objects += objects;
            tally.bytes += objects * size;
            tally.objects_estimate += objects as f64 * weight;
            tally.bytes_estimate += (objects * size) as f64 * weight;
        }
        tally
    }

    /// A profile of stacks with what was ever allocated there, and what is live of it.
    fn profile(stacks: &[(&[u64], Tally, Tally)]) -> Profile {
        let kinds = [
            "alloc_objects",
            "alloc_space",
            "inuse_objects",
            "inuse_space",
        ];
        let kind = |kind: &str| ValueType {
            kind: kind.to_owned(),
            ..ValueType::default()
        };
        let mut builder = Builder::new(kinds.map(kind).into(), Vec::new());
        for (stack, alloc, live) in stacks {
            let detail = SiteDetail {
                alloc: *alloc,
                live: *live,
                ..SiteDetail::default()
            };
            let estimates = [
                alloc.objects_estimate,
                alloc.bytes_estimate,
                live.objects_estimate,
                live.bytes_estimate,
            ];
            let values = estimates.map(|value| value.round() as i64);
            builder.sample(stack, values.into(), Vec::new(), Some(Box::new(detail)));
        }
        let mut profile = builder.finish();
        profile.period = RATE as i64;
        profile
    }

    fn written(profile: &Profile) -> String {
        let mut bytes = Vec::new();
        write(
            profile,
            "10-90 r-xp 00000000 fd:01 7 /srv/shop\n",
            &mut bytes,
        )
        .unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn counts_as_sampled_largest_first() {
        let (none, small, large) = (tally(&[]), tally(&[(3, 100)]), tally(&[(2, 5000)]));
        let mut profile = profile(&[
            (&[0x20, 0x30], small, small),
            (&[0x40], tally(&[(5, 5000)]), large),
            (&[0x50], small, none),
        ]);
        profile.functions.push(Function {
            name: "shop::cart\t::add".to_owned(),
            ..Function::default()
        });
        profile.locations[0].lines.push(Line {
            function: FunctionId(0),
            line: 12,
            column: 0,
        });
        let text = written(&profile);
        assert_eq!(
            text,
            "heap profile: 5: 10300 [11: 25600] @ heap_v2/1000\n\
             2: 10000 [5: 25000] @ 0x41\n\
             3: 300 [3: 300] @ 0x21 0x31\n\
             #\t0x20\tshop::cart ::add\t??:12\n\n\
             0: 0 [3: 300] @ 0x51\n\n\
             MAPPED_LIBRARIES:\n10-90 r-xp 00000000 fd:01 7 /srv/shop\n"
        );
        // And back: the values, the addresses, the names.
        let back = read(text.as_bytes()).unwrap();
        assert_eq!(back.samples[1].values, profile.samples[0].values);
        assert_eq!(back.samples[0].values, profile.samples[1].values);
        assert_eq!(back.locations[1].address, 0x20);
        assert_eq!(back.functions[0].name, "shop::cart ::add");
    }

    /// Scaled by its mean size, a stack of small and large allocations would count 6 objects of thousands.
    #[test]
    fn mixed_sizes_scale_to_the_estimates() {
        let mixed = tally(&[(40, 16), (40, 100_000)]);
        let seen = scaled(mixed.objects, mixed.bytes, Some(RATE));
        assert!((seen[0] as f64) < 0.1 * mixed.objects_estimate);
        let profile = profile(&[(&[0x20], mixed, mixed)]);
        let back = read(written(&profile).as_bytes()).unwrap();
        for (read, value) in back.samples[0]
            .values
            .iter()
            .zip(&profile.samples[0].values)
        {
            // Rounded to whole samples.
            let away = (read - value).abs() as f64 / *value as f64;
            assert!(away < 0.01, "{read}, not {value}");
        }
    }

    /// Equal totals would be read as a file without what was ever allocated.
    #[test]
    fn both_columns_are_told_where_nothing_was_freed() {
        let one = tally(&[(1, 700)]);
        let text = written(&profile(&[(&[0x20], one, one)]));
        assert!(
            text.starts_with("heap profile: 1: 700 [1: 701] @"),
            "{text}"
        );
        assert_eq!(read(text.as_bytes()).unwrap().sample_types.len(), 4);
    }

    #[test]
    fn what_is_exact_stays_exact() {
        let mut profile = profile(&[(&[0x20], tally(&[(7, 3)]), tally(&[]))]);
        profile.period = 1;
        profile.samples[0].values = vec![7, 21, 7, 21];
        let text = written(&profile);
        assert!(text.contains("\n7: 21 [7: 21] @ 0x21\n"), "{text}");
        assert!(text.contains("@ heap_v2/1\n"), "{text}");
    }
}
