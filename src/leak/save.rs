//! Two snapshots for `heapsite diff`: the process without what leaked, and with it.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};

use super::options::Options;
use super::report::{LeakReport, SavedPair};
use crate::error::Result;
use crate::format::Format;
use crate::snapshot::scope::{Block, with_and_without};
use crate::trigger;

/// Saves the two, unless no memory leaked, and notes where they are.
pub(super) fn add_pair(report: &mut LeakReport, options: &Options, leaked: Vec<Block>) {
    if leaked.is_empty() {
        return;
    }
    match pair(options, leaked) {
        Ok(pair) => report.snapshots = Some(Box::new(pair)),
        Err(error) => report.notes.push(format!("no snapshots: {error}")),
    }
}

fn pair(options: &Options, leaked: Vec<Block>) -> Result<SavedPair> {
    let dir = match (&options.dir, std::env::var_os("HEAPSITE_LEAK_DIR")) {
        (Some(dir), _) => dir.clone(),
        (None, Some(dir)) => dir.into(),
        (None, None) => std::env::temp_dir(),
    };
    let (with, without) = with_and_without(leaked);
    let write = |dir: &Path, snapshot: &crate::Snapshot| -> Result<PathBuf> {
        trigger::write(dir, Format::Json, &snapshot.to_profile())
    };
    Ok(SavedPair {
        before: write(&dir, &without)?,
        after: write(&dir, &with)?,
    })
}
