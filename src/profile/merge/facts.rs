//! Sums of what recorders know about themselves and their processes.
#![forbid(unsafe_code)]

use super::add_tally;
use crate::profile::{Cost, Footprint, HeapFacts, ProcessFacts};

/// Times are the longest, counts and sizes the sums. The peak is the sum of the peaks, which is an upper
/// bound: they need not have been at the same time. Losses and resources are also told by profiles without facts: see `told`;
/// threads go with the cohorts.
pub(super) fn add(sum: &mut HeapFacts, other: &HeapFacts) {
    sum.interval = sum.interval.max(other.interval);
    sum.exact &= other.exact;
    sum.uptime_nanos = sum.uptime_nanos.max(other.uptime_nanos);
    add_tally(&mut sum.alloc, &other.alloc);
    add_tally(&mut sum.free, &other.free);
    add_tally(&mut sum.live, &other.live);
    sum.peak_bytes += other.peak_bytes;
    sum.peak_nanos = sum.peak_nanos.max(other.peak_nanos);
    sum.requested_bytes = sum.requested_bytes.saturating_add(other.requested_bytes);
    sum.requested_slack_bytes = sum
        .requested_slack_bytes
        .saturating_add(other.requested_slack_bytes);
    add_footprint(&mut sum.footprint, &other.footprint);
    add_cost(&mut sum.cost, &other.cost);
    add_process(&mut sum.process, &other.process);
}

fn add_footprint(sum: &mut Footprint, other: &Footprint) {
    for (sum, other) in [
        (&mut sum.mapped_bytes, other.mapped_bytes),
        (&mut sum.resident_bytes, other.resident_bytes),
        (&mut sum.limit_bytes, other.limit_bytes),
        (&mut sum.sites, other.sites),
        (&mut sum.live_samples, other.live_samples),
    ] {
        *sum = sum.saturating_add(other);
    }
}

fn add_cost(sum: &mut Cost, other: &Cost) {
    // Independent estimates: their variances add up.
    let error = (sum.sampled_nanos_error as f64).hypot(other.sampled_nanos_error as f64);
    sum.sampled_nanos_error = error as u64;
    for (sum, other) in [
        (&mut sum.sampled_nanos, other.sampled_nanos),
        (&mut sum.timed_events, other.timed_events),
        (&mut sum.interrupted_events, other.interrupted_events),
        (&mut sum.look_ups, other.look_ups),
        (&mut sum.process_cpu_nanos, other.process_cpu_nanos),
    ] {
        *sum = sum.saturating_add(other);
    }
}

/// Several processes have no common id or start: those become 0, and a name that differs empty.
fn add_process(sum: &mut ProcessFacts, other: &ProcessFacts) {
    if !sum.is_same(other) {
        sum.pid = 0;
        sum.start_time_nanos = 0;
        sum.start_ticks = 0;
        sum.boot_id.clear();
        sum.forked_from = None;
    }
    if sum.command != other.command {
        sum.command.clear();
    }
    if sum.executable != other.executable {
        sum.executable.clear();
    }
    sum.rss_bytes = sum.rss_bytes.saturating_add(other.rss_bytes);
    sum.peak_rss_bytes = sum.peak_rss_bytes.saturating_add(other.peak_rss_bytes);
}
