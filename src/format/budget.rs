//! How much memory a profile may take while it is read.
//!
//! A file of a few megabytes can ask for a thousand times as much: two bytes are an entry, and a reference to a
//! long text is a copy of it. So entries are counted before there is room made for them, and texts as they are
//! copied. Counts are of what the entries hold, not of what the allocator makes of it: right to within a factor of two.
#![forbid(unsafe_code)]

use std::cell::Cell;

use crate::error::{Error, Result};

/// What every file may take, bytes.
const LEAST: u64 = 512 << 10;
/// What no file may take, bytes. A profile of a million stacks of 30 frames takes about 250 MiB.
const MOST: u64 = 8 << 30;
/// What a file may take by its unpacked size. A dump of heapsite takes 3 to 4 times its.
const TIMES: u64 = 32;

/// Memory that is left, bytes.
#[derive(Debug)]
pub(crate) struct Budget {
    /// Bytes that have been read.
    len: Cell<u64>,
    taken: Cell<u64>,
}

impl Budget {
    /// For a file of `len` bytes, unpacked.
    pub(crate) fn new(len: usize) -> Budget {
        let budget = Budget::growing();
        budget.read(len);
        budget
    }

    /// For a file that is read as it comes: [`Budget::read`] tells of its bytes.
    pub(super) fn growing() -> Budget {
        Budget {
            len: Cell::new(0),
            taken: Cell::new(0),
        }
    }

    /// So many more bytes have come.
    pub(super) fn read(&self, len: usize) {
        self.len.set(self.len.get().saturating_add(len as u64));
    }

    fn whole(&self) -> u64 {
        LEAST
            .saturating_add(self.len.get().saturating_mul(TIMES))
            .min(MOST)
    }

    /// Takes the room for `count` entries of `size` bytes each.
    ///
    /// # Errors
    /// There is not so much left.
    pub(crate) fn take(&self, count: usize, size: usize) -> Result<()> {
        let bytes = (count as u64).saturating_mul(size as u64);
        let taken = self.taken.get().saturating_add(bytes);
        if taken > self.whole() {
            return Err(self.exceeded());
        }
        self.taken.set(taken);
        Ok(())
    }

    #[cold]
    fn exceeded(&self) -> Error {
        Error::input(format!(
            "the profile would take more than {} KiB of memory, which is more than is accepted for {} bytes ({TIMES} \
             times their number and {} KiB, at most {} GiB)",
            self.whole() >> 10,
            self.len.get(),
            LEAST >> 10,
            MOST >> 30
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_to_the_last_byte_and_no_further() {
        let budget = Budget::growing();
        assert!(budget.take(LEAST as usize / 8, 8).is_ok());
        assert!(budget.take(0, 10).is_ok());
        let error = budget.take(1, 1).unwrap_err();
        assert!(error.is_input() && error.to_string().contains("512 KiB of memory"));
        assert!(budget.take(usize::MAX, usize::MAX).is_err());
        budget.read(2);
        assert!(budget.take(2, TIMES as usize).is_ok());
        assert!(budget.take(1, 1).is_err());
        assert_eq!(Budget::new(10 << 20).whole(), LEAST + (320 << 20));
        assert_eq!(Budget::new(usize::MAX).whole(), MOST);
    }
}
