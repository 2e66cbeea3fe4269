//! What is live, by site: the live map knows addresses only.
#![forbid(unsafe_code)]

use std::collections::HashSet;

use crate::profile::{Cohort, Tally};
use crate::record::live_map::{Live, Packed};
use crate::record::sampler::{Weight, objects_from_fixed};
use crate::record::{self, clock, intervals};

use super::COHORT_WINDOWS;
use super::names::ThreadNames;
use super::scope::Block;

/// Live samples in the order of their sites.
pub(super) struct LiveBySite {
    samples: Vec<Packed>,
    /// Where each site's samples end; they begin where the site before ends.
    ends: Vec<usize>,
    used_intervals: [bool; 256],
    /// Width of a window of births, ticks.
    window: u64,
    /// For the site at hand.
    cohorts: Vec<Cohort>,
}

impl LiveBySite {
    /// Copies the live map but for these blocks, once, and orders the copy by counting: sorting a million took three times as long.
    pub(super) fn collect(but: &[Block]) -> LiveBySite {
        let but: HashSet<u64> = but.iter().map(|block| block.address).collect();
        let mut found: Vec<Packed> = Vec::new();
        let mut counts: Vec<usize> = Vec::new();
        let mut used_intervals = [false; 256];
        record::MAP.for_each(|address, sample| {
            if but.contains(&address) {
                return;
            }
            let site = sample.site as usize;
            if counts.len() <= site {
                counts.resize(site + 1, 0);
            }
            counts[site] += 1;
            used_intervals[usize::from(sample.interval)] = true;
            found.push(sample.pack());
        });
        let mut next = 0;
        for count in &mut counts {
            let start = next;
            next += *count;
            *count = start;
        }
        // From here on where the site's next sample goes, and in the end where they end.
        let mut ends = counts;
        let mut samples = vec![Packed::default(); found.len()];
        for packed in found {
            let place = &mut ends[Live::unpack(packed).site as usize];
            samples[*place] = packed;
            *place += 1;
        }
        LiveBySite {
            samples,
            ends,
            used_intervals,
            window: (clock::ticks() / COHORT_WINDOWS).max(1),
            cohorts: Vec::new(),
        }
    }

    /// The intervals that something live was sampled at, by number.
    pub(super) fn uses_interval(&self, number: u8) -> bool {
        self.used_intervals[usize::from(number)]
    }

    /// Groups one site's live samples by window of birth and thread, oldest first.
    pub(super) fn cohorts(&mut self, site: u32, threads: &mut ThreadNames) -> Vec<Cohort> {
        let site = site as usize;
        // A site without live samples may be younger than the copy.
        let Some(&end) = self.ends.get(site) else {
            return Vec::new();
        };
        let start = site.checked_sub(1).map_or(0, |before| self.ends[before]);
        let samples = &mut self.samples[start..end];
        samples.sort_unstable_by_key(|&packed| Live::unpack(packed).birth);
        self.cohorts.clear();
        let mut window = 0;
        let mut first_of_window = 0;
        for &packed in &*samples {
            let sample = Live::unpack(packed);
            if sample.birth / self.window != window {
                window = sample.birth / self.window;
                first_of_window = self.cohorts.len();
            }
            add(&mut self.cohorts, first_of_window, &sample);
        }
        for cohort in &mut self.cohorts {
            cohort.thread = threads.number_of(cohort.thread);
        }
        // A copy of the right length: there may be a hundred thousand of these.
        self.cohorts.to_vec()
    }
}

/// Counts a sample in the cohort of its thread among those from `first` on.
fn add(cohorts: &mut Vec<Cohort>, first: usize, sample: &Live) {
    let born = clock::ticks_to_nanos(sample.birth);
    let thread = u32::from(sample.thread);
    let number = match cohorts[first..].iter().position(|c| c.thread == thread) {
        Some(found) => first + found,
        None => {
            cohorts.push(Cohort {
                from_nanos: born,
                to_nanos: born,
                thread,
                live: Tally::default(),
            });
            cohorts.len() - 1
        }
    };
    let cohort = &mut cohorts[number];
    cohort.to_nanos = born;
    let weight = Weight::new(sample.size, intervals::interval(sample.interval));
    let variance = weight.count_variance();
    let tally = &mut cohort.live;
    tally.objects += 1;
    tally.bytes += sample.size;
    tally.objects_estimate += objects_from_fixed(weight.objects());
    tally.bytes_estimate += weight.bytes(sample.size) as f64;
    tally.objects_variance += variance;
    tally.bytes_variance += variance * (sample.size as f64 * sample.size as f64);
}
