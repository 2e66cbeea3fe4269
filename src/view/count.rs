//! Flat and cumulative sums by key.
//!
//! *Flat* is what a row is blamed for: each sample counts in one row. *Cumulative* is what passed through it:
//! each sample counts once in every row of its stack, however often the stack visits that row (recursion).
#![forbid(unsafe_code)]

pub(super) mod counter;
mod regroup;

use super::age;
use super::key::{Blame, By, Key};
use super::measure::{Measure, Value};
use super::subject::{Subject, Whole};
use crate::Result;
use crate::profile::{Profile, Sample};
use counter::Counter;
use hashbrown::HashMap;
use std::cmp::Ordering;

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
    /// What 100 % is.
    pub whole: Whole,
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
    fn new(key: Key) -> Row {
        Row {
            key,
            flat: Measure::default(),
            cum: Measure::default(),
            freed_bytes: 0.0,
            lifetime_byte_nanos: 0.0,
        }
    }

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

impl Order {
    /// Which of two rows comes first.
    pub(super) fn compare(self, a: &Row, b: &Row) -> Ordering {
        let size = |measure: &Measure| measure.value.unsigned_abs() as f64;
        let rank = |row: &Row| match self {
            Order::Flat => (size(&row.flat), size(&row.cum)),
            Order::Cum => (size(&row.cum), size(&row.flat)),
            Order::Lifetime => (row.freed_bytes, -row.mean_lifetime().unwrap_or(f64::MAX)),
        };
        let ((a1, a2), (b1, b2)) = (rank(a), rank(b));
        b1.total_cmp(&a1)
            .then(b2.total_cmp(&a2))
            .then_with(|| a.key.cmp(&b.key))
    }
}

impl Count {
    /// Puts rows in order; ties by name, so that the order is always the same. What shrank much comes before what grew
    /// little. Ages come youngest first, whatever the order.
    pub fn sort(&mut self, order: Order) {
        if self.by == By::Age {
            self.rows.sort_by_key(|row| age::rank(row.key.name()));
            return;
        }
        self.rows.sort_by(|a, b| order.compare(a, b));
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

    /// Drops rows through which less than this share of all that is flat passes, as pprof's `-nodefraction`.
    pub fn drop_small(&mut self, fraction: f64) {
        let total = self
            .rows
            .iter()
            .fold(0i64, |sum, row| sum.saturating_add(row.flat.value));
        let least = (total as f64 * fraction).abs() as u64;
        self.rows
            .retain(|row| row.cum.value.unsigned_abs() >= least);
    }

    /// What is more here than in `base`, row by row: for rows that a difference of stacks does not know, such as threads.
    /// Both sides count as sampled independently, so variances add up. Lifetimes cannot be subtracted, and go.
    pub fn less(mut self, base: Count) -> Count {
        let known: HashMap<Key, usize> = self
            .rows
            .iter()
            .enumerate()
            .map(|(at, row)| (row.key.clone(), at))
            .collect();
        for row in &mut self.rows {
            (row.freed_bytes, row.lifetime_byte_nanos) = (0.0, 0.0);
        }
        for row in base.rows {
            let at = known.get(&row.key).copied().unwrap_or_else(|| {
                self.rows.push(Row::new(row.key.clone()));
                self.rows.len() - 1
            });
            self.rows[at].flat.add(row.flat.negative());
            self.rows[at].cum.add(row.cum.negative());
        }
        self.total.add(base.total.negative());
        let changed = self.rows.iter().fold(0u64, |sum, row| {
            sum.saturating_add(row.flat.value.unsigned_abs())
        });
        self.whole = Whole::changed(changed);
        self
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

/// Adds up what of a profile, or of a difference, is to be looked at.
///
/// # Errors
/// Those of [`count`]; also by age.
pub fn count_of(subject: &Subject, by: By, blame: Blame) -> Result<Count> {
    let mut counter = Counter::new(&subject.profile, by, blame, true);
    let mut total = Measure::default();
    for (sample, &measure) in subject.profile.samples.iter().zip(&subject.measures) {
        total.add(measure);
        counter.add(sample, &subject.value, measure, u64::MAX)?;
    }
    Ok(Count {
        by,
        value: subject.value.clone(),
        total,
        whole: subject.whole,
        rows: counter.finish(),
    })
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
            counter.add(sample, value, measure, born)?;
        }
        Ok(Count {
            by,
            value: value.clone(),
            total,
            whole: Whole::total(total),
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

#[cfg(test)]
mod tests;
