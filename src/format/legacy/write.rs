//! The writing half: what Go serves as `heap?debug=1`, in the words that google-pprof and jeprof know as well.
#![forbid(unsafe_code)]

use std::cmp::Reverse;
use std::fmt::Write as _;
use std::io::{self, BufWriter, Write};

use super::{MAPS, scaled};
use crate::error::{Error, Result};
use crate::format::columns::has_negative;
use crate::format::frames::plain;
use crate::format::pprof::facts;
use crate::profile::{Location, LocationId, Profile, Sample, Tally};

/// Writes a heap profile as text, with the mappings that it knows below it: addresses and values, names in comments.
///
/// Readers scale counts by the rate and by the mean size of a stack's samples, so counts are as sampled, wherever that
/// gives the profile's values. Where it would not (sizes of one stack differ much, or the interval was changed), they are
/// the counts that scale to those values, rounded to whole samples. A profile that has only what is in use, and nothing of
/// what was ever allocated, is written as one: with equal columns, from which readers tell.
///
/// # Errors
/// The profile is not whole ([`Profile::check`]), `out` fails, or it is no profile that this format can hold: it has no
/// `inuse_objects` and `inuse_space`, a negative value, or a place without an address.
pub fn write(profile: &Profile, out: &mut dyn Write) -> Result<()> {
    let mut maps = String::new();
    for mapping in &profile.mappings {
        let (start, limit, offset) = (mapping.start, mapping.limit, mapping.offset);
        let file = plain(&mapping.file);
        // Writing to a String cannot fail.
        let _ = writeln!(maps, "{start:x}-{limit:x} r-xp {offset:08x} 00:00 0 {file}");
    }
    write_with_maps(profile, &maps, out)
}

/// The same with the text of `/proc/PID/maps` in place of the profile's own mappings, which has those without code, too.
pub(crate) fn write_with_maps(profile: &Profile, maps: &str, out: &mut dyn Write) -> Result<()> {
    profile.check()?;
    let types = Types::of(profile)?;
    if has_negative(profile) {
        return Err(Error::unsupported(
            "legacy text has no place for what shrank: not all of its readers know negative numbers; pprof, speedscope and \
             callgrind can hold a difference",
        ));
    }
    let used = profile.samples.iter().flat_map(|it| &it.locations);
    let nowhere = used.filter(|id| profile.locations[id.0 as usize].address == 0);
    if nowhere.count() > 0 {
        return Err(Error::unsupported(
            "legacy text is made of addresses, and this profile has places without one",
        ));
    }
    let rate = u64::try_from(profile.period).unwrap_or(0).max(1);
    let mut rows: Vec<(Row, &Sample)> = profile
        .samples
        .iter()
        .map(|sample| (Row::new(sample, types, rate), sample))
        .collect();
    rows.sort_by_key(|(row, _)| Reverse(row.live.1)); // stable: equal ones stay in the profile's order
    let mut out = BufWriter::new(out);
    header(&rows, types, rate, &mut out)
        .and_then(|()| body(profile, &rows, maps, &mut out))
        .and_then(|()| out.flush())
        .map_err(|error| Error::io("cannot write the profile as text", error))
}

fn header(
    rows: &[(Row, &Sample)],
    types: Types,
    rate: u64,
    out: &mut impl Write,
) -> io::Result<()> {
    let mut total = Row::default();
    for (row, _) in rows {
        total.add(row);
    }
    if types.ever.is_some() && total.live == total.ever {
        // Readers take equal totals for a file without a second column.
        total.ever.1 += 1;
    }
    writeln!(out, "heap profile: {} @ heap_v2/{rate}", total.text())
}

fn body(
    profile: &Profile,
    rows: &[(Row, &Sample)],
    maps: &str,
    out: &mut impl Write,
) -> io::Result<()> {
    for (row, sample) in rows {
        write_stack(row, sample, profile, out)?;
    }
    writeln!(out)?;
    let comments = facts::comments(profile);
    for comment in &comments {
        writeln!(out, "# {}", plain(comment))?;
    }
    if !comments.is_empty() {
        writeln!(out)?;
    }
    write!(out, "{MAPS}\n{maps}")
}

fn write_stack(
    row: &Row,
    sample: &Sample,
    profile: &Profile,
    out: &mut impl Write,
) -> io::Result<()> {
    let locations = || {
        let location = |id: &LocationId| &profile.locations[id.0 as usize];
        sample.locations.iter().map(location)
    };
    write!(out, "{} @", row.text())?;
    for location in locations() {
        // Readers take one off: they expect return addresses.
        write!(out, " {:#x}", location.address.saturating_add(1))?;
    }
    writeln!(out)?;
    for location in locations() {
        write_names(location, profile, out)?;
    }
    match locations().any(|location| !location.lines.is_empty()) {
        true => writeln!(out),
        false => Ok(()),
    }
}

/// `#  0x5581c0a02000  shop::cart::add  /src/cart.rs:12`, inlined functions first.
fn write_names(location: &Location, profile: &Profile, out: &mut impl Write) -> io::Result<()> {
    for line in &location.lines {
        let function = &profile.functions[line.function.0 as usize];
        let file = match function.filename.as_str() {
            "" => "??",
            file => file,
        };
        let (address, name) = (location.address, plain(&function.name));
        let (file, line) = (plain(file), line.line);
        writeln!(out, "#\t{address:#x}\t{name}\t{file}:{line}")?;
    }
    Ok(())
}

const LIVE: (&str, &str) = ("inuse_objects", "inuse_space");
const ALLOC: (&str, &str) = ("alloc_objects", "alloc_space");

/// Where the values stand: indexes into [`Profile::sample_types`] of objects and bytes.
#[derive(Clone, Copy)]
struct Types {
    live: (usize, usize),
    /// `None`: only what is in use is known.
    ever: Option<(usize, usize)>,
}

impl Types {
    fn of(profile: &Profile) -> Result<Types> {
        let find = |name: &str| profile.sample_types.iter().position(|it| it.kind == name);
        let pair = |(objects, bytes)| Some((find(objects)?, find(bytes)?));
        let live = pair(LIVE).ok_or_else(|| {
            Error::unsupported(format!(
                "legacy text holds heap profiles, with inuse_objects and inuse_space; this profile has {}",
                profile.sample_type_names()
            ))
        })?;
        Ok(Types {
            live,
            ever: pair(ALLOC),
        })
    }
}

/// Objects and bytes: live, and ever allocated.
#[derive(Default)]
struct Row {
    live: (u64, u64),
    ever: (u64, u64),
}

impl Row {
    fn new(sample: &Sample, types: Types, rate: u64) -> Row {
        let values = |(objects, bytes): (usize, usize)| {
            // Not negative: that was asked first.
            (sample.values[objects] as u64, sample.values[bytes] as u64)
        };
        let detail = sample.detail.as_deref();
        let seen =
            |tally: Option<Tally>| tally.map_or((0, 0), |tally| (tally.objects, tally.bytes));
        let ever = seen(detail.map(|detail| detail.alloc));
        let live = seen(detail.map(|detail| detail.live));
        Row {
            live: unscaled(live, values(types.live), rate),
            ever: match types.ever {
                Some(types) => unscaled(ever, values(types), rate),
                None => unscaled(live, values(types.live), rate),
            },
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
        let maps = "10-90 r-xp 00000000 fd:01 7 /srv/shop\n";
        write_with_maps(profile, maps, &mut bytes).unwrap();
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
