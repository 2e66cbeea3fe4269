//! Doors for heapsite's own tests and benches.
#![forbid(unsafe_code)]

use super::{FILTER, MAP, SITES, clock, local, losses, scratch};

/// Makes the calling thread's sampling repeatable, and that of threads which have not allocated yet.
pub fn set_seed(seed: u64) {
    local::set_seed(seed);
}

/// From here on it is this time for births, lifetimes and the uptime, nanoseconds since the recorder's start, until told
/// again. 0: the real time.
pub fn tell_time(nanos: u64) {
    clock::tell(nanos);
}

/// Live sampled allocations, counted by walking the live map.
pub fn live_samples() -> usize {
    let mut count = 0;
    MAP.for_each(|_, _| count += 1);
    count
}

/// Whether a sampled allocation lives at this address.
pub fn is_live(address: usize) -> bool {
    let mut found = false;
    MAP.for_each(|live, _| found |= live == address as u64);
    found
}

/// Sites in the table, the overflow site not counted.
pub fn sites() -> u32 {
    SITES.count() - 1
}

/// How often a loss of this name has been counted; `None`: there is no such reason.
pub fn loss(name: &str) -> Option<u64> {
    losses::REASONS
        .iter()
        .find(|(_, known, _)| *known == name)
        .map(|(reason, ..)| losses::read(*reason).0)
}

/// Bounds the recorder's own memory, bytes of address space.
pub fn set_memory_limit(bytes: u64) {
    crate::mem::set_limit_bytes(bytes);
}

/// Runs `work` with memory from an arena, as heapsite's own large jobs do. What it returns may lie there.
pub fn in_scratch<R>(work: impl FnOnce() -> R) -> R {
    let _scratch = scratch::Scratch::new();
    work()
}

/// Bytes of address space that arenas use, and how many of them are resident.
pub fn scratch_memory() -> (u64, u64) {
    scratch::memory()
}

/// Whether a free of this address would look it up.
pub fn may_be_sampled(address: usize) -> bool {
    FILTER.may_hold(address)
}
