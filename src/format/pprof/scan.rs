//! A walk over the top-level fields of an uncompressed profile as it comes: it finds where a file breaks off, and files that
//! are several profiles in a row, both of which a protobuf decoder would blur; and no more of the file is in memory than
//! the field that is looked at.
#![forbid(unsafe_code)]

use std::io::Read;

use super::gzip::ours;
use crate::error::{Error, Result};

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

/// How much is read at a time.
const BLOCK: usize = 64 << 10;

/// The top-level fields of a profile, one after the other, from a source that is never in memory as a whole.
pub(super) struct Fields<R> {
    source: R,
    /// What has been read and not yet been left behind.
    window: Vec<u8>,
    /// Where the next field begins in `window`.
    from: usize,
    /// Where that is in the source.
    at: u64,
    seen: [bool; FIELDS.len()],
}

/// A field of the profile: its number, its contents, and both with the key.
pub(super) struct Field<'a> {
    pub(super) number: u64,
    pub(super) contents: &'a [u8],
    pub(super) whole: &'a [u8],
}

impl<R: Read> Fields<R> {
    pub(super) fn new(source: R) -> Fields<R> {
        Fields {
            source,
            window: Vec::new(),
            from: 0,
            at: 0,
            seen: [false; FIELDS.len()],
        }
    }

    /// Bytes of the fields so far.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// The next field that is known; `None`: the end.
    ///
    /// # Errors
    /// The source fails, breaks off within a field, is no protobuf message, or has a second profile in it.
    pub(super) fn next(&mut self) -> Result<Option<Field<'_>>> {
        loop {
            // Two numbers of at most ten bytes; what else there is may be less.
            self.fill(20)?;
            let mut rest = &self.window[self.from..];
            if rest.is_empty() {
                return Ok(None);
            }
            let (number, wire) = key(&mut rest).map_err(|broken| self.broken(&broken))?;
            let key_len = self.window.len() - self.from - rest.len();
            check_wire(number, wire).map_err(|broken| self.broken(&broken))?;
            if wire == DELIMITED
                && let Some(len) = varint(&mut rest)
                && let Ok(len) = usize::try_from(len)
            {
                let head = self.window.len() - self.from - rest.len();
                self.fill(head.saturating_add(len))?;
            }
            let mut rest = &self.window[self.from + key_len..];
            if let Err(broken) = contents(number, wire, &mut rest) {
                return Err(self.broken(&broken));
            }
            let (begin, end) = (self.from, self.window.len() - rest.len());
            let at = self.at;
            (self.from, self.at) = (end, at + (end - begin) as u64);
            let Some((name, once, _)) = entry(number) else {
                continue; // A field of a later version.
            };
            let seen = &mut self.seen[number as usize];
            if *once && *seen {
                return Err(Error::input(format!(
                    "the file is several profiles in a row: {name} comes a second time at byte {at}; \
                     split it, then use `heapsite merge`"
                )));
            }
            *seen = true;
            let whole = &self.window[begin..end];
            let mut rest = &whole[key_len..];
            // It was there a moment ago.
            let contents = contents(number, wire, &mut rest).unwrap_or_default();
            return Ok(Some(Field {
                number,
                contents,
                whole,
            }));
        }
    }

    /// Sees to it that `len` bytes from `from` on are in the window, or all that are left. What a field claims to be long
    /// is not believed: room is made for what has come, and as much again.
    fn fill(&mut self, len: usize) -> Result<()> {
        while self.window.len() - self.from < len {
            self.window.drain(..self.from);
            self.from = 0;
            // One field that was large is no reason to keep its room.
            if self.window.capacity() > 4 * BLOCK && len <= BLOCK {
                self.window.shrink_to(BLOCK);
            }
            let have = self.window.len();
            let more = BLOCK.max(have).min(BLOCK.max(len - have));
            self.window.reserve_exact(more);
            let read = self
                .source
                .by_ref()
                .take(more as u64)
                .read_to_end(&mut self.window)
                .map_err(ours)?;
            if read == 0 {
                break;
            }
        }
        Ok(())
    }

    #[cold]
    fn broken(&self, broken: &Broken) -> Error {
        let at = self.at;
        Error::input(match *broken {
            Broken::Key => format!("not a pprof profile: no protobuf field at byte {at}"),
            Broken::WireType(number, wire) => {
                let name = name(number);
                format!("not a pprof profile: {name} at byte {at} has wire type {wire}")
            }
            Broken::CutShort(number) => {
                let (name, left) = (name(number), self.window.len() - self.from);
                format!(
                    "the profile is cut short: {name} at byte {at} is longer than the {left} bytes left"
                )
            }
        })
    }
}

/// What is known of a field.
fn entry(number: u64) -> Option<&'static (&'static str, bool, bool)> {
    FIELDS.get(usize::try_from(number).ok()?)
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
    match entry(number) {
        Some((name, ..)) => format!("field {number} ({name})"),
        None => format!("field {number}"),
    }
}

/// Steps over one field of the profile and returns its number and contents.
fn field<'a>(rest: &mut &'a [u8]) -> Result<(u64, &'a [u8]), Broken> {
    let (number, wire) = key(rest)?;
    check_wire(number, wire)?;
    Ok((number, contents(number, wire, rest)?))
}

/// Whether a field of the profile may have this wire type.
fn check_wire(number: u64, wire: u64) -> Result<(), Broken> {
    let Some(&(_, _, delimited)) = entry(number) else {
        return Ok(());
    };
    // Repeated numbers may be packed.
    let fits = match wire {
        DELIMITED => delimited || number as usize == COMMENT,
        VARINT => !delimited,
        _ => false,
    };
    match fits {
        true => Ok(()),
        false => Err(Broken::WireType(number, wire)),
    }
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
