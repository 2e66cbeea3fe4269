//! Names for addresses, outside of the wall: the same engine in the profiled process and on a profile read
//! from a file, so that both give the same names.
//!
//! One file is open at a time, only the addresses that occur are looked up, and everything that was mapped or
//! allocated for it is given back before the next file.
#![forbid(unsafe_code)]

mod address;
pub mod blame;
mod closures;
mod elf;
mod find;
#[cfg(test)]
mod fuzz;
mod gather;
mod lookup;
pub mod mappings;
pub mod names;
mod origin;
pub(crate) mod owner;
mod path;
pub mod plumbing;
mod report;
pub(crate) mod stacks;

use std::path::{Path, PathBuf};

pub use report::{FileReport, Problem, Report};

use crate::error::{Error, Result};
use crate::profile::addresses::FunctionIndex;
use crate::profile::builder::file_offset;
use crate::profile::diff::canonical::is_nameless;
use crate::profile::{Function, Line, Profile};
use crate::record::scratch::Scratch;

/// Where files are looked for.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Options {
    /// Files the user named, tried first: matched by build id, and by name where a mapping has no id.
    pub binaries: Vec<PathBuf>,
    /// Directories in the layout of pprof's `PPROF_BINARY_PATH`: `DIR/BUILD_ID/NAME`, `DIR/BUILD_ID/*`,
    /// `DIR/PATH/BUILD_ID`, `DIR/ab/cdef….debug`, `DIR/.build-id/ab/cdef….debug`, `DIR/PATH`, `DIR/NAME`.
    pub directories: Vec<PathBuf>,
    /// Where the distribution installs separate debug files.
    pub debug_directories: Vec<PathBuf>,
    /// The profile is of this very process: take the files that are mapped here, even where another file
    /// (a newer deployment) has taken their path, and work in memory that goes back to the system at the end.
    pub self_process: bool,
}

impl Options {
    /// For a profile of the running process.
    pub fn in_process() -> Options {
        Options {
            self_process: true,
            ..Options::offline()
        }
    }

    /// For a profile read from a file: the recorded paths and `/usr/lib/debug`.
    pub fn offline() -> Options {
        Options {
            debug_directories: vec![PathBuf::from("/usr/lib/debug")],
            ..Options::default()
        }
    }

    /// Adds a file to be tried first.
    pub fn binary(mut self, path: impl Into<PathBuf>) -> Options {
        self.binaries.push(path.into());
        self
    }

    /// Adds a directory in pprof's layout.
    pub fn directory(mut self, path: impl Into<PathBuf>) -> Options {
        self.directories.push(path.into());
        self
    }

    /// Adds the directories of a text such as `PPROF_BINARY_PATH` (separated by `:`; empty parts are left out).
    pub fn search_path(mut self, text: impl AsRef<std::ffi::OsStr>) -> Options {
        let parts = std::env::split_paths(text.as_ref());
        self.directories
            .extend(parts.filter(|part| !part.as_os_str().is_empty()));
        self
    }
}

/// Gives functions, files and lines to the locations that have none, as far as the files tell.
///
/// Never fails: what cannot be named stays an address, and the report says why. In a mapping where some
/// addresses have names, the others are called `FILE+0xADDRESS` (the file's own virtual address).
/// A file whose build id is not the mapping's is not used.
pub fn symbolize(profile: &mut Profile, options: &Options) -> Report {
    let mut functions = FunctionIndex::new(&profile.functions);
    let mut nameless: Vec<Vec<u32>> = vec![Vec::new(); profile.mappings.len()];
    let mut report = Report::default();
    for (index, location) in (0u32..).zip(&profile.locations) {
        let mapping = location.mapping.map(|mapping| mapping.0 as usize);
        let file = mapping.and_then(|index| profile.mappings.get(index));
        if !is_nameless(location, &profile.functions, file) {
            continue;
        }
        report.addresses += 1;
        match mapping.and_then(|index| nameless.get_mut(index)) {
            Some(list) => list.push(index),
            None => report.outside += 1,
        }
    }
    let scratch = options.self_process.then(Scratch::new);
    for (index, locations) in nameless
        .iter_mut()
        .enumerate()
        .filter(|(_, l)| !l.is_empty())
    {
        locations.sort_unstable_by_key(|&location| profile.locations[location as usize].address);
        let mapping = &profile.mappings[index];
        let looked_up = find::find(mapping, index == 0, options).map(|found| {
            let named = lookup::look_up(profile, index, locations, &found);
            (found.binary, named)
        });
        // What stays is made of the program's memory; the rest goes, with the arena that it lies in.
        let outside = scratch.as_ref().map(Scratch::outside);
        let mut file = FileReport::new(&profile.mappings[index], locations.len());
        let done = match &looked_up {
            Ok((binary, named)) => {
                file.used = Some(binary.clone());
                let named = named.as_ref();
                named.map(|named| named.write_to(profile, &mut functions))
            }
            Err(problem) => Err(problem),
        };
        match done {
            Ok(names) if names.named == 0 => file.problem = Some(Problem::NoNames),
            Ok(names) => {
                file.named = names.named;
                file.with_lines = names.with_lines;
            }
            Err(problem) => file.problem = Some(problem.clone()),
        }
        report.named += file.named;
        report.with_lines += file.with_lines;
        report.files.push(file);
        drop(outside);
    }
    drop(scratch);
    closures::qualify(profile, &mut functions);
    report
}

/// [`symbolize`] for a profile from elsewhere, which insists on the right files.
///
/// # Errors
/// A file in `options.binaries` cannot be read, or has the build id of none of the mappings; or there were addresses to
/// name and no file to name any of them. Files that are missing or of another build are no error as long as there is one
/// to take names from: their addresses stay what they are, and the report says so ([`Report::advice`]). After an error the
/// profile is as it was.
pub fn offline(profile: &mut Profile, options: &Options) -> Result<Report> {
    for binary in &options.binaries {
        check_binary(profile, binary)?;
    }
    let report = symbolize(profile, options);
    let none = report.addresses > 0 && report.files.iter().all(|file| file.used.is_none());
    if none
        && let (Some(main), Some(file)) = (profile.mappings.first(), report.files.first())
        && file.file == main.file
        && let Some(Problem::BuildIdMismatch { path, found }) = &file.problem
    {
        return Err(mismatch(path, found, &main.file, &main.build_id));
    }
    if none {
        return Err(Error::input(format!(
            "no address could be named: {report}; name the program's file, or a directory that holds it \
             under its build id"
        )));
    }
    Ok(report)
}

/// Names a heap profile of this very process, from its addresses to what viewers show: [`symbolize`], then [`finish`].
pub(crate) fn in_process(mut profile: Profile) -> Profile {
    let report = symbolize(&mut profile, &Options::in_process());
    finish(profile, &report)
}

/// The last step of naming a heap profile, the same in process and offline: the allocator's own frames go, so that
/// stacks end where the program asked for memory; what has no name is called `FILE+0xOFFSET` (offset in the file)
/// and its mapping counts as symbolised, since a viewer would look for names once more and replace the good ones; and
/// a comment says how far the names reach.
pub fn finish(mut profile: Profile, report: &Report) -> Profile {
    profile.comments.push(report.to_string());
    name_the_rest(&mut profile);
    // Fails only for a profile that contradicts itself, and then there is nothing to cut.
    profile
        .prune(names::is_internal, |_| false)
        .unwrap_or(profile)
}

fn name_the_rest(profile: &mut Profile) {
    let mut functions = FunctionIndex::new(&profile.functions);
    for location in &mut profile.locations {
        let mapping = location
            .mapping
            .and_then(|id| profile.mappings.get_mut(id.0 as usize));
        let Some(mapping) = mapping else {
            continue;
        };
        mapping.has_functions = true;
        if location.lines.is_empty() {
            let offset = file_offset(mapping, location.address);
            let file = Some(find::base_name(&mapping.file)).filter(|file| !file.is_empty());
            let function = Function {
                name: format!("{}+{offset:#x}", file.unwrap_or("?")),
                ..Function::default()
            };
            let function = functions.intern(&mut profile.functions, function);
            let (line, column) = (0, 0);
            location.lines.push(Line {
                function,
                line,
                column,
            });
        }
    }
}

/// A file that the user names must be of use.
fn check_binary(profile: &Profile, binary: &Path) -> Result<()> {
    let facts = elf::facts(binary)
        .map_err(|reason| Error::input(format!("cannot use {}: {reason}", binary.display())))?;
    let fits = (0..).zip(&profile.mappings).any(|(index, mapping)| {
        find::may_be(binary, mapping, index == 0)
            && find::agrees(&mapping.build_id, &facts.build_id)
    });
    match profile.mappings.first() {
        Some(main) if !fits => Err(mismatch(
            binary,
            &facts.build_id,
            &main.file,
            &main.build_id,
        )),
        _ => Ok(()),
    }
}

fn mismatch(path: &Path, found: &str, file: &str, wanted: &str) -> Error {
    let or_none = |id: &str| {
        if id.is_empty() {
            "none".to_owned()
        } else {
            id.to_owned()
        }
    };
    Error::input(format!(
        "{} has build id {}, but the profile was taken from {file} with build id {}: a file of the same build \
         is needed",
        path.display(),
        or_none(found),
        or_none(wanted),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{Location, LocationId, Mapping, MappingId, Sample};

    #[test]
    fn nothing_is_left_for_a_viewer_to_name() {
        let mapping = |file: &str| Mapping {
            start: 0x1000,
            limit: 0x9000,
            offset: 0x200,
            file: file.into(),
            ..Mapping::default()
        };
        let location = |mapping| Location {
            mapping,
            address: 0x1034,
            ..Location::default()
        };
        let profile = Profile {
            mappings: ["/usr/lib/libx.so", "", "/usr/lib/unused.so"]
                .map(mapping)
                .into(),
            locations: [Some(MappingId(0)), Some(MappingId(1)), None]
                .map(location)
                .into(),
            samples: vec![Sample {
                locations: (0..3).map(LocationId).collect(),
                ..Sample::default()
            }],
            ..Profile::default()
        };
        let profile = finish(profile, &Report::default());
        let names: Vec<_> = profile.functions.iter().map(|f| f.name.as_str()).collect();
        assert_eq!(names, ["libx.so+0x234", "?+0x234"]);
        let symbolised: Vec<_> = profile.mappings.iter().map(|m| m.has_functions).collect();
        assert_eq!(symbolised, [true, true, false]);
        assert!(profile.locations[2].lines.is_empty(), "is in no mapping");
        // A later attempt with the right files goes on from there.
        let mut again = profile;
        assert_eq!(symbolize(&mut again, &Options::default()).addresses, 2 + 1);
    }
}
