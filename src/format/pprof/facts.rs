//! What a heapsite recorder knows, as comments for people: pprof shows them above every report.
#![forbid(unsafe_code)]

use crate::profile::told::{self, bytes};
use crate::profile::{HeapFacts, Profile, Tally, told_memory};

/// The profile's comments, followed by its facts in words.
pub(super) fn comments(profile: &Profile) -> Vec<String> {
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
