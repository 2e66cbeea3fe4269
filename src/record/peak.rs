//! The high-water mark of the live estimate, and how each site remembers its share of it at no cost.
//!
//! A new peak only raises a number, the *epoch*. A site that is about to change and has not seen the current
//! epoch first keeps a copy of what it holds: exactly its share of the peak. A site that has not changed
//! since needs no copy. So nothing walks the sites, in however many steps the heap grows.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use super::clock;
use super::local::Local;
use crate::sync::sharded::Sharded;

/// Live estimated bytes.
static LIVE: Sharded = Sharded::new();
static PEAK: AtomicI64 = AtomicI64::new(0);
static PEAK_NANOS: AtomicU64 = AtomicU64::new(0);
static EPOCH: AtomicU64 = AtomicU64::new(0);

/// The peak is looked for when a thread has made this much more live than it has freed since it last looked: the
/// exact mode does not add up all shards at every allocation. So a peak may be this much higher per thread than noted.
const STEP: u64 = 1 << 14;

/// The number of peaks so far.
pub(crate) fn epoch() -> u64 {
    // Acquire: a change that knows of the peak comes after everything the peak counted in this thread.
    EPOCH.load(Ordering::Acquire)
}

/// `bytes` (estimated) have become live.
pub(super) fn add(local: &Local, bytes: u64) {
    LIVE.add(local.lane(), bytes as i64);
    let risen = local.risen.get().saturating_add(bytes);
    if risen < STEP {
        local.risen.set(risen);
        return;
    }
    local.risen.set(0);
    look();
}

/// `bytes` (estimated) are no longer live.
pub(super) fn remove(local: &Local, bytes: u64) {
    LIVE.add(local.lane(), -(bytes as i64));
    local.risen.set(local.risen.get().saturating_sub(bytes));
}

/// Notes a new peak if there is one.
#[inline(never)]
fn look() {
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

/// Estimated live bytes at the last peak and when it was, nanoseconds since the recorder's start.
pub(crate) fn read() -> (u64, u64) {
    (
        PEAK.load(Ordering::Relaxed).max(0) as u64,
        PEAK_NANOS.load(Ordering::Relaxed),
    )
}
