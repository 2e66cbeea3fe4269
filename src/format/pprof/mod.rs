//! pprof's `profile.proto`, compressed with gzip: what `go tool pprof`, Parca, Pyroscope and others read.
//!
//! The writer keeps to what those readers turned out to need, beyond the format's own definition:
//! * ids count from 1 without gaps, `string_table[0]` is empty;
//! * `default_sample_type` is always given; without it readers disagree on which type to show;
//! * a mapping with symbolised locations says so, otherwise pprof would look for symbols again;
//! * a function's `system_name` is the linker's name or empty, never the name itself, which pprof would take
//!   as a wish to shorten it;
//! * a numeric label always has a unit: a missing one becomes `bytes` where the key speaks of bytes, else
//!   `count`.
//!
//! The reader takes any pprof profile: Go's, jemalloc's, CPU profiles; compressed or not.
//!
//! What the format cannot hold: [`Sample::detail`](crate::profile::Sample::detail) and
//! [`Profile::heap`], whose main facts the writer puts into comments; labels with an empty key or text; a
//! relative `doc_url`. [`super::json`] holds everything.
#![forbid(unsafe_code)]

mod entries;
pub(super) mod facts;
pub(super) mod gzip;
mod ids;
mod proto;
mod read;
mod samples;
mod scan;
mod strings;
mod write;

use std::io;

use crate::error::Result;
use crate::profile::Profile;

/// Reads a profile, compressed with gzip or not.
///
/// # Errors
/// The bytes are not a pprof profile, are cut short, unpack to more than 1 GiB, would take more memory than is
/// accepted (32 times their unpacked size and 512 KiB, at most 8 GiB), or contradict themselves: the
/// error says what is wrong where. Contradictions are those that pprof rejects.
pub fn read(bytes: &[u8]) -> Result<Profile> {
    match gzip::is_gzip(bytes) {
        true => gzip::Unpacked::new(bytes, gzip::LIMIT).read_whole(|plain| read_plain(plain)),
        false => read_plain(bytes),
    }
}

/// Reads an uncompressed profile as it comes: the file is never in memory as a whole.
///
/// # Errors
/// Those of [`read`], and those of `source`.
pub(super) fn read_plain(source: impl io::Read) -> Result<Profile> {
    read::read(gzip::Limited::new(source, gzip::LIMIT))
}

/// Makes room for `more` at the end of a list: an eighth of what is there, where doubling, as lists do by themselves, would
/// leave up to half of a large profile's memory unused.
fn grow<T>(list: &mut Vec<T>, more: usize) {
    if list.capacity() - list.len() < more {
        list.reserve_exact(more.max(list.len() / 8).max(64 / size_of::<T>().max(1)));
    }
}

/// Writes a profile, compressed.
///
/// Samples are written as they are, one by one: memory use does not grow with their number.
///
/// # Errors
/// The profile is not whole ([`Profile::check`]), or `out` fails.
pub fn write(profile: &Profile, out: &mut dyn io::Write) -> Result<()> {
    write::write(profile, out).map(drop)
}

/// [`write()`] into memory; and how many bytes it was before it was compressed, which is what backends set limits to.
///
/// # Errors
/// The profile is not whole ([`Profile::check`]).
#[cfg(feature = "push")]
pub(crate) fn to_vec(profile: &Profile) -> Result<(Vec<u8>, u64)> {
    let mut bytes = Vec::new();
    let unpacked = write::write(profile, &mut bytes)?;
    Ok((bytes, unpacked))
}

/// Whether the bytes may be an uncompressed profile: they start with fields of one.
pub(super) fn is_plausible(bytes: &[u8]) -> bool {
    scan::is_plausible(bytes)
}
