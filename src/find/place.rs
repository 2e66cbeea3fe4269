//! What a profile knows of each blamed line.
#![forbid(unsafe_code)]

use std::collections::HashMap;

use super::thing::{self, Skipped};
use crate::profile::{LocationId, Profile, SiteDetail, Tally};
use crate::symbolize::blame::Blamer;
use crate::symbolize::{names, plumbing};
use crate::view::Frame;
use crate::view::key::frames;

/// A line of the program that is blamed for what was allocated there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[non_exhaustive]
pub struct Place {
    /// The function's name; without symbols the address and its mapping.
    pub function: String,
    /// Source file; empty: unknown.
    pub file: String,
    /// Line, from 1; 0: unknown.
    pub line: i64,
    /// The crate, by the function's name or the file's path; empty: unknown.
    pub crate_name: String,
}

/// The live samples that were born in a span of time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Born {
    /// Birth of the oldest, nanoseconds since the recorder's start.
    pub(super) from: f64,
    /// Birth of the youngest.
    pub(super) to: f64,
    pub(super) live: Tally,
}

impl Born {
    /// The part that was born in `[from, to]`, if births are spread evenly over the span.
    fn part_in(&self, from: f64, to: f64) -> f64 {
        match self.to > self.from {
            true => (to.min(self.to) - from.max(self.from)).max(0.0) / (self.to - self.from),
            false => f64::from(self.from >= from && self.from <= to),
        }
    }

    /// The samples of that part.
    pub(super) fn samples_in(&self, from: f64, to: f64) -> f64 {
        self.part_in(from, to) * self.live.objects as f64
    }
}

/// Everything about a place.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    pub(super) place: Place,
    pub(super) alloc: Tally,
    pub(super) live: Tally,
    /// At the program's high-water mark.
    pub(super) peak: Tally,
    pub(super) born: Vec<Born>,
    /// Freed samples by lifetime: `(from, to, count)`.
    pub(super) freed: Vec<(u64, u64, f64)>,
    pub(super) skipped: Skipped,
    /// Some stack here says nothing of births and lifetimes.
    pub(super) is_blind: bool,
    /// `inuse_space`, bytes.
    pub(super) level: i64,
}

impl History {
    /// Live samples that were born in `[from, to]`, and what they are; those of a cohort spread evenly over its births.
    pub(super) fn born_in(&self, from: f64, to: f64) -> Tally {
        let mut sum = Tally::default();
        let mut samples = 0.0;
        for born in &self.born {
            let part = born.part_in(from, to);
            samples += part * born.live.objects as f64;
            sum.bytes_estimate += part * born.live.bytes_estimate;
            sum.objects_estimate += part * born.live.objects_estimate;
            sum.bytes_variance += part * born.live.bytes_variance;
        }
        sum.objects = samples.round() as u64;
        sum
    }

    /// The same, the samples alone.
    pub(super) fn samples_in(&self, from: f64, to: f64) -> f64 {
        self.born.iter().map(|born| born.samples_in(from, to)).sum()
    }

    /// Freed samples that had lived for at least `age`, an edge of the buckets.
    pub(super) fn freed_after(&self, age: f64) -> f64 {
        let after = |bucket: &&(u64, u64, f64)| bucket.0 as f64 >= age;
        self.freed.iter().filter(after).map(|bucket| bucket.2).sum()
    }

    fn add(&mut self, detail: &SiteDetail) {
        self.alloc = self.alloc.plus(detail.alloc);
        self.live = self.live.plus(detail.live);
        self.peak = self.peak.plus(detail.peak);
        let born = detail.cohorts.iter().map(|cohort| Born {
            from: cohort.from_nanos as f64,
            to: cohort.to_nanos as f64,
            live: cohort.live,
        });
        self.born.extend(born);
        for bucket in &detail.lifetimes {
            let count = bucket.objects as f64;
            match self
                .freed
                .iter_mut()
                .find(|known| known.0 == bucket.from_nanos)
            {
                Some(known) => known.2 += count,
                None => self.freed.push((bucket.from_nanos, bucket.to_nanos, count)),
            }
        }
    }
}

/// The places of a profile, in the order they are met.
pub(super) fn histories(profile: &Profile) -> Vec<History> {
    let blamer = Blamer::new(profile);
    let in_use = profile
        .sample_types
        .iter()
        .position(|kind| kind.kind == "inuse_space");
    let mut known: HashMap<LocationId, Vec<(Frame, Option<plumbing::Kind>)>> = HashMap::new();
    let mut index: HashMap<Place, usize> = HashMap::new();
    let mut found: Vec<History> = Vec::new();
    for sample in &profile.samples {
        let Some(blamed) = blamer.blame(sample) else {
            continue;
        };
        let mut skipped = Skipped::default();
        let mut place = Place::default();
        for (at, &location) in sample
            .locations
            .iter()
            .enumerate()
            .take(blamed.location + 1)
        {
            let named = known.entry(location).or_insert_with(|| {
                let judged = |frame: Frame| {
                    let kind = plumbing::is_plumbing(&frame.function, &frame.file);
                    (frame, kind)
                };
                frames(profile, location).into_iter().map(judged).collect()
            });
            for (line, (frame, kind)) in named.iter().enumerate() {
                if (at, line) == (blamed.location, blamed.line) {
                    place = place_of(frame);
                    break;
                }
                skipped.add(thing::thing(*kind, &frame.function), &frame.function);
            }
        }
        // The function's name is no part of it: an inlined one is bare, and generic code has many.
        let key = match place.line > 0 && !place.file.is_empty() {
            true => Place {
                function: String::new(),
                crate_name: String::new(),
                ..place.clone()
            },
            false => place.clone(),
        };
        let at = *index.entry(key).or_insert_with(|| {
            found.push(History {
                place,
                ..History::default()
            });
            found.len() - 1
        });
        let history = &mut found[at];
        history.skipped.join(skipped);
        let level = in_use.and_then(|column| sample.values.get(column)).copied();
        history.level = history.level.saturating_add(level.unwrap_or(0));
        match &sample.detail {
            Some(detail) => history.add(detail),
            None => history.is_blind |= level.unwrap_or(0) != 0,
        }
    }
    for history in &mut found {
        history.born.sort_by(|a, b| a.from.total_cmp(&b.from));
        history.freed.sort_unstable_by_key(|bucket| bucket.0);
    }
    found
}

fn place_of(frame: &Frame) -> Place {
    Place {
        function: frame.function.clone(),
        file: frame.file.clone(),
        line: frame.line,
        crate_name: names::crate_of(&frame.function, &frame.file).unwrap_or_default(),
    }
}
