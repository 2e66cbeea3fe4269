//! Which of a profile's stacks made tasks' cells, for whoever knows their blocks from elsewhere.
#![forbid(unsafe_code)]

use super::recognise::Recogniser;
use crate::profile::Profile;
use crate::view::Frame;

/// What a stack tells of the task whose cell it made.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    /// As [`CellSite`](super::CellSite) has it, like the others.
    pub(crate) runtime: &'static str,
    pub(crate) spawned_at: Frame,
    pub(crate) future: String,
}

/// For each sample the cell that its stack made, if it made one.
pub(crate) fn of_stacks(profile: &Profile) -> Vec<Option<Cell>> {
    let mut recogniser = Recogniser::new(profile);
    let samples = profile.samples.iter();
    let cells = samples.map(|sample| {
        recogniser.recognise(sample).map(|found| Cell {
            runtime: found.row.runtime,
            spawned_at: found.spawned_at,
            future: found.future,
        })
    });
    cells.collect()
}
