//! Which counters a thread has to itself.
//!
//! A *lane* is a small number that belongs to one living thread, so that what is counted under it needs no locked
//! instruction and shares no cache line. Threads are told apart by the address of their thread-local memory: no two that
//! live have the same one, and whoever has a dead thread's got it from the C library, after that thread's end and with
//! all that it had written. So lanes are inherited with the memory, and nothing has to run when a thread ends.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicUsize, Ordering};

/// Threads that can have a lane of their own at the same time.
pub(crate) const OWN: usize = 64;
/// Lanes that all others share.
const SHARED: usize = 16;
/// All lanes.
pub(crate) const LANES: usize = OWN + SHARED;

/// The thread-local addresses that lanes belong to; taken in order, never given back.
static OWNERS: [AtomicUsize; OWN] = [const { AtomicUsize::new(0) }; OWN];

/// Its number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Lane(u32);

impl Lane {
    /// The lane of the calling thread, whose thread-local memory is at `address`.
    #[cold]
    pub(crate) fn of(address: usize) -> Lane {
        for (number, owner) in OWNERS.iter().enumerate() {
            // Relaxed throughout: it guards nothing. What the last thread at this address wrote came with the memory.
            let mut current = owner.load(Ordering::Relaxed);
            if current == 0 {
                match owner.compare_exchange(0, address, Ordering::Relaxed, Ordering::Relaxed) {
                    Ok(_) => return Lane(number as u32),
                    Err(winner) => current = winner,
                }
            }
            if current == address {
                return Lane(number as u32);
            }
        }
        // Thread-local memory starts at the same offset of its pages in all threads.
        Lane((OWN + (address >> 12) % SHARED) as u32)
    }

    /// The lane with this number.
    #[inline(always)]
    pub(crate) fn from_number(number: u32) -> Lane {
        Lane(number)
    }

    /// Its number, below [`LANES`].
    #[inline(always)]
    pub(crate) fn number(self) -> u32 {
        self.0
    }

    /// Nobody else has it.
    #[inline(always)]
    pub(crate) fn is_own(self) -> bool {
        self.0 < OWN as u32
    }
}

/// How many lanes there are to look at: the first so many, or all.
pub(crate) fn used() -> usize {
    OWNERS
        .iter()
        .position(|owner| owner.load(Ordering::Relaxed) == 0)
        .unwrap_or(LANES)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// Every address keeps its lane; when all are taken, the others share.
    #[test]
    fn an_address_has_one_lane() {
        // The threads of other tests may have lanes already.
        let lanes: Vec<Lane> = (1..=OWN + 8).map(|n| Lane::of(n << 12)).collect();
        for (n, lane) in (1..).zip(&lanes) {
            assert_eq!(Lane::of(n << 12), *lane);
        }
        for (n, lane) in lanes.iter().enumerate() {
            assert!(!lane.is_own() || !lanes[..n].contains(lane), "{lane:?}");
            assert!((lane.number() as usize) < LANES);
        }
        assert!(!lanes[OWN].is_own());
        assert_eq!(used(), LANES);
    }
}
