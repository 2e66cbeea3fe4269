//! What a heapsite recorder knows, as comments for people: pprof shows them above every report, and other formats carry
//! them, too.
#![forbid(unsafe_code)]

use crate::profile::told::{self, bytes};
use crate::profile::{HeapFacts, Profile, Tally, told_memory};

/// The profile's comments, followed by its facts in words.
pub(in crate::format) fn comments(profile: &Profile) -> Vec<String> {
    let mut comments = profile.comments.clone();
    let Some(heap) = &profile.heap else {
        return comments;
    };
    comments.push(told::sampling(heap, profile.period));
    // A sum of several has no process.
    if heap.process.pid != 0 {
        comments.push(process(heap));
    }
    comments.extend(heap.resources.as_deref().map(told_memory::memory));
    comments.push(format!("live: {}", tally(&heap.live, heap.exact)));
    comments.push(format!("allocated: {}", tally(&heap.alloc, heap.exact)));
    comments.push(format!(
        "peak of live bytes: {} after {}",
        bytes(heap.peak_bytes),
        seconds(heap.peak_nanos)
    ));
    if heap.losses.is_empty() {
        comments.push("losses: none".to_owned());
    }
    comments.extend(heap.losses.iter().map(told::loss));
    let own = &heap.footprint;
    comments.push(format!(
        "heapsite's own memory: {} resident, {} mapped, limit {}; {} sites, {} live samples",
        bytes(own.resident_bytes as f64),
        bytes(own.mapped_bytes as f64),
        bytes(own.limit_bytes as f64),
        own.sites,
        own.live_samples
    ));
    comments
}

/// How well was recorded: the comments about sampling and losses.
pub(in crate::format) fn quality(profile: &Profile) -> Vec<String> {
    let mut lines = comments(profile);
    lines.retain(|line| told::is_quality(line));
    lines
}

/// Time since the recorder's start, by the facts or, to a tenth of a second, by the comments; `None`: nobody says.
pub(in crate::format) fn uptime_nanos(profile: &Profile) -> Option<u64> {
    match &profile.heap {
        Some(heap) => Some(heap.uptime_nanos),
        None => {
            let since = profile.recording_since()?;
            u64::try_from(profile.time_nanos.saturating_sub(since)).ok()
        }
    }
}

/// Path of the program: the first mapping is the main binary. Empty: unknown.
pub(in crate::format) fn program(profile: &Profile) -> &str {
    let known = profile.heap.as_ref().map(|heap| &heap.process.executable);
    let first = profile.mappings.first().map(|mapping| &mapping.file);
    let known = known.filter(|path| !path.is_empty()).or(first);
    known.map_or("", String::as_str)
}

/// Command line, or where that is not known the path of the program. Empty: unknown.
pub(in crate::format) fn command(profile: &Profile) -> &str {
    match &profile.heap {
        Some(heap) if !heap.process.command.is_empty() => &heap.process.command,
        _ => program(profile),
    }
}

fn process(heap: &HeapFacts) -> String {
    let process = &heap.process;
    let fork = match process.forked_from {
        Some(parent) => format!(", forked from {parent}"),
        None => String::new(),
    };
    format!(
        "{}{fork}, up {}, resident {}: {}",
        told::process(process.pid),
        seconds(heap.uptime_nanos),
        bytes(process.rss_bytes as f64),
        process.command
    )
}

/// `12.3 MiB ± 0.4 MiB in 12345 objects (estimated)`
fn tally(tally: &Tally, exact: bool) -> String {
    let size = bytes(tally.bytes_estimate);
    let objects = tally.objects_estimate.round();
    if exact {
        return format!("{size} in {objects} objects (exact)");
    }
    let error = bytes(tally.bytes_variance.max(0.0).sqrt());
    format!("{size} ± {error} in {objects} objects (estimated, one standard error)")
}

fn seconds(nanos: u64) -> String {
    format!("{:.1} s", nanos as f64 / 1e9)
}
