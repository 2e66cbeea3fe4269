//! Profile formats: a file each, writer and reader side by side.
//!
//! | format | written | read | holds |
//! |---|---|---|---|
//! | [`pprof`] | yes | yes | stacks, values, labels, symbols |
//! | [`json`] | yes | yes | everything |
//! | [`folded`] | yes | no | one value per stack, names only |
//! | [`speedscope`] | yes | no | stacks, values |
//! | [`dhat`] | yes | no | stacks, bytes and blocks of one kind |
//! | [`callgrind`] | yes | no | functions, calls between them, values |
//! | [`legacy`] text (gperftools, Go's `debug=1`, jemalloc) | the first | yes | addresses and values |
//! | texts of goroutines (Go's `debug=1` and `debug=2`) | over HTTP | yes | counts, stacks, states |
//!
//! `src/guide/formats.md` describes them for readers of the files.
#![forbid(unsafe_code)]

pub(crate) mod budget;
pub mod callgrind;
mod columns;
pub mod dhat;
pub mod folded;
mod frames;
mod goroutines;
pub mod json;
pub mod legacy;
pub mod pprof;
pub mod speedscope;
mod unknown;

use std::fmt;
use std::io::{self, Read};

use crate::error::{Error, Result};
use crate::profile::Profile;
use pprof::gzip;

/// A format that profiles are written in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[non_exhaustive]
pub enum Format {
    /// `profile.proto`, compressed with gzip.
    Pprof,
    /// heapsite's own JSON.
    Json,
    /// Folded stacks: `root;caller;leaf 123`.
    Folded,
    /// JSON for speedscope.
    Speedscope,
    /// JSON for the viewer of Valgrind's DHAT.
    Dhat,
    /// Text for KCachegrind and `callgrind_annotate`.
    Callgrind,
    /// The text format from before pprof's: `heap profile: …`.
    Legacy,
}

impl Format {
    /// All formats, in the order in which they are offered.
    pub const ALL: [Format; 7] = [
        Format::Pprof,
        Format::Json,
        Format::Folded,
        Format::Speedscope,
        Format::Dhat,
        Format::Callgrind,
        Format::Legacy,
    ];

    /// The name in settings and on the command line: `pprof`, `json`, `folded`, `speedscope`, `dhat`, `callgrind`,
    /// `legacy`.
    pub fn name(self) -> &'static str {
        match self {
            Format::Pprof => "pprof",
            Format::Json => "json",
            Format::Folded => "folded",
            Format::Speedscope => "speedscope",
            Format::Dhat => "dhat",
            Format::Callgrind => "callgrind",
            Format::Legacy => "legacy",
        }
    }

    /// What file names end in, without the dot: `pb.gz`, `json`, `folded`, `speedscope.json`, `dhat.json`, `callgrind`,
    /// `heap`.
    pub fn extension(self) -> &'static str {
        match self {
            Format::Pprof => "pb.gz",
            Format::Json => "json",
            Format::Folded => "folded",
            Format::Speedscope => "speedscope.json",
            Format::Dhat => "dhat.json",
            Format::Callgrind => "callgrind",
            Format::Legacy => "heap",
        }
    }

    /// The format of this name.
    ///
    /// # Errors
    /// There is none; the error lists the names.
    pub fn from_name(name: &str) -> Result<Format> {
        Format::ALL
            .into_iter()
            .find(|format| format.name() == name)
            .ok_or_else(|| {
                let names = Format::ALL.map(Format::name).join(", ");
                Error::config(format!(
                    "unknown format \"{name}\": one of {names} is accepted"
                ))
            })
    }

    /// Writes a profile. Folded stacks and DHAT's files show the sample type that the profile shows first.
    ///
    /// # Errors
    /// The profile is not whole ([`Profile::check`]), or `out` fails; and what [`dhat::write`] and [`legacy::write`]
    /// refuse.
    pub fn write(self, profile: &Profile, out: &mut dyn io::Write) -> Result<()> {
        match self {
            Format::Pprof => pprof::write(profile, out),
            Format::Json => json::write(profile, out),
            Format::Folded => folded::write(profile, None, out),
            Format::Speedscope => speedscope::write(profile, out),
            Format::Dhat => dhat::write(profile, None, out),
            Format::Callgrind => callgrind::write(profile, out),
            Format::Legacy => legacy::write(profile, out),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which of pprof, JSON and folded stacks the bytes, or the first thousand of them, look like; `None`: none of these. What
/// is compressed counts as pprof: [`read`] looks inside.
pub fn sniff(bytes: &[u8]) -> Option<Format> {
    if gzip::is_gzip(bytes) {
        Some(Format::Pprof)
    } else if json::is_plausible(bytes) {
        Some(Format::Json)
    } else if unknown::describe(bytes).is_some() {
        None
    } else if folded::is_plausible(bytes) {
        Some(Format::Folded)
    } else if pprof::is_plausible(bytes) {
        Some(Format::Pprof)
    } else {
        None
    }
}

/// Reads a profile in any format that can be read, compressed with gzip or not.
///
/// # Errors
/// The format is not known or cannot be read; the error says what the bytes look like and what is accepted.
/// Otherwise the errors of [`pprof::read`] and [`json::read`]; those of legacy texts have the line's number.
pub fn read(bytes: &[u8]) -> Result<Profile> {
    match gzip::is_gzip(bytes) {
        true => unpacked(bytes),
        false => read_plain(bytes),
    }
}

/// The same of a file as it comes: one in pprof's format is never in memory as a whole, neither packed nor unpacked.
///
/// # Errors
/// Those of [`read`], and those of `source`.
pub fn read_from(mut source: impl io::BufRead) -> Result<Profile> {
    let mut head = Vec::new();
    source
        .by_ref()
        .take(HEAD)
        .read_to_end(&mut head)
        .map_err(gzip::ours)?;
    let whole = io::Cursor::new(head).chain(source);
    match gzip::is_gzip(whole.get_ref().0.get_ref()) {
        true => unpacked(whole),
        false => stream(whole),
    }
}

/// As much of a file as tells its format.
const HEAD: u64 = 64 << 10;

fn unpacked(packed: impl io::BufRead) -> Result<Profile> {
    gzip::Unpacked::new(packed, gzip::LIMIT).read_whole(|plain| {
        stream(&mut *plain).map_err(|error| match plain.is_empty() {
            true => Error::input("the gzip file is empty, unpacked: not a profile"),
            false => error,
        })
    })
}

fn stream(mut source: impl io::Read) -> Result<Profile> {
    let mut head = Vec::new();
    source
        .by_ref()
        .take(HEAD)
        .read_to_end(&mut head)
        .map_err(gzip::ours)?;
    if !is_text(&head) && sniff(&head) == Some(Format::Pprof) {
        return pprof::read_plain(io::Cursor::new(head).chain(source));
    }
    // All others are read from memory.
    gzip::Limited::new(source, gzip::LIMIT)
        .read_to_end(&mut head)
        .map_err(gzip::ours)?;
    read_plain(&head)
}

fn is_text(bytes: &[u8]) -> bool {
    legacy::is_plausible(bytes) || goroutines::is_plausible(bytes)
}

fn read_plain(bytes: &[u8]) -> Result<Profile> {
    if legacy::is_plausible(bytes) {
        return legacy::read(bytes);
    }
    if goroutines::is_plausible(bytes) {
        return goroutines::read(bytes);
    }
    match sniff(bytes) {
        Some(Format::Pprof) => pprof::read(bytes),
        Some(Format::Json) => json::read(bytes),
        Some(Format::Folded) => Err(Error::unsupported(
            "folded stacks are written, not read: they do not say what they count; pprof and heapsite JSON \
             are accepted",
        )),
        _ => Err(unknown::error(bytes)),
    }
}
