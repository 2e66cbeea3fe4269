//! Sums of profiles: what several processes, or several parts of a day, did together.
#![forbid(unsafe_code)]

mod cohorts;
mod facts;
mod told;

use self::cohorts::Cohorts;
use self::told::Told;
use super::builder::Builder;
use super::{HeapFacts, LifetimeBucket, LocationId, Profile, SiteDetail, Tally};
use crate::error::{Error, Result};

impl Profile {
    /// Adds profiles up: samples with the same stack and labels become one.
    ///
    /// What is the same follows pprof: mappings by size, offset and build id (or file), so that address
    /// randomisation does not matter; locations by their place in the mapping and their lines. Addresses in
    /// the result are those of the first profile with that mapping. The time is the earliest, the duration the sum, the period
    /// the longest; comments are kept once each, but those of heapsite's that hold numbers: these are added up, and one tells
    /// how many profiles there were ([`Profile::sum`]).
    ///
    /// Details add up where every profile that has the sample has them (a sum of estimates has the sum of
    /// their variances, since allocations are sampled independently), and [`Profile::heap`] where all
    /// profiles have it. Cohorts keep their age, to an eighth, at the time each profile was taken. What the processes hold
    /// ([`Profile::resources`]) is the sum over the profiles that tell. Values that would overflow stay at the largest number.
    ///
    /// # Errors
    /// No profile was given, one is not whole ([`Profile::check`]), or the sample types or period types
    /// differ; the error names both.
    pub fn merge(profiles: &[&Profile]) -> Result<Profile> {
        let mut merger = Merger::default();
        for (index, profile) in profiles.iter().enumerate() {
            let added = merger.add(profile);
            added.map_err(|error| error.context(format_args!("profile {}", index + 1)))?;
        }
        merger.finish()
    }
}

/// Adds profiles up one at a time, so that each can be dropped before the next is read: time grows with all that is added,
/// memory with what is different in it (and by some hundred bytes per process). The sum is that of [`Profile::merge`].
#[derive(Default)]
pub struct Merger {
    builder: Option<Builder>,
    /// `None`: a profile without facts was among them, and the sum has none.
    facts: Option<Box<HeapFacts>>,
    cohorts: Cohorts,
    told: Told,
    stack: Vec<LocationId>,
}

impl std::fmt::Debug for Merger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Merger").finish_non_exhaustive()
    }
}

impl Merger {
    /// Adds a profile.
    ///
    /// # Errors
    /// It is not whole ([`Profile::check`]), or its sample types or period type differ from the first one's. Then the sum is
    /// as it was before.
    pub fn add(&mut self, profile: &Profile) -> Result<()> {
        profile.check()?;
        let is_first = self.builder.is_none();
        let builder = match &mut self.builder {
            Some(builder) => {
                compatible(&builder.profile, profile)?;
                headers(&mut builder.profile, profile);
                builder
            }
            none => none.insert(Builder::new(profile, profile.samples.len())),
        };
        self.told.add(profile);
        self.facts = match (self.facts.take(), &profile.heap) {
            (Some(mut sum), Some(other)) => {
                facts::add(&mut sum, other);
                Some(sum)
            }
            (None, Some(first)) if is_first => Some(first.clone()),
            _ => None,
        };
        let heap = self.facts.is_some().then_some(profile.heap.as_deref());
        let heap = heap.flatten();
        if heap.is_none() {
            // Without the table of threads a cohort's thread would point nowhere.
            self.cohorts = Cohorts::default();
        }
        self.cohorts.next_profile(heap);

        let mut source = builder.source(profile);
        for sample in &profile.samples {
            self.stack.clear();
            for &location in &sample.locations {
                self.stack.push(builder.location(&mut source, location));
            }
            let (row, new) = builder.sample(&self.stack, &sample.labels);
            let sum = &mut builder.profile.samples[row];
            for (sum, value) in sum.values.iter_mut().zip(&sample.values) {
                *sum = sum.saturating_add(*value);
            }
            match (&mut sum.detail, &sample.detail) {
                (slot @ None, Some(detail)) if new => {
                    *slot = Some(Box::new(SiteDetail {
                        lifetimes: detail.lifetimes.clone(),
                        cohorts: Vec::new(),
                        ..**detail
                    }));
                }
                (Some(sum), Some(detail)) => add_counts(sum, detail),
                (slot, _) => *slot = None,
            }
            if let (Some(heap), Some(detail)) = (heap, &sample.detail) {
                self.cohorts.add(row, &detail.cohorts, heap);
            }
        }
        Ok(())
    }

    /// The sum of what was added.
    ///
    /// # Errors
    /// Nothing was added.
    pub fn finish(self) -> Result<Profile> {
        let Some(builder) = self.builder else {
            return Err(Error::input(
                "there is nothing to merge: at least one profile is needed",
            ));
        };
        let mut merged = builder.profile;
        merged.heap = self.facts;
        if let Some(heap) = &mut merged.heap {
            heap.threads = self.cohorts.finish(heap.uptime_nanos, &mut merged.samples);
        }
        self.told.finish(&mut merged);
        Ok(merged)
    }
}

fn compatible(first: &Profile, other: &Profile) -> Result<()> {
    if first.sample_types != other.sample_types {
        return Err(Error::input(format!(
            "cannot merge profiles of different sample types: the first has {}, this one has {}",
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
            "cannot merge profiles of different period types: the first has {}, this one has {}",
            name(first),
            name(other)
        )));
    }
    Ok(())
}

fn headers(merged: &mut Profile, profile: &Profile) {
    merged.period = merged.period.max(profile.period);
    merged.duration_nanos = merged.duration_nanos.saturating_add(profile.duration_nanos);
    // 0 is "unknown", not the earliest.
    if merged.time_nanos == 0 || (profile.time_nanos != 0 && profile.time_nanos < merged.time_nanos)
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

/// Adds one site's details to another's of the same recorder. Cohorts are kept side by side.
pub(super) fn add_detail(sum: &mut SiteDetail, other: &SiteDetail) {
    add_counts(sum, other);
    sum.cohorts.extend_from_slice(&other.cohorts);
}

/// All but the cohorts.
fn add_counts(sum: &mut SiteDetail, other: &SiteDetail) {
    add_tally(&mut sum.alloc, &other.alloc);
    add_tally(&mut sum.free, &other.free);
    add_tally(&mut sum.live, &other.live);
    add_tally(&mut sum.peak, &other.peak);
    for bucket in &other.lifetimes {
        add_lifetime(&mut sum.lifetimes, bucket);
    }
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
