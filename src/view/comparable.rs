//! Makes two profiles speak of the same things by the same names, since rows are matched by what they are called.
#![forbid(unsafe_code)]

use std::borrow::Cow;

use hashbrown::{HashMap, HashSet};

use super::key::address;
use crate::profile::diff::canonical::{Name, Names, base_name, is_nameless, rebuilt};
use crate::profile::{Function, FunctionId, Line, Location, LocationId, Profile, Sample};

/// A profile as it is compared: its own where nothing had to be changed, since samples are most of it.
pub(super) struct Comparable<'p> {
    /// Everything but the samples.
    pub(super) tables: Cow<'p, Profile>,
    pub(super) samples: Cow<'p, [Sample]>,
}

impl<'p> Comparable<'p> {
    pub(super) fn new(profile: &'p Profile) -> Comparable<'p> {
        Comparable {
            tables: Cow::Borrowed(profile),
            samples: Cow::Borrowed(&profile.samples),
        }
    }

    /// The tables, to be changed.
    fn tables_mut(&mut self) -> &mut Profile {
        if let Cow::Borrowed(profile) = self.tables {
            self.tables = Cow::Owned(without_samples(profile));
        }
        self.tables.to_mut()
    }

    /// Gives functions the names they go by, if those differ.
    fn rename(&mut self, names: &[Name<'_>]) {
        let goes_by = |(function, name): (&Function, &Name<'_>)| {
            function.name == name.function && function.filename == name.file
        };
        if self.tables.functions.iter().zip(names).all(goes_by) {
            return;
        }
        for (function, name) in self.tables_mut().functions.iter_mut().zip(names) {
            (function.name, function.filename) = (name.function.to_string(), name.file.to_owned());
        }
    }
}

fn without_samples(profile: &Profile) -> Profile {
    Profile {
        samples: Vec::new(),
        sample_types: profile.sample_types.clone(),
        default_sample_type: profile.default_sample_type.clone(),
        mappings: profile.mappings.clone(),
        locations: profile.locations.clone(),
        functions: profile.functions.clone(),
        period_type: profile.period_type.clone(),
        drop_frames: profile.drop_frames.clone(),
        keep_frames: profile.keep_frames.clone(),
        comments: profile.comments.clone(),
        doc_url: profile.doc_url.clone(),
        heap: profile.heap.clone(),
        ..*profile
    }
}

/// Base and new, with
/// - names for addresses that have none, where the other profile names the same address of the same build;
/// - the names and paths of another build as [`Names`] has them;
/// - the build told of addresses in files that are not the same in both.
pub(super) fn comparable<'p>(
    base: &'p Profile,
    new: &'p Profile,
) -> (Comparable<'p>, Comparable<'p>) {
    let (mut old, mut now) = (Comparable::new(base), Comparable::new(new));
    let names = Names::new(base, new);
    old.rename(&names.base);
    now.rename(&names.new);
    borrow(&mut old, new);
    borrow(&mut now, base);
    let rebuilt: HashSet<&str> = rebuilt(base, new).into_iter().collect();
    tell_builds(&mut old, &rebuilt);
    tell_builds(&mut now, &rebuilt);
    (old, now)
}

/// The same place in every process: build id and offset in the file.
fn place<'a>(profile: &'a Profile, location: &Location) -> Option<(&'a str, u64)> {
    let mapping = profile.mappings.get(location.mapping?.0 as usize)?;
    let offset = location.address.checked_sub(mapping.start)?;
    (!mapping.build_id.is_empty())
        .then_some((&mapping.build_id, offset.wrapping_add(mapping.offset)))
}

/// Whether a location has no name of its own.
fn lacks_name(profile: &Profile, location: &Location) -> bool {
    let mapping = location
        .mapping
        .and_then(|id| profile.mappings.get(id.0 as usize));
    is_nameless(location, &profile.functions, mapping)
}

/// Takes names of the same build from `other`, which has lost the recorder's frames with its names: so does what
/// gets them.
fn borrow(profile: &mut Comparable<'_>, other: &Profile) {
    let tables = &*profile.tables;
    let mut nameless = (0..tables.locations.len())
        .filter(|&index| lacks_name(tables, &tables.locations[index]))
        .peekable();
    if nameless.peek().is_none() {
        return;
    }
    let named: HashMap<_, _> = other
        .locations
        .iter()
        .filter(|location| !lacks_name(other, location))
        .filter_map(|location| Some((place(other, location)?, location)))
        .collect();
    let mut found: Vec<(usize, &Location)> = Vec::new();
    for index in nameless {
        if let Some(place) = place(tables, &tables.locations[index])
            && let Some(twin) = named.get(&place)
        {
            found.push((index, twin));
        }
    }
    if found.is_empty() {
        return;
    }
    cut_recorder(profile, other, &found);
    let profile = profile.tables_mut();
    let mut copies: HashMap<FunctionId, FunctionId> = HashMap::new();
    for (index, twin) in found {
        let functions = &mut profile.functions;
        let copy = |line: &Line| {
            let function = *copies.entry(line.function).or_insert_with(|| {
                functions.push(other.functions[line.function.0 as usize].clone());
                FunctionId(functions.len() as u32 - 1)
            });
            Line { function, ..*line }
        };
        profile.locations[index].lines = twin.lines.iter().map(copy).collect();
    }
}

/// Cuts the addresses at the leaf that the other profile shows to be the recorder's: without them a stack is one
/// of its stacks.
fn cut_recorder(profile: &mut Comparable<'_>, other: &Profile, found: &[(usize, &Location)]) {
    let known: HashSet<u32> = found.iter().map(|&(index, _)| index as u32).collect();
    let places = |profile: &Profile, stack: &[LocationId]| -> Vec<Option<(String, u64)>> {
        let of = |id: &LocationId| {
            let place = place(profile, &profile.locations[id.0 as usize])?;
            Some((place.0.to_owned(), place.1))
        };
        stack.iter().map(of).collect()
    };
    let stacks: HashSet<_> = other
        .samples
        .iter()
        .map(|sample| places(other, &sample.locations))
        .collect();
    let mut recorder: HashSet<u32> = HashSet::new();
    let tables = &*profile.tables;
    for sample in profile.samples.iter() {
        let is_known = |id: &LocationId| known.contains(&id.0);
        let Some(first) = sample.locations.iter().position(is_known) else {
            continue;
        };
        if first > 0 && stacks.contains(&places(tables, &sample.locations[first..])) {
            recorder.extend(sample.locations[..first].iter().map(|id| id.0));
        }
    }
    if recorder.is_empty() {
        return;
    }
    for sample in profile.samples.to_mut() {
        let stays = |id: &LocationId| !recorder.contains(&id.0);
        let first = sample.locations.iter().position(stays).unwrap_or(0);
        sample.locations.drain(..first);
    }
}

/// `libc.so.6+0x1234` in one build is not what it is in another.
fn tell_builds(profile: &mut Comparable<'_>, rebuilt: &HashSet<&str>) {
    if rebuilt.is_empty() {
        return;
    }
    for index in 0..profile.tables.locations.len() {
        let tables = &*profile.tables;
        let location = &tables.locations[index];
        let mapping = location
            .mapping
            .and_then(|id| tables.mappings.get(id.0 as usize));
        let Some(mapping) = mapping.filter(|mapping| rebuilt.contains(base_name(mapping))) else {
            continue;
        };
        if lacks_name(tables, location) {
            let id = mapping.build_id.get(..8).unwrap_or(&mapping.build_id);
            let name = format!("{} (build {id})", address(tables, location));
            let profile = profile.tables_mut();
            let function = FunctionId(profile.functions.len() as u32);
            profile.functions.push(Function {
                name,
                ..Function::default()
            });
            let (line, column) = (0, 0);
            profile.locations[index].lines = vec![Line {
                function,
                line,
                column,
            }];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{Mapping, MappingId, Sample, ValueType};
    use crate::view::growth::{Sum, growth};
    use crate::view::key::{Blame, By};

    /// One stack, leaf first: `(offset, function)`, the file at `start`.
    fn profile(build: &str, start: u64, stack: &[(u64, &str)], bytes: i64) -> Profile {
        let mapping = Mapping {
            start,
            limit: start + 0x10000,
            file: "/srv/shop".into(),
            build_id: build.into(),
            ..Mapping::default()
        };
        let mut profile = Profile {
            mappings: vec![mapping],
            sample_types: vec![ValueType {
                kind: "inuse_space".into(),
                unit: "bytes".into(),
            }],
            ..Profile::default()
        };
        let mut sample = Sample {
            values: vec![bytes],
            ..Sample::default()
        };
        for (index, &(offset, name)) in (0u32..).zip(stack) {
            let function = FunctionId(index);
            let filename = format!("/ci/{build}/src/a.rs");
            profile.functions.push(Function {
                name: name.into(),
                filename,
                ..Function::default()
            });
            let line = Line {
                function,
                line: 7,
                column: 0,
            };
            profile.locations.push(Location {
                mapping: Some(MappingId(0)),
                address: start + offset,
                lines: if name.is_empty() {
                    Vec::new()
                } else {
                    vec![line]
                },
                ..Location::default()
            });
            sample.locations.push(LocationId(index));
        }
        profile.samples.push(sample);
        profile
    }

    fn rows(base: &Profile, new: &Profile, by: By) -> Vec<(String, i64)> {
        let growth = growth(base, new, None, by, Blame::Application, Sum::Flat).unwrap();
        let row =
            |row: &crate::view::growth::GrowthRow| (row.key.name().to_owned(), row.change.growth);
        growth.rows.iter().map(row).collect()
    }

    #[test]
    fn one_build_matches_by_address_whoever_has_the_names() {
        let named = profile(
            "aa",
            0x1000,
            &[(0x20, "shop::add"), (0x30, "shop::main")],
            10,
        );
        let recorder = [(0x5, ""), (0x8, ""), (0x20, ""), (0x30, "")];
        let nameless = profile("aa", 0x7000, &recorder, 15);
        for by in [By::Line, By::Site] {
            assert_eq!(rows(&named, &nameless, by), [("shop::add".into(), 5)]);
            assert_eq!(rows(&nameless, &named, by), [("shop::add".into(), -5)]);
        }
    }

    #[test]
    fn two_builds_match_by_name_and_never_by_offset() {
        let one = profile(
            "aa",
            0x1000,
            &[(0x20, "shop::add"), (0x30, "shop::main")],
            10,
        );
        let other = profile(
            "bb",
            0x1000,
            &[(0x28, "shop::add::<u8>"), (0x30, "shop::main")],
            15,
        );
        for by in [By::Line, By::Site] {
            assert_eq!(rows(&one, &other, by), [("shop::add".into(), 5)]);
        }
        let (one, other) = (
            profile("aa", 0x1000, &[(0x20, "")], 10),
            profile("bb", 0x1000, &[(0x20, "")], 15),
        );
        assert_eq!(
            rows(&one, &other, By::Line),
            [
                ("shop+0x20 (build bb)".into(), 15),
                ("shop+0x20 (build aa)".into(), -10)
            ]
        );
    }
}
