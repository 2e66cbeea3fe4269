//! The text formats from before `profile.proto`: gperftools' and Go's `heap profile: …` (`?debug=1`), and jemalloc's
//! own `heap_v2/RATE`. The first is written, too ([`write()`]).
//!
//! They hold counts as sampled. With mean size s and rate R an allocation was chosen with p = 1 − exp(−s/R), so counts
//! are divided by that here, as pprof and jeprof do; the profile's period is R. Addresses are return addresses: one
//! is taken off, so that each lies in its call.
#![forbid(unsafe_code)]

mod write;

use hashbrown::{HashMap, HashSet};

use super::budget::Budget;
use crate::error::{Error, Result};
use crate::profile::addresses::{Builder, FunctionIndex};
use crate::profile::{Function, Label, Line, Location, Mapping, Profile, Sample, ValueType};
use crate::symbolize::mappings;

pub use write::write;
#[cfg(feature = "http")]
pub(crate) use write::write_with_maps;

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

/// Reads a profile; its locations have addresses, and names only where Go's comments tell them.
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
    let mut names = Names::default();
    for (line, number) in lines {
        let trimmed = line.trim();
        let at_line = |error: Error| error.context(format_args!("line {number}"));
        if let Some(comment) = trimmed.strip_prefix('#') {
            names.add(comment, &target.budget).map_err(at_line)?;
            continue;
        }
        names.before.extend(names.current.drain(..));
        if trimmed.is_empty() {
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
    names.write_to(&mut profile);
    profile.default_sample_type = "inuse_space".to_owned();
    profile.period_type = Some(value_type("space", "bytes"));
    profile.period = i64::try_from(header.rate).unwrap_or(i64::MAX);
    Ok(profile)
}

/// What Go notes below a stack: `#\t0x4b3d04\tmain.large+0x124\t/src/main.go:5`, inlined functions first.
#[derive(Default)]
struct Names {
    frames: HashMap<u64, Vec<(Function, i64)>>,
    /// Addresses named below the stack that is being read.
    current: Vec<u64>,
    /// Addresses named by an earlier stack: the same names once more.
    before: HashSet<u64>,
}

impl Names {
    fn add(&mut self, comment: &str, budget: &Budget) -> Result<()> {
        let mut words = comment
            .split('\t')
            .map(str::trim)
            .filter(|word| !word.is_empty());
        let (Some(address), Some(name), Some(place)) = (words.next(), words.next(), words.next())
        else {
            return Ok(()); // `# runtime.MemStats` and the like
        };
        let address = address
            .strip_prefix("0x")
            .and_then(|digits| u64::from_str_radix(digits, 16).ok());
        let (Some(address), Some((filename, line))) = (address, place.rsplit_once(':')) else {
            return Ok(());
        };
        if self.before.contains(&address) {
            return Ok(());
        }
        let name = name.rsplit_once("+0x").map_or(name, |(name, _)| name);
        budget.take(
            1,
            size_of::<(Function, Line, [u64; 4])>() + name.len() + filename.len(),
        )?;
        let function = Function {
            name: name.to_owned(),
            filename: filename.to_owned(),
            ..Function::default()
        };
        let line = line.parse().unwrap_or(0);
        self.frames
            .entry(address)
            .or_default()
            .push((function, line));
        self.current.push(address);
        Ok(())
    }

    fn write_to(mut self, profile: &mut Profile) {
        let mut functions = FunctionIndex::new(&profile.functions);
        for location in &mut profile.locations {
            for (function, line) in self.frames.remove(&location.address).unwrap_or_default() {
                let function = functions.intern(&mut profile.functions, function);
                let column = 0;
                location.lines.push(Line {
                    function,
                    line,
                    column,
                });
            }
            if let (Some(id), false) = (location.mapping, location.lines.is_empty()) {
                let mapping = &mut profile.mappings[id.0 as usize];
                mapping.has_functions = true;
                mapping.has_inline_frames |= location.lines.len() > 1;
            }
        }
    }
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
            values.extend(scaled(ever, ever_bytes, self.rate));
        }
        values.extend(scaled(live, live_bytes, self.rate));
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
}

/// Estimates of all objects and bytes, of counts sampled at this rate; `None`: counts of everything.
fn scaled(objects: u64, bytes: u64, rate: Option<u64>) -> [i64; 2] {
    let scale = match rate {
        _ if objects == 0 || bytes == 0 => return [0, 0],
        Some(rate) if rate > 1 => {
            let size = bytes as f64 / objects as f64;
            -1.0 / (-size / rate as f64).exp_m1()
        }
        _ => 1.0,
    };
    [objects, bytes].map(|value| (value as f64 * scale).round() as i64)
}

#[cfg(test)]
mod tests;
