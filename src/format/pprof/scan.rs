//! A walk over the top-level fields of an uncompressed profile, before it is decoded: it finds where a file
//! breaks off, and files that are several profiles in a row, both of which a protobuf decoder would blur.
#![forbid(unsafe_code)]

use super::entries;
use crate::error::{Error, Result};
use crate::format::budget::Budget;

/// Field number and name; whether it comes once; whether it is length-delimited.
const FIELDS: [(&str, bool, bool); 16] = [
    ("", false, false),
    ("sample_type", false, true),
    ("sample", false, true),
    ("mapping", false, true),
    ("location", false, true),
    ("function", false, true),
    ("string_table", false, true),
    ("drop_frames", true, false),
    ("keep_frames", true, false),
    ("time_nanos", true, false),
    ("duration_nanos", true, false),
    ("period_type", true, true),
    ("period", true, false),
    ("comment", false, false),
    ("default_sample_type", true, false),
    ("doc_url", true, false),
];
const COMMENT: usize = 13;

const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const DELIMITED: u64 = 2;
const FIXED32: u64 = 5;

/// What a profile has most of, each where it lies in the file.
#[derive(Default)]
pub(super) struct Parts<'a> {
    pub(super) samples: Vec<&'a [u8]>,
    pub(super) strings: Vec<&'a [u8]>,
}

/// Checks that the bytes are whole fields of one profile, takes the room for its entries, and finds its samples and texts.
pub(super) fn check<'a>(bytes: &'a [u8], budget: &Budget) -> Result<Parts<'a>> {
    let mut parts = Parts::default();
    let mut seen = [false; FIELDS.len()];
    let mut rest = bytes;
    while !rest.is_empty() {
        let at = bytes.len() - rest.len();
        let (field, contents) = field(&mut rest).map_err(|broken| {
            Error::input(match broken {
                Broken::Key => format!("not a pprof profile: no protobuf field at byte {at}"),
                Broken::WireType(number, wire) => {
                    let name = name(number);
                    format!("not a pprof profile: {name} at byte {at} has wire type {wire}")
                }
                Broken::CutShort(number) => {
                    let (name, left) = (name(number), bytes.len() - at);
                    format!(
                        "the profile is cut short: {name} at byte {at} is longer than the {left} bytes left"
                    )
                }
            })
        })?;
        let Some(&(name, once, _)) = usize::try_from(field).ok().and_then(|n| FIELDS.get(n)) else {
            continue; // A field of a later version.
        };
        entries::take(field, contents, budget)?;
        match field {
            2 => parts.samples.push(contents),
            6 => parts.strings.push(contents),
            _ => {}
        }
        let seen = &mut seen[field as usize];
        if once && *seen {
            return Err(Error::input(format!(
                "the file is several profiles in a row: {name} comes a second time at byte {at}; \
                 split it, then use `heapsite merge`"
            )));
        }
        *seen = true;
    }
    Ok(parts)
}

/// Whether the bytes start with up to eight well-formed fields of a profile.
pub(super) fn is_plausible(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    let mut fields = 0;
    while !rest.is_empty() && fields < 8 {
        match field(&mut rest) {
            Ok((number, _)) if (number as usize) < FIELDS.len() => fields += 1,
            // A prefix may end within a field.
            Err(Broken::CutShort(number)) if fields > 0 => return (number as usize) < FIELDS.len(),
            _ => return false,
        }
    }
    fields > 0
}

enum Broken {
    Key,
    WireType(u64, u64),
    CutShort(u64),
}

fn name(number: u64) -> String {
    match usize::try_from(number).ok().and_then(|n| FIELDS.get(n)) {
        Some((name, ..)) => format!("field {number} ({name})"),
        None => format!("field {number}"),
    }
}

/// Steps over one field of the profile and returns its number and contents.
fn field<'a>(rest: &mut &'a [u8]) -> Result<(u64, &'a [u8]), Broken> {
    let (number, wire) = key(rest)?;
    if let Some(&(_, _, delimited)) = FIELDS.get(number as usize) {
        // Repeated numbers may be packed.
        let fits = match wire {
            DELIMITED => delimited || number as usize == COMMENT,
            VARINT => !delimited,
            _ => false,
        };
        if !fits {
            return Err(Broken::WireType(number, wire));
        }
    }
    Ok((number, contents(number, wire, rest)?))
}

/// Steps over one field of any message and returns its number and contents; `None` at the end and where it is
/// damaged.
pub(super) fn any_field<'a>(rest: &mut &'a [u8]) -> Option<(u64, &'a [u8])> {
    let (number, wire) = key(rest).ok()?;
    Some((number, contents(number, wire, rest).ok()?))
}

/// Field number and wire type.
fn key(rest: &mut &[u8]) -> Result<(u64, u64), Broken> {
    let key = varint(rest).ok_or(Broken::Key)?;
    let (number, wire) = (key >> 3, key & 7);
    if number == 0 || number > (1 << 29) - 1 {
        return Err(Broken::Key);
    }
    Ok((number, wire))
}

fn contents<'a>(number: u64, wire: u64, rest: &mut &'a [u8]) -> Result<&'a [u8], Broken> {
    let len = match wire {
        VARINT => {
            let start = *rest;
            varint(rest).ok_or(Broken::CutShort(number))?;
            return Ok(&start[..start.len() - rest.len()]);
        }
        FIXED64 => 8,
        DELIMITED => varint(rest).ok_or(Broken::CutShort(number))?,
        FIXED32 => 4,
        _ => return Err(Broken::WireType(number, wire)),
    };
    let parts = usize::try_from(len)
        .ok()
        .and_then(|len| rest.split_at_checked(len));
    let (contents, after) = parts.ok_or(Broken::CutShort(number))?;
    *rest = after;
    Ok(contents)
}

/// Steps over a number of up to ten bytes; bits beyond the 64th are dropped.
pub(super) fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for (index, &byte) in rest.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            *rest = &rest[index + 1..];
            return Some(value);
        }
    }
    None
}
