//! The allocator under test's allocator: one of several, chosen by the environment, with switches that make
//! it misbehave, and counts of what it was asked for.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ffi::CStr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};

use mimalloc::MiMalloc;
use tikv_jemallocator::Jemalloc;

pub(crate) struct Inner;

/// Requests of exactly this many bytes are refused; 0: none is.
pub(crate) static REFUSED_SIZE: AtomicUsize = AtomicUsize::new(0);
/// Every request first allocates and frees a block of the watched heap.
pub(crate) static USES_HEAP: AtomicBool = AtomicBool::new(false);
/// Blocks that come back are looked for in the recorder's live map.
pub(crate) static CHECKS_SETTLED: AtomicBool = AtomicBool::new(false);
/// How many came back, and how many of them were still in it.
pub(crate) static CAME_BACK: AtomicU64 = AtomicU64::new(0);
pub(crate) static UNSETTLED: AtomicU64 = AtomicU64::new(0);
static OBJECTS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);

/// Requests granted since the start, and their bytes; a realloc is a request of its new size.
pub(crate) fn granted() -> (u64, u64) {
    (
        OBJECTS.load(Ordering::Relaxed),
        BYTES.load(Ordering::Relaxed),
    )
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    System = 1,
    MiMalloc,
    Jemalloc,
    Bump,
}

fn kind() -> Kind {
    static KIND: AtomicU8 = AtomicU8::new(0);
    match KIND.load(Ordering::Relaxed) {
        1 => Kind::System,
        2 => Kind::MiMalloc,
        3 => Kind::Jemalloc,
        4 => Kind::Bump,
        _ => {
            // SAFETY: nothing changes the environment of a scenario; getenv does not allocate.
            let name = unsafe { libc::getenv(c"HEAPSITE_SCENARIO_INNER".as_ptr()) };
            let name = if name.is_null() {
                c"system"
            } else {
                // SAFETY: getenv returns null or a string.
                unsafe { CStr::from_ptr(name) }
            };
            let kind = match name.to_bytes() {
                b"mimalloc" => Kind::MiMalloc,
                b"jemalloc" => Kind::Jemalloc,
                b"bump" => Kind::Bump,
                _ => Kind::System,
            };
            KIND.store(kind as u8, Ordering::Relaxed);
            kind
        }
    }
}

/// Bytes that the bump allocator has; its blocks are never re-used.
const BUMP_BYTES: usize = 4 << 30;
static BUMP_START: AtomicUsize = AtomicUsize::new(0);
static BUMP_NEXT: AtomicUsize = AtomicUsize::new(0);

/// Async-signal-safe: one addition.
fn bump(layout: Layout) -> *mut u8 {
    if BUMP_START.load(Ordering::Acquire) == 0 {
        // SAFETY: a new mapping at an address of the kernel's choice.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                BUMP_BYTES,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return std::ptr::null_mut();
        }
        // A second thread's mapping is simply left unused.
        let _ =
            BUMP_START.compare_exchange(0, start as usize, Ordering::Release, Ordering::Relaxed);
    }
    let room = layout.size().next_multiple_of(16) + layout.align().max(16);
    let offset = BUMP_NEXT.fetch_add(room, Ordering::Relaxed);
    if offset + room > BUMP_BYTES {
        return std::ptr::null_mut();
    }
    (BUMP_START.load(Ordering::Acquire) + offset).next_multiple_of(layout.align().max(16))
        as *mut u8
}

fn use_heap() {
    thread_local!(static INSIDE: Cell<bool> = const { Cell::new(false) });
    if USES_HEAP.load(Ordering::Relaxed) && !INSIDE.replace(true) {
        drop(std::hint::black_box(Box::new([1u8; 48])));
        INSIDE.set(false);
    }
}

fn check_settled(block: *mut u8) {
    if CHECKS_SETTLED.load(Ordering::Relaxed) {
        CAME_BACK.fetch_add(1, Ordering::Relaxed);
        let unsettled = heapsite::internals::is_live(block as usize);
        UNSETTLED.fetch_add(u64::from(unsettled), Ordering::Relaxed);
    }
}

fn request(size: usize, get: impl FnOnce() -> *mut u8) -> *mut u8 {
    use_heap();
    if size == REFUSED_SIZE.load(Ordering::Relaxed) {
        return std::ptr::null_mut();
    }
    let block = get();
    if !block.is_null() {
        OBJECTS.fetch_add(1, Ordering::Relaxed);
        BYTES.fetch_add(size as u64, Ordering::Relaxed);
    }
    block
}

// SAFETY: every method passes the caller's arguments on to one and the same allocator, or refuses; bump's
// blocks are disjoint, aligned and never given out again.
unsafe impl GlobalAlloc for Inner {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises, passed on.
        request(layout.size(), || unsafe {
            match kind() {
                Kind::System => System.alloc(layout),
                Kind::MiMalloc => MiMalloc.alloc(layout),
                Kind::Jemalloc => Jemalloc.alloc(layout),
                Kind::Bump => bump(layout),
            }
        })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises, passed on; bump's memory is fresh from the kernel.
        request(layout.size(), || unsafe {
            match kind() {
                Kind::System => System.alloc_zeroed(layout),
                Kind::MiMalloc => MiMalloc.alloc_zeroed(layout),
                Kind::Jemalloc => Jemalloc.alloc_zeroed(layout),
                Kind::Bump => bump(layout),
            }
        })
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        use_heap();
        check_settled(block);
        // SAFETY: the caller's promises, passed on.
        unsafe {
            match kind() {
                Kind::System => System.dealloc(block, layout),
                Kind::MiMalloc => MiMalloc.dealloc(block, layout),
                Kind::Jemalloc => Jemalloc.dealloc(block, layout),
                Kind::Bump => {}
            }
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller's promises, passed on; bump copies what both sizes have.
        request(new_size, || unsafe {
            check_settled(block);
            match kind() {
                Kind::System => System.realloc(block, layout, new_size),
                Kind::MiMalloc => MiMalloc.realloc(block, layout, new_size),
                Kind::Jemalloc => Jemalloc.realloc(block, layout, new_size),
                Kind::Bump => {
                    let moved = bump(Layout::from_size_align_unchecked(new_size, layout.align()));
                    if !moved.is_null() {
                        moved.copy_from_nonoverlapping(block, layout.size().min(new_size));
                    }
                    moved
                }
            }
        })
    }
}
