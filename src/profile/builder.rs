//! Puts parts of one or more profiles together, each thing once. Merge, diff, filter and prune end here.
//!
//! What counts as the same thing is what pprof's merge says: a mapping is its size in pages, file offset and
//! build id (or file, without one); a location its mapping, the distance from the mapping's start, and its
//! lines; a function its name, linker name, file and first line; a sample its stack and labels.
#![forbid(unsafe_code)]

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable, hash_table::Entry};

use super::{
    Function, FunctionId, Label, Line, Location, LocationId, Mapping, MappingId, Profile, Sample,
};

/// Marks an entry of a [`Source`] table that has not been copied yet.
const NOT_YET: u32 = u32::MAX;

/// The profile being put together, with look-up tables over its parts. Tables hold indexes, keys are read
/// where they lie, so nothing is cloned to ask whether it is there.
pub(crate) struct Builder {
    pub(crate) profile: Profile,
    mappings: HashTable<u32>,
    functions: HashTable<u32>,
    locations: HashTable<u32>,
    samples: HashTable<u32>,
    hasher: DefaultHashBuilder,
    lines: Vec<Line>,
}

/// A profile that is read from, and where its parts have gone.
pub(crate) struct Source<'a> {
    functions: &'a [Function],
    locations: &'a [Location],
    /// Per mapping: its new index, and by how much addresses move.
    moved: Vec<(MappingId, u64)>,
    function_ids: Vec<u32>,
    location_ids: Vec<u32>,
}

impl Builder {
    /// Starts with everything of `header` but its samples and tables.
    pub(crate) fn new(header: &Profile, samples: usize) -> Builder {
        Builder {
            profile: Profile {
                sample_types: header.sample_types.clone(),
                default_sample_type: header.default_sample_type.clone(),
                samples: Vec::with_capacity(samples),
                period_type: header.period_type.clone(),
                period: header.period,
                time_nanos: header.time_nanos,
                duration_nanos: header.duration_nanos,
                drop_frames: header.drop_frames.clone(),
                keep_frames: header.keep_frames.clone(),
                comments: header.comments.clone(),
                doc_url: header.doc_url.clone(),
                ..Profile::default()
            },
            mappings: HashTable::new(),
            functions: HashTable::new(),
            locations: HashTable::new(),
            samples: HashTable::with_capacity(samples),
            hasher: DefaultHashBuilder::default(),
            lines: Vec::new(),
        }
    }

    /// Takes over the mappings of a profile, in their order; functions and locations follow as they are
    /// needed.
    pub(crate) fn source<'a>(&mut self, profile: &'a Profile) -> Source<'a> {
        self.source_with(profile, &profile.locations)
    }

    /// The same, with `locations` in place of the profile's own.
    pub(crate) fn source_with<'a>(
        &mut self,
        profile: &'a Profile,
        locations: &'a [Location],
    ) -> Source<'a> {
        let moved = profile
            .mappings
            .iter()
            .map(|mapping| self.mapping(mapping))
            .collect();
        Source {
            functions: &profile.functions,
            locations,
            moved,
            function_ids: vec![NOT_YET; profile.functions.len()],
            location_ids: vec![NOT_YET; locations.len()],
        }
    }

    fn mapping(&mut self, mapping: &Mapping) -> (MappingId, u64) {
        let Builder {
            profile,
            mappings,
            hasher,
            ..
        } = self;
        let known = &mut profile.mappings;
        let hash = hasher.hash_one(mapping_key(mapping));
        let entry = mappings.entry(
            hash,
            |&id| mapping_key(&known[id as usize]) == mapping_key(mapping),
            |&id| hasher.hash_one(mapping_key(&known[id as usize])),
        );
        match entry {
            Entry::Occupied(entry) => {
                let id = *entry.get();
                let known = &mut known[id as usize];
                known.has_functions |= mapping.has_functions;
                known.has_filenames |= mapping.has_filenames;
                known.has_line_numbers |= mapping.has_line_numbers;
                known.has_inline_frames |= mapping.has_inline_frames;
                (MappingId(id), known.start.wrapping_sub(mapping.start))
            }
            Entry::Vacant(entry) => {
                let id = known.len() as u32;
                entry.insert(id);
                known.push(mapping.clone());
                (MappingId(id), 0)
            }
        }
    }

    fn function(&mut self, source: &mut Source<'_>, id: FunctionId) -> FunctionId {
        let slot = &mut source.function_ids[id.0 as usize];
        if *slot == NOT_YET {
            let function = &source.functions[id.0 as usize];
            let Builder {
                profile,
                functions,
                hasher,
                ..
            } = self;
            let known = &mut profile.functions;
            let entry = functions.entry(
                hasher.hash_one(function),
                |&id| known[id as usize] == *function,
                |&id| hasher.hash_one(&known[id as usize]),
            );
            *slot = match entry {
                Entry::Occupied(entry) => *entry.get(),
                Entry::Vacant(entry) => {
                    let id = known.len() as u32;
                    entry.insert(id);
                    known.push(function.clone());
                    id
                }
            };
        }
        FunctionId(*slot)
    }

    /// Where a location of `source` is in the new profile; copied on the first visit.
    pub(crate) fn location(&mut self, source: &mut Source<'_>, id: LocationId) -> LocationId {
        let known = source.location_ids[id.0 as usize];
        if known != NOT_YET {
            return LocationId(known);
        }
        let locations = source.locations;
        let location = &locations[id.0 as usize];
        let mut lines = std::mem::take(&mut self.lines);
        lines.clear();
        for line in &location.lines {
            lines.push(Line {
                function: self.function(source, line.function),
                ..*line
            });
        }
        let (mapping, slide) = match location.mapping {
            Some(mapping) => {
                let (mapping, slide) = source.moved[mapping.0 as usize];
                (Some(mapping), slide)
            }
            None => (None, 0),
        };
        let address = location.address.wrapping_add(slide);

        let Builder {
            profile,
            locations: table,
            hasher,
            ..
        } = self;
        let known = &mut profile.locations;
        let hash = |mapping: Option<MappingId>, address: u64, lines: &[Line], folded: bool| {
            hasher.hash_one((mapping, address, lines, folded))
        };
        let entry = table.entry(
            hash(mapping, address, &lines, location.is_folded),
            |&id| {
                let known = &known[id as usize];
                known.mapping == mapping
                    && known.address == address
                    && known.is_folded == location.is_folded
                    && known.lines == lines
            },
            |&id| {
                let known = &known[id as usize];
                hash(known.mapping, known.address, &known.lines, known.is_folded)
            },
        );
        let new = match entry {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(entry) => {
                let new = known.len() as u32;
                entry.insert(new);
                known.push(Location {
                    mapping,
                    address,
                    lines: lines.clone(),
                    is_folded: location.is_folded,
                });
                new
            }
        };
        self.lines = lines;
        source.location_ids[id.0 as usize] = new;
        LocationId(new)
    }

    /// The sample with this stack (in new locations) and these labels, and whether it has just been made,
    /// with values of 0.
    pub(crate) fn sample(&mut self, stack: &[LocationId], labels: &[Label]) -> (usize, bool) {
        let Builder {
            profile,
            samples,
            hasher,
            ..
        } = self;
        let types = profile.sample_types.len();
        let known = &mut profile.samples;
        let entry = samples.entry(
            hash_sample(hasher, stack, labels),
            |&row| {
                let known = &known[row as usize];
                known.locations == stack && same_labels(&known.labels, labels)
            },
            |&row| {
                let known = &known[row as usize];
                hash_sample(hasher, &known.locations, &known.labels)
            },
        );
        match entry {
            Entry::Occupied(entry) => (*entry.get() as usize, false),
            Entry::Vacant(entry) => {
                let row = known.len();
                entry.insert(row as u32);
                known.push(Sample {
                    locations: stack.to_vec(),
                    values: vec![0; types],
                    labels: labels.to_vec(),
                    detail: None,
                });
                (row, true)
            }
        }
    }
}

/// Where in its file an address of a mapping lies.
pub(crate) fn file_offset(mapping: &Mapping, address: u64) -> u64 {
    address
        .wrapping_sub(mapping.start)
        .wrapping_add(mapping.offset)
}

/// Size in whole pages, offset, build id or file.
fn mapping_key(mapping: &Mapping) -> (u64, u64, &str) {
    const PAGE: u64 = 4096;
    let size = mapping.limit.wrapping_sub(mapping.start).div_ceil(PAGE);
    let name = if mapping.build_id.is_empty() {
        &mapping.file
    } else {
        &mapping.build_id
    };
    (size, mapping.offset, name)
}

fn hash_sample(hasher: &DefaultHashBuilder, stack: &[LocationId], labels: &[Label]) -> u64 {
    hasher.hash_one(stack) ^ hash_labels(hasher, labels)
}

/// A hash that does not depend on the order of the labels.
pub(crate) fn hash_labels(hasher: &impl BuildHasher, labels: &[Label]) -> u64 {
    labels.iter().fold(0, |sum: u64, label| {
        sum.wrapping_add(hasher.hash_one(label))
    })
}

/// Whether the labels are the same but for their order.
pub(crate) fn same_labels(left: &[Label], right: &[Label]) -> bool {
    if left.len() != right.len() {
        return false;
    }
    if left == right {
        return true;
    }
    // Labels are few; a key given twice must be given as often on the other side.
    let count = |labels: &[Label], label: &Label| labels.iter().filter(|l| *l == label).count();
    left.iter()
        .all(|label| count(left, label) == count(right, label))
}
