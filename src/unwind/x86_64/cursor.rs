//! A bounded reader of unwind tables: integers, LEB128, encoded pointers (DWARF 5 section 7.6; LSB 5.0 section 10.5).

/// Reads forward in `[at, end)`; `None` once something does not fit.
#[derive(Clone, Copy)]
pub(super) struct Cursor {
    at: u64,
    end: u64,
}

impl Cursor {
    pub(super) const EMPTY: Cursor = Cursor { at: 0, end: 0 };

    /// # Safety
    /// `[at, end)` must stay readable while the cursor is used (an object's mapping, or empty).
    pub(super) unsafe fn new(at: u64, end: u64) -> Cursor {
        Cursor { at, end }
    }

    pub(super) fn at(&self) -> u64 {
        self.at
    }

    pub(super) fn is_empty(&self) -> bool {
        self.at >= self.end
    }

    /// Address of the next `n` bytes, which are skipped.
    #[inline]
    fn take(&mut self, n: u64) -> Option<u64> {
        if self.at > self.end || self.end.wrapping_sub(self.at) < n {
            return None;
        }
        let at = self.at;
        self.at = at.wrapping_add(n);
        Some(at)
    }

    pub(super) fn skip(&mut self, n: u64) -> Option<()> {
        self.take(n).map(drop)
    }

    /// The next `n` bytes as a cursor of their own.
    pub(super) fn split(&mut self, n: u64) -> Option<Cursor> {
        let at = self.take(n)?;
        Some(Cursor { at, end: self.at })
    }

    /// Little-endian unsigned integer of `n` = 1, 2, 4 or 8 bytes.
    #[inline]
    pub(super) fn unsigned(&mut self, n: u64) -> Option<u64> {
        let at = self.take(n)?;
        // SAFETY: `take` kept `[at, at + n)` inside the range that `new` was promised to be readable.
        unsafe {
            Some(match n {
                1 => u64::from((at as *const u8).read()),
                2 => u64::from((at as *const u16).read_unaligned()),
                4 => u64::from((at as *const u32).read_unaligned()),
                8 => (at as *const u64).read_unaligned(),
                _ => return None,
            })
        }
    }

    /// The same, sign-extended.
    #[inline]
    pub(super) fn signed(&mut self, n: u64) -> Option<i64> {
        let v = self.unsigned(n)?;
        Some(match n {
            1 => i64::from(v as i8),
            2 => i64::from(v as i16),
            4 => i64::from(v as i32),
            _ => v as i64,
        })
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.unsigned(1).map(|v| v as u8)
    }

    /// Unsigned LEB128; bits beyond 64 are dropped.
    pub(super) fn uleb(&mut self) -> Option<u64> {
        let (mut v, mut shift) = (0u64, 0u32);
        loop {
            let b = self.u8()?;
            if shift < 64 {
                v |= u64::from(b & 0x7f) << shift;
            }
            if b & 0x80 == 0 {
                return Some(v);
            }
            shift = shift.saturating_add(7);
        }
    }

    /// Signed LEB128.
    pub(super) fn sleb(&mut self) -> Option<i64> {
        let (mut v, mut shift) = (0u64, 0u32);
        loop {
            let b = self.u8()?;
            if shift < 64 {
                v |= u64::from(b & 0x7f) << shift;
            }
            shift = shift.saturating_add(7);
            if b & 0x80 == 0 {
                if shift < 64 && b & 0x40 != 0 {
                    v |= u64::MAX << shift;
                }
                return Some(v as i64);
            }
        }
    }

    /// A pointer in the `DW_EH_PE_*` encoding `enc`; absolute or pc-relative, the two that x86-64 code addresses use.
    pub(super) fn pointer(&mut self, enc: u8) -> Option<u64> {
        let base = match enc & 0xf0 {
            0x00 => 0,
            0x10 => self.at,
            _ => return None,
        };
        let v = match enc & 0x0f {
            0x00 | 0x04 | 0x0c => self.unsigned(8)?,
            0x01 => self.uleb()?,
            0x02 => self.unsigned(2)?,
            0x03 => self.unsigned(4)?,
            0x09 => self.sleb()? as u64,
            0x0a => self.signed(2)? as u64,
            0x0b => self.signed(4)? as u64,
            _ => return None,
        };
        Some(base.wrapping_add(v))
    }
}
