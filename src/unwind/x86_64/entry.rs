//! From a code address to its frame description: `.eh_frame_hdr`, FDE, CIE (LSB 5.0 section 10.6).

use super::cursor::Cursor;
use crate::profile::Cut;
use crate::sys::objects::Object;

/// What an FDE and its CIE say before any instruction has run.
pub(super) struct Entry {
    /// First address it describes.
    pub(super) start: u64,
    /// Instructions that every FDE of the CIE shares.
    pub(super) common: Cursor,
    /// Its own instructions.
    pub(super) own: Cursor,
    /// Encoding of code addresses in the instructions.
    pub(super) encoding: u8,
    pub(super) code_align: u64,
    pub(super) data_align: i64,
    /// `S` augmentation: the frame's caller was interrupted, so its pc is exact. It does *not* mean that this is the
    /// kernel's signal frame: coroutine libraries use it too.
    pub(super) exact: bool,
}

impl Entry {
    pub(super) const EMPTY: Entry = Entry {
        start: 0,
        common: Cursor::EMPTY,
        own: Cursor::EMPTY,
        encoding: 0,
        code_align: 0,
        data_align: 0,
        exact: false,
    };
}

const DATAREL_I32: u8 = 0x3b;
const U32: u8 = 0x03;

/// Reads the entry that covers `pc`.
pub(super) fn find(object: &Object, pc: u64, e: &mut Entry) -> Result<(), Cut> {
    match search(object, pc) {
        Some(at) if parse(object, at, pc, e).is_some() => Ok(()),
        _ => Err(Cut::NoUnwindInfo),
    }
}

/// Address of the FDE that starts last at or below `pc`.
#[inline(never)]
fn search(object: &Object, pc: u64) -> Option<u64> {
    let hdr = object.eh_frame_hdr;
    // SAFETY: the loader says that the header lies in the object, which is mapped from start to end.
    let mut c = unsafe { Cursor::new(object.inside(hdr)?, object.end) };
    let (version, frame_enc, count_enc, table_enc) = (c.u8()?, c.u8()?, c.u8()?, c.u8()?);
    // Every linker writes this table; without it there would be a linear search through megabytes.
    if version != 1 || count_enc != U32 || table_enc != DATAREL_I32 {
        return None;
    }
    c.pointer(frame_enc)?;
    let count = c.unsigned(4)?;
    let table = c.at();
    c.skip(count.checked_mul(8)?)?;
    // The last row that starts at or below pc.
    let (mut lo, mut hi) = (0u64, count);
    while lo < hi {
        let mid = lo.wrapping_add(hi) / 2;
        if word(table, mid, 0).wrapping_add(hdr) <= pc {
            lo = mid.wrapping_add(1);
        } else {
            hi = mid;
        }
    }
    let row = lo.checked_sub(1)?;
    Some(word(table, row, 4).wrapping_add(hdr))
}

/// The sign-extended 32-bit number at `table[row]` + `offset`.
#[inline]
fn word(table: u64, row: u64, offset: u64) -> u64 {
    let at = table.wrapping_add(row.wrapping_mul(8)).wrapping_add(offset);
    // SAFETY: `find` checked that all rows lie in the object's mapping.
    i64::from(unsafe { (at as *const i32).read_unaligned() }) as u64
}

/// Body of the length-prefixed record at `at`.
fn record(object: &Object, at: u64) -> Option<Cursor> {
    // SAFETY: `inside` keeps it in the object's mapping.
    let mut c = unsafe { Cursor::new(object.inside(at)?, object.end) };
    let length = match c.unsigned(4)? {
        0xffff_ffff => c.unsigned(8)?,
        n => n,
    };
    c.split(length)
}

/// Reads the FDE at `at`, which must cover `pc`.
#[inline(never)]
fn parse(object: &Object, at: u64, pc: u64, e: &mut Entry) -> Option<()> {
    e.own = record(object, at)?;
    // In .eh_frame the distance back to the CIE has 4 bytes, whatever the length's size; 0 would be a CIE.
    let here = e.own.at();
    let back = e.own.unsigned(4)?;
    if back == 0 {
        return None;
    }
    e.common = record(object, here.wrapping_sub(back))?;
    let sized = common(e)?;
    e.start = e.own.pointer(e.encoding)?;
    let size = e.own.pointer(e.encoding & 0x0f)?;
    if pc < e.start || pc.wrapping_sub(e.start) >= size {
        return None;
    }
    if sized {
        let n = e.own.uleb()?;
        e.own.skip(n)?;
    }
    Some(())
}

/// Reads the CIE that `e.common` spans, up to its instructions; true if FDEs have augmentation data, with a length.
#[inline(never)]
fn common(e: &mut Entry) -> Option<bool> {
    let c = &mut e.common;
    if c.unsigned(4)? != 0 {
        return None;
    }
    let version = c.u8()?;
    let mut augmentation = *c;
    while c.u8()? != 0 {}
    match version {
        1 | 3 => {}
        4 => {
            // address size, segment selector size
            if c.unsigned(2)? != 8 {
                return None;
            }
        }
        _ => return None,
    }
    e.code_align = c.uleb()?;
    e.data_align = c.sleb()?;
    let ra = if version == 1 {
        c.unsigned(1)?
    } else {
        c.uleb()?
    };
    if ra != 16 {
        return None;
    }
    match augmentation.u8()? {
        0 => return Some(false),
        b'z' => {}
        _ => return None,
    }
    let n = c.uleb()?;
    let data = c.split(n)?;
    augmented(e, augmentation, data)?;
    Some(true)
}

/// The letters after `z`, and the data they stand for.
#[inline(never)]
fn augmented(e: &mut Entry, mut letters: Cursor, mut data: Cursor) -> Option<()> {
    loop {
        match letters.u8()? {
            0 => return Some(()),
            b'R' => e.encoding = data.u8()?,
            b'L' => data.skip(1)?,
            b'P' => {
                // The personality routine is only skipped: its base and indirection do not matter.
                let enc = data.u8()?;
                data.pointer(enc & 0x0f)?;
            }
            b'S' => e.exact = true,
            _ => return None,
        }
    }
}

impl Object {
    fn inside(&self, at: u64) -> Option<u64> {
        (at >= self.start && at < self.end).then_some(at)
    }
}
