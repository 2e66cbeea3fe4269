//! "Could this address be sampled?" in five instructions: the only work of almost every free.
//!
//! One byte per page number, direct-mapped: how many live samples begin on pages with that number. It is
//! raised before an allocation is returned and lowered once its sample has been removed, so a sampled
//! address always finds its byte above zero; at 512 KiB about one page in 128 of a program's heap does.
//! A byte that reaches 255 stays there: its pages are then looked up always, which is slower, not wrong.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU8, Ordering};

use super::fast;

/// 4 GiB of addresses in 4 KiB pages before numbers repeat: 1 MiB, of which only what is used is resident.
const PAGES: usize = 1 << 20;
const STUCK: u8 = u8::MAX;

pub(crate) struct LiveFilter([AtomicU8; PAGES]);

impl LiveFilter {
    pub(crate) const fn new() -> LiveFilter {
        LiveFilter([const { AtomicU8::new(0) }; PAGES])
    }

    /// Where it lies and how long it is, bytes.
    pub(crate) fn place(&self) -> (usize, usize) {
        (self.0.as_ptr() as usize, PAGES)
    }

    /// `false`: certainly not sampled.
    #[inline(always)]
    pub(crate) fn may_hold(&self, address: usize) -> bool {
        // Relaxed: the address reached this thread by some synchronisation of the program's, and that
        // carries the increment made before the address was first returned.
        fast::is_set(&self.0[index(address)])
    }

    /// A sample now lives at `address`. Call before the address is returned to the program.
    pub(crate) fn add(&self, address: usize) {
        self.change(address, |count| count + 1);
    }

    /// The sample at `address` has been removed from the live map.
    pub(crate) fn remove(&self, address: usize) {
        self.change(address, |count| count - 1);
    }

    fn change(&self, address: usize, to: impl Fn(u8) -> u8) {
        let byte = &self.0[index(address)];
        // Relaxed: see `may_hold`. Lock-free: a lost race means another thread's change went through.
        let mut count = byte.load(Ordering::Relaxed);
        while count != STUCK {
            match byte.compare_exchange_weak(count, to(count), Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return,
                Err(current) => count = current,
            }
        }
    }
}

/// The low 32 bits without the offset in the page: truncation and shift, no mask.
#[inline(always)]
fn index(address: usize) -> usize {
    (address as u32 >> 12) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    static FILTER: LiveFilter = LiveFilter::new();

    #[test]
    fn counts_per_page_and_sticks_at_the_top() {
        assert!(!FILTER.may_hold(0x7f00_1234_5678));
        FILTER.add(0x7f00_1234_5678);
        assert!(FILTER.may_hold(0x7f00_1234_5000), "same page");
        assert!(FILTER.may_hold(0x7f01_1234_5000), "same number, 4 GiB on");
        assert!(!FILTER.may_hold(0x7f00_1234_6000), "next page");
        FILTER.remove(0x7f00_1234_5678);
        assert!(!FILTER.may_hold(0x7f00_1234_5678));
        for _ in 0..300 {
            FILTER.add(0x9000);
        }
        for _ in 0..300 {
            FILTER.remove(0x9000);
        }
        assert!(
            FILTER.may_hold(0x9000),
            "an overflowed count no longer knows when it is empty"
        );
    }
}
