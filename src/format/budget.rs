//! How much memory a profile may take while it is read.
//!
//! A file of a few megabytes can ask for a thousand times as much: two bytes are an entry, and a reference to a
//! long text is a copy of it. So entries are counted before there is room made for them, and texts as they are
//! copied. Counts are of what the entries hold, not of what the allocator makes of it: right to within a factor of two.
#![forbid(unsafe_code)]

use std::cell::Cell;

use crate::error::{Error, Result};

/// What every file may take, bytes.
const LEAST: u64 = 256 << 20;
/// What no file may take, bytes. A profile of a million stacks of 30 frames takes about 1 GiB.
const MOST: u64 = 4 << 30;
/// What a file may take by its unpacked size. A dump of heapsite takes 3 to 4 times its.
const TIMES: u64 = 32;

/// Memory that is left, bytes.
#[derive(Debug)]
pub(super) struct Budget {
    whole: u64,
    left: Cell<u64>,
}

impl Budget {
    /// For a file of `len` bytes, unpacked.
    pub(super) fn new(len: usize) -> Budget {
        Budget::of((len as u64).saturating_mul(TIMES).clamp(LEAST, MOST))
    }

    fn of(whole: u64) -> Budget {
        Budget {
            whole,
            left: Cell::new(whole),
        }
    }

    /// Takes the room for `count` entries of `size` bytes each.
    ///
    /// # Errors
    /// There is not so much left.
    pub(super) fn take(&self, count: usize, size: usize) -> Result<()> {
        let bytes = (count as u64).saturating_mul(size as u64);
        match self.left.get().checked_sub(bytes) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => Err(self.exceeded()),
        }
    }

    #[cold]
    fn exceeded(&self) -> Error {
        Error::input(format!(
            "the profile would take more than {} MiB of memory, which is more than is accepted for a file of its \
             size (between {} and {} MiB, by its unpacked bytes)",
            self.whole >> 20,
            LEAST >> 20,
            MOST >> 20
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_to_the_last_byte_and_no_further() {
        let budget = Budget::of(100);
        assert!(budget.take(10, 10).is_ok());
        assert!(budget.take(0, 10).is_ok());
        let error = budget.take(1, 1).unwrap_err();
        assert!(error.is_input() && error.to_string().contains("0 MiB"));
        assert!(Budget::of(100).take(usize::MAX, usize::MAX).is_err());
        assert_eq!(Budget::new(0).whole, LEAST);
        assert_eq!(Budget::new(10 << 20).whole, 320 << 20);
        assert_eq!(Budget::new(usize::MAX).whole, MOST);
    }
}
