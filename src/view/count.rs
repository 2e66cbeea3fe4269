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
use hashbrown::{DefaultHashBuilder, HashTable, hash_table::Entry};
use std::hash::BuildHasher;

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
    let what = What {
        value,
        by,
        blame,
        cum: true,
        born: u64::MAX,
    };
    what.count(profile, &profile.samples)
}

/// What is to be counted.
#[derive(Clone, Copy)]
pub(super) struct What<'v> {
    pub(super) value: &'v Value,
    pub(super) by: By,
    pub(super) blame: Blame,
    /// Cumulative sums are wanted too; without them those of frames are left at 0, and only frames that are blamed are
    /// looked at, which are few.
    pub(super) cum: bool,
    /// Live allocations born until then, nanoseconds since the recorder's start; `u64::MAX`: all. A cohort that only begins
    /// before it is left out.
    pub(super) born: u64,
}

impl What<'_> {
    /// Adds `samples` up, whose stacks are in the tables of `profile`.
    ///
    /// # Errors
    /// Those of [`count`].
    pub(super) fn count(self, profile: &Profile, samples: &[Sample]) -> Result<Count> {
        let What {
            value,
            by,
            blame,
            cum,
            born,
        } = self;
        let mut counter = Counter::new(profile, by, blame, cum);
        let mut total = Measure::default();
        for sample in samples {
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
}

pub(super) fn live_since(sample: &Sample, value: &Value, born: u64) -> Measure {
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
    cum: bool,
    blamer: Option<Blamer<'p>>,
    rows: Vec<Row>,
    /// Finds rows by their keys.
    index: HashTable<u32>,
    hasher: DefaultHashBuilder,
    /// Per location the row and the role of each of its frames, once it has been visited.
    locations: Vec<Option<Frames>>,
    /// Those of a stack; only kept for its memory.
    stack: Frames,
    /// Per row the last sample that touched it.
    seen: Vec<u32>,
    samples: u32,
}

type Frames = Vec<(u32, Role)>;

impl<'p> Counter<'p> {
    fn new(profile: &'p Profile, by: By, blame: Blame, cum: bool) -> Self {
        Counter {
            profile,
            by,
            blame,
            cum,
            blamer: (blame == Blame::Application).then(|| Blamer::new(profile)),
            rows: Vec::new(),
            index: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            locations: Vec::new(),
            stack: Vec::new(),
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
        let blamed = if self.cum {
            self.pass_through(sample, wanted, measure)
        } else {
            self.only_blamed(sample, wanted)
        };
        self.seen.resize(self.rows.len(), 0);
        self.seen[blamed] = self.samples;
        self.blame(blamed, sample, measure);
    }

    /// Counts a sample in all rows of its stack. The row to blame.
    fn pass_through(
        &mut self,
        sample: &Sample,
        wanted: Option<BlamedFrame>,
        measure: Measure,
    ) -> usize {
        let mut stack = std::mem::take(&mut self.stack);
        stack.clear();
        let mut blamed = 0;
        for (at, &location) in sample.locations.iter().enumerate() {
            if wanted.is_some_and(|frame| frame.location == at) {
                blamed = stack.len() + wanted.map_or(0, |frame| frame.line);
            }
            stack.extend_from_slice(self.keys(location));
        }
        if stack.is_empty() {
            stack.push((self.empty_stack() as u32, Role::Application));
        }
        self.seen.resize(self.rows.len(), 0);
        for (at, &(row, role)) in stack.iter().enumerate() {
            let shown = self.blame == Blame::Leaf || role == Role::Application || at == blamed;
            let row = row as usize;
            if shown && self.seen[row] != self.samples {
                self.seen[row] = self.samples;
                self.rows[row].cum.add(measure);
            }
        }
        let row = stack[blamed].0 as usize;
        self.stack = stack;
        row
    }

    /// The row to blame, by itself.
    fn only_blamed(&mut self, sample: &Sample, wanted: Option<BlamedFrame>) -> usize {
        let (location, line) = wanted.map_or((0, 0), |frame| (frame.location, frame.line));
        match sample.locations.get(location) {
            Some(&id) => self.keys(id)[line].0 as usize,
            None => self.empty_stack(),
        }
    }

    fn empty_stack(&mut self) -> usize {
        self.row(Key::Name("(empty stack)".into()))
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

    fn keys(&mut self, location: LocationId) -> &[(u32, Role)] {
        let index = location.0 as usize;
        if self.locations.len() <= index {
            // A profile that is not whole names locations that are not there.
            let len = self.profile.locations.len().max(index + 1);
            self.locations.resize(len, None);
        }
        if self.locations[index].is_none() {
            let mut keys = Vec::new();
            for frame in frames(self.profile, location) {
                // Roles only say what is shown of what passed through.
                let role = match self.cum {
                    true => role(&frame),
                    false => Role::Application,
                };
                let key = match self.by {
                    By::Crate => Key::Name(crate_of(&frame)),
                    By::Function => Key::Frame(Frame { line: 0, ..frame }),
                    By::Line | By::Site | By::Thread => Key::Frame(frame),
                };
                keys.push((self.row(key) as u32, role));
            }
            self.locations[index] = Some(keys);
        }
        self.locations[index].as_deref().unwrap_or_default()
    }

    fn row(&mut self, key: Key) -> usize {
        let Counter {
            rows,
            index,
            hasher,
            ..
        } = self;
        let entry = index.entry(
            hasher.hash_one(&key),
            |&row| rows[row as usize].key == key,
            |&row| hasher.hash_one(&rows[row as usize].key),
        );
        match entry {
            Entry::Occupied(entry) => *entry.get() as usize,
            Entry::Vacant(entry) => {
                let row = rows.len();
                entry.insert(row as u32);
                rows.push(Row {
                    key,
                    flat: Measure::default(),
                    cum: Measure::default(),
                    freed_bytes: 0.0,
                    lifetime_byte_nanos: 0.0,
                });
                row
            }
        }
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
