//! The text formats from before `profile.proto`: gperftools' and Go's `heap profile: …` (`?debug=1`), and jemalloc's
//! own `heap_v2/RATE`. Read only.
//!
//! They hold counts as sampled. With mean size s and rate R an allocation was chosen with p = 1 − exp(−s/R), so counts
//! are divided by that here, as pprof and jeprof do; the profile's period is R. Addresses are return addresses: one
//! is taken off, so that each lies in its call.
#![forbid(unsafe_code)]

use super::budget::Budget;
use crate::error::{Error, Result};
use crate::profile::addresses::Builder;
use crate::profile::{Label, Location, Mapping, Profile, Sample, ValueType};
use crate::symbolize::mappings;

const GPERFTOOLS: &str = "heap profile:";
const JEMALLOC: &str = "heap_v2/";
const MAPS: &str = "MAPPED_LIBRARIES:";
/// What gperftools means when it does not say.
const DEFAULT_RATE: u64 = 512 << 10;

/// Whether the bytes begin as one of the formats does.
pub(super) fn is_plausible(bytes: &[u8]) -> bool {
    [GPERFTOOLS, JEMALLOC]
        .iter()
        .any(|start| bytes.starts_with(start.as_bytes()))
}

/// Reads a profile; its locations have addresses and no names.
///
/// # Errors
/// A line is not what it should be (the error has its number), or the profile would take more memory than is accepted.
pub(super) fn read(bytes: &[u8]) -> Result<Profile> {
    let budget = Budget::new(bytes.len());
    let text = String::from_utf8_lossy(bytes);
    let (body, maps) = match text.find(MAPS) {
        Some(at) => text.split_at(at),
        None => (&*text, ""),
    };
    let mut lines = body.lines().zip(1usize..);
    let (first, _) = lines.next().unwrap_or_default();
    let mut header = header(first).map_err(|error| error.context("line 1"))?;
    if header.is_jemalloc {
        // The totals come first; without `prof_accum` only what is live was kept.
        let totals = body
            .lines()
            .find_map(|line| line.trim().strip_prefix("t*:"));
        let ever = totals.and_then(|totals| parse_counts(totals).ok());
        header.has_alloc = ever.is_some_and(|[_, _, ever, _]| ever > 0);
    }
    let kinds: &[(&str, &str)] = match header.has_alloc {
        true => &[
            ("alloc_objects", "count"),
            ("alloc_space", "bytes"),
            ("inuse_objects", "count"),
            ("inuse_space", "bytes"),
        ],
        false => &[("inuse_objects", "count"), ("inuse_space", "bytes")],
    };
    let mut target = Target {
        builder: Builder::new(
            kinds
                .iter()
                .map(|&(kind, unit)| value_type(kind, unit))
                .collect(),
            mapped(maps),
        ),
        rate: header.scale.then_some(header.rate),
        has_alloc: header.has_alloc,
        budget,
    };
    // jemalloc puts the stack in front of its counts; before the first stack come the totals.
    let mut stack: Option<Vec<u64>> = None;
    for (line, number) in lines {
        let trimmed = line.trim();
        let at_line = |error: Error| error.context(format_args!("line {number}"));
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        if !header.is_jemalloc {
            let (counts, addresses) = trimmed.split_once('@').ok_or_else(|| {
                at_line(expected(
                    trimmed,
                    "`objects: bytes [objects: bytes] @ addresses`",
                ))
            })?;
            let counts = parse_counts(counts).map_err(at_line)?;
            let stack = target.addresses(addresses).map_err(at_line)?;
            target.add(&stack, counts).map_err(at_line)?;
        } else if let Some(addresses) = trimmed.strip_prefix('@') {
            stack = Some(target.addresses(addresses).map_err(at_line)?);
        } else if let Some(counts) = trimmed.strip_prefix("t*:") {
            let counts = parse_counts(counts).map_err(at_line)?;
            if let Some(stack) = stack.take() {
                target.add(&stack, counts).map_err(at_line)?;
            }
        } else if !trimmed.starts_with('t') {
            return Err(at_line(expected(
                trimmed,
                "`@ addresses` or `t*: objects: bytes [objects: bytes]`",
            )));
        }
    }
    let mut profile = target.builder.finish();
    profile.default_sample_type = "inuse_space".to_owned();
    profile.period_type = Some(value_type("space", "bytes"));
    profile.period = i64::try_from(header.rate).unwrap_or(i64::MAX);
    Ok(profile)
}

/// What the first line says.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Header {
    is_jemalloc: bool,
    /// Mean bytes between sampled allocations; 1: everything.
    rate: u64,
    /// Counts are as sampled.
    scale: bool,
    /// What was ever allocated is told apart from what is live.
    has_alloc: bool,
}

/// `heap profile: 1: 2 [3: 4] @ heap_v2/524288`, `… @ heap/1048576` (Go and gperftools: twice the rate),
/// `… @ heapprofile` (everything), or `heap_v2/524288`.
fn header(line: &str) -> Result<Header> {
    let number = |text: &str| {
        let rate: u64 = text
            .trim()
            .parse()
            .map_err(|_| expected(text, "the sampling rate in bytes"))?;
        Ok(rate.max(1))
    };
    if let Some(rate) = line.strip_prefix(JEMALLOC) {
        let rate = number(rate)?;
        return Ok(Header {
            is_jemalloc: true,
            rate,
            scale: true,
            has_alloc: true,
        });
    }
    let rest = line.strip_prefix(GPERFTOOLS).unwrap_or(line);
    let (totals, kind) = rest.split_once('@').ok_or_else(|| {
        expected(
            line,
            "`heap profile: objects: bytes [objects: bytes] @ heap_v2/RATE`",
        )
    })?;
    let [live, live_bytes, ever, ever_bytes] = parse_counts(totals)?;
    let (name, rate) = match kind.trim().split_once('/') {
        Some((name, rate)) => (name, Some(number(rate)?)),
        None => (kind.trim(), None),
    };
    let (rate, scale) = match name {
        "heap_v2" | "heapz_v2" => (rate.unwrap_or(DEFAULT_RATE), true),
        "heap" => (rate.map_or(DEFAULT_RATE, |twice| (twice / 2).max(1)), true),
        "heapprofile" => (1, false),
        other => {
            return Err(expected(other, "heap_v2/RATE, heap/RATE or heapprofile"));
        }
    };
    Ok(Header {
        is_jemalloc: false,
        rate,
        scale,
        // As pprof has it: equal columns, or none, mean that only one was kept.
        has_alloc: (ever, ever_bytes) != (0, 0) && (ever, ever_bytes) != (live, live_bytes),
    })
}

/// `1: 2 [3: 4]`: live objects and bytes, objects and bytes ever allocated.
fn parse_counts(text: &str) -> Result<[u64; 4]> {
    let wrong = || expected(text.trim(), "`objects: bytes [objects: bytes]`");
    let mut counts = [0; 4];
    let mut parts = text
        .split([':', '[', ']'])
        .map(str::trim)
        .filter(|part| !part.is_empty());
    for count in &mut counts {
        *count = parts
            .next()
            .and_then(|part| part.parse().ok())
            .ok_or_else(wrong)?;
    }
    match parts.next() {
        None => Ok(counts),
        Some(_) => Err(wrong()),
    }
}

#[cold]
fn expected(found: &str, what: &str) -> Error {
    let start: String = found.chars().take(60).collect();
    Error::input(format!(
        "legacy heap profile: \"{start}\" where {what} is expected"
    ))
}

fn value_type(kind: &str, unit: &str) -> ValueType {
    let (kind, unit) = (kind.to_owned(), unit.to_owned());
    ValueType { kind, unit }
}

/// The executable mappings below `MAPPED_LIBRARIES:`, which is `/proc/PID/maps`. Build ids are not known.
fn mapped(maps: &str) -> Vec<Mapping> {
    let areas = mappings::parse(maps);
    let code = areas
        .into_iter()
        .filter(|area| area.executable && area.start < area.limit);
    code.map(|area| Mapping {
        start: area.start,
        limit: area.limit,
        offset: area.offset,
        file: area.file,
        ..Mapping::default()
    })
    .collect()
}

/// The profile while lines are read.
struct Target {
    builder: Builder,
    /// What counts are scaled by; `None`: they are not.
    rate: Option<u64>,
    has_alloc: bool,
    budget: Budget,
}

impl Target {
    fn addresses(&self, text: &str) -> Result<Vec<u64>> {
        let mut stack = Vec::new();
        for word in text.split_whitespace() {
            let digits = word.strip_prefix("0x").unwrap_or(word);
            let address =
                u64::from_str_radix(digits, 16).map_err(|_| expected(word, "an address in hex"))?;
            // What a new address takes: the location, and its place in the index.
            self.budget
                .take(1, size_of::<Location>() + 4 * size_of::<u64>())?;
            stack.push(address.saturating_sub(1));
        }
        Ok(stack)
    }

    fn add(&mut self, stack: &[u64], [live, live_bytes, ever, ever_bytes]: [u64; 4]) -> Result<()> {
        self.budget.take(
            1,
            size_of::<Sample>() + size_of::<Label>() + 4 * size_of::<i64>(),
        )?;
        let mut values = Vec::with_capacity(4);
        if self.has_alloc {
            values.extend(self.scaled(ever, ever_bytes));
        }
        values.extend(self.scaled(live, live_bytes));
        // Stacks come once per size; pprof tells them apart by the same label.
        let (objects, bytes) = if live > 0 {
            (live, live_bytes)
        } else {
            (ever, ever_bytes)
        };
        let size = bytes
            .checked_div(objects)
            .and_then(|size| i64::try_from(size).ok());
        let label = size.map(|size| Label::number("bytes", size, "bytes"));
        self.builder
            .sample(stack, values, label.into_iter().collect(), None);
        Ok(())
    }

    /// Estimates of all objects and bytes.
    fn scaled(&self, objects: u64, bytes: u64) -> [i64; 2] {
        let scale = match self.rate {
            _ if objects == 0 || bytes == 0 => return [0, 0],
            Some(rate) if rate > 1 => {
                let size = bytes as f64 / objects as f64;
                -1.0 / (-size / rate as f64).exp_m1()
            }
            _ => 1.0,
        };
        [objects, bytes].map(|value| (value as f64 * scale).round() as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPS: &str = "MAPPED_LIBRARIES:\n\
        555555554000-555555560000 r--p 00000000 fd:01 131 /srv/shop\n\
        555555560000-555555570000 r-xp 0000c000 fd:01 131 /srv/shop\n\
        7f0000000000-7f0000100000 r-xp 00026000 fd:01 77 /usr/lib/libc.so.6\n";

    fn values(profile: &Profile) -> Vec<&[i64]> {
        profile
            .samples
            .iter()
            .map(|sample| sample.values.as_slice())
            .collect()
    }

    #[test]
    fn go_and_gperftools() {
        let text = format!(
            "heap profile: 3: 1200 [5: 2000] @ heap/2000\n\
             1: 1000 [2: 2000] @ 0x555555560101 0x7f0000000011\n\
             #\t0x555555560100\tmain.alloc+0x20\t/src/main.go:12\n\n\
             2: 200 [2: 200] @ 0x555555560201\n\
             0: 0 [0: 0] @ 0x555555560301\n\
             \n# runtime.MemStats\n# Alloc = 12\n{MAPS}"
        );
        let profile = read(text.as_bytes()).unwrap();
        profile.check().unwrap();
        assert_eq!(profile.period, 1000);
        // Of 1000 bytes 63.2 % are chosen, of 100 bytes 9.5 %.
        assert_eq!(
            values(&profile),
            [
                &[3, 3164, 2, 1582][..],
                &[21, 2102, 21, 2102],
                &[0, 0, 0, 0]
            ]
        );
        assert_eq!(
            profile.samples[0].labels,
            [Label::number("bytes", 1000, "bytes")]
        );
        let first = &profile.locations[0];
        assert_eq!(first.address, 0x5555_5556_0100);
        let mapping = &profile.mappings[first.mapping.unwrap().0 as usize];
        assert_eq!(
            (mapping.file.as_str(), mapping.offset),
            ("/srv/shop", 0xc000)
        );
        assert_eq!(profile.mappings.len(), 2, "code only");
        // heap_v2 gives the rate itself, and everything was recorded in a heapprofile.
        let other = |kind: &str| read(text.replace("heap/2000", kind).as_bytes()).unwrap();
        assert_eq!(values(&other("heap_v2/1000")), values(&profile));
        let whole = other("heapprofile");
        assert_eq!(
            (whole.period, values(&whole)[0]),
            (1, &[2, 2000, 1, 1000][..])
        );
    }

    #[test]
    fn equal_columns_are_one() {
        let text = "heap profile: 1: 1000 [1: 1000] @ heap_v2/1\n1: 1000 [1: 1000] @ 0x10\n";
        let profile = read(text.as_bytes()).unwrap();
        assert_eq!(profile.sample_types.len(), 2);
        assert_eq!(values(&profile), [&[1, 1000]]);
    }

    #[test]
    fn jemalloc() {
        let text = format!(
            "heap_v2/1000\n  t*: 3: 1200 [0: 0]\n  t0: 3: 1200 [0: 0]\n\
             @ 0x555555560101 0x7f0000000011\n  t*: 1: 1000 [0: 0]\n  t0: 1: 1000 [0: 0]\n\
             @ 0x555555560201\n  t*: 2: 200 [0: 0]\n\n{MAPS}"
        );
        let profile = read(text.as_bytes()).unwrap();
        assert_eq!(values(&profile), [&[2, 1582], &[21, 2102]]);
        assert_eq!((profile.period, profile.locations.len()), (1000, 3));
        let accumulated = read(text.replace("[0: 0]", "[2: 2000]").as_bytes()).unwrap();
        assert_eq!(values(&accumulated)[0], [3, 3164, 2, 1582]);
    }

    #[test]
    fn what_is_wrong_and_where() {
        for (text, parts) in [
            ("heap profile: 1: 2 [3: 4]", ["line 1", "heap_v2/RATE"]),
            ("heap profile: 1: 2 [3: 4] @ heap_v2/x", ["line 1", "rate"]),
            (
                "heap profile: 1: 2 [3: 4] @ growthz/1",
                ["growthz", "heapprofile"],
            ),
            (
                "heap profile: 1: 2 [3] @ heap_v2/1",
                ["line 1", "objects: bytes"],
            ),
            (
                "heap profile: 1: 2 [3: 4] @ heap_v2/1\nhello\n",
                ["line 2", "\"hello\""],
            ),
            (
                "heap profile: 1: 2 [3: 4] @ heap_v2/1\n1: 2 [3: 4] @ 0xzz\n",
                ["line 2", "\"0xzz\""],
            ),
            (
                "heap profile: 1: 2 [3: 4] @ heap_v2/1\n-1: 2 [3: 4] @ 0x1\n",
                ["line 2", "-1"],
            ),
            ("heap_v2/1\n@ 0x1\nx: 1\n", ["line 3", "t*:"]),
        ] {
            let error = read(text.as_bytes()).unwrap_err().to_string();
            for part in parts {
                assert!(error.contains(part), "no {part} in {error}");
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn damaged_texts_never_panic(
            pieces in proptest::collection::vec(proptest::sample::select(&PIECES[..]), 0..40),
            jemalloc: bool,
        ) {
            let start = if jemalloc { "heap_v2/1000" } else { "heap profile: 1: 2 [3: 4] @ heap_v2/7" };
            if let Ok(profile) = read(format!("{start}\n{}", pieces.concat()).as_bytes()) {
                profile.check().unwrap();
            }
        }
    }

    const PIECES: [&str; 14] = [
        "\n",
        "1: 2 [3: 4] @ 0x10 0x20\n",
        "@ 0x10\n",
        "t*: 1: 2 [3: 4]\n",
        "@",
        ":",
        "[",
        "18446744073709551615",
        "0x",
        "Größe",
        "#",
        "MAPPED_LIBRARIES:\n",
        "10-20 r-xp 0 0 0 /x\n",
        " ",
    ];
}
