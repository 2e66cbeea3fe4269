//! The allocator that a program installs: the inner allocator's call, and one predictable branch.

use std::alloc::{GlobalAlloc, Layout, System};

use crate::record::events::{self, Chosen};
use crate::record::{self, local, sampler, scratch};

/// Mean bytes between sampled allocations unless told otherwise: what Go, jemalloc and most others use.
const DEFAULT_INTERVAL: u64 = 512 << 10;

/// Largest block that is cleared in a leak check, bytes: larger ones come fresh from the kernel, and clearing would make
/// pages of them that the program may never touch.
const CLEARED: usize = 1 << 20;

/// A [`GlobalAlloc`] that passes every call on to `A` and samples allocations on the way.
///
/// Memory comes from `A` unchanged: same addresses, same layouts, `calloc`'s untouched zero pages and
/// `realloc`'s growth in place included. Sampling can be changed while running:
/// [`set_sample_interval`](crate::set_sample_interval).
///
/// ```
/// use heapsite::Heapsite;
///
/// #[global_allocator]
/// static HEAP: Heapsite = Heapsite::system();
/// # fn main() {}
/// ```
#[derive(Debug)]
pub struct Heapsite<A = System> {
    inner: A,
    interval: u64,
}

impl Heapsite<System> {
    /// Over the system's allocator (glibc's `malloc` on most Linux machines), one sample per 512 KiB.
    pub const fn system() -> Heapsite<System> {
        Heapsite::new(System)
    }
}

impl<A> Heapsite<A> {
    /// Over another allocator, one sample per 512 KiB.
    ///
    /// ```
    /// use heapsite::Heapsite;
    ///
    /// #[global_allocator]
    /// static HEAP: Heapsite<mimalloc::MiMalloc> = Heapsite::new(mimalloc::MiMalloc);
    /// # fn main() {}
    /// ```
    pub const fn new(inner: A) -> Heapsite<A> {
        Heapsite {
            inner,
            interval: DEFAULT_INTERVAL,
        }
    }

    /// The mean number of bytes between sampled allocations from the first allocation on; 1: record every
    /// allocation ("exact"), 0: off until [`set_sample_interval`](crate::set_sample_interval).
    pub const fn sample_interval(mut self, bytes: u64) -> Heapsite<A> {
        self.interval = bytes;
        self
    }

    /// Whether this request runs out the thread's countdown.
    #[inline(always)]
    fn charge(&self, size: usize) -> bool {
        local::with(|local| local.charge(size))
    }

    /// Whether `block` may be sampled.
    #[inline(always)]
    fn may_be_sampled(&self, block: *mut u8) -> bool {
        // An allocator that starts switched off pays for this look only, until it is switched on. For all
        // others the first half is known when the program is compiled.
        (self.interval != sampler::OFF || record::fast::has_been_on())
            && record::FILTER.may_hold(block as usize)
    }

    /// Decides on a request that ran out the countdown, makes it, and records what arrived.
    ///
    /// `request` asks the inner allocator, `clean` makes an arena's block what is asked for. Size and alignment come one by
    /// one, in the registers in which the caller got them: as a layout they would have to change places, on the fast path.
    #[cold]
    #[inline(never)]
    fn look_up(
        &self,
        size: usize,
        align: usize,
        request: impl FnOnce() -> *mut u8,
        clean: impl FnOnce(*mut u8),
    ) -> *mut u8 {
        let chosen = events::choose(size, self.interval);
        if let Some(block) = scratch::allocate(size, align) {
            clean(block.as_ptr());
            return block.as_ptr();
        }
        let block = request();
        record_answer(block, size, chosen);
        block
    }
}

/// In a leak check, clears the block from `from` on: what older blocks left there would pass for pointers when it is
/// looked for what holds what.
///
/// # Safety
/// `block` is null, or new to the program from `from` on and valid for writes up to `size`.
#[inline]
unsafe fn clear(block: *mut u8, from: usize, size: usize) {
    if record::scopes::is_scoped() {
        // SAFETY: the caller's promise.
        unsafe { clear_scoped(block, from, size) };
    }
}

/// # Safety
/// As for [`clear`].
#[cold]
unsafe fn clear_scoped(block: *mut u8, from: usize, size: usize) {
    let bytes = size.saturating_sub(from);
    if !block.is_null() && (1..=CLEARED).contains(&bytes) {
        // SAFETY: the caller's promise; the program has no claim on what was there.
        unsafe { block.add(from).write_bytes(0, bytes) };
    }
}

/// Records what the inner allocator answered to a request that was looked up.
fn record_answer(block: *mut u8, size: usize, chosen: Option<Chosen>) {
    if block.is_null() {
        events::refused(size);
    } else if let Some(chosen) = chosen {
        events::born(block as usize, size, chosen);
    }
}

impl<A: GlobalAlloc> Heapsite<A> {
    /// Settle, then call: once the block has gone back, its address may be another thread's.
    ///
    /// # Safety
    /// As for [`GlobalAlloc::dealloc`].
    #[cold]
    #[inline(never)]
    unsafe fn dealloc_recorded(&self, block: *mut u8, layout: Layout) {
        if let Some(arena) = scratch::holding(block) {
            return arena.free(block, layout.size());
        }
        events::freed(block as usize);
        // SAFETY: the caller's promises, passed on unchanged.
        unsafe { self.inner.dealloc(block, layout) }
    }

    /// Settle, call, record; on failure put back.
    ///
    /// # Safety
    /// As for [`GlobalAlloc::realloc`].
    #[cold]
    #[inline(never)]
    unsafe fn realloc_recorded(
        &self,
        block: *mut u8,
        layout: Layout,
        new_size: usize,
        charged: bool,
    ) -> *mut u8 {
        // A block that grows is a block freed and another allocated, with a fresh decision: a growing Vec
        // stays attributed to whoever grows it, and every estimate stays unbiased.
        let taken = if record::FILTER.may_hold(block as usize) {
            if let Some(arena) = scratch::holding(block) {
                // SAFETY: the caller's promises, passed on unchanged.
                return unsafe { self.realloc_scratch(arena, block, layout, new_size, charged) };
            }
            events::timed(|| events::take(block as usize))
        } else {
            None
        };
        let chosen = if charged {
            events::choose(new_size, self.interval)
        } else {
            None
        };
        // SAFETY: the caller's promises, passed on unchanged.
        let moved = unsafe { self.inner.realloc(block, layout, new_size) };
        match taken {
            Some(taken) if moved.is_null() => events::put_back(taken),
            Some(taken) => events::timed(|| events::settle(&taken)),
            None => {}
        }
        if charged {
            record_answer(moved, new_size, chosen);
            // SAFETY: the inner allocator's answer; up to the old size it is the program's.
            unsafe { clear(moved, layout.size(), new_size) };
        }
        moved
    }

    /// In place if the arena is the calling thread's own and has room there; otherwise as a new request, which another
    /// thread makes of the inner allocator.
    ///
    /// # Safety
    /// As for [`GlobalAlloc::realloc`]; `block` is in `arena`.
    #[cold]
    #[inline(never)]
    unsafe fn realloc_scratch(
        &self,
        arena: &scratch::Arena,
        block: *mut u8,
        layout: Layout,
        new_size: usize,
        charged: bool,
    ) -> *mut u8 {
        if arena.resize(block, layout.size(), new_size) {
            return block;
        }
        // SAFETY: the caller promises a size that, with the old alignment, is a layout.
        let new_layout = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        // SAFETY: the caller promises that the new size is not zero.
        let request = || unsafe { self.inner.alloc(new_layout) };
        let moved = if charged {
            self.look_up(new_size, layout.align(), request, |_| ())
        } else {
            request()
        };
        if !moved.is_null() {
            let common = layout.size().min(new_size);
            // SAFETY: both blocks hold that many bytes, and a new block overlaps none that is still there.
            unsafe { moved.copy_from_nonoverlapping(block, common) };
            arena.free(block, layout.size());
        }
        moved
    }
}

// SAFETY: every call goes to `A` with the caller's own arguments, exactly once, and its answer comes back
// unchanged; the recorder in between neither allocates nor unwinds, and touches no byte of a block that the program has
// a claim on. Excepted are requests of a thread that does heapsite's own work: an arena serves them with blocks that are
// disjoint, aligned (to 16 bytes or as asked) and, where asked for, zeroed, and takes back those that are its own, known by
// their addresses.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Heapsite<A> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if self.charge(layout.size()) {
            // SAFETY: the caller's promises, passed on unchanged; and the block that arrives is as large as was asked.
            let request = || unsafe {
                let block = self.inner.alloc(layout);
                clear(block, 0, layout.size());
                block
            };
            return self.look_up(layout.size(), layout.align(), request, |_| ());
        }
        // SAFETY: the caller's promises, passed on unchanged.
        unsafe { self.inner.alloc(layout) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if self.charge(layout.size()) {
            // SAFETY: the caller's promises, passed on unchanged.
            let request = || unsafe { self.inner.alloc_zeroed(layout) };
            // SAFETY: a block of that many bytes, which nobody else has.
            let clean = |block: *mut u8| unsafe { block.write_bytes(0, layout.size()) };
            return self.look_up(layout.size(), layout.align(), request, clean);
        }
        // SAFETY: the caller's promises, passed on unchanged.
        unsafe { self.inner.alloc_zeroed(layout) }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if self.may_be_sampled(block) {
            // SAFETY: the caller's promises, passed on unchanged.
            return unsafe { self.dealloc_recorded(block, layout) };
        }
        // SAFETY: the caller's promises, passed on unchanged.
        unsafe { self.inner.dealloc(block, layout) }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let charged = self.charge(new_size);
        if charged || self.may_be_sampled(block) {
            // SAFETY: the caller's promises, passed on unchanged.
            return unsafe { self.realloc_recorded(block, layout, new_size, charged) };
        }
        // SAFETY: the caller's promises, passed on unchanged.
        unsafe { self.inner.realloc(block, layout, new_size) }
    }
}
