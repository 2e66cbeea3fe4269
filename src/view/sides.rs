//! One profile, or one and its base, sample by sample: for views that add up in a tree of their own.
#![forbid(unsafe_code)]

use super::comparable::{Comparable, comparable};
use super::count::live_since;
use super::growth::{Change, Entry, born_in_both, is_same_process};
use super::measure::{Measure, Value};
use crate::profile::{Profile, Sample};
use crate::{Error, Result};

/// What a view is of.
pub(super) struct Sides<'p> {
    /// The base first, if there is one.
    sides: Vec<Side<'p>>,
    /// What is live of both was born until then.
    born: Option<u64>,
    ever_grows: bool,
}

/// One of the two profiles.
pub(super) struct Side<'p> {
    comparable: Comparable<'p>,
    value: Value,
    is_base: bool,
}

impl<'p> Sides<'p> {
    /// `kind` names the sample type, or `None` for the default of `profile`.
    ///
    /// # Errors
    /// Input error if one of them lacks the sample type, or if their units differ.
    pub(super) fn new(
        profile: &'p Profile,
        base: Option<&'p Profile>,
        kind: Option<&str>,
    ) -> Result<Sides<'p>> {
        let Some(base) = base else {
            return Ok(Sides {
                sides: vec![Side {
                    comparable: Comparable::new(profile),
                    value: Value::find(profile, kind)?,
                    is_base: false,
                }],
                born: None,
                ever_grows: false,
            });
        };
        let value = Value::find(profile, kind)?;
        let base_value =
            Value::find(base, Some(value.kind())).map_err(|error| error.context("base profile"))?;
        if base_value.unit() != value.unit() {
            let (kind, old, now) = (value.kind(), base_value.unit(), value.unit());
            return Err(Error::input(format!(
                "{kind} is in {old} in the base and in {now} in the new profile"
            )));
        }
        let (old, now) = comparable(base, profile);
        let born = born_in_both(base, profile, &value);
        let ever_grows = is_same_process(base, profile) && !value.facet().is_live();
        let side = |comparable, value, is_base| Side {
            comparable,
            value,
            is_base,
        };
        Ok(Sides {
            sides: vec![side(old, base_value, true), side(now, value, false)],
            born,
            ever_grows,
        })
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Side<'p>> {
        self.sides.iter()
    }

    pub(super) fn has_base(&self) -> bool {
        self.sides.len() == 2
    }

    /// What is added up, as the new profile has it.
    pub(super) fn value(&self) -> &Value {
        let new = self.sides.last();
        &new.expect("a view is of something").value
    }

    /// As the base has it.
    pub(super) fn base_value(&self) -> Option<&Value> {
        self.has_base().then(|| &self.sides[0].value)
    }

    /// What a sample of a side holds.
    pub(super) fn entry(&self, side: &Side<'_>, sample: &Sample) -> Entry {
        let here = side.value.of(sample);
        match (side.is_base, self.born) {
            (true, _) => Entry {
                base: here,
                ..Entry::default()
            },
            (false, born) => Entry {
                new: here,
                shared: born.map_or(Measure::default(), |born| {
                    live_since(sample, &side.value, born)
                }),
                ..Entry::default()
            },
        }
    }

    /// What changed, among `comparisons` that are looked at; `None` without a base.
    pub(super) fn change(&self, entry: Entry, comparisons: usize) -> Option<Change> {
        let base = self.base_value()?;
        let qualities = (base.quality, self.value().quality);
        Some(entry.change(qualities, self.ever_grows, comparisons.max(1)))
    }
}

impl Side<'_> {
    /// Everything but the samples.
    pub(super) fn tables(&self) -> &Profile {
        &self.comparable.tables
    }

    pub(super) fn samples(&self) -> &[Sample] {
        &self.comparable.samples
    }
}
