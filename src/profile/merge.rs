//! Sums of profiles: what several processes, or several parts of a day, did together.
#![forbid(unsafe_code)]

use super::builder::Builder;
use super::{
    Cost, Footprint, HeapFacts, LifetimeBucket, Loss, ProcessFacts, Profile, SiteDetail, Tally,
};
use crate::error::{Error, Result};

impl Profile {
    /// Adds profiles up: samples with the same stack and labels become one.
    ///
    /// What is the same follows pprof: mappings by size, offset and build id (or file), so that address
    /// randomisation does not matter; locations by their place in the mapping and their lines. Addresses in
    /// the result are those of the first profile with that mapping. The time is the earliest, the duration the sum, the period
    /// the longest; comments are kept once each.
    ///
    /// Details add up where every profile that has the sample has them (a sum of estimates has the sum of
    /// their variances, since allocations are sampled independently), and [`Profile::heap`] where all
    /// profiles have it. Values that would overflow stay at the largest number.
    ///
    /// # Errors
    /// No profile was given, one is not whole ([`Profile::check`]), or the sample types or period types
    /// differ; the error names both.
    pub fn merge(profiles: &[&Profile]) -> Result<Profile> {
        let Some((first, rest)) = profiles.split_first() else {
            return Err(Error::input(
                "there is nothing to merge: at least one profile is needed",
            ));
        };
        for (index, profile) in profiles.iter().enumerate() {
            profile
                .check()
                .map_err(|error| error.context(format_args!("profile {}", index + 1)))?;
        }
        for (index, other) in rest.iter().enumerate() {
            compatible(first, other, index + 2)?;
        }

        let most = profiles
            .iter()
            .map(|profile| profile.samples.len())
            .max()
            .unwrap_or(0);
        let mut builder = Builder::new(first, most);
        let mut threads = 0;
        let mut stack = Vec::new();
        for profile in profiles {
            let mut source = builder.source(profile);
            for sample in &profile.samples {
                stack.clear();
                for &location in &sample.locations {
                    stack.push(builder.location(&mut source, location));
                }
                let (row, new) = builder.sample(&stack, &sample.labels);
                let sum = &mut builder.profile.samples[row];
                for (sum, value) in sum.values.iter_mut().zip(&sample.values) {
                    *sum = sum.saturating_add(*value);
                }
                match (&mut sum.detail, &sample.detail) {
                    (slot @ None, Some(detail)) if new => {
                        let mut detail = detail.clone();
                        detail
                            .cohorts
                            .iter_mut()
                            .for_each(|cohort| cohort.thread = cohort.thread.wrapping_add(threads));
                        *slot = Some(detail);
                    }
                    (Some(sum), Some(detail)) => add_detail(sum, detail, threads),
                    (slot, _) => *slot = None,
                }
            }
            threads += profile
                .heap
                .as_ref()
                .map_or(0, |heap| heap.threads.len() as u32);
        }
        let mut merged = builder.profile;
        headers(&mut merged, first, rest);
        merged.heap = facts(profiles);
        if merged.heap.is_none() {
            // Without the table of threads a cohort's thread would point nowhere.
            let details = merged
                .samples
                .iter_mut()
                .filter_map(|sample| sample.detail.as_mut());
            details.for_each(|detail| detail.cohorts.clear());
        }
        Ok(merged)
    }
}

fn compatible(first: &Profile, other: &Profile, number: usize) -> Result<()> {
    if first.sample_types != other.sample_types {
        return Err(Error::input(format!(
            "cannot merge profiles of different sample types: profile 1 has {}, profile {number} has {}",
            first.sample_type_names(),
            other.sample_type_names()
        )));
    }
    if first.period_type != other.period_type {
        let name = |profile: &Profile| match &profile.period_type {
            Some(kind) => format!("{}/{}", kind.kind, kind.unit),
            None => "none".to_owned(),
        };
        return Err(Error::input(format!(
            "cannot merge profiles of different period types: profile 1 has {}, profile {number} has {}",
            name(first),
            name(other)
        )));
    }
    Ok(())
}

fn headers(merged: &mut Profile, first: &Profile, rest: &[&Profile]) {
    merged.comments.clear();
    for profile in std::iter::once(&first).chain(rest) {
        for comment in &profile.comments {
            if !merged.comments.contains(comment) {
                merged.comments.push(comment.clone());
            }
        }
    }
    for profile in rest {
        merged.period = merged.period.max(profile.period);
        merged.duration_nanos = merged.duration_nanos.saturating_add(profile.duration_nanos);
        // 0 is "unknown", not the earliest.
        if merged.time_nanos == 0
            || (profile.time_nanos != 0 && profile.time_nanos < merged.time_nanos)
        {
            merged.time_nanos = profile.time_nanos;
        }
        if merged.default_sample_type.is_empty() {
            merged
                .default_sample_type
                .clone_from(&profile.default_sample_type);
        }
        if merged.doc_url.is_empty() {
            merged.doc_url.clone_from(&profile.doc_url);
        }
    }
}

/// Adds one site's details to another's. Cohorts are kept side by side: their times count from the start
/// of their own recorder.
pub(crate) fn add_detail(sum: &mut SiteDetail, other: &SiteDetail, first_thread: u32) {
    add_tally(&mut sum.alloc, &other.alloc);
    add_tally(&mut sum.free, &other.free);
    add_tally(&mut sum.live, &other.live);
    add_tally(&mut sum.peak, &other.peak);
    for bucket in &other.lifetimes {
        add_lifetime(&mut sum.lifetimes, bucket);
    }
    sum.cohorts.extend(other.cohorts.iter().map(|cohort| {
        let mut cohort = *cohort;
        cohort.thread = cohort.thread.wrapping_add(first_thread);
        cohort
    }));
    sum.cut = sum.cut.or(other.cut);
}

fn add_lifetime(sum: &mut Vec<LifetimeBucket>, bucket: &LifetimeBucket) {
    let bounds = |bucket: &LifetimeBucket| (bucket.from_nanos, bucket.to_nanos);
    match sum.iter_mut().find(|known| bounds(known) == bounds(bucket)) {
        Some(known) => {
            known.objects = known.objects.saturating_add(bucket.objects);
            known.bytes_estimate += bucket.bytes_estimate;
        }
        None => {
            let place = sum.partition_point(|known| bounds(known) < bounds(bucket));
            sum.insert(place, *bucket);
        }
    }
}

fn add_tally(sum: &mut Tally, other: &Tally) {
    sum.objects = sum.objects.saturating_add(other.objects);
    sum.bytes = sum.bytes.saturating_add(other.bytes);
    sum.objects_estimate += other.objects_estimate;
    sum.bytes_estimate += other.bytes_estimate;
    sum.objects_variance += other.objects_variance;
    sum.bytes_variance += other.bytes_variance;
}

fn facts(profiles: &[&Profile]) -> Option<Box<HeapFacts>> {
    let mut all = profiles.iter().map(|profile| profile.heap.as_deref());
    let mut sum = all.next()??.clone();
    for other in all {
        add_facts(&mut sum, other?);
    }
    Some(Box::new(sum))
}

/// Times are the longest, counts and sizes the sums. The peak is the sum of the peaks, which is an upper
/// bound: they need not have been at the same time.
fn add_facts(sum: &mut HeapFacts, other: &HeapFacts) {
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
    for loss in &other.losses {
        add_loss(&mut sum.losses, loss);
    }
    add_footprint(&mut sum.footprint, &other.footprint);
    add_cost(&mut sum.cost, &other.cost);
    add_process(&mut sum.process, &other.process);
    sum.resources = match (sum.resources.take(), &other.resources) {
        (Some(mut sum), Some(other)) => {
            sum.add(other);
            Some(sum)
        }
        _ => None, // of some processes only: that would be the sum of nothing
    };
    sum.threads.extend(other.threads.iter().cloned());
}

fn add_loss(sum: &mut Vec<Loss>, loss: &Loss) {
    match sum.iter_mut().find(|known| known.reason == loss.reason) {
        Some(known) => {
            known.count = known.count.saturating_add(loss.count);
            known.bytes_estimate += loss.bytes_estimate;
        }
        None => sum.push(loss.clone()),
    }
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
