//! Time since the recorder's first event, in ticks that fit a live sample.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

use super::live_map::MAX_BIRTH;
use crate::sys;

/// 8.192 µs: short enough to tell churn from working set, and 2^42 of them are 417 days.
const TICK_BITS: u32 = 13;

static START: AtomicU64 = AtomicU64::new(0);
/// The cycle counter at about the same moment.
static START_CYCLES: AtomicU64 = AtomicU64::new(0);

/// Starts the clock unless it runs; whoever is first decides.
pub(crate) fn start() {
    // Relaxed: one number. 0 means not started, so a clock that reads 0 starts at 1.
    let now = sys::monotonic_nanos().max(1);
    if START
        .compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed)
        .is_ok()
    {
        START_CYCLES.store(sys::cycles(), Ordering::Relaxed);
    }
}

/// The time that a test tells, nanoseconds since the start; 0: the real one holds.
#[cfg(feature = "internals")]
static TOLD: AtomicU64 = AtomicU64::new(0);

/// From here on it is this time, nanoseconds since the start, until told again. For tests of what takes hours.
#[cfg(feature = "internals")]
pub(crate) fn tell(nanos: u64) {
    // Relaxed: one number.
    TOLD.store(nanos, Ordering::Relaxed);
}

fn told() -> Option<u64> {
    #[cfg(feature = "internals")]
    {
        // Relaxed: one number.
        Some(TOLD.load(Ordering::Relaxed)).filter(|&nanos| nanos > 0)
    }
    #[cfg(not(feature = "internals"))]
    {
        None
    }
}

/// Nanoseconds since the start; 0 before it.
pub(crate) fn nanos() -> u64 {
    if let Some(nanos) = told() {
        return nanos;
    }
    match START.load(Ordering::Relaxed) {
        0 => 0,
        start => sys::monotonic_nanos().saturating_sub(start),
    }
}

/// How long a cycle of [`sys::cycles`] is, nanoseconds: both clocks' way since the start. The longer that is ago the
/// better; 0 before it.
pub(crate) fn nanos_per_cycle() -> f64 {
    let cycles = sys::cycles().saturating_sub(START_CYCLES.load(Ordering::Relaxed));
    nanos() as f64 / cycles.max(1) as f64
}

/// Ticks since the start; they stand still after 417 days, and later births look 417 days old.
pub(crate) fn ticks() -> u64 {
    (nanos() >> TICK_BITS).min(MAX_BIRTH)
}

/// A thread's last reading of the clock. Reading it costs more than everything else that a free does, so readings that
/// are a moment old count as now.
pub(crate) struct LastReading {
    cycles: Cell<u64>,
    ticks: Cell<u64>,
}

/// Processor cycles that a reading is good for: 1 to 4 µs, less than a tick.
const FRESH_CYCLES: u64 = 4096;

impl LastReading {
    pub(crate) const fn new() -> LastReading {
        LastReading {
            cycles: Cell::new(0),
            ticks: Cell::new(0),
        }
    }

    /// [`ticks`], up to [`FRESH_CYCLES`] late.
    ///
    /// A handler that interrupts this may leave its newer cycles with older ticks, or the other way round: a reading
    /// that is off by the length of that handler, once.
    pub(crate) fn ticks(&self) -> u64 {
        if told().is_some() {
            return ticks();
        }
        let cycles = sys::cycles();
        // A thread that moved to a processor whose counter is behind gets a huge difference, and reads the clock.
        if cycles.wrapping_sub(self.cycles.get()) >= FRESH_CYCLES {
            self.ticks.set(ticks());
            self.cycles.set(cycles);
        }
        self.ticks.get()
    }
}

/// Nanoseconds of a number of ticks.
pub(crate) fn ticks_to_nanos(ticks: u64) -> u64 {
    ticks << TICK_BITS
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn readers_know_when_births_stand_still() {
        assert_eq!(
            ticks_to_nanos(MAX_BIRTH),
            crate::profile::growth::LAST_BIRTH_NANOS
        );
    }
}
