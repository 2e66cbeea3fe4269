//! What a report is about: one sample type of a profile or of a difference, as far as it is selected.
//!
//! Every report starts here, so that each of them takes the same selection, the same values and the same base:
//!
//! ```
//! use heapsite::view::{Blame, By, Selection, Subject, count_of};
//!
//! # fn main() -> heapsite::Result<()> {
//! # let mut profile = heapsite::Profile::default();
//! # profile.sample_types = vec![heapsite::profile::ValueType { kind: "inuse_space".into(), unit: "bytes".into() }];
//! let mut subject = Subject::new(profile, Some("inuse_space"))?;
//! let selection = Selection {
//!     focus: Some(Box::new(|text| text.contains("shop::"))),
//!     ..Selection::default()
//! };
//! subject.select(&selection);
//! let rows = count_of(&subject, By::Line, Blame::Application)?.rows;
//! # assert!(rows.is_empty());
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

use super::measure::{Measure, Quality, Value};
use super::select::Selection;
use crate::profile::diff;
use crate::profile::growth::Basis;
use crate::{Error, Profile, Result};

/// Samples with one number each.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Subject {
    /// The samples that are selected, and what is needed to read them. Values of a difference are `new − base`.
    pub profile: Profile,
    /// What the numbers are.
    pub value: Value,
    /// One for each sample of the profile.
    pub measures: Vec<Measure>,
    /// What 100 % is.
    pub whole: Whole,
}

/// What shares are shares of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whole {
    /// 100 %, in the unit of the value.
    pub value: i64,
    /// What that is.
    pub of: WholeOf,
}

/// See [`Whole`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WholeOf {
    /// All samples of the profile, also those that are not selected.
    Profile,
    /// The samples that are selected.
    Selected,
    /// Of a difference, the sum of what grew and of what shrank, stack by stack: as with pprof's `-base`.
    Changed,
    /// Of a difference, the base: as with pprof's `-diff_base`.
    Base,
}

impl Whole {
    pub(super) fn total(total: Measure) -> Whole {
        Whole {
            value: total.value,
            of: WholeOf::Profile,
        }
    }

    pub(super) fn changed(changed: u64) -> Whole {
        Whole {
            value: i64::try_from(changed).unwrap_or(i64::MAX),
            of: WholeOf::Changed,
        }
    }

    /// Values are differences.
    pub fn is_of_difference(self) -> bool {
        matches!(self.of, WholeOf::Changed | WholeOf::Base)
    }
}

impl Subject {
    /// The sample type named `kind` of a profile, or its default; 100 % is its total.
    ///
    /// # Errors
    /// Input error that lists the sample types there are, if `kind` is none of them.
    pub fn new(profile: Profile, kind: Option<&str>) -> Result<Subject> {
        let value = Value::find(&profile, kind)?;
        let measures: Vec<Measure> = profile.samples.iter().map(|it| value.of(it)).collect();
        Ok(Subject {
            whole: Whole::total(sum(&measures)),
            profile,
            value,
            measures,
        })
    }

    /// What `new` has more than `base`, stack by stack, with the error of each difference as
    /// [`crate::profile::growth`] explains. Shares are of what changed, or of the base.
    ///
    /// # Errors
    /// Those of [`diff::diff`]; also if a profile lacks the sample type, or if their units differ.
    pub fn difference(
        base: &Profile,
        new: &Profile,
        kind: Option<&str>,
        of: WholeOf,
    ) -> Result<Subject> {
        let new_value = Value::find(new, kind).map_err(|error| error.context("new profile"))?;
        let base_value = Value::find(base, Some(new_value.kind()))
            .map_err(|error| error.context("base profile"))?;
        if base_value.unit() != new_value.unit() {
            let (kind, old, now) = (new_value.kind(), base_value.unit(), new_value.unit());
            return Err(Error::input(format!(
                "{kind} is in {old} in the base and in {now} in the new profile"
            )));
        }
        let diff = diff::diff(base, new, &diff::Options::default())?;
        let index = diff.profile.sample_type_index(Some(new_value.kind()))?;
        let mut value = Value::find(&diff.profile, Some(new_value.kind()))?;
        let (mut basis, mut in_base, mut changed) = (Basis::Exact, 0u64, 0u64);
        let mut measures = Vec::with_capacity(diff.profile.samples.len());
        for sample in 0..diff.profile.samples.len() {
            let growth = diff.growth(sample, index);
            basis = basis.max(growth.basis);
            in_base = in_base.saturating_add(growth.base.unsigned_abs());
            changed = changed.saturating_add(growth.delta.unsigned_abs());
            let variance = growth.variance();
            measures.push(Measure {
                value: growth.delta,
                variance: if variance.is_finite() { variance } else { 0.0 },
                sampled: 0.0,
            });
        }
        let intervals = [base_value.quality, new_value.quality].map(Quality::interval);
        let interval = intervals.into_iter().flatten().max().unwrap_or(0);
        value.quality = match basis {
            Basis::Exact => Quality::Exact,
            Basis::Recorded => Quality::Recorded { interval },
            Basis::Approximate => Quality::Derived { interval },
            Basis::Unknown => Quality::Unknown,
        };
        // With an empty base pprof falls back to what changed, too.
        let whole = match of {
            WholeOf::Base if in_base > 0 => Whole {
                of: WholeOf::Base,
                ..Whole::changed(in_base)
            },
            _ => Whole::changed(changed),
        };
        Ok(Subject {
            profile: diff.profile,
            value,
            measures,
            whole,
        })
    }

    /// Leaves what `selection` selects; 100 % stays what it was. Names of the questions that nothing matched.
    pub fn select(&mut self, selection: &Selection<'_>) -> Vec<&'static str> {
        selection.apply(&mut self.profile, &mut self.measures)
    }

    /// Makes 100 % what is selected now: as pprof's `-relative_percentages`.
    pub fn take_shares_of_selected(&mut self) {
        let value = self.measures.iter().fold(0u64, |sum, measure| {
            sum.saturating_add(measure.value.unsigned_abs())
        });
        self.whole = Whole {
            of: WholeOf::Selected,
            ..Whole::changed(value)
        };
    }

    /// Leaves of each address the function that the code lies in, not those inlined there.
    pub fn drop_inlined(&mut self) {
        for location in &mut self.profile.locations {
            let inlined = location.lines.len().saturating_sub(1);
            location.lines.drain(..inlined);
        }
    }

    /// All that is selected.
    pub fn total(&self) -> Measure {
        sum(&self.measures)
    }
}

fn sum(measures: &[Measure]) -> Measure {
    measures
        .iter()
        .fold(Measure::default(), |mut sum, &measure| {
            sum.add(measure);
            sum
        })
}
