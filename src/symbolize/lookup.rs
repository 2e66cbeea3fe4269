//! Functions and lines for the addresses of one mapping, from its file.
#![forbid(unsafe_code)]

use addr2line::{Loader, fallible_iterator::FallibleIterator as _};

use super::find::{self, Found};
use super::gather::Gathered;
use super::{Problem, address, elf, names};
use crate::profile::Profile;
use crate::profile::addresses::FunctionIndex;

/// How many of the addresses of a mapping got what.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Names {
    pub(super) named: usize,
    pub(super) with_lines: usize,
}

/// What a file says of the locations of a mapping, not yet in the profile.
pub(super) struct Named {
    mapping: usize,
    gathered: Gathered,
    names: Names,
}

/// Looks up `locations` (indexes, ascending by address), all of mapping `mapping`.
///
/// If anything can be named, what has no name of its own is called `FILE+0xADDRESS`: a viewer that finds both kinds in a
/// mapping drops one or the other.
pub(super) fn look_up(
    profile: &Profile,
    mapping: usize,
    locations: &[u32],
    found: &Found,
) -> Result<Named, Problem> {
    let place = &profile.mappings[mapping];
    let in_file = |location: u32| {
        let address = profile.locations[location as usize].address;
        address::in_file(&found.facts.segments, place, address)
    };
    let known: Vec<(u32, u64)> = locations
        .iter()
        .filter_map(|&location| Some((location, in_file(location)?)))
        .collect();

    let mut target = Target::default();
    let unfinished = target.add_debug_information(&known, found)?;
    let nameless = target.add_symbols(unfinished, found);
    let Target {
        mut gathered,
        names,
    } = target;
    for frame in nameless {
        let name = format!("{}+{:#x}", find::base_name(&place.file), frame.vaddr);
        gathered.push(frame.location, &name, "", &frame.filename, frame.position);
    }
    Ok(Named {
        mapping,
        gathered,
        names,
    })
}

impl Named {
    /// Writes the names into the profile, and sets the mapping's `has_*` fields. If nothing was named, the profile stays as
    /// it was.
    pub(super) fn write_to(&self, profile: &mut Profile, functions: &mut FunctionIndex) -> Names {
        let names = self.names;
        if names.named == 0 {
            return names;
        }
        self.gathered.write_to(profile, functions);
        let place = &mut profile.mappings[self.mapping];
        place.has_functions = true;
        if names.with_lines > 0 {
            place.has_filenames = true;
            place.has_line_numbers = true;
            place.has_inline_frames = true;
        }
        names
    }
}

/// A function at an address, whose name may still be found or bettered in the symbol table.
#[derive(Default)]
struct Unfinished {
    location: u32,
    vaddr: u64,
    name: String,
    filename: String,
    /// Line and column.
    position: (i64, i64),
    /// Other functions are inlined here.
    has_inlined: bool,
}

#[derive(Default)]
struct Target {
    gathered: Gathered,
    names: Names,
}

impl Target {
    /// Adds the frames that DWARF knows. Returns what needs a look into the symbol table.
    ///
    /// Functions get no `start_line`: addr2line does not tell, and it would make the same function another
    /// one in the next build.
    fn add_debug_information(
        &mut self,
        known: &[(u32, u64)],
        found: &Found,
    ) -> Result<Vec<Unfinished>, Problem> {
        let loader =
            Loader::new_with_sup(&found.debug, found.alternate.as_ref()).map_err(|error| {
                Problem::Unreadable {
                    path: found.debug.clone(),
                    reason: error.to_string(),
                }
            })?;
        let mut unfinished = Vec::new();
        for &(location, vaddr) in known {
            // Damaged debug information costs the frames it concerns, not the others.
            let frames = loader.find_frames(vaddr).and_then(|frames| {
                Ok(frames
                    .map(|frame| {
                        let name = match &frame.function {
                            Some(function) => function.raw_name()?.into_owned(),
                            None => String::new(),
                        };
                        let at = frame.location;
                        let filename = at.as_ref().and_then(|at| at.file).unwrap_or_default();
                        let line = at.as_ref().and_then(|at| at.line).map_or(0, i64::from);
                        let column = at.as_ref().and_then(|at| at.column).map_or(0, i64::from);
                        Ok(Unfinished {
                            location,
                            vaddr,
                            name,
                            filename: filename.to_owned(),
                            position: (line, column),
                            has_inlined: false,
                        })
                    })
                    .collect::<Vec<_>>()?)
            });
            let mut frames = frames.unwrap_or_default();
            let real = frames.pop();
            if real
                .as_ref()
                .into_iter()
                .chain(&frames)
                .any(|frame| frame.position.0 > 0)
            {
                self.names.with_lines += 1;
            }
            let has_inlined = !frames.is_empty();
            for frame in frames {
                self.push_named(frame, None);
            }
            match real {
                Some(frame) if names::demangle(&frame.name).is_some() => {
                    self.push_named(frame, None);
                    self.names.named += 1;
                }
                Some(frame) => unfinished.push(Unfinished {
                    has_inlined,
                    ..frame
                }),
                None => unfinished.push(Unfinished {
                    location,
                    vaddr,
                    ..Unfinished::default()
                }),
            }
        }
        Ok(unfinished)
    }

    /// Adds the real functions that DWARF does not name in full. Returns what has no name there either.
    fn add_symbols(&mut self, mut unfinished: Vec<Unfinished>, found: &Found) -> Vec<Unfinished> {
        if unfinished.is_empty() {
            return unfinished;
        }
        // They are, unless the headers are damaged.
        unfinished.sort_by_key(|frame| frame.vaddr);
        let addresses: Vec<u64> = unfinished.iter().map(|frame| frame.vaddr).collect();
        // A damaged symbol table gives no names; what DWARF gave stays.
        let look = |path| elf::symbols(path, &addresses).unwrap_or(vec![None; addresses.len()]);
        let mut symbols = look(&found.debug);
        if found.binary != found.debug {
            // The debug file has the whole table as a rule, but need not.
            for (symbol, other) in symbols.iter_mut().zip(look(&found.binary)) {
                *symbol = symbol.take().or(other);
            }
        }
        let mut nameless = Vec::new();
        for (frame, symbol) in unfinished.into_iter().zip(symbols) {
            if frame.name.is_empty() && symbol.is_none() {
                self.names.named += usize::from(frame.position.0 > 0 || frame.has_inlined);
                nameless.push(frame);
            } else {
                self.push_named(frame, symbol);
                self.names.named += 1;
            }
        }
        nameless
    }

    fn push_named(&mut self, frame: Unfinished, symbol: Option<String>) {
        let Unfinished {
            location,
            name,
            filename,
            position,
            ..
        } = frame;
        let (name, system_name) = match symbol {
            // A bare `push` in the debug information: the symbol has the path.
            Some(symbol) if name.is_empty() || names::demangle(&symbol).is_some() => both(symbol),
            // C++: the plain name is what people read, the symbol is what linkers need.
            Some(symbol) if symbol != name => (name, symbol),
            Some(_) => both(name),
            // `line-tables-only` leaves inlined functions nothing but the last part of their names.
            None => match names::qualify(&name, &filename) {
                Some(name) => (name, String::new()),
                None => both(name),
            },
        };
        self.gathered
            .push(location, &name, &system_name, &filename, position);
    }
}

/// The readable name, and the linker's if it is another.
///
/// C++ symbols stay mangled: a heap profile of Rust code meets few of them, and a demangler for them is a
/// further dependency; `c++filt` reads them.
fn both(symbol: String) -> (String, String) {
    match names::demangle(&symbol) {
        Some(name) => (name, symbol),
        None if symbol.is_empty() => ("?".to_owned(), symbol),
        None => (symbol, String::new()),
    }
}
