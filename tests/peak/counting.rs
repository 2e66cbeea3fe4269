//! An allocator that knows how many bytes are held, the most of them there have been, and how often it was asked. As requested,
//! without what the allocator underneath adds. Shared with tests/fuzz.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

pub(crate) struct Counting;

// Relaxed throughout: numbers that are read after the work is done, by the thread that waited for it.
static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
static CALLS: AtomicUsize = AtomicUsize::new(0);

fn more(bytes: usize) {
    CALLS.fetch_add(1, Relaxed);
    let held = HELD.fetch_add(bytes, Relaxed) + bytes;
    PEAK.fetch_max(held, Relaxed);
}

fn less(bytes: usize) {
    HELD.fetch_sub(bytes, Relaxed);
}

/// Counts from here on: what is held now is the floor.
#[allow(dead_code)] // One of two users counts a whole process.
pub(crate) fn start() -> Count {
    let held = HELD.load(Relaxed);
    PEAK.store(held, Relaxed);
    Count {
        held,
        calls: CALLS.load(Relaxed),
    }
}

/// Where counting began.
#[derive(Clone, Copy, Default)]
pub(crate) struct Count {
    held: usize,
    calls: usize,
}

impl Count {
    /// The most bytes held since, beyond what was held then.
    pub(crate) fn peak(self) -> usize {
        PEAK.load(Relaxed).saturating_sub(self.held)
    }

    /// Allocations since.
    #[allow(dead_code)] // As above.
    pub(crate) fn calls(self) -> usize {
        CALLS.load(Relaxed) - self.calls
    }
}

// SAFETY: every call goes to the system's allocator with the arguments as they came; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        more(layout.size());
        // SAFETY: the caller's promises are the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        more(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Large blocks are moved by the kernel, page table entry by entry, so both are not counted at once.
        less(layout.size());
        more(size);
        // SAFETY: as above.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        less(layout.size());
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }
}
