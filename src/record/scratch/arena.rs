//! One arena: who owns it, where the next block goes, and how its pages come and go.

use std::ops::Range;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, compiler_fence};

use super::MAPPED;
use crate::mem::chunks::{Chunks, For};
use crate::record::{FILTER, fast};
use crate::sys::{self, ErrnoGuard};

const PAGE: usize = 4096;
const CHUNK: usize = 64 << 10;
/// Larger blocks are runs of chunks: at most a quarter of a chunk is left over at its end.
const SMALL: usize = CHUNK / 4;
/// Address space of one arena; what does not fit comes from the program's allocator.
const MOST_BYTES: usize = 512 << 20;
/// Where address space is limited (`ulimit -v`) the program needs what there is.
const MOST_BYTES_IF_LIMITED: usize = 32 << 20;
/// With less than this, an arena is not worth having.
const LEAST_BYTES: usize = 8 << 20;
/// Address space that one thread at a time takes blocks from, and all may give blocks back to.
///
/// Fields that only the owner uses are atomics because the arena is shared; all their accesses are Relaxed, since one
/// owner follows another by `owned`.
pub(crate) struct Arena {
    owned: AtomicBool,
    /// The owner is changing the fields below: a signal handler in between goes without them.
    busy: AtomicBool,
    /// 0: no address space.
    start: AtomicUsize,
    bytes: AtomicUsize,
    chunks: Chunks<{ MOST_BYTES / CHUNK }>,
    /// Where the next small block may begin, and the end of its chunk; both 0: there is no current chunk.
    next: AtomicUsize,
    end: AtomicUsize,
    /// No chunk below this one is free, but for those that other threads freed.
    lowest: AtomicUsize,
    /// No chunk from this one on was ever taken.
    high: AtomicUsize,
}

impl Arena {
    pub(super) const fn new() -> Arena {
        Arena {
            owned: AtomicBool::new(false),
            busy: AtomicBool::new(false),
            start: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            chunks: Chunks::new(),
            next: AtomicUsize::new(0),
            end: AtomicUsize::new(0),
            lowest: AtomicUsize::new(0),
            high: AtomicUsize::new(0),
        }
    }

    /// Bytes of address space that were used, and how many of them are resident. Not what is set aside: that costs nothing.
    pub(super) fn memory(&self) -> (u64, u64) {
        match self.place() {
            (0, _) => (0, 0),
            (start, used) => (used as u64, sys::resident_bytes(start, used).unwrap_or(0)),
        }
    }

    /// Where it lies and how much of that was used, bytes; address 0: it has no address space.
    pub(super) fn place(&self) -> (usize, usize) {
        match self.start.load(Ordering::Relaxed) {
            0 => (0, 0),
            start => (start, self.high.load(Ordering::Relaxed) * CHUNK),
        }
    }

    pub(super) fn contains(&self, address: usize) -> bool {
        let start = self.start.load(Ordering::Relaxed);
        start != 0 && address.wrapping_sub(start) < self.bytes.load(Ordering::Relaxed)
    }

    /// Makes the calling thread the owner. A fork may leave an arena in a child with an owner that is not there: it stays
    /// taken, and its blocks can be freed like any others.
    pub(super) fn claim(&self) -> bool {
        // Acquire: the last owner's changes lie before.
        if self
            .owned
            .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)
            .is_err()
        {
            return false;
        }
        let ready = self.start.load(Ordering::Relaxed) != 0 || self.map();
        if !ready {
            self.owned.store(false, Ordering::Release);
        }
        ready
    }

    fn map(&self) -> bool {
        let _errno = ErrnoGuard::new();
        let mut bytes = match sys::limits_address_space() {
            true => MOST_BYTES_IF_LIMITED,
            false => MOST_BYTES,
        };
        let start = loop {
            match sys::map_zeroed(bytes) {
                Some(start) => break start.as_ptr().expose_provenance(),
                None if bytes > LEAST_BYTES => bytes /= 4,
                None => return false,
            }
        };
        // A free asks this first. Relaxed: as for sampled blocks (`note_interval`).
        fast::EVER_ON.store(1, Ordering::Relaxed);
        self.bytes.store(bytes, Ordering::Relaxed);
        self.start.store(start, Ordering::Relaxed);
        MAPPED.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// The calling thread owns the arena now.
    fn is_mine(&self) -> bool {
        super::own().is_some_and(|own| std::ptr::eq(own, self))
    }

    /// Runs what only the owner may do; `None`: the owner is at it already, and this is a signal handler.
    fn as_owner<R>(&self, work: impl FnOnce() -> R) -> Option<R> {
        // Relaxed: only the owner thread comes here.
        if self.busy.load(Ordering::Relaxed) {
            return None;
        }
        self.busy.store(true, Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
        let result = work();
        compiler_fence(Ordering::SeqCst);
        self.busy.store(false, Ordering::Relaxed);
        Some(result)
    }

    /// An address for the owner's request; `None`: there is no room, or the owner is a signal handler that found itself at
    /// work.
    pub(super) fn allocate(&self, size: usize, align: usize) -> Option<usize> {
        self.as_owner(|| self.allocate_as_owner(size, align))?
    }

    fn allocate_as_owner(&self, size: usize, align: usize) -> Option<usize> {
        if align > PAGE || size > MOST_BYTES {
            return None;
        }
        let size = rounded(size);
        if size > SMALL {
            return Some(self.address(self.take_run(size.div_ceil(CHUNK))?));
        }
        let (next, end) = self.current();
        let at = next.next_multiple_of(align);
        if next != 0 && at + size <= end {
            self.chunks.hold(self.chunk_of(at));
            self.next.store(at + size, Ordering::Relaxed);
            return Some(at);
        }
        let chunk = self.take_run(1)?;
        self.leave_current();
        // The block's, and the owner's while the chunk is the current one.
        self.chunks.hold(chunk);
        let at = self.address(chunk);
        self.next.store(at + size, Ordering::Relaxed);
        self.end.store(at + CHUNK, Ordering::Relaxed);
        Some(at)
    }

    /// Where the next small block may begin, and the end of its chunk.
    fn current(&self) -> (usize, usize) {
        (
            self.next.load(Ordering::Relaxed),
            self.end.load(Ordering::Relaxed),
        )
    }

    /// The owner holds its current chunk no longer.
    fn leave_current(&self) {
        let (_, end) = self.current();
        self.next.store(0, Ordering::Relaxed);
        self.end.store(0, Ordering::Relaxed);
        if end != 0 {
            let chunk = self.chunk_of(end - CHUNK);
            if self.chunks.give_up(chunk) == Some(0) {
                self.free_run(chunk, 1);
            }
        }
    }

    /// Takes the first `count` free chunks that lie side by side.
    fn take_run(&self, count: usize) -> Option<usize> {
        let all = self.bytes.load(Ordering::Relaxed) / CHUNK;
        let is_free = |chunk: &usize| self.chunks.is_free(*chunk);
        let lowest = (self.lowest.load(Ordering::Relaxed)..all)
            .find(is_free)
            .unwrap_or(all);
        self.lowest.store(lowest, Ordering::Relaxed);
        let mut first = lowest;
        loop {
            if first + count > all {
                return None;
            }
            match (first..first + count).rev().find(|chunk| !is_free(chunk)) {
                Some(taken) => first = taken + 1,
                None => break,
            }
        }
        self.take_all(first, first..first + count);
        Some(first)
    }

    /// Takes these free chunks, of the run that begins at `first`.
    fn take_all(&self, first: usize, chunks: Range<usize>) {
        let high = self.high.load(Ordering::Relaxed).max(chunks.end);
        self.high.store(high, Ordering::Relaxed);
        for chunk in chunks {
            let what_for = if chunk == first { For::Use } else { For::Part };
            // Before a block of it is handed out. A dirty one has its marks.
            if self.chunks.take(chunk, what_for) == Some(false) {
                self.pages(chunk).for_each(|page| FILTER.add(page));
            }
        }
    }

    /// Frees chunks that the owner has alone, for its next blocks.
    fn free_run(&self, first: usize, count: usize) {
        (first..first + count).for_each(|chunk| self.chunks.free(chunk, true));
        let lowest = self.lowest.load(Ordering::Relaxed).min(first);
        self.lowest.store(lowest, Ordering::Relaxed);
    }

    /// Frees chunks that the caller has alone, and gives their pages back.
    fn release_run(&self, first: usize, count: usize) {
        let _errno = ErrnoGuard::new();
        let start = self.address(first);
        // SAFETY: inside this arena's mapping, and nobody but the caller holds these chunks, so nothing refers to them.
        unsafe { sys::discard(start, count * CHUNK) };
        for chunk in first..first + count {
            self.pages(chunk).for_each(|page| FILTER.remove(page));
            self.chunks.free(chunk, false);
        }
    }

    /// Takes back a block of `size` bytes, from any thread.
    pub(crate) fn free(&self, block: *mut u8, size: usize) {
        let (at, size) = (block as usize, rounded(size));
        let chunk = self.chunk_of(at);
        let count = if size > SMALL {
            size.div_ceil(CHUNK)
        } else {
            1
        };
        let by_owner = self.is_mine()
            && self
                .as_owner(|| match self.chunks.give_up(chunk) {
                    Some(0) => self.free_run(chunk, count),
                    Some(left) => self.rewind(chunk, at, size, left),
                    None => {}
                })
                .is_some();
        if !by_owner && self.chunks.give_up(chunk) == Some(0) {
            self.release_run(chunk, count);
        }
    }

    /// The next small block may take the place of one that has just been freed, if that was the last one, or the only one.
    fn rewind(&self, chunk: usize, at: usize, size: usize, left: u32) {
        let (next, end) = self.current();
        let start = self.address(chunk);
        if end != start + CHUNK {
            return;
        }
        if left == 1 {
            self.next.store(start, Ordering::Relaxed);
        } else if at + size == next {
            self.next.store(at, Ordering::Relaxed);
        }
    }

    /// Whether the calling thread, which must own the arena, could make a block larger or smaller where it is.
    pub(crate) fn resize(&self, block: *mut u8, old_size: usize, new_size: usize) -> bool {
        if !self.is_mine() || new_size > MOST_BYTES {
            return false;
        }
        let at = block as usize;
        let (old, new) = (rounded(old_size), rounded(new_size));
        self.as_owner(|| match (old > SMALL, new > SMALL) {
            (false, false) => self.resize_small(at, old, new),
            (true, true) => {
                self.resize_run(self.chunk_of(at), old.div_ceil(CHUNK), new.div_ceil(CHUNK))
            }
            _ => false,
        })
        .unwrap_or(false)
    }

    fn resize_small(&self, at: usize, old: usize, new: usize) -> bool {
        let (next, end) = self.current();
        // A block that ends with the chunk before is not the last one, although an empty current chunk begins there.
        let is_last = at + CHUNK >= end && at + old == next;
        if is_last && at + new <= end {
            self.next.store(at + new, Ordering::Relaxed);
            return true;
        }
        new <= old
    }

    fn resize_run(&self, first: usize, old: usize, new: usize) -> bool {
        if new <= old {
            self.free_run(first + new, old - new);
            return true;
        }
        let more = first + old..first + new;
        let all = self.bytes.load(Ordering::Relaxed) / CHUNK;
        let fits = more.end <= all && more.clone().all(|chunk| self.chunks.is_free(chunk));
        if fits {
            self.take_all(first, more);
        }
        fits
    }

    /// Gives back everything that no block is in, and the address space if none is left.
    pub(super) fn end(&self) {
        self.leave_current();
        let high = self.high.load(Ordering::Relaxed);
        if (0..high).all(|chunk| self.chunks.is_free(chunk)) {
            self.unmap(high);
        } else {
            let mut chunk = 0;
            while chunk < high {
                let count = (chunk..high)
                    .take_while(|chunk| self.chunks.seize_dirty(*chunk))
                    .count();
                if count > 0 {
                    self.release_run(chunk, count);
                }
                chunk += count + 1;
            }
        }
        self.lowest.store(0, Ordering::Relaxed);
        // Release: the next owner finds all of this done.
        self.owned.store(false, Ordering::Release);
    }

    /// All chunks are free, so nobody has business here. Those that are dirty still have their marks.
    fn unmap(&self, high: usize) {
        let _errno = ErrnoGuard::new();
        for chunk in (0..high).filter(|chunk| self.chunks.is_dirty(*chunk)) {
            self.pages(chunk).for_each(|page| FILTER.remove(page));
            self.chunks.free(chunk, false);
        }
        self.high.store(0, Ordering::Relaxed);
        let bytes = self.bytes.load(Ordering::Relaxed);
        // SeqCst: forgotten, for all threads, before the addresses can be anybody else's.
        let start = self.start.swap(0, Ordering::SeqCst);
        MAPPED.fetch_sub(1, Ordering::SeqCst);
        if let Some(start) = NonNull::new(std::ptr::with_exposed_provenance_mut(start)) {
            // SAFETY: the whole of one mapping; no chunk of it is held, so no block of it is left.
            unsafe { sys::unmap(start, bytes) };
        }
    }

    fn address(&self, chunk: usize) -> usize {
        self.start.load(Ordering::Relaxed) + chunk * CHUNK
    }

    fn chunk_of(&self, address: usize) -> usize {
        address.wrapping_sub(self.start.load(Ordering::Relaxed)) / CHUNK
    }

    fn pages(&self, chunk: usize) -> impl Iterator<Item = usize> {
        let start = self.address(chunk);
        (start..start + CHUNK).step_by(PAGE)
    }
}

/// What a block of so many bytes takes: every block can hold any type.
fn rounded(size: usize) -> usize {
    size.next_multiple_of(16)
}
