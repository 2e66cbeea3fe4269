//! Two profiles compared, row by row, with the error of each change.
//!
//! The variance of a change: of two processes, or where nothing else is known, the sum of both variances. Of one
//! process at two times it is smaller, because a sampled allocation that is live in both cancels exactly:
//! Var(new) + Var(base) − 2·Var(live in both), the last from birth times. What was ever allocated only grows, so
//! there it is Var(new) − Var(base).
#![forbid(unsafe_code)]

use super::comparable::{Comparable, comparable};
use super::count::{Count, What};
use super::key::{Blame, By, Key};
use super::measure::{Measure, Quality, Value};
use super::significance::{LEVEL, Verdict};
use crate::profile::Profile;
use crate::profile::growth::{LAST_BIRTH_NANOS, bonferroni, two_sided_p};
use crate::{Error, Result};
use hashbrown::HashMap;

/// What changed from one profile to another.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Growth {
    /// What rows stand for.
    pub by: By,
    /// What was compared, as the base has it.
    pub base_value: Value,
    /// What was compared, as the new profile has it.
    pub new_value: Value,
    /// All samples together.
    pub total: Change,
    /// Rows that hold something in either profile, the one that grew most first.
    pub rows: Vec<GrowthRow>,
    /// Both profiles are of one process, the base first: errors of what is live in both cancel.
    pub same_process: bool,
    /// Time from the base to the new profile, nanoseconds; `None`: unknown.
    pub span_nanos: Option<i64>,
}

/// One row of a [`Growth`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GrowthRow {
    /// What the row stands for.
    pub key: Key,
    /// Its change.
    pub change: Change,
}

/// A value before and after.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Change {
    /// Before.
    pub base: Measure,
    /// After.
    pub new: Measure,
    /// `new` − `base`; an estimate unless both are exact.
    pub growth: i64,
    /// Variance of `growth`.
    pub variance: f64,
    /// Two-sided p, corrected for the number of rows (Bonferroni); `None`: exact or unknown.
    pub p: Option<f64>,
    /// `p` in a word.
    pub verdict: Verdict,
}

impl Change {
    /// The square root of the variance.
    pub fn standard_error(&self) -> f64 {
        self.variance.max(0.0).sqrt()
    }
}

/// Which of a row's sums is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sum {
    /// What the row is blamed for.
    #[default]
    Flat,
    /// What passed through it.
    Cum,
}

/// Compares `new` with `base`; `kind` names the sample type, or `None` for the new profile's default.
///
/// # Errors
/// Input error if a profile lacks the sample type, if their units differ, or if rows are asked for by thread
/// and a profile does not tell threads.
pub fn growth(
    base: &Profile,
    new: &Profile,
    kind: Option<&str>,
    by: By,
    blame: Blame,
    sum: Sum,
) -> Result<Growth> {
    let new_value = Value::find(new, kind).map_err(|error| error.context("new profile"))?;
    let base_value =
        Value::find(base, Some(new_value.kind())).map_err(|error| error.context("base profile"))?;
    if base_value.unit() != new_value.unit() {
        let (kind, old, now) = (new_value.kind(), base_value.unit(), new_value.unit());
        return Err(Error::input(format!(
            "{kind} is in {old} in the base and in {now} in the new profile"
        )));
    }
    let what = |value| What {
        value,
        by,
        blame,
        cum: sum == Sum::Cum,
        born: u64::MAX,
    };
    let comparables = comparable(base, new);
    let counts = (
        comparables.0.count(what(&base_value))?,
        comparables.1.count(what(&new_value))?,
    );
    let shared = match born_in_both(base, new, &new_value) {
        Some(born) => {
            let value = what(&new_value);
            Some(comparables.1.count(What { born, ..value })?)
        }
        None => None,
    };
    let same_process = is_same_process(base, new);
    let totals = (counts.0.total, counts.1.total);
    let mut join = Join {
        rows: HashMap::with_capacity(counts.0.rows.len().max(counts.1.rows.len())),
        pick: match sum {
            Sum::Flat => |row| row.flat,
            Sum::Cum => |row| row.cum,
        },
    };
    let total_shared = shared.as_ref().map(|count| count.total);
    join.add(counts.0, |entry, measure| entry.base = measure);
    join.add(counts.1, |entry, measure| entry.new = measure);
    if let Some(shared) = shared {
        join.add(shared, |entry, measure| entry.shared = measure);
    }
    let total = Entry {
        base: totals.0,
        new: totals.1,
        shared: total_shared.unwrap_or_default(),
    };
    let ever_grows = same_process && !new_value.facet().is_live();
    let qualities = (base_value.quality, new_value.quality);
    let entries = join
        .rows
        .into_iter()
        .filter(|(_, entry)| entry.holds_something());
    let entries: Vec<(Key, Entry)> = entries.collect();
    let comparisons = entries.len();
    let change = |entry: Entry, comparisons| entry.change(qualities, ever_grows, comparisons);
    let mut rows: Vec<GrowthRow> = entries
        .into_iter()
        .map(|(key, entry)| GrowthRow {
            key,
            change: change(entry, comparisons),
        })
        .collect();
    rows.sort_by(|a, b| {
        b.change
            .growth
            .cmp(&a.change.growth)
            .then_with(|| a.key.cmp(&b.key))
    });
    let known = base.time_nanos != 0 && new.time_nanos != 0;
    Ok(Growth {
        by,
        base_value,
        new_value,
        total: change(total, 1),
        rows,
        same_process,
        span_nanos: known.then(|| new.time_nanos.saturating_sub(base.time_nanos)),
    })
}

impl Comparable<'_> {
    fn count(&self, what: What<'_>) -> Result<Count> {
        what.count(&self.tables, &self.samples)
    }
}

/// What is live in the new profile and was born until then was already live in the base, where both are of one process.
pub(super) fn born_in_both(base: &Profile, new: &Profile, value: &Value) -> Option<u64> {
    let born = base.heap.as_ref()?.uptime_nanos;
    let known = is_same_process(base, new)
        && value.facet().is_live()
        // From then on births stand still, and whatever is born looks as old as this.
        && born < LAST_BIRTH_NANOS;
    known.then_some(born)
}

pub(super) fn is_same_process(base: &Profile, new: &Profile) -> bool {
    let (Some(base), Some(new)) = (&base.heap, &new.heap) else {
        return false;
    };
    base.process.is_same(&new.process) && base.uptime_nanos <= new.uptime_nanos
}

struct Join {
    rows: HashMap<Key, Entry>,
    pick: fn(&super::count::Row) -> Measure,
}

impl Join {
    fn add(&mut self, count: Count, set: fn(&mut Entry, Measure)) {
        for row in count.rows {
            let measure = (self.pick)(&row);
            set(self.rows.entry(row.key).or_default(), measure);
        }
    }
}

/// What a row is in each of the two.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Entry {
    pub(super) base: Measure,
    pub(super) new: Measure,
    /// Live in both; its variance cancels.
    pub(super) shared: Measure,
}

impl Entry {
    pub(super) fn add(&mut self, other: Entry) {
        self.base.add(other.base);
        self.new.add(other.new);
        self.shared.add(other.shared);
    }

    fn holds_something(&self) -> bool {
        self.base != Measure::default() || self.new != Measure::default()
    }

    pub(super) fn change(
        self,
        qualities: (Quality, Quality),
        ever_grows: bool,
        comparisons: usize,
    ) -> Change {
        let Entry { base, new, shared } = self;
        let growth = new.value.saturating_sub(base.value);
        let variance = if ever_grows {
            (new.variance - base.variance).max(0.0)
        } else {
            // What is live in both was live in the base. Births between the reading of a site and of the clock
            // may say otherwise; they must not make an error of nothing.
            let shared = shared.variance.min(base.variance).min(new.variance);
            base.variance + new.variance - 2.0 * shared
        };
        let estimated = qualities.0.has_error() && qualities.1.has_error();
        let exact = qualities == (Quality::Exact, Quality::Exact);
        let p = (estimated && !exact).then(|| match growth {
            0 => 1.0,
            _ => bonferroni(two_sided_p(growth as f64 / variance.sqrt()), comparisons),
        });
        let verdict = match p {
            None if exact => Verdict::Exact,
            None => Verdict::Unknown,
            Some(p) if p < LEVEL => Verdict::Significant,
            Some(_) => Verdict::WithinNoise,
        };
        Change {
            base,
            new,
            growth,
            variance,
            p,
            verdict,
        }
    }
}

#[cfg(test)]
mod tests;
