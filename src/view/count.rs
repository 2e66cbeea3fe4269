//! Flat and cumulative sums by key.
//!
//! *Flat* is what a row is blamed for: each sample counts in one row. *Cumulative* is what passed through it:
//! each sample counts once in every row of its stack, however often the stack visits that row (recursion).
#![forbid(unsafe_code)]

use super::key::{Blame, By, Frame, Key, Role, frames, role};
use super::measure::{Measure, Value};
use crate::profile::{LabelValue, LocationId, Profile, Sample};
use crate::symbolize::blame::{BlamedFrame, Blamer};
use crate::symbolize::names;
use crate::{Error, Result};
use std::collections::HashMap;

/// A profile added up.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Count {
    /// What rows stand for.
    pub by: By,
    /// What was added up.
    pub value: Value,
    /// All samples together.
    pub total: Measure,
    /// Rows in the order they were met; see [`Count::sort`].
    pub rows: Vec<Row>,
}

/// One row of a [`Count`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Row {
    /// What the row stands for.
    pub key: Key,
    /// What the row is blamed for.
    pub flat: Measure,
    /// What passed through it.
    pub cum: Measure,
    /// Freed bytes (estimated) that have a lifetime, blamed on the row.
    pub freed_bytes: f64,
    lifetime_byte_nanos: f64,
}

impl Row {
    /// Mean lifetime of the freed bytes blamed on the row, nanoseconds; `None`: nothing was freed, or the
    /// profile has no lifetimes. Approximate: lifetimes are kept in buckets that double.
    pub fn mean_lifetime(&self) -> Option<f64> {
        (self.freed_bytes > 0.0).then(|| self.lifetime_byte_nanos / self.freed_bytes)
    }
}

/// How rows are put in order; the largest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// By what a row is blamed for.
    Flat,
    /// By what passed through it.
    Cum,
    /// By freed bytes, of which each row has a mean lifetime: much freed and short-lived is churn.
    Lifetime,
}

impl Count {
    /// Puts rows in order; ties by name, so that the order is always the same.
    pub fn sort(&mut self, order: Order) {
        let rank = |row: &Row| match order {
            Order::Flat => (row.flat.value as f64, row.cum.value as f64),
            Order::Cum => (row.cum.value as f64, row.flat.value as f64),
            Order::Lifetime => (row.freed_bytes, -row.mean_lifetime().unwrap_or(f64::MAX)),
        };
        self.rows.sort_by(|a, b| {
            let ((a1, a2), (b1, b2)) = (rank(a), rank(b));
            b1.total_cmp(&a1)
                .then(b2.total_cmp(&a2))
                .then_with(|| a.key.cmp(&b.key))
        });
    }

    /// Drops rows of which nothing is left: what passed through them was all freed. With `lifetimes`, rows
    /// with a lifetime stay.
    pub fn drop_empty(&mut self, lifetimes: bool) {
        self.rows.retain(|row| {
            let empty = row.flat.value == 0 && row.cum.value == 0;
            if lifetimes {
                row.freed_bytes > 0.0
            } else {
                !empty
            }
        });
    }

    /// Some row has a lifetime.
    pub fn has_lifetimes(&self) -> bool {
        self.rows.iter().any(|row| row.freed_bytes > 0.0)
    }
}

/// Adds the samples of `profile` up.
///
/// # Errors
/// Input error if rows are asked for by thread and the profile does not tell threads for this sample type.
pub fn count(profile: &Profile, value: &Value, by: By, blame: Blame) -> Result<Count> {
    count_born_until(profile, value, by, blame, u64::MAX)
}

/// The same for live allocations born until `born`, nanoseconds since the recorder's start; `u64::MAX`: for
/// all. A cohort that only begins before `born` is left out.
pub(crate) fn count_born_until(
    profile: &Profile,
    value: &Value,
    by: By,
    blame: Blame,
    born: u64,
) -> Result<Count> {
    let mut counter = Counter::new(profile, by, blame);
    let mut total = Measure::default();
    for sample in &profile.samples {
        let measure = if born == u64::MAX {
            value.of(sample)
        } else {
            live_since(sample, value, born)
        };
        total.add(measure);
        if by == By::Thread {
            counter.by_thread(sample, value, measure, born)?;
        } else {
            counter.by_stack(sample, measure);
        }
    }
    Ok(Count {
        by,
        value: value.clone(),
        total,
        rows: counter.finish(),
    })
}

fn live_since(sample: &Sample, value: &Value, born: u64) -> Measure {
    let mut sum = Measure::default();
    let cohorts = sample.detail.iter().flat_map(|detail| &detail.cohorts);
    for cohort in cohorts.filter(|cohort| cohort.to_nanos <= born) {
        sum.add(value.of_tally(&cohort.live));
    }
    sum
}

/// Rows under construction. A location's keys are worked out once, however many stacks it is in.
struct Counter<'p> {
    profile: &'p Profile,
    by: By,
    blame: Blame,
    blamer: Option<Blamer<'p>>,
    rows: Vec<Row>,
    index: HashMap<Key, usize>,
    locations: HashMap<LocationId, Vec<(usize, Role)>>,
    /// Per row the last sample that touched it.
    seen: Vec<usize>,
    samples: usize,
}

impl<'p> Counter<'p> {
    fn new(profile: &'p Profile, by: By, blame: Blame) -> Self {
        Counter {
            profile,
            by,
            blame,
            blamer: (blame == Blame::Application).then(|| Blamer::new(profile)),
            rows: Vec::new(),
            index: HashMap::new(),
            locations: HashMap::new(),
            seen: Vec::new(),
            samples: 0,
        }
    }

    /// Rows that hold something: keys of plumbing were worked out, but not touched.
    fn finish(self) -> Vec<Row> {
        let by_stack = !matches!(self.by, By::Site | By::Thread);
        let touched = |at: usize| !by_stack || self.seen.get(at).is_some_and(|&sample| sample > 0);
        let rows = self.rows.into_iter().enumerate();
        rows.filter(|(at, _)| touched(*at))
            .map(|(_, row)| row)
            .collect()
    }

    fn by_stack(&mut self, sample: &Sample, measure: Measure) {
        self.samples += 1;
        if self.by == By::Site {
            let row = self.site(sample);
            self.rows[row].cum.add(measure);
            return self.blame(row, sample, measure);
        }
        let wanted = self.wanted(sample);
        let mut stack: Vec<(usize, Role)> = Vec::new();
        let mut blamed = 0;
        for (at, &location) in sample.locations.iter().enumerate() {
            self.keys(location);
            if wanted.is_some_and(|frame| frame.location == at) {
                blamed = stack.len() + wanted.map_or(0, |frame| frame.line);
            }
            stack.extend(&self.locations[&location]);
        }
        if stack.is_empty() {
            stack.push((
                self.row(Key::Name("(empty stack)".into())),
                Role::Application,
            ));
        }
        self.seen.resize(self.rows.len(), 0);
        for (at, &(row, role)) in stack.iter().enumerate() {
            let shown = self.blame == Blame::Leaf || role == Role::Application || at == blamed;
            if shown && self.seen[row] != self.samples {
                self.seen[row] = self.samples;
                self.rows[row].cum.add(measure);
            }
        }
        self.blame(stack[blamed].0, sample, measure);
    }

    /// The frame to blame; `None`: the leaf.
    fn wanted(&self, sample: &Sample) -> Option<BlamedFrame> {
        self.blamer.as_ref().and_then(|blamer| blamer.blame(sample))
    }

    fn blame(&mut self, row: usize, sample: &Sample, measure: Measure) {
        let row = &mut self.rows[row];
        row.flat.add(measure);
        for bucket in sample.detail.iter().flat_map(|detail| &detail.lifetimes) {
            row.freed_bytes += bucket.bytes_estimate;
            row.lifetime_byte_nanos +=
                bucket.bytes_estimate * middle(bucket.from_nanos, bucket.to_nanos);
        }
    }

    fn by_thread(
        &mut self,
        sample: &Sample,
        value: &Value,
        measure: Measure,
        born: u64,
    ) -> Result<()> {
        let label = sample.labels.iter().find(|label| label.key == "thread");
        if let Some(label) = label {
            let name = match &label.value {
                LabelValue::Str(name) => name.clone(),
                LabelValue::Num(number, _) => number.to_string(),
            };
            let row = self.row(Key::Name(name));
            self.rows[row].cum.add(measure);
            self.blame(row, sample, measure);
            return Ok(());
        }
        let cohorts = sample.detail.as_deref().map(|detail| &detail.cohorts);
        let (Some(cohorts), true) = (cohorts, value.facet().is_live()) else {
            return Err(Error::input(format!(
                "the profile does not say which threads its {} comes from; threads are known for inuse_objects and \
                 inuse_space of heapsite's JSON dumps, and for samples with a `thread` label",
                value.kind()
            )));
        };
        for cohort in cohorts.iter().filter(|cohort| cohort.to_nanos <= born) {
            let threads = self.profile.heap.as_deref().map(|heap| &heap.threads);
            let name = threads
                .and_then(|threads| threads.get(cohort.thread as usize))
                .cloned();
            let name = name
                .filter(|name| !name.is_empty())
                .unwrap_or_else(|| format!("thread {}", cohort.thread));
            let row = self.row(Key::Name(name));
            let measure = value.of_tally(&cohort.live);
            self.rows[row].flat.add(measure);
            self.rows[row].cum.add(measure);
        }
        Ok(())
    }

    fn site(&mut self, sample: &Sample) -> usize {
        let wanted = self.wanted(sample);
        let mut stack: Vec<Frame> = Vec::new();
        let mut blamed = 0;
        for (at, &location) in sample.locations.iter().enumerate() {
            if wanted.is_some_and(|frame| frame.location == at) {
                blamed = stack.len() + wanted.map_or(0, |frame| frame.line);
            }
            stack.extend(frames(self.profile, location));
        }
        self.row(Key::Site(stack, blamed))
    }

    fn keys(&mut self, location: LocationId) {
        if self.locations.contains_key(&location) {
            return;
        }
        let mut keys = Vec::new();
        for frame in frames(self.profile, location) {
            let role = role(&frame);
            let key = match self.by {
                By::Crate => Key::Name(crate_of(&frame)),
                By::Function => Key::Frame(Frame { line: 0, ..frame }),
                By::Line | By::Site | By::Thread => Key::Frame(frame),
            };
            keys.push((self.row(key), role));
        }
        self.locations.insert(location, keys);
    }

    fn row(&mut self, key: Key) -> usize {
        if let Some(&row) = self.index.get(&key) {
            return row;
        }
        let (flat, cum) = (Measure::default(), Measure::default());
        self.rows.push(Row {
            key: key.clone(),
            flat,
            cum,
            freed_bytes: 0.0,
            lifetime_byte_nanos: 0.0,
        });
        self.index.insert(key, self.rows.len() - 1);
        self.rows.len() - 1
    }
}

fn crate_of(frame: &Frame) -> String {
    names::crate_of(&frame.function, &frame.file).unwrap_or_else(|| "(no crate)".to_owned())
}

/// The mean of a lifetime bucket if lifetimes are spread evenly over its logarithm.
fn middle(from: u64, to: u64) -> f64 {
    let (low, high) = (from.max(1) as f64, to as f64);
    if to == u64::MAX || high <= low {
        low
    } else {
        (high - low) / (high / low).ln()
    }
}

#[cfg(test)]
mod tests;
