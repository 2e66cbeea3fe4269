//! DHAT's JSON, version 2, for the viewer that comes with Valgrind (`dh_view.html`).
//!
//! A file has bytes and blocks of one kind, of everything allocated or of what is in use. DHAT's own files also have the
//! most that a place ever held, which a sampling profiler does not know of each place; so `bklt` is false, and the viewer
//! shows none of the numbers that only such files have.
#![forbid(unsafe_code)]

use std::hash::{BuildHasher, Hasher};
use std::io::{self, BufWriter, Write};

use hashbrown::{DefaultHashBuilder, HashTable};
use serde_json::json;

use super::frames::{Frame, Frames, plain};
use super::pprof::facts;
use crate::error::{Error, Result};
use crate::profile::Profile;

/// Writes the bytes and blocks that the sample type called `sample_type`, or the one shown first
/// ([`Profile::sample_type_index`]), belongs to: `inuse_space` and `inuse_objects`, or `alloc_space` and `alloc_objects`.
///
/// The viewer knows places by name, file and line, and stacks that read the same are one. Inlined functions are frames of
/// their own; control characters are spaces. Rates are per second since the recorder's start, or over the time of a
/// window; where that is not known they are shares of the whole run.
///
/// # Errors
/// The profile is not whole ([`Profile::check`]), it has no such sample type or no pair of bytes and blocks, one of these
/// is negative (the viewer draws shares of a whole), or `out` fails.
pub fn write(profile: &Profile, sample_type: Option<&str>, out: &mut dyn Write) -> Result<()> {
    profile.check()?;
    let pair = Pair::find(profile, sample_type)?;
    let shrunk = |values: &[i64]| values[pair.bytes] < 0 || values[pair.blocks] < 0;
    let shrunk = profile.samples.iter().filter(|it| shrunk(&it.values));
    match shrunk.count() {
        0 => {}
        stacks => {
            return Err(Error::unsupported(format!(
                "DHAT files have no place for what shrank, which {stacks} stacks did; speedscope and callgrind show what \
                 grew and what shrank side by side"
            )));
        }
    }
    let mut out = BufWriter::new(out);
    document(profile, &pair, &mut out)
        .and_then(|()| out.flush())
        .map_err(|error| Error::io("cannot write the DHAT file", error))
}

/// The sample types that [`write()`] puts into a file: indexes into [`Profile::sample_types`] of bytes and blocks.
///
/// # Errors
/// The profile has no such sample type, or no pair of bytes and blocks.
pub fn bytes_and_blocks(profile: &Profile, sample_type: Option<&str>) -> Result<(usize, usize)> {
    let pair = Pair::find(profile, sample_type)?;
    Ok((pair.bytes, pair.blocks))
}

/// Two sample types: indexes into [`Profile::sample_types`].
struct Pair {
    bytes: usize,
    blocks: usize,
    /// What both count.
    kind: &'static str,
    /// What the viewer puts in front of stacks: `… at {`.
    verb: &'static str,
}

impl Pair {
    fn find(profile: &Profile, sample_type: Option<&str>) -> Result<Pair> {
        const KNOWN: [(&str, &str, &str, &str); 3] = [
            (
                "inuse_space",
                "inuse_objects",
                "in use",
                "In use, allocated",
            ),
            ("alloc_space", "alloc_objects", "allocated", "Allocated"),
            ("space", "objects", "allocated", "Allocated"),
        ];
        let find = |name: &str, unit: &str| {
            let types = &profile.sample_types;
            types
                .iter()
                .position(|it| it.kind == name && it.unit == unit)
        };
        let pairs = KNOWN.iter().filter_map(|&(bytes, blocks, kind, verb)| {
            let (bytes, blocks) = (find(bytes, "bytes")?, find(blocks, "count")?);
            Some(Pair {
                bytes,
                blocks,
                kind,
                verb,
            })
        });
        let mut pairs: Vec<Pair> = pairs.collect();
        let none = || {
            Error::unsupported(format!(
                "DHAT files hold bytes and blocks, inuse_space with inuse_objects or alloc_space with alloc_objects; this \
                 profile has {}",
                profile.sample_type_names()
            ))
        };
        if pairs.is_empty() {
            return Err(none());
        }
        let wanted = profile.sample_type_index(sample_type)?;
        let holds = |pair: &Pair| [pair.bytes, pair.blocks].contains(&wanted);
        match pairs.iter().position(holds) {
            Some(at) => Ok(pairs.swap_remove(at)),
            // Shown first is something else; what is asked for by name is not replaced.
            None if sample_type.is_none() => Ok(pairs.swap_remove(0)),
            None => Err(none()),
        }
    }
}

fn document(profile: &Profile, pair: &Pair, out: &mut impl Write) -> io::Result<()> {
    let time = Time::of(profile);
    out.write_all(b"{\"dhatFileVersion\":2")?;
    let head = [
        ("mode", json!(mode(profile, pair))),
        ("verb", json!(pair.verb)),
        ("bklt", json!(false)),
        ("bkacc", json!(false)),
        ("tu", json!(time.unit)),
        ("Mtu", json!(time.million_units)),
        ("te", json!(time.end)),
        ("cmd", json!(plain(facts::command(profile)))),
        ("pid", json!(profile.pid().unwrap_or(0))),
        ("heapsite", json!({ "comments": facts::comments(profile) })),
    ];
    for (key, value) in head {
        write!(out, ",\"{key}\":{value}")?;
    }
    out.write_all(b",\n\"pps\":[")?;
    let frames = Frames::new(profile);
    for (at, point) in points(profile, pair, &frames).iter().enumerate() {
        let comma = if at > 0 { "," } else { "" };
        let (bytes, blocks) = (point.bytes, point.blocks);
        write!(out, "{comma}\n{{\"tb\":{bytes},\"tbk\":{blocks},\"fs\":[")?;
        let stack = frames.stack(&profile.samples[point.sample as usize]);
        for (at, frame) in stack.enumerate() {
            let comma = if at > 0 { "," } else { "" };
            write!(out, "{comma}{}", frame + 1)?;
        }
        out.write_all(b"]}")?;
    }
    // Frame 0 is the root, by definition.
    out.write_all(b"],\n\"ftbl\":[\"[root]\"")?;
    for frame in &frames.table {
        out.write_all(b",\n")?;
        serde_json::to_writer(&mut *out, &place(frame))?;
    }
    out.write_all(b"]}\n")
}

/// Shown at the top of the viewer: what is counted, and how well, a line each.
fn mode(profile: &Profile, pair: &Pair) -> String {
    /// Below the first word of the first line.
    const NEXT: &str = "\n           ";
    let mut mode = format!("heap profile, {}", pair.kind);
    for line in facts::quality(profile) {
        mode.push_str(NEXT);
        mode.push_str(&plain(&line));
    }
    mode
}

/// `name (file:line)`, as Valgrind writes frames, but for the address.
fn place(frame: &Frame<'_>) -> String {
    let place = match (frame.file, frame.line) {
        ("", _) => frame.name.to_string(),
        (file, 0) => format!("{} ({file})", frame.name),
        (file, line) => format!("{} ({file}:{line})", frame.name),
    };
    plain(&place).into_owned()
}

/// How long it was, in the viewer's words: it divides values by `end`, and calls a million units by a name.
struct Time {
    end: u64,
    unit: &'static str,
    million_units: &'static str,
}

impl Time {
    fn of(profile: &Profile) -> Time {
        let window = u64::try_from(profile.duration_nanos).unwrap_or(0);
        let uptime = facts::uptime_nanos(profile).unwrap_or(0);
        match if window > 0 { window } else { uptime } / 1000 {
            0 => Time {
                end: 1_000_000,
                unit: "millionths of a time that is not known",
                million_units: "run",
            },
            end => Time {
                end,
                unit: "µs",
                million_units: "s",
            },
        }
    }
}

/// DHAT's program point: all samples whose stacks read the same. The viewer refuses files in which one comes twice.
struct Point {
    bytes: u64,
    blocks: u64,
    /// The first of the samples; its stack is that of all.
    sample: u32,
}

/// In the order of their first samples; those of 0 bytes and 0 blocks are left out.
fn points(profile: &Profile, pair: &Pair, frames: &Frames<'_>) -> Vec<Point> {
    let hasher = DefaultHashBuilder::default();
    let stack_of = |sample: u32| frames.stack(&profile.samples[sample as usize]);
    let hash_of = |sample: u32| {
        let mut hash = hasher.build_hasher();
        stack_of(sample).for_each(|frame| hash.write_u32(frame));
        hash.finish()
    };
    let mut points: Vec<Point> = Vec::new();
    let mut known: HashTable<u32> = HashTable::new();
    for (sample, values) in (0u32..).zip(profile.samples.iter().map(|it| &it.values)) {
        // Not negative: that was asked first.
        let [bytes, blocks] = [pair.bytes, pair.blocks].map(|at| values[at] as u64);
        if (bytes, blocks) == (0, 0) {
            continue;
        }
        let hash = hash_of(sample);
        let same = |&at: &u32| stack_of(points[at as usize].sample).eq(stack_of(sample));
        if let Some(&at) = known.find(hash, same) {
            let point = &mut points[at as usize];
            point.bytes = point.bytes.saturating_add(bytes);
            point.blocks = point.blocks.saturating_add(blocks);
            continue;
        }
        let at = points.len() as u32;
        points.push(Point {
            bytes,
            blocks,
            sample,
        });
        known.insert_unique(hash, at, |&at| hash_of(points[at as usize].sample));
    }
    points
}
