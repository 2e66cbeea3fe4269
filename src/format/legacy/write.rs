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
