//! Frames of two profiles numbered alike: equal numbers are the same place in the program.
#![forbid(unsafe_code)]

use hashbrown::{HashMap, HashSet};

use super::Matching;
use super::canonical::{self, Name, Names};
use crate::profile::builder::file_offset;
use crate::profile::{Location, LocationId, Profile};

/// For each location of either profile the numbers of its frames: one for its address, or one for each of its
/// lines, so that it does not matter which functions a build inlined.
pub(super) struct Frames {
    base: Numbers,
    new: Numbers,
}

/// The frames of location `i` are `frames[ends[i - 1]..ends[i]]`.
#[derive(Default)]
struct Numbers {
    ends: Vec<u32>,
    frames: Vec<u32>,
}

/// What makes two frames the same.
#[derive(PartialEq, Eq, Hash)]
enum Key<'a> {
    /// Offset in the file with this build id.
    Build(&'a str, u64),
    /// Function, source file, line (0 where lines do not count).
    Line(&'a str, &'a str, i64),
    /// Not symbolised, no common build: offset in the file of this name, and where both profiles know its build,
    /// of that build.
    File(&'a str, &'a str, u64),
    /// Outside of every mapping.
    Address(u64),
}

/// What matches what.
struct By<'a> {
    /// Builds that both profiles have, where they count.
    builds: HashSet<&'a str>,
    /// Files of which they have different builds.
    rebuilt: HashSet<&'a str>,
    matching: Matching,
}

impl Frames {
    pub(super) fn new(base: &Profile, new: &Profile, matching: Matching) -> Frames {
        let builds = match matching {
            Matching::Auto => common_builds(base, new),
            Matching::Line | Matching::Function => HashSet::new(),
        };
        let names = Names::new(base, new);
        let rebuilt = canonical::rebuilt(base, new);
        let by = By {
            builds,
            rebuilt,
            matching,
        };
        let mut numbers: HashMap<Key<'_>, u32> = HashMap::new();
        Frames {
            base: Numbers::new(base, &names.base, &by, &mut numbers),
            new: Numbers::new(new, &names.new, &by, &mut numbers),
        }
    }

    /// The frames of a stack of the new profile or of the base, leaf first.
    pub(super) fn stack(&self, is_new: bool, stack: &[LocationId]) -> impl Iterator<Item = u32> {
        let numbers = if is_new { &self.new } else { &self.base };
        stack.iter().flat_map(|&id| numbers.of(id).iter().copied())
    }
}

impl Numbers {
    fn new<'a>(
        profile: &'a Profile,
        names: &'a [Name<'a>],
        by: &By<'_>,
        numbers: &mut HashMap<Key<'a>, u32>,
    ) -> Numbers {
        let mut result = Numbers::default();
        for location in &profile.locations {
            let mut push = |key: Key<'a>| {
                let next = numbers.len() as u32;
                result.frames.push(*numbers.entry(key).or_insert(next));
            };
            match by_address(profile, location, by) {
                Some(key) => push(key),
                None => {
                    for line in &location.lines {
                        let name = &names[line.function.0 as usize];
                        let number = if by.matching == Matching::Function {
                            0
                        } else {
                            line.line
                        };
                        push(Key::Line(&name.function, name.file, number));
                    }
                }
            }
            result.ends.push(result.frames.len() as u32);
        }
        result
    }

    fn of(&self, id: LocationId) -> &[u32] {
        let index = id.0 as usize;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.frames[start as usize..self.ends[index] as usize]
    }
}

/// The key of a location that is matched by its address: its build is known to both, or it has no name.
fn by_address<'a>(profile: &'a Profile, location: &Location, by: &By<'_>) -> Option<Key<'a>> {
    let mapping = location.mapping.map(|id| &profile.mappings[id.0 as usize]);
    match mapping {
        Some(mapping) if by.builds.contains(mapping.build_id.as_str()) => Some(Key::Build(
            &mapping.build_id,
            file_offset(mapping, location.address),
        )),
        _ if !canonical::is_nameless(location, &profile.functions, mapping) => None,
        Some(mapping) => {
            let name = canonical::base_name(mapping);
            let build = match by.rebuilt.contains(name) {
                true => mapping.build_id.as_str(),
                false => "",
            };
            Some(Key::File(
                name,
                build,
                file_offset(mapping, location.address),
            ))
        }
        None => Some(Key::Address(location.address)),
    }
}

fn common_builds<'a>(base: &'a Profile, new: &Profile) -> HashSet<&'a str> {
    let of_new: HashSet<&str> = new.mappings.iter().map(|m| m.build_id.as_str()).collect();
    let of_base = base.mappings.iter().map(|m| m.build_id.as_str());
    of_base
        .filter(|id| !id.is_empty() && of_new.contains(id))
        .collect()
}
