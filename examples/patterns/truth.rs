//! What the guilty lines really hold, counted independently of heapsite: the allocator below it notes for each block
//! which line was running.
//!
//! ```text
//! let counted = WRITER.at(line!() + 1);
//! tokio::spawn(write_rows(inbox));
//! drop(counted);
//! ```
//!
//! This is an oracle for examples and tests, not a way to profile: each block gets 16 bytes more.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::marker::PhantomData;
use std::ptr;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

/// A line that is watched.
#[derive(Debug)]
pub(crate) struct Guilty {
    pub(crate) function: &'static str,
    pub(crate) file: &'static str,
    line: AtomicU32,
    live_bytes: AtomicI64,
    live_objects: AtomicI64,
    allocated_bytes: AtomicI64,
    allocated_objects: AtomicI64,
    most_bytes: AtomicI64,
    most_objects: AtomicI64,
}

/// What a [`Guilty`] line holds and has allocated.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Truth {
    pub(crate) line: u32,
    pub(crate) live_bytes: i64,
    pub(crate) live_objects: i64,
    /// Since the start.
    pub(crate) allocated_bytes: i64,
    pub(crate) allocated_objects: i64,
    /// The most that was live at a time.
    pub(crate) most_bytes: i64,
    pub(crate) most_objects: i64,
}

thread_local! {
    // Const and without Drop: an allocator may ask for it at any time.
    static RUNNING: Cell<*const Guilty> = const { Cell::new(ptr::null()) };
}

impl Guilty {
    /// `file` as `file!()` has it.
    pub(crate) const fn new(function: &'static str, file: &'static str) -> Guilty {
        Guilty {
            function,
            file,
            line: AtomicU32::new(0),
            live_bytes: AtomicI64::new(0),
            live_objects: AtomicI64::new(0),
            allocated_bytes: AtomicI64::new(0),
            allocated_objects: AtomicI64::new(0),
            most_bytes: AtomicI64::new(0),
            most_objects: AtomicI64::new(0),
        }
    }

    /// Until the result is dropped this thread is on `line`.
    pub(crate) fn at(&'static self, line: u32) -> OnLine {
        // Relaxed here and below: these are counters, read when the service rests.
        self.line.store(line, Ordering::Relaxed);
        RUNNING.set(self);
        OnLine(PhantomData)
    }

    /// Exact once no thread is on the line.
    pub(crate) fn truth(&self) -> Truth {
        Truth {
            line: self.line.load(Ordering::Relaxed),
            live_bytes: self.live_bytes.load(Ordering::Relaxed),
            live_objects: self.live_objects.load(Ordering::Relaxed),
            allocated_bytes: self.allocated_bytes.load(Ordering::Relaxed),
            allocated_objects: self.allocated_objects.load(Ordering::Relaxed),
            most_bytes: self.most_bytes.load(Ordering::Relaxed),
            most_objects: self.most_objects.load(Ordering::Relaxed),
        }
    }

    fn came(&self, bytes: usize) {
        let live = self.live_bytes.fetch_add(bytes as i64, Ordering::Relaxed) + bytes as i64;
        self.most_bytes.fetch_max(live, Ordering::Relaxed);
        let live = self.live_objects.fetch_add(1, Ordering::Relaxed) + 1;
        self.most_objects.fetch_max(live, Ordering::Relaxed);
        self.allocated_bytes
            .fetch_add(bytes as i64, Ordering::Relaxed);
        self.allocated_objects.fetch_add(1, Ordering::Relaxed);
    }

    fn went(&self, bytes: usize) {
        self.live_bytes.fetch_sub(bytes as i64, Ordering::Relaxed);
        self.live_objects.fetch_sub(1, Ordering::Relaxed);
    }
}

/// This thread is on a watched line. Not `Send`: the thread that set it has to clear it.
#[must_use]
pub(crate) struct OnLine(PhantomData<*const ()>);

impl Drop for OnLine {
    fn drop(&mut self) {
        RUNNING.set(ptr::null());
    }
}

/// The system's allocator, with a header before each block that says which line asked for it.
#[derive(Debug)]
pub(crate) struct Counting;

/// Room for a pointer that leaves the block aligned.
fn header(layout: Layout) -> usize {
    layout.align().max(16)
}

/// The block and its header.
fn with_header(layout: Layout, bytes: usize) -> Option<Layout> {
    let whole = bytes.checked_add(header(layout))?;
    Layout::from_size_align(whole, header(layout)).ok()
}

/// Notes in the header who asks, and returns the block behind it.
///
/// # Safety
/// `start` is null or the start of a live block of `with_header(layout, bytes)`.
unsafe fn born(start: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
    if start.is_null() {
        return start;
    }
    let line = RUNNING.get();
    // SAFETY: the header is at least 16 bytes long and aligned to 16, and `line` points to a static or is null.
    unsafe {
        start.cast::<*const Guilty>().write(line);
        if let Some(line) = line.as_ref() {
            line.came(bytes);
        }
        start.add(header(layout))
    }
}

/// Notes that the block goes, and returns where its header starts.
///
/// # Safety
/// `block` was returned by [`born`] for a layout of the same alignment and for `bytes`.
unsafe fn dies(block: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
    // SAFETY: `born` wrote a pointer there that is null or to a static.
    unsafe {
        let start = block.sub(header(layout));
        if let Some(line) = start.cast::<*const Guilty>().read().as_ref() {
            line.went(bytes);
        }
        start
    }
}

// SAFETY: blocks are those of `System`, of the size and alignment asked for, each behind a header of its own.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(whole) = with_header(layout, layout.size()) else {
            return ptr::null_mut();
        };
        // SAFETY: `whole` is not empty; what comes is null or a block of it.
        unsafe { born(System.alloc(whole), layout, layout.size()) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let Some(whole) = with_header(layout, layout.size()) else {
            return ptr::null_mut();
        };
        // SAFETY: as in `alloc`.
        unsafe { born(System.alloc_zeroed(whole), layout, layout.size()) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let Some(whole) = with_header(layout, layout.size()) else {
            return;
        };
        // SAFETY: the caller passes a block of ours with its layout.
        unsafe { System.dealloc(dies(block, layout, layout.size()), whole) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let Some((old, new)) = with_header(layout, layout.size()).zip(with_header(layout, size))
        else {
            return ptr::null_mut();
        };
        // SAFETY: the caller passes a block of ours with its layout. If there is no room the block stays as it
        // was; an example does not get to see that its line's count is then too small.
        unsafe {
            let start = dies(block, layout, layout.size());
            born(System.realloc(start, old, new.size()), layout, size)
        }
    }
}
