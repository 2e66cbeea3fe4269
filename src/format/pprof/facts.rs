//! What a heapsite recorder knows, as comments for people: pprof shows them above every report.
#![forbid(unsafe_code)]

use crate::profile::{HeapFacts, Profile, Tally};

/// The profile's comments, followed by its facts in words.
pub(super) fn comments(profile: &Profile) -> Vec<String> {
    let mut comments = profile.comments.clone();
    let Some(heap) = &profile.heap else {
        return comments;
    };
    comments.push(interval(heap));
    comments.push(process(heap));
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
    for loss in &heap.losses {
        let size = match loss.bytes_estimate > 0.0 {
            true => format!(" (about {})", bytes(loss.bytes_estimate)),
            false => String::new(),
        };
        comments.push(format!(
            "loss: {} x {}{size}: {}",
            loss.count, loss.reason, loss.meaning
        ));
    }
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

fn interval(heap: &HeapFacts) -> String {
    match (heap.interval, heap.exact) {
        (_, true) => "heapsite: exact, every allocation was recorded".to_owned(),
        (0, _) => "heapsite: recording is off".to_owned(),
        (1, _) => {
            "heapsite: every allocation is recorded now, but not since the start: values are \
                   estimates"
                .to_owned()
        }
        (interval, _) => {
            format!(
                "heapsite: one allocation sampled per {interval} bytes on average: values are estimates"
            )
        }
    }
}

fn process(heap: &HeapFacts) -> String {
    let process = &heap.process;
    let fork = match process.forked_from {
        Some(parent) => format!(", forked from {parent}"),
        None => String::new(),
    };
    format!(
        "process {}{fork}, up {}, resident {}: {}",
        process.pid,
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

fn bytes(value: f64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut scaled = value;
    let mut unit = 0;
    while scaled.abs() >= 1024.0 && unit + 1 < UNITS.len() {
        scaled /= 1024.0;
        unit += 1;
    }
    let digits = if unit == 0 { 0 } else { 1 };
    format!("{scaled:.digits$} {}", UNITS[unit])
}

fn seconds(nanos: u64) -> String {
    format!("{:.1} s", nanos as f64 / 1e9)
}
