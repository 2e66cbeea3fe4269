//! The high-water mark of the live estimate, and how each site remembers its share of it at no cost.
//!
//! A new peak only raises a number, the *epoch*. A site that is about to change and has not seen the current
//! epoch first keeps a copy of what it holds: exactly its share of the peak. A site that has not changed
//! since needs no copy. So nothing walks the sites, in however many steps the heap grows.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use super::clock;
use crate::sync::sharded::Sharded;

/// Live estimated bytes.
static LIVE: Sharded = Sharded::new();
static PEAK: AtomicI64 = AtomicI64::new(0);
static PEAK_NANOS: AtomicU64 = AtomicU64::new(0);
static EPOCH: AtomicU64 = AtomicU64::new(0);

/// A shard's sum is compared with the peak when it crosses a multiple of this, so that the exact mode does
/// not add up all shards at every allocation.
const STEP_BITS: u32 = 14;

/// The number of peaks so far.
pub(crate) fn epoch() -> u64 {
    // Acquire: a change that knows of the peak comes after everything the peak counted in this thread.
    EPOCH.load(Ordering::Acquire)
}

/// `bytes` (estimated) have become live.
pub(super) fn add(thread_number: u32, bytes: u64) {
    let before = LIVE.add(thread_number, bytes as i64);
    if before >> STEP_BITS == before.wrapping_add(bytes as i64) >> STEP_BITS {
        return;
    }
    let live = LIVE.sum();
    // Relaxed: whoever wins the exchange makes the new peak.
    let peak = PEAK.load(Ordering::Relaxed);
    // By a hundredth at least: a heap that creeps up by single allocations does not make an epoch of each.
    if live > peak + peak / 100
        && PEAK
            .compare_exchange(peak, live, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    {
        PEAK_NANOS.store(clock::nanos(), Ordering::Relaxed);
        // Release: pairs with `epoch`.
        EPOCH.fetch_add(1, Ordering::Release);
    }
}

/// `bytes` (estimated) are no longer live.
pub(super) fn remove(thread_number: u32, bytes: u64) {
    LIVE.add(thread_number, -(bytes as i64));
}

/// Estimated live bytes at the last peak and when it was, nanoseconds since the recorder's start.
pub(crate) fn read() -> (u64, u64) {
    (
        PEAK.load(Ordering::Relaxed).max(0) as u64,
        PEAK_NANOS.load(Ordering::Relaxed),
    )
}
