//! speedscope's JSON: every sample type as a profile of its own in one file, to switch between.
//!
//! The schema is published as `https://www.speedscope.app/file-format-schema.json`. It takes additional keys; heapsite's
//! `heapsite` has what is known of the profile beyond its stacks.
#![forbid(unsafe_code)]

use std::io::{self, BufWriter, Write};

use serde_json::json;

use super::columns::{Column, Part, columns};
use super::frames::{Frame, Frames};
use super::pprof::facts;
use crate::error::{Error, Result};
use crate::profile::{Profile, ValueType};

/// Writes all sample types. Where something shrank, each becomes two: see [`write_difference`].
///
/// Inlined functions are frames of their own, with file and line. What has no name is called `[file]+0x1234` (the offset
/// in the file) or by its address. Values are as in the profile, estimates unless it is exact; samples of value 0 are left
/// out. A reader of JavaScript takes numbers above 2^53 for their nearest neighbours.
///
/// # Errors
/// The profile is not whole ([`Profile::check`]), or `out` fails.
pub fn write(profile: &Profile, out: &mut dyn Write) -> Result<()> {
    write_split(profile, false, out)
}

/// Writes a difference: of each sample type what grew, and what shrank, in a profile each, because speedscope knows no
/// negative values. The sum of the type is the difference of the two.
///
/// # Errors
/// As for [`write()`].
pub fn write_difference(profile: &Profile, out: &mut dyn Write) -> Result<()> {
    write_split(profile, true, out)
}

fn write_split(profile: &Profile, is_difference: bool, out: &mut dyn Write) -> Result<()> {
    profile.check()?;
    let columns = columns(profile, is_difference);
    let mut out = BufWriter::new(out);
    document(profile, &columns, &mut out)
        .and_then(|()| out.flush())
        .map_err(|error| Error::io("cannot write the speedscope file", error))
}

fn document(profile: &Profile, columns: &[Column], out: &mut dyn Write) -> io::Result<()> {
    let first = profile.sample_type_index(None).unwrap_or(0);
    let active = columns.iter().position(|column| column.index == first);
    let exporter = concat!("heapsite ", env!("CARGO_PKG_VERSION"));
    // The key that programs recognise the format by comes first.
    out.write_all(
        br#"{"$schema":"https://www.speedscope.app/file-format-schema.json","exporter":"#,
    )?;
    serde_json::to_writer(&mut *out, exporter)?;
    out.write_all(b",\"name\":")?;
    serde_json::to_writer(&mut *out, &title(profile))?;
    write!(out, ",\"activeProfileIndex\":{}", active.unwrap_or(0))?;
    out.write_all(b",\"heapsite\":")?;
    let facts = json!({
        "comments": facts::comments(profile),
        "time_nanos": profile.time_nanos,
        "duration_nanos": profile.duration_nanos,
        "uptime_nanos": facts::uptime_nanos(profile),
        "period": profile.period,
    });
    serde_json::to_writer(&mut *out, &facts)?;

    let frames = Frames::new(profile);
    out.write_all(b",\n\"shared\":{\"frames\":[")?;
    list(frames.table.iter(), out, write_frame)?;
    out.write_all(b"]},\n\"profiles\":[")?;
    list(columns.iter(), out, |column, out| {
        write_profile(profile, &frames, column, out)
    })?;
    out.write_all(b"]}\n")
}

/// Shown above the graph: whose profile it is, and that something is missing.
fn title(profile: &Profile) -> String {
    let mut title = match facts::program(profile).rsplit('/').next() {
        Some(name) if !name.is_empty() => name.to_owned(),
        _ => "profile".to_owned(),
    };
    if let Some(pid) = profile.pid() {
        title += &format!(", process {pid}");
    }
    if let Some(uptime) = facts::uptime_nanos(profile) {
        title += &format!(", up {:.1} s", uptime as f64 / 1e9);
    }
    let losses = profile.losses();
    if !losses.is_empty() {
        let reasons: Vec<&str> = losses.iter().map(|loss| loss.reason.as_str()).collect();
        title += &format!(", losses: {}", reasons.join(", "));
    }
    title
}

fn write_frame(frame: &Frame<'_>, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(b"\n{\"name\":")?;
    serde_json::to_writer(&mut *out, &frame.name)?;
    if !frame.file.is_empty() {
        out.write_all(b",\"file\":")?;
        serde_json::to_writer(&mut *out, frame.file)?;
    }
    if frame.line > 0 {
        write!(out, ",\"line\":{}", frame.line)?;
    }
    out.write_all(b"}")
}

fn write_profile(
    profile: &Profile,
    frames: &Frames<'_>,
    column: &Column,
    out: &mut dyn Write,
) -> io::Result<()> {
    let kind = &profile.sample_types[column.index];
    let name = match column.part {
        Part::Whole => kind.kind.clone(),
        Part::Grown | Part::Shrunk => format!("{} {}", kind.kind, column.suffix()),
    };
    out.write_all(b"\n{\"type\":\"sampled\",\"name\":")?;
    serde_json::to_writer(&mut *out, &name)?;
    write!(out, ",\"unit\":\"{}\",\"samples\":[", unit(kind))?;
    // Two passes over the samples, and no copy of them.
    let shown = || {
        let samples = profile.samples.iter();
        samples.filter(|sample| column.value(sample) != 0)
    };
    list(shown(), out, |sample, out| {
        out.write_all(b"[")?;
        let root_first = frames.stack(sample).rev();
        list(root_first, out, |frame, out| write!(out, "{frame}"))?;
        out.write_all(b"]")
    })?;
    out.write_all(b"],\"weights\":[")?;
    let mut end = 0u128;
    list(shown(), out, |sample, out| {
        let value = column.value(sample);
        end += u128::from(value);
        write!(out, "{value}")
    })?;
    write!(out, "],\"startValue\":0,\"endValue\":{end}}}")
}

/// With commas in between.
fn list<T>(
    items: impl Iterator<Item = T>,
    out: &mut dyn Write,
    mut write: impl FnMut(T, &mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    for (at, item) in items.enumerate() {
        if at > 0 {
            out.write_all(b",")?;
        }
        write(item, out)?;
    }
    Ok(())
}

/// The schema's word for the unit.
fn unit(kind: &ValueType) -> &'static str {
    const KNOWN: [&str; 5] = [
        "bytes",
        "nanoseconds",
        "microseconds",
        "milliseconds",
        "seconds",
    ];
    let known = KNOWN.into_iter().find(|known| *known == kind.unit);
    known.unwrap_or("none")
}
