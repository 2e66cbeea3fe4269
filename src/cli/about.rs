//! Where a profile comes from and what it lacks, in a few lines above every report.
#![forbid(unsafe_code)]

use super::input::display;
use crate::Profile;
use crate::profile::Loss;
use crate::view::units;
use std::io::{self, Write};

/// `a.pb.gz: pid 4711, 2026-11-23 23:43:49 UTC, up 3d 4h`
pub(super) fn origin(name: &str, profile: &Profile) -> String {
    let mut facts = Vec::new();
    if let Some(heap) = &profile.heap
        && heap.process.pid != 0
    {
        facts.push(format!("pid {}", heap.process.pid));
    }
    if let Some(program) = program(profile) {
        facts.push(program.to_owned());
    }
    if profile.time_nanos != 0 {
        facts.push(units::time(profile.time_nanos));
    }
    match &profile.heap {
        Some(heap) => facts.push(format!(
            "recording for {}",
            units::duration(heap.uptime_nanos)
        )),
        None if profile.duration_nanos > 0 => {
            facts.push(format!(
                "over {}",
                units::duration(profile.duration_nanos as u64)
            ));
        }
        None => {}
    }
    match facts.is_empty() {
        true => display(name).to_owned(),
        false => format!("{}: {}", display(name), facts.join(", ")),
    }
}

fn program(profile: &Profile) -> Option<&str> {
    let heap = profile
        .heap
        .as_deref()
        .map(|heap| heap.process.executable.as_str());
    let main = profile
        .mappings
        .first()
        .map(|mapping| mapping.file.as_str());
    let path = heap.filter(|path| !path.is_empty()).or(main)?;
    path.rsplit('/').next().filter(|name| !name.is_empty())
}

/// What could not be recorded, a line per reason; nothing where nothing was lost.
pub(super) fn losses(prefix: &str, profile: &Profile, out: &mut dyn Write) -> io::Result<()> {
    for loss in profile
        .heap
        .iter()
        .flat_map(|heap| &heap.losses)
        .filter(|loss| loss.count > 0)
    {
        writeln!(out, "{prefix}lost: {}", explain(loss))?;
    }
    Ok(())
}

/// `live-map-full 12 times, about 1.5 MiB: these allocations …`
pub(super) fn explain(loss: &Loss) -> String {
    let count = units::count(i64::try_from(loss.count).unwrap_or(i64::MAX));
    let times = if loss.count == 1 { "time" } else { "times" };
    let size = match loss.bytes_estimate {
        bytes if bytes > 0.0 => format!(", about {}", units::bytes(bytes)),
        _ => String::new(),
    };
    format!("{} {count} {times}{size}: {}", loss.reason, loss.meaning)
}

/// The profile has addresses without names, and nothing else.
pub(super) fn is_nameless(profile: &Profile) -> bool {
    !profile.locations.is_empty()
        && profile
            .locations
            .iter()
            .all(|location| location.lines.is_empty())
}
