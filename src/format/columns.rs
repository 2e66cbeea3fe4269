//! The values of a profile as columns that are never negative, for formats that know no negative values.
//!
//! Where something shrank, each sample type becomes two: what grew, and what shrank, as positive numbers. The difference
//! of the two sums is the sum of the sample type.
#![forbid(unsafe_code)]

use crate::profile::{Profile, Sample};

/// One column: a sample type, or the half of one.
pub(super) struct Column {
    /// The sample type: an index into [`Profile::sample_types`].
    pub(super) index: usize,
    pub(super) part: Part,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Part {
    Whole,
    Grown,
    Shrunk,
}

impl Column {
    /// What the sample adds to this column.
    pub(super) fn value(&self, sample: &Sample) -> u64 {
        let value = sample.values[self.index];
        match self.part {
            Part::Shrunk if value < 0 => value.unsigned_abs(),
            Part::Shrunk => 0,
            Part::Whole | Part::Grown => value.max(0) as u64,
        }
    }

    /// What to put behind the name of the sample type.
    pub(super) fn suffix(&self) -> &'static str {
        match self.part {
            Part::Whole => "",
            Part::Grown => "grown",
            Part::Shrunk => "shrunk",
        }
    }
}

/// The columns in the order of the sample types. Halves, if the profile is known to be a difference or has a negative
/// value: of all types, so that what a file holds does not depend on which of them happened to shrink.
pub(super) fn columns(profile: &Profile, is_difference: bool) -> Vec<Column> {
    let parts: &[Part] = match is_difference || has_negative(profile) {
        true => &[Part::Grown, Part::Shrunk],
        false => &[Part::Whole],
    };
    let of_type = |index| parts.iter().map(move |&part| Column { index, part });
    (0..profile.sample_types.len()).flat_map(of_type).collect()
}

/// Whether anything shrank.
pub(super) fn has_negative(profile: &Profile) -> bool {
    let mut values = profile.samples.iter().flat_map(|sample| &sample.values);
    values.any(|&value| value < 0)
}
