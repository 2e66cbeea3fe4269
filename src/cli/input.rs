//! Profiles from files, stdin and http addresses.
#![forbid(unsafe_code)]

use super::fetch;
use crate::{Error, Profile, Result, format};
use std::io::Read;

/// Reads a profile; the format is found by looking.
///
/// # Errors
/// The name could not be opened or fetched, or its bytes are no profile; names the input.
pub(super) fn read(name: &str) -> Result<Profile> {
    let bytes = bytes(name)?;
    format::read(&bytes).map_err(|error| error.context(display(name)))
}

/// The name to show.
pub(super) fn display(name: &str) -> &str {
    if name == "-" { "stdin" } else { name }
}

/// Only one input can come from stdin.
///
/// # Errors
/// More than one of `names` is `-`.
pub(super) fn check_stdin<'a>(names: impl IntoIterator<Item = &'a String>) -> Result<()> {
    match names.into_iter().filter(|name| *name == "-").count() {
        0 | 1 => Ok(()),
        _ => Err(Error::input(
            "only one profile can be read from stdin (`-`)",
        )),
    }
}

/// The most that is read of a file: as much as a profile may have, unpacked.
const LIMIT: u64 = 1 << 30;

fn bytes(name: &str) -> Result<Vec<u8>> {
    if name == "-" {
        return limited(std::io::stdin().lock(), "stdin");
    }
    if name.starts_with("http://") {
        return fetch::get(name);
    }
    if name.starts_with("https://") {
        return Err(Error::unsupported(format!(
            "{name}: https is not built in; use `curl -fsS '{name}' | heapsite … -`"
        )));
    }
    let file = std::fs::File::open(name);
    limited(
        file.map_err(|error| Error::io(format!("cannot read {name}"), error))?,
        name,
    )
}

/// Reads to the end. A device may have none.
fn limited(from: impl Read, name: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = from.take(LIMIT + 1).read_to_end(&mut bytes);
    read.map_err(|error| Error::io(format!("cannot read {name}"), error))?;
    match bytes.len() as u64 > LIMIT {
        true => Err(Error::input(format!(
            "{name} has more than {LIMIT} bytes, which is more than is accepted"
        ))),
        false => Ok(bytes),
    }
}
