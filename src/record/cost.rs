//! What recording costs, measured by the recorder itself: the time of a few sampled events, chosen at random, stands for
//! all of them.
//!
//! An event that is timed with probability 1/n counts n times: unbiased, whatever pattern the events have (Horvitz and
//! Thompson). Throwing the dice at each event takes six instructions; two readings of the cycle counter and the sums
//! take some 100 ns, at these odds below 1 ns per event.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

use super::clock;
use crate::sync::float;
use crate::sync::lane::Lane;
use crate::sync::sharded::Sharded;
use crate::sys;

/// One event in 2^2 is timed while allocations are sampled, which is seldom and costs microseconds, …
const SAMPLED_BITS: u32 = 2;
/// … and one in 2^8 where each allocation is an event.
const EXACT_BITS: u32 = 8;

/// An event of more cycles, a few hundred microseconds, has lost its processor in between: that is not the recorder's time.
/// Counted, and left out; otherwise one pause of a thread would stand for 2^8 of them.
const LONGEST: u64 = 1 << 20;

// Relaxed throughout: sums of their own.
static CYCLES: AtomicU64 = AtomicU64::new(0);
/// Of `CYCLES`, as `f64` bits: Σ cycles²·(1−p)/p².
static VARIANCE: AtomicU64 = AtomicU64::new(0);
static TIMED: AtomicU64 = AtomicU64::new(0);
static INTERRUPTED: AtomicU64 = AtomicU64::new(0);
/// Threads that do not sample write only to their own line.
static LOOK_UPS: Sharded = Sharded::new();

/// A thread's part.
pub(crate) struct Cost {
    /// State of a linear congruential generator; 0: not seeded yet.
    dice: Cell<u64>,
    /// Look-ups that the total does not have yet.
    look_ups: Cell<u32>,
}

/// When an event began, and the odds' logarithm that it is timed with; `None`: it is not.
pub(super) struct Started(Option<(u64, u32)>);

impl Cost {
    pub(super) const fn new() -> Cost {
        Cost {
            dice: Cell::new(0),
            look_ups: Cell::new(0),
        }
    }

    /// Before an event. `seed` is asked once per thread.
    #[inline]
    pub(super) fn start(&self, exact: bool, seed: impl FnOnce() -> u64) -> Started {
        let mut dice = self.dice.get();
        if dice == 0 {
            dice = seed() | 1;
        }
        // Knuth's MMIX constants; the high bits are the good ones.
        dice = dice
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.dice.set(dice);
        let bits = if exact { EXACT_BITS } else { SAMPLED_BITS };
        Started((dice >> (u64::BITS - bits) == 0).then(|| (sys::cycles(), bits)))
    }

    pub(super) fn count_look_up(&self) {
        self.look_ups.set(self.look_ups.get().wrapping_add(1));
    }

    /// Adds the thread's look-ups to the total.
    pub(super) fn publish(&self, lane: Lane) {
        LOOK_UPS.add(lane, self.look_ups.replace(0).into());
    }
}

impl Started {
    /// After the event.
    #[inline]
    pub(super) fn end(self) {
        if let Started(Some((start, bits))) = self {
            // A thread that moved to a processor whose counter is behind looks interrupted.
            count(sys::cycles().wrapping_sub(start), bits);
        }
    }
}

#[cold]
#[inline(never)]
fn count(cycles: u64, bits: u32) {
    if cycles > LONGEST {
        INTERRUPTED.fetch_add(1, Ordering::Relaxed);
        return;
    }
    TIMED.fetch_add(1, Ordering::Relaxed);
    CYCLES.fetch_add(cycles << bits, Ordering::Relaxed);
    let (each, stands_for) = (cycles as f64, (1u64 << bits) as f64);
    // (1−p)/p² with p = 1/n is n²−n.
    float::add(&VARIANCE, each * each * stands_for * (stands_for - 1.0));
}

/// The totals, read out.
#[derive(Debug)]
pub(crate) struct CostRead {
    pub(crate) look_ups: u64,
    /// Estimate, and its standard error.
    pub(crate) nanos: f64,
    pub(crate) nanos_error: f64,
    pub(crate) timed: u64,
    pub(crate) interrupted: u64,
}

pub(crate) fn read() -> CostRead {
    let nanos_per_cycle = clock::nanos_per_cycle();
    CostRead {
        look_ups: LOOK_UPS.sum().max(0) as u64,
        nanos: CYCLES.load(Ordering::Relaxed) as f64 * nanos_per_cycle,
        nanos_error: float::load(&VARIANCE).max(0.0).sqrt() * nanos_per_cycle,
        timed: TIMED.load(Ordering::Relaxed),
        interrupted: INTERRUPTED.load(Ordering::Relaxed),
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn events_are_timed_at_the_stated_odds() {
        // Seeded, so the same in each run; within 5 standard deviations of a binomial all the same.
        for (exact, odds) in [(false, 4.0), (true, 256.0)] {
            let cost = Cost::new();
            let timed = (0..100_000)
                .filter(|_| cost.start(exact, || 7).0.is_some())
                .count() as f64;
            let mean = 100_000.0 / odds;
            assert!((timed - mean).abs() < 5.0 * mean.sqrt(), "{timed}");
        }
    }

    #[test]
    fn a_timed_event_counts_for_those_that_were_not() {
        clock::start();
        let before = (CYCLES.load(Ordering::Relaxed), read());
        count(1000, 6);
        count(LONGEST + 1, 6);
        // Other tests of this process may add to it.
        assert!(CYCLES.load(Ordering::Relaxed) - before.0 >= 64_000);
        assert!(read().interrupted > before.1.interrupted && read().timed > before.1.timed);
        assert!(read().nanos_error > before.1.nanos_error);
    }
}
