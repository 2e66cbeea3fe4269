//! Time since the recorder's first event, in ticks that fit a live sample.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering};

use super::live_map::MAX_BIRTH;
use crate::sys;

/// 8.192 µs: short enough to tell churn from working set, and 2^42 of them are 417 days.
const TICK_BITS: u32 = 13;

static START: AtomicU64 = AtomicU64::new(0);

/// Starts the clock unless it runs; whoever is first decides.
pub(crate) fn start() {
    // Relaxed: one number. 0 means not started, so a clock that reads 0 starts at 1.
    let now = sys::monotonic_nanos().max(1);
    let _ = START.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
}

/// Nanoseconds since the start; 0 before it.
pub(crate) fn nanos() -> u64 {
    match START.load(Ordering::Relaxed) {
        0 => 0,
        start => sys::monotonic_nanos().saturating_sub(start),
    }
}

/// Ticks since the start; they stand still after 417 days, and later births look 417 days old.
pub(crate) fn ticks() -> u64 {
    (nanos() >> TICK_BITS).min(MAX_BIRTH)
}

/// Nanoseconds of a number of ticks.
pub(crate) fn ticks_to_nanos(ticks: u64) -> u64 {
    ticks << TICK_BITS
}
