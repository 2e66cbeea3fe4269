//! The recorder: one static, all of it zero until the first allocation.
//!
//! ```text
//! alloc ─ countdown ─┬─ not out ───────────────────────────────▶ inner allocator
//!                    └─ out: choose ─┬─ not sampled ───────────▶ inner allocator
//!                                    └─ sampled ▶ inner allocator ▶ born: capture, intern, insert, count
//! free ── filter ────┬─ nothing there ─────────────────────────▶ inner allocator
//!                    ├─ maybe: take, settle ───────────────────▶ inner allocator
//!                    └─ of an arena ───────────────────────────▶ scratch: heapsite's own work
//! ```

pub(crate) mod clock;
pub(crate) mod cost;
pub(crate) mod counters;
pub(crate) mod events;
pub(crate) mod fast;
pub(crate) mod intervals;
pub(crate) mod lifetimes;
pub(crate) mod live_filter;
pub(crate) mod live_map;
pub(crate) mod local;
pub(crate) mod losses;
pub(crate) mod peak;
pub(crate) mod sampler;
pub(crate) mod scope_tag;
#[cfg(feature = "task")]
pub(crate) mod scoped_tasks;
pub(crate) mod scoped_threads;
pub(crate) mod scopes;
pub(crate) mod scratch;
pub(crate) mod site;
pub(crate) mod site_table;
#[cfg(any(feature = "task", feature = "threadcreate"))]
pub(crate) mod stack_here;
pub(crate) mod threads;

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use crate::sync::sharded::Sharded;
use crate::sys;
pub(crate) use events::restart;
use live_filter::LiveFilter;
use live_map::LiveMap;
use sampler::{EXACT, MAX_INTERVAL, OFF};
use site_table::SiteTable;

pub(crate) static FILTER: LiveFilter = LiveFilter::new();
pub(crate) static MAP: LiveMap = LiveMap::new();
pub(crate) static SITES: SiteTable = SiteTable::new();
/// Bytes requested, by all threads, up to their last look-up.
pub(crate) static REQUESTED: Sharded = Sharded::new();

/// The interval + 1, and whether it is [`PAUSED`]; 0: no allocation yet, so the allocator's own setting has
/// not been taken over. In one word, so that pausing, resuming and setting cannot be torn apart.
static INTERVAL: AtomicU64 = AtomicU64::new(0);
/// Above every interval.
const PAUSED: u64 = 1 << 63;
/// An interval other than exact has been in force since the first allocation.
static EVER_INEXACT: AtomicBool = AtomicBool::new(false);
/// The process that made the first allocation. Set by that allocation only: it is also what tells whether a heapsite
/// allocator is installed.
static OWNER: AtomicU32 = AtomicU32::new(0);
/// The interval + 1 that was set before the first allocation; 0: none was.
static EARLY: AtomicU64 = AtomicU64::new(0);

/// The interval in force; the first caller ever installs the allocator's own.
#[inline]
pub(crate) fn interval_now(initial: u64) -> u64 {
    // A thread may see a change late. Acquire: a thread that samples because of it also sees that something has
    // ever been on, and passes that on with the address it hands out.
    match INTERVAL.load(Ordering::Acquire) {
        0 => install(initial),
        word => in_force(word),
    }
}

/// The interval that a non-zero word stands for.
fn in_force(word: u64) -> u64 {
    if word & PAUSED != 0 { OFF } else { word - 1 }
}

#[cold]
fn install(initial: u64) -> u64 {
    // Relaxed: whoever starts a thread has allocated, so before the first allocation nobody else is there.
    let initial = match EARLY.load(Ordering::Relaxed) {
        _ if !sys::CAN_RECORD => OFF,
        0 => remembered(initial),
        early => early - 1,
    };
    clock::start();
    let _ = OWNER.compare_exchange(0, sys::process_id(), Ordering::Relaxed, Ordering::Relaxed);
    note_interval(initial);
    // Release: see `interval_now`.
    match INTERVAL.compare_exchange(0, initial + 1, Ordering::Release, Ordering::Acquire) {
        Ok(_) => initial,
        Err(first) => in_force(first),
    }
}

/// The interval that stands for `bytes`: itself, unless it is too long or too many have been used.
fn remembered(bytes: u64) -> u64 {
    match bytes {
        OFF => OFF,
        _ => intervals::interval(intervals::number_of(bytes.min(MAX_INTERVAL))),
    }
}

fn note_interval(interval: u64) {
    if interval != OFF {
        // Relaxed: whoever holds a sampled address got it, by the program's own synchronisation, from a thread that had
        // seen this set (`interval_now`).
        fast::EVER_ON.store(1, Ordering::Relaxed);
    }
    if interval != EXACT {
        EVER_INEXACT.store(true, Ordering::Relaxed);
    }
}

/// A heapsite allocator has served at least one request.
pub(crate) fn is_installed() -> bool {
    OWNER.load(Ordering::Relaxed) != 0
}

/// The process of the first allocation, if this is a child of it.
pub(crate) fn forked_from() -> Option<u32> {
    let owner = OWNER.load(Ordering::Relaxed);
    (owner != 0 && owner != sys::process_id()).then_some(owner)
}

/// Every allocation since the first has been recorded with interval 1.
pub(crate) fn is_exact() -> bool {
    is_installed() && !EVER_INEXACT.load(Ordering::Relaxed)
}

/// Changes the mean number of bytes between sampled allocations: 1 records every allocation (exact), 0 none.
///
/// Takes effect at once on the calling thread and on new ones; a thread that is running notices within
/// 64 KiB of its own requests. What is live keeps the weight it was sampled with, so estimates stay unbiased
/// across changes. Values above 64 GiB count as 64 GiB. A process remembers 256 different intervals; after
/// that the nearest of them is used (0 and 1 are always themselves). Without effect where no heapsite allocator is
/// installed.
pub fn set_sample_interval(bytes: u64) {
    if !sys::CAN_RECORD {
        return;
    }
    let interval = remembered(bytes);
    if !is_installed() {
        // Nothing has asked a heapsite allocator for memory: very likely none is installed.
        EARLY.store(interval + 1, Ordering::Relaxed);
        return;
    }
    note_interval(interval);
    // Release: see `interval_now`.
    INTERVAL.store(interval + 1, Ordering::Release);
    // The calling thread looks up at its next request.
    local::with(restart);
}

/// The mean number of bytes between sampled allocations; 1: exact, 0: off (also while paused, and where no
/// heapsite allocator is installed).
pub fn sample_interval() -> u64 {
    match INTERVAL.load(Ordering::Relaxed) {
        0 => OFF,
        word => in_force(word),
    }
}

/// The recorder's memory, bytes: mapped or static, and how much of that is resident. Not in it: what every thread has,
/// some 2.2 KiB, and counters of a few KiB.
pub(crate) fn own_memory() -> (u64, u64) {
    let statics = own_statics();
    let mapped: u64 = statics.iter().map(|(_, bytes)| *bytes as u64).sum();
    let resident: u64 = statics
        .iter()
        .filter_map(|(start, bytes)| {
            // Whole pages, as the kernel wants them: a static shares its first and last one.
            let offset = start % 4096;
            sys::resident_bytes(start - offset, bytes + offset)
        })
        .sum();
    let scratch = scratch::memory();
    (
        mapped + crate::mem::mapped_bytes() + scratch.0,
        resident + crate::mem::resident_bytes() + scratch.1,
    )
}

/// Resident memory of the large jobs that are being done now, bytes: gone when they are done.
#[cfg(feature = "http")]
pub(crate) fn working_memory() -> u64 {
    scratch::memory().1
}

/// The recorder's large statics: where each lies and how long it is, bytes.
pub(crate) fn own_statics() -> [(usize, usize); 6] {
    [
        FILTER.place(),
        threads::place(),
        scopes::extent(),
        scoped_threads::extent(),
        crate::unwind::place_of_rules(),
        crate::unwind::last::place_of_pool(),
    ]
}

/// Where the recorder's memory is: `[start, limit)` of each table and arena.
pub(crate) fn own_regions() -> impl Iterator<Item = (u64, u64)> {
    let tables = own_statics().into_iter().chain(crate::mem::regions());
    let places = tables.chain(scratch::places());
    places.map(|(start, bytes)| (start as u64, (start + bytes) as u64))
}

/// The interval in force, or while paused the one that [`resume`] goes back to: what estimates are made of.
pub(crate) fn interval_or_paused() -> u64 {
    match INTERVAL.load(Ordering::Relaxed) {
        0 => OFF,
        word => (word & !PAUSED) - 1,
    }
}

/// Bounds the recorder's own memory; what is mapped already stays.
pub(crate) fn set_memory_limit(bytes: u64) {
    crate::mem::set_limit_bytes(bytes);
}

/// Stops sampling new allocations until [`resume`] or [`set_sample_interval`]. Frees of what was sampled
/// before are still recorded.
pub fn pause() {
    note_interval(OFF);
    change(|word| word | PAUSED);
}

/// Goes back to the interval from before [`pause`].
pub fn resume() {
    change(|word| word & !PAUSED);
}

/// Changes the interval's word, unless there is none yet.
fn change(to: impl Fn(u64) -> u64) {
    // Release: see `interval_now`.
    let _ = INTERVAL.fetch_update(Ordering::Release, Ordering::Relaxed, |word| {
        (word != 0).then(|| to(word))
    });
    // The calling thread looks up at its next request.
    local::with(restart);
}

/// Learns what code is loaded, where the C library does not tell from inside `malloc`; and after a `dlclose`, when
/// addresses may come to mean other code, forgets the unwind rules learnt from the old code. Walks the loader's list,
/// so it is called from outside the wall only.
pub(crate) fn note_loaded_code() {
    sys::objects::note_loaded();
    static UNLOADED: AtomicU64 = AtomicU64::new(0);
    let unloaded = sys::objects::unload_count();
    // Relaxed: the worst a race can do is to forget twice.
    if UNLOADED.swap(unloaded, Ordering::Relaxed) != unloaded {
        crate::unwind::forget_rules();
    }
}

#[cfg(feature = "internals")]
#[expect(unreachable_pub, reason = "re-exported by the crate's own `internals`")]
pub mod internals;
