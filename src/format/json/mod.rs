//! heapsite's own JSON: everything a [`Profile`] holds, number for number.
//!
//! The schema is called `heapsite-profile/1` and described in `src/guide/formats.md`. Readers ignore keys they
//! do not know; a change that old readers would misread gets a new number.
#![forbid(unsafe_code)]

mod read;
mod rows;
mod write;

use std::io;

use serde::Deserialize;

use super::budget::Budget;
use crate::error::{Error, Result};
use crate::profile::Profile;

/// What the number after the slash belongs to.
const SCHEMA_NAME: &str = "heapsite-profile/";
/// The version that is written, and the newest that is read.
const SCHEMA_VERSION: u32 = 1;

/// Reads a profile.
///
/// # Errors
/// The text is not JSON or not in this schema (with line and column), the schema is newer than this reader, an
/// index points nowhere, or the profile would take more memory than is accepted (as for pprof).
pub fn read(bytes: &[u8]) -> Result<Profile> {
    let budget = Budget::new(bytes.len());
    budget.take(items(bytes), ITEM)?;
    match serde_json::from_slice::<rows::Document>(bytes) {
        Ok(document) => {
            check_schema(Some(&document.schema))?;
            read::profile(document, &budget)
        }
        Err(error) => {
            // A newer schema may well not fit; then that is what to say.
            if let Ok(head) = serde_json::from_slice::<Head>(bytes) {
                check_schema(head.schema.as_deref())?;
            }
            Err(Error::input("not a heapsite JSON profile").caused_by(error))
        }
    }
}

/// Writes a profile.
///
/// # Errors
/// The profile is not whole ([`Profile::check`]), or `out` fails.
pub fn write(profile: &Profile, out: &mut dyn io::Write) -> Result<()> {
    profile.check()?;
    write::write(profile, out).map_err(|error| Error::io("cannot write the JSON profile", error))
}

/// Whether the bytes are a JSON object that names our schema near its beginning.
pub(super) fn is_plausible(bytes: &[u8]) -> bool {
    let text = bytes.trim_ascii_start();
    let head = &text[..text.len().min(4096)];
    let name = SCHEMA_NAME.as_bytes();
    text.starts_with(b"{") && head.windows(name.len()).any(|part| part == name)
}

/// What an item of a list or object may take: the largest is an empty text.
const ITEM: usize = size_of::<String>();

/// How many items the lists and objects have together; those in texts count too, which does no harm.
fn items(bytes: &[u8]) -> usize {
    let begins = |byte: &&u8| matches!(byte, b',' | b'[' | b'{');
    bytes.iter().filter(begins).count()
}

#[derive(Deserialize)]
struct Head {
    schema: Option<String>,
}

fn check_schema(schema: Option<&str>) -> Result<()> {
    let Some(schema) = schema else {
        return Err(Error::input(format!(
            "not a heapsite JSON profile: it has no key \"schema\", which should be \
             \"{SCHEMA_NAME}{SCHEMA_VERSION}\""
        )));
    };
    let version = schema
        .strip_prefix(SCHEMA_NAME)
        .and_then(|number| number.parse::<u32>().ok());
    match version {
        Some(SCHEMA_VERSION) => Ok(()),
        Some(version) if version > SCHEMA_VERSION => Err(Error::unsupported(format!(
            "the profile has schema \"{schema}\", written by a newer heapsite; this one reads up to \
             \"{SCHEMA_NAME}{SCHEMA_VERSION}\""
        ))),
        _ => Err(Error::input(format!(
            "the JSON has schema \"{schema}\"; \"{SCHEMA_NAME}{SCHEMA_VERSION}\" is accepted"
        ))),
    }
}
