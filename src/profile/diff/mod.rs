//! What changed between two profiles: stacks matched, values subtracted, and the error of each difference.
//!
//! ```
//! use heapsite::profile::{Profile, diff};
//!
//! # fn main() -> heapsite::Result<()> {
//! let (before, after) = (Profile::default(), Profile::default());
//! # let types = vec![heapsite::profile::ValueType { kind: "inuse_space".into(), unit: "bytes".into() }];
//! # let (mut before, mut after) = (before, after);
//! # (before.sample_types, after.sample_types) = (types.clone(), types);
//! let diff = diff::diff(&before, &after, &diff::Options::default())?;
//! let space = diff.profile.sample_type_index(Some("inuse_space"))?;
//! // One row per leaf function; a row knows its growth in every sample type.
//! let rows = diff.rows(|profile, sample| {
//!     let leaf = &profile.locations[sample.locations.first()?.0 as usize];
//!     Some(leaf.lines.first()?.function)
//! });
//! let significant = rows.iter().filter(|row| row.growth[space].is_significant(0.01, rows.len()));
//! # assert_eq!(significant.count(), 0);
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

pub(crate) mod canonical;
mod frames;
mod variance;

use std::hash::{BuildHasher, Hash};

use hashbrown::{DefaultHashBuilder, HashMap, HashTable, hash_map, hash_table};

use super::builder::{Builder, hash_labels, same_labels};
use super::growth::Growth;
use super::{Profile, Sample};
use crate::error::{Error, Result};
use frames::Frames;
use variance::{Cell, Variances};

/// How stacks of the two profiles are recognised as the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Matching {
    /// Frames in a file of which both profiles have the same build id: by their offset in that file. All
    /// others: by function name, source file and line. Between two builds, paths are compared from their end, and
    /// generic arguments do not count for functions that have no instance in common.
    #[default]
    Auto,
    /// By function name, source file and line, even where the build is the same.
    Line,
    /// By function name and source file: lines that moved from one build to the next still match.
    Function,
}

/// How to compare.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Options {
    /// How stacks are matched.
    pub matching: Matching,
}

impl Options {
    /// Compares with this matching.
    pub fn matching(matching: Matching) -> Options {
        Options { matching }
    }
}

/// The outcome of [`diff`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Diff {
    /// One sample per stack of either side, values `new − base`, also where nothing changed. The sample types
    /// are those that both sides have, in the new one's order.
    /// [`Profile::drop_zeros`] makes of it what `pprof -diff_base` shows.
    pub profile: Profile,
    /// Both snapshots are of one process: errors cancel as [`super::growth`] explains, and
    /// [`Profile::duration_nanos`] is the time between them.
    pub same_process: bool,
    /// For each sample, a cell per sample type.
    cells: Vec<Cell>,
}

/// The growth of all stacks with one key.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Row<K> {
    /// What the stacks have in common.
    pub key: K,
    /// One per sample type.
    pub growth: Vec<Growth>,
    /// The stacks: indexes into the samples of [`Diff::profile`].
    pub samples: Vec<u32>,
}

/// Subtracts `base` from `new`.
///
/// The work and the memory are linear in the size of the two profiles.
///
/// # Errors
/// One of the profiles is not whole ([`Profile::check`]), they have no sample type in common (the error names
/// both), or their periods count different things.
pub fn diff(base: &Profile, new: &Profile, options: &Options) -> Result<Diff> {
    base.check()
        .map_err(|error| error.context("base profile"))?;
    new.check().map_err(|error| error.context("new profile"))?;
    let types = common_types(base, new)?;
    let same_process = match (&base.heap, &new.heap) {
        (Some(base), Some(new)) => base.process.is_same(&new.process),
        _ => false,
    };

    let mut header = Builder::new(new, base.samples.len().max(new.samples.len()));
    header.profile.sample_types = types
        .iter()
        .map(|&(_, new_type)| new.sample_types[new_type].clone())
        .collect();
    header.profile.duration_nanos = match same_process {
        true => new.time_nanos.saturating_sub(base.time_nanos),
        false => 0,
    };
    let mut rows = Rows {
        builder: header,
        frames: Frames::new(base, new, options.matching),
        table: HashTable::with_capacity(base.samples.len().max(new.samples.len())),
        origins: Vec::new(),
        cells: Vec::new(),
        hasher: DefaultHashBuilder::default(),
    };
    // The new profile first: where both name a place, its addresses and names are shown.
    let columns: Vec<usize> = types.iter().map(|&(_, new_type)| new_type).collect();
    rows.add(Side {
        profile: new,
        is_new: true,
        other: base,
        columns: &columns,
    });
    let columns: Vec<usize> = types.iter().map(|&(base_type, _)| base_type).collect();
    rows.add(Side {
        profile: base,
        is_new: false,
        other: new,
        columns: &columns,
    });

    let Rows {
        builder, mut cells, ..
    } = rows;
    let mut profile = builder.profile;
    for (sample, cells) in profile
        .samples
        .iter_mut()
        .zip(cells.chunks_mut(types.len()))
    {
        for (value, cell) in sample.values.iter_mut().zip(cells) {
            cell.settle(same_process);
            *value = cell.new.saturating_sub(cell.base);
        }
    }
    Ok(Diff {
        profile,
        same_process,
        cells,
    })
}

impl Diff {
    /// The growth of one stack in one sample type, both as indexes into [`Diff::profile`].
    ///
    /// # Panics
    /// If one of the indexes is out of range.
    pub fn growth(&self, sample: usize, sample_type: usize) -> Growth {
        let types = self.profile.sample_types.len();
        assert!(sample_type < types, "sample type {sample_type} of {types}");
        self.cells[sample * types + sample_type].growth()
    }

    /// Sums up stacks by a key: the blamed line, the crate, the thread. Stacks for which it is `None` are left
    /// out. Rows come in the order of their first stack.
    pub fn rows<K: Hash + Eq + Clone>(
        &self,
        mut key: impl FnMut(&Profile, &Sample) -> Option<K>,
    ) -> Vec<Row<K>> {
        let types = self.profile.sample_types.len();
        let mut index: HashMap<K, usize> = HashMap::new();
        let mut rows: Vec<Row<K>> = Vec::new();
        for (position, sample) in self.profile.samples.iter().enumerate() {
            let cells = &self.cells[position * types..][..types];
            let Some(key) = key(&self.profile, sample) else {
                continue;
            };
            let row = match index.entry(key) {
                hash_map::Entry::Occupied(entry) => *entry.get(),
                hash_map::Entry::Vacant(entry) => {
                    let growth = vec![Growth::default(); types];
                    rows.push(Row {
                        key: entry.key().clone(),
                        growth,
                        samples: Vec::new(),
                    });
                    *entry.insert(rows.len() - 1)
                }
            };
            for (sum, cell) in rows[row].growth.iter_mut().zip(cells) {
                *sum += cell.growth();
            }
            rows[row].samples.push(position as u32);
        }
        rows
    }

    /// The growth of everything, one per sample type.
    pub fn total(&self) -> Vec<Growth> {
        let types = self.profile.sample_types.len();
        let mut total = vec![Growth::default(); types];
        for cells in self.cells.chunks(types) {
            for (sum, cell) in total.iter_mut().zip(cells) {
                *sum += cell.growth();
            }
        }
        total
    }
}

/// One of the two profiles while its samples are added.
struct Side<'a> {
    profile: &'a Profile,
    is_new: bool,
    other: &'a Profile,
    /// Where the common sample types are among this profile's values.
    columns: &'a [usize],
}

/// The samples of the difference while they are collected.
struct Rows {
    builder: Builder,
    frames: Frames,
    table: HashTable<u32>,
    /// Per row: the first sample with its stack; `true`: of the new profile.
    origins: Vec<(bool, u32)>,
    cells: Vec<Cell>,
    hasher: DefaultHashBuilder,
}

impl Rows {
    fn add(&mut self, side: Side<'_>) {
        let Rows {
            builder,
            frames,
            table,
            origins,
            cells,
            hasher,
        } = self;
        let variances = Variances::new(side.profile);
        let (base, new) = match side.is_new {
            true => (side.other, side.profile),
            false => (side.profile, side.other),
        };
        let sample_at = |(is_new, index): (bool, u32)| {
            let profile = if is_new { new } else { base };
            (is_new, &profile.samples[index as usize])
        };
        let hash = |frames: &Frames, (is_new, sample): (bool, &Sample)| {
            let stack = frames.stack(is_new, &sample.locations);
            let hash = stack.fold(0, |hash: u64, frame| {
                // Any mixing will do: collisions are settled by comparing.
                (hash.rotate_left(23) ^ u64::from(frame)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
            });
            hasher.hash_one(hash) ^ hash_labels(hasher, &sample.labels)
        };

        let mut source = builder.source(side.profile);
        for (index, sample) in side.profile.samples.iter().enumerate() {
            let this = (side.is_new, sample);
            let entry = table.entry(
                hash(frames, this),
                |&row| {
                    let (is_new, other) = sample_at(origins[row as usize]);
                    same_labels(&other.labels, &sample.labels)
                        && frames
                            .stack(is_new, &other.locations)
                            .eq(frames.stack(side.is_new, &sample.locations))
                },
                |&row| hash(frames, sample_at(origins[row as usize])),
            );
            let row = match entry {
                hash_table::Entry::Occupied(entry) => *entry.get() as usize,
                hash_table::Entry::Vacant(entry) => {
                    let row = origins.len();
                    entry.insert(row as u32);
                    origins.push((side.is_new, index as u32));
                    cells.resize(cells.len() + side.columns.len(), Cell::default());
                    let stack = sample.locations.iter();
                    let locations = stack.map(|&id| builder.location(&mut source, id)).collect();
                    builder.profile.samples.push(Sample {
                        locations,
                        values: vec![0; side.columns.len()],
                        labels: sample.labels.clone(),
                        detail: None,
                    });
                    row
                }
            };
            let cells = &mut cells[row * side.columns.len()..][..side.columns.len()];
            for (cell, &column) in cells.iter_mut().zip(side.columns) {
                variances.add(cell, sample, column, side.is_new);
            }
        }
    }
}

/// The sample types of both, as pairs of positions, in the new profile's order. A type given several times is
/// paired in turn.
fn common_types(base: &Profile, new: &Profile) -> Result<Vec<(usize, usize)>> {
    let mut types: Vec<(usize, usize)> = Vec::new();
    for (new_type, kind) in new.sample_types.iter().enumerate() {
        let is_free = |at: &usize| types.iter().all(|&(taken, _)| taken != *at);
        let same = |at: &usize| base.sample_types[*at] == *kind;
        if let Some(base_type) = (0..base.sample_types.len()).filter(same).find(is_free) {
            types.push((base_type, new_type));
        }
    }
    if types.is_empty() {
        return Err(Error::input(format!(
            "the profiles have no sample type in common: the base has {}, the new one has {}",
            base.sample_type_names(),
            new.sample_type_names()
        )));
    }
    if let (Some(left), Some(right)) = (&base.period_type, &new.period_type)
        && left != right
    {
        return Err(Error::input(format!(
            "the periods of the profiles count different things: {}/{} in the base, {}/{} in the new one",
            left.kind, left.unit, right.kind, right.unit
        )));
    }
    Ok(types)
}
