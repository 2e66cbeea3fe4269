//! The names of the last push, for the next one.
//!
//! A heap changes slowly: nearly every address of a profile was in the one before. Looking names up takes nearly all of a
//! push's time, and tens of megabytes while it lasts; kept, they take as much as the profile that they are of, about a
//! megabyte for ten thousand addresses.
#![forbid(unsafe_code)]

use hashbrown::HashMap;

use crate::profile::addresses::FunctionIndex;
use crate::profile::diff::canonical::is_nameless;
use crate::profile::{Function, FunctionId, Line, Location, Mapping, MappingId, Profile};
use crate::symbolize::{self, Report};

/// Addresses of one process, with their names as far as they have any.
#[derive(Clone, Default)]
pub(super) struct Names {
    mappings: Vec<Mapping>,
    functions: Vec<Function>,
    locations: Vec<Location>,
}

impl Names {
    /// Names a later profile of the same process: from here what is known, from the files what is new. Returns the names
    /// that are known then. What could not be named before is not tried again.
    pub(super) fn complete(&self, profile: &mut Profile) -> (Names, Report) {
        let tried = self.give(profile);
        // What lies in no file is not looked up.
        for &(index, _) in &tried {
            profile.locations[index].mapping = None;
        }
        let report = symbolize::symbolize(profile, &symbolize::Options::in_process());
        for (index, mapping) in tried {
            profile.locations[index].mapping = Some(mapping);
        }
        (Names::of(profile), report)
    }

    /// Of a profile that has been named, as far as that could be.
    fn of(profile: &Profile) -> Names {
        let in_files = profile.locations.iter().filter(|l| l.mapping.is_some());
        Names {
            mappings: profile.mappings.clone(),
            functions: profile.functions.clone(),
            locations: in_files.cloned().collect(),
        }
    }

    /// Gives the names that are known. Code that has been unloaded since, or replaced by other code at its place, is told by
    /// the mapping. Returns the locations that are known to have none.
    fn give(&self, profile: &mut Profile) -> Vec<(usize, MappingId)> {
        let mappings = self.mappings.iter();
        let same: Vec<Option<usize>> = mappings
            .map(|old| profile.mappings.iter().position(|new| is_same(old, new)))
            .collect();
        for (old, &new) in self.mappings.iter().zip(&same) {
            if let Some(new) = new {
                // What has been named there.
                profile.mappings[new].clone_from(old);
            }
        }
        let locations = self.locations.iter();
        let known: HashMap<u64, &Location> = locations.map(|l| (l.address, l)).collect();
        let mut functions = FunctionIndex::new(&profile.functions);
        let mut ids: Vec<Option<FunctionId>> = vec![None; self.functions.len()];
        let mut tried = Vec::new();
        for (index, location) in profile.locations.iter_mut().enumerate() {
            let (Some(old), Some(id)) = (known.get(&location.address), location.mapping) else {
                continue;
            };
            let is_there = old.mapping.and_then(|id| same[id.0 as usize]) == Some(id.0 as usize);
            if !is_there || !location.lines.is_empty() {
                continue;
            }
            location.is_folded = old.is_folded;
            for line in &old.lines {
                let index = line.function.0 as usize;
                let function = *ids[index].get_or_insert_with(|| {
                    functions.intern(&mut profile.functions, self.functions[index].clone())
                });
                location.lines.push(Line { function, ..*line });
            }
            let file = &profile.mappings[id.0 as usize];
            if is_nameless(location, &profile.functions, Some(file)) {
                tried.push((index, id));
            }
        }
        tried
    }
}

/// The same code at the same place; flags that tell what has been named aside.
fn is_same(old: &Mapping, new: &Mapping) -> bool {
    (old.start, old.limit, old.offset) == (new.start, new.limit, new.offset)
        && (&old.file, &old.build_id) == (&new.file, &new.build_id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::ValueType;
    use crate::profile::addresses::Builder;

    #[inline(never)]
    fn here() -> u64 {
        here as fn() -> u64 as usize as u64 + 1
    }

    fn profile(addresses: &[u64]) -> Profile {
        let mappings = symbolize::mappings::current();
        let mut builder = Builder::new(vec![ValueType::default()], mappings);
        builder.sample(addresses, vec![1], Vec::new(), None);
        builder.finish()
    }

    fn names(profile: &Profile) -> Vec<Vec<&str>> {
        let name = |line: &Line| profile.functions[line.function.0 as usize].name.as_str();
        let locations = profile.locations.iter();
        locations
            .map(|location| location.lines.iter().map(name).collect())
            .collect()
    }

    #[test]
    fn what_is_known_is_not_looked_up_again() {
        let other = symbolize::mappings::current as fn() -> Vec<Mapping> as usize as u64 + 1;
        // The last byte of the program's code belongs to no function.
        let nothing = profile(&[]).mappings[0].limit - 1;
        let mut first = profile(&[here(), nothing]);
        let (known, report) = Names::default().complete(&mut first);
        assert_eq!((report.addresses, report.named), (2, 1));
        assert!(names(&first)[0].last().unwrap().ends_with("tests::here"));

        let mut second = profile(&[nothing, other, here()]);
        let (_, report) = known.complete(&mut second);
        assert_eq!((report.addresses - report.outside, report.named), (1, 1));
        assert_eq!(names(&second)[0], names(&first)[1]);
        assert_eq!(names(&second)[2], names(&first)[0]);
        second.check().unwrap();
        // As if it had been named by itself.
        let mut alone = profile(&[nothing, other, here()]);
        symbolize::symbolize(&mut alone, &symbolize::Options::in_process());
        assert_eq!(names(&alone), names(&second));
        assert_eq!(alone.mappings, second.mappings);
        let places = |profile: &Profile| -> Vec<Option<MappingId>> {
            profile.locations.iter().map(|l| l.mapping).collect()
        };
        assert_eq!(places(&alone), places(&second));

        // Other code at the same address.
        let mut moved = profile(&[here()]);
        moved.mappings[0].build_id.push('0');
        assert!(known.give(&mut moved).is_empty());
        assert_eq!(names(&moved), [[""; 0]]);
    }
}
