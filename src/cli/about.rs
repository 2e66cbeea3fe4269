//! Where a profile comes from and what it lacks, in a few lines above every report.
#![forbid(unsafe_code)]

use super::input::display;
use crate::Profile;
use crate::profile::diff::canonical;
use crate::profile::sum::Sum;
use crate::profile::{Location, Loss, MappingId};
use crate::view::name::printable;
use crate::view::units;
use std::io::{self, Write};

/// `a.pb.gz: pid 4711, 2026-11-23 23:43:49 UTC, up 3d 4h`
pub(super) fn origin(name: &str, profile: &Profile) -> String {
    let mut facts = Vec::new();
    if let Some(pid) = profile.pid() {
        facts.push(format!("pid {pid}"));
    }
    if let Some(program) = program(profile) {
        facts.push(program.to_owned());
    }
    let sum = profile.sum();
    if let Some(sum) = sum {
        facts.push(self::sum(&sum));
    }
    if profile.time_nanos != 0 {
        facts.push(units::time(profile.time_nanos));
    }
    match &profile.heap {
        Some(heap) if sum.is_some() => facts.push(format!(
            "recording for up to {}",
            units::duration(heap.uptime_nanos)
        )),
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
    let origin = match facts.is_empty() {
        true => display(name).to_owned(),
        false => format!("{}: {}", display(name), facts.join(", ")),
    };
    printable(&origin).into_owned()
}

/// `sum of 1,000 profiles from 998 processes, taken within 5m`
fn sum(sum: &Sum) -> String {
    let number = |count: u64| units::count(i64::try_from(count).unwrap_or(i64::MAX));
    let processes = match sum.processes {
        Some(1) => " from 1 process".to_owned(),
        Some(count) => format!(" from {} processes", number(count)),
        None => String::new(),
    };
    let span = match sum.span_nanos {
        0 => String::new(),
        span => format!(", taken within {}", units::duration(span)),
    };
    format!("sum of {} profiles{processes}{span}", number(sum.profiles))
}

/// Says so where [`Profile::resources`] are of some of the profiles of a sum only.
pub(super) fn partial_memory(profile: &Profile) -> Option<String> {
    let sum = profile.sum()?;
    (sum.with_memory < sum.profiles).then(|| {
        format!(
            "where the memory is, {} of the {} profiles tell:",
            sum.with_memory, sum.profiles
        )
    })
}

/// The program's name.
pub(super) fn program(profile: &Profile) -> Option<&str> {
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

/// Why there is nothing to see, or what could not be recorded, a line per reason; nothing where nothing was lost.
pub(super) fn losses(prefix: &str, profile: &Profile, out: &mut dyn Write) -> io::Result<()> {
    if let Some(why) = silence(profile) {
        writeln!(out, "{prefix}empty: {why}")?;
    }
    for loss in profile.losses() {
        writeln!(out, "{prefix}{}: {}", word(&loss), explain(&loss))?;
    }
    Ok(())
}

/// Why a profile is empty, where heapsite knows.
pub(super) fn silence(profile: &Profile) -> Option<&'static str> {
    if !profile.samples.is_empty() {
        return None;
    }
    if profile.is_not_installed() {
        return Some(
            "no heapsite allocator is installed in this program; it needs `#[global_allocator] static HEAP: \
             heapsite::Heapsite = heapsite::Heapsite::system();`",
        );
    }
    let heap = profile.heap.as_deref()?;
    (heap.interval == 0).then_some("sampling was off (interval=0)")
}

/// What heapsite keeps out of the profile on purpose is not lost.
pub(super) fn word(loss: &Loss) -> &'static str {
    match loss.reason.as_str() {
        "own-work" => "left out",
        _ => "lost",
    }
}

/// `live-map-full 12 times, about 1.5 MiB: these allocations …`
pub(super) fn explain(loss: &Loss) -> String {
    let count = units::count(i64::try_from(loss.count).unwrap_or(i64::MAX));
    let times = if loss.count == 1 { "time" } else { "times" };
    let size = match loss.bytes_estimate {
        bytes if bytes > 0.0 => format!(", about {}", units::bytes(bytes)),
        _ => String::new(),
    };
    let text = format!("{} {count} {times}{size}: {}", loss.reason, loss.meaning);
    printable(&text).into_owned()
}

/// The profile has addresses without names, and nothing else but notes such as `[no stack]`.
pub(super) fn is_nameless(profile: &Profile) -> bool {
    let is_note = |location: &Location| match (location.mapping, location.lines.as_slice()) {
        (None, [only]) => {
            let function = profile.functions.get(only.function.0 as usize);
            function.is_some_and(|function| function.name.starts_with('['))
        }
        _ => false,
    };
    let mut real = profile
        .locations
        .iter()
        .filter(|location| !is_note(location))
        .peekable();
    let lacks_name = |location: &Location| {
        let mapping = location
            .mapping
            .and_then(|id| profile.mappings.get(id.0 as usize));
        canonical::is_nameless(location, &profile.functions, mapping)
    };
    real.peek().is_some() && real.all(lacks_name)
}

/// What to say of a profile without names, or of one whose program mostly has none, which is what stripping does; `None`:
/// nothing.
pub(super) fn lack_of_names(profile: &Profile) -> Option<String> {
    if is_nameless(profile) {
        return Some("the profile has no names; `heapsite symbolize` gives it some".to_owned());
    }
    let main = profile.mappings.first()?;
    let of_main = profile
        .locations
        .iter()
        .filter(|location| location.mapping == Some(MappingId(0)));
    let (mut all, mut nameless) = (0, 0);
    for location in of_main {
        all += 1;
        nameless += usize::from(canonical::is_nameless(
            location,
            &profile.functions,
            Some(main),
        ));
    }
    (nameless * 2 > all).then(|| {
        format!(
            "{nameless} of {all} addresses of {} have no names: if it is stripped, `heapsite symbolize` says how to get some",
            main.file.rsplit('/').next().unwrap_or_default()
        )
    })
}
