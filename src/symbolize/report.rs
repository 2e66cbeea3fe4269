//! What symbolising could not do, and why.
#![forbid(unsafe_code)]

use std::fmt;
use std::path::{Path, PathBuf};

use super::find;
use crate::profile::Mapping;
use crate::profile::told::NAMED;

/// How far the addresses of a profile got names. All counts are exact. `Display` is one line.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Report {
    /// Distinct addresses that had no names before.
    pub addresses: usize,
    /// Of them: those that have names now (`FILE+0x…` does not count).
    pub named: usize,
    /// Of them: those with a source file and line.
    pub with_lines: usize,
    /// Addresses in no mapping; nothing can name them.
    pub outside: usize,
    /// One per mapping with addresses to name, in the profile's order.
    pub files: Vec<FileReport>,
}

/// What one mapping's file gave.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct FileReport {
    /// The mapping's file.
    pub file: String,
    /// The build id it should have, hex; empty: unknown.
    pub build_id: String,
    /// Where it was mapped: the first address, and one past the last.
    pub range: (u64, u64),
    /// Distinct addresses there that had no names before.
    pub addresses: usize,
    /// Of them: those that have names now.
    pub named: usize,
    /// Of them: those with a source file and line.
    pub with_lines: usize,
    /// The file the names come from.
    pub used: Option<PathBuf>,
    /// Why there are none.
    pub problem: Option<Problem>,
}

/// Why a mapping's addresses got no names.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// There is no file at any of the places where it may be.
    Missing,
    /// There is a file, but of another build.
    BuildIdMismatch {
        /// The file.
        path: PathBuf,
        /// Its build id, hex; empty: it has none.
        found: String,
    },
    /// The file cannot be read, or is damaged.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file has neither debug information nor symbols for these addresses (it is stripped).
    NoNames,
}

impl FileReport {
    pub(super) fn new(mapping: &Mapping, addresses: usize) -> FileReport {
        FileReport {
            file: mapping.file.clone(),
            build_id: mapping.build_id.clone(),
            range: (mapping.start, mapping.limit),
            addresses,
            named: 0,
            with_lines: 0,
            used: None,
            problem: None,
        }
    }
}

impl Report {
    /// What would give more names, in sentences; empty: nothing is missing but in the system's own libraries.
    pub fn advice(&self) -> Vec<String> {
        let own = self
            .files
            .iter()
            .filter(|file| !find::is_system(&file.file));
        own.filter_map(FileReport::advice).collect()
    }
}

impl FileReport {
    fn advice(&self) -> Option<String> {
        let name = find::base_name(&self.file);
        let (start, limit) = self.range;
        let id = match self.build_id.as_str() {
            "" => "BUILD_ID",
            id => id,
        };
        Some(match &self.problem {
            Some(Problem::Missing) => format!(
                "{name} is not here: `--binary PATH` names it, `--search DIR` looks for DIR/{id}/{name} and DIR/{name}"
            ),
            Some(Problem::BuildIdMismatch { path, found }) => format!(
                "the profile is of another build: {name} had build id {id}, {} has {}; its {} addresses from {start:#x} to {limit:#x} \
                 are left without names rather than given wrong ones (`--search DIR` looks for DIR/{id}/{name})",
                path.display(),
                match found.as_str() {
                    "" => "none",
                    found => found,
                },
                self.addresses,
            ),
            Some(Problem::NoNames) => format!("{name} is stripped{}", self.symbols()),
            Some(Problem::Unreadable { .. }) => return None,
            None if self.named > 0 && self.with_lines == 0 => format!(
                "{name} is stripped: it names {} of {} addresses, and no lines{}",
                self.named,
                self.addresses,
                self.symbols()
            ),
            None if self.build_id.is_empty() => format!(
                "the profile has no build id of {name}, so nothing tells whether {} is of the same build",
                self.used
                    .as_deref()
                    .unwrap_or(Path::new("its file"))
                    .display()
            ),
            None => return None,
        })
    }

    /// How to get symbols for a stripped file.
    fn symbols(&self) -> String {
        let name = find::base_name(&self.file);
        let place = match self.build_id.split_at_checked(2) {
            Some((first, rest)) if !rest.is_empty() => format!(
                "DIR/.build-id/{first}/{rest}.debug (its build id) and `--search DIR` finds it"
            ),
            _ => format!("DIR/{name}.debug and `--search DIR` finds it"),
        };
        format!(
            "; `debug = \"line-tables-only\"` in [profile.release] keeps lines, at no cost in speed, or before stripping \
             `objcopy --only-keep-debug {name}` puts them into a file of their own: as {place}"
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report {
            addresses,
            named,
            with_lines,
            outside,
            files,
        } = self;
        write!(
            f,
            "{named} of {addresses}{NAMED}{with_lines} with source lines"
        )?;
        if *outside > 0 {
            write!(f, "; {outside} outside of every mapping")?;
        }
        for file in files {
            let Some(problem) = &file.problem else {
                continue;
            };
            write!(
                f,
                "; {} ({} addresses): ",
                find::base_name(&file.file),
                file.addresses
            )?;
            match problem {
                Problem::BuildIdMismatch { path, found } => {
                    let found = if found.is_empty() { "none" } else { found };
                    let path = path.display();
                    write!(f, "{path} has build id {found}, not {}", file.build_id)?;
                }
                other => write!(f, "{other}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Missing => f.write_str("file not found"),
            Problem::BuildIdMismatch { path, found } if found.is_empty() => {
                write!(f, "{} has no build id", path.display())
            }
            Problem::BuildIdMismatch { path, found } => {
                write!(f, "{} has build id {found}", path.display())
            }
            Problem::Unreadable { path, reason } => write!(f, "{}: {reason}", path.display()),
            Problem::NoNames => f.write_str("no debug information and no symbols"),
        }
    }
}
