//! Who holds a slot, and whether a task lives in it: two words and a list of free slots, without a lock.
//!
//! ```text
//!          take                   finish                    last holder lets go
//! free ──────────▶ live: odd ──────────────▶ over: even ──────────────────────▶ free
//!                  holders ≥ 1               holders ≥ 0 (wakers that are still about)
//! ```
//!
//! A waker may outlive its task for as long as it likes, so a slot has holders: the future and every waker. The
//! generation is odd while a task lives, and a reader that finds the same odd number before and after has read one task.
#![forbid(unsafe_code)]

use crate::sync::primitive::{AtomicU32, AtomicU64, Ordering, fence};

/// The words of one slot.
pub(crate) struct Life {
    holders: AtomicU32,
    generation: AtomicU32,
    /// The next free slot's number + 1; 0: this is the last one.
    next_free: AtomicU32,
}

impl Life {
    #[cfg(any(loom, test))]
    pub(crate) fn new() -> Life {
        Life {
            holders: AtomicU32::new(0),
            generation: AtomicU32::new(0),
            next_free: AtomicU32::new(0),
        }
    }

    /// The first thing that whoever took the slot does; what it writes about the task comes between this and
    /// [`Life::begin`].
    pub(crate) fn prepare(&self) {
        // Relaxed: nobody else has the slot.
        self.holders.store(1, Ordering::Relaxed);
        // Release: a reader that sees a word of what follows also sees that the last task is over.
        fence(Ordering::Release);
    }

    /// The task lives: readers may look at it.
    pub(crate) fn begin(&self) {
        // Release: who sees the odd number sees what was written about the task.
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// The task is over. Once for each [`Life::begin`], by the one that has the future.
    pub(crate) fn finish(&self) {
        // Relaxed: the next task's `prepare` orders it before what is written then.
        self.generation.fetch_add(1, Ordering::Relaxed);
    }

    /// One holder more; the caller is one, or has the slot from one.
    pub(crate) fn hold(&self) {
        // Relaxed, as in `Arc`: whoever hands on a waker has one. 2^32 forgotten wakers would make it wrap; slots stay
        // mapped for ever, so what came of it would be a task woken for nothing.
        self.holders.fetch_add(1, Ordering::Relaxed);
    }

    /// One holder less; `true`: that was the last one, and the slot is the caller's to give back.
    pub(crate) fn let_go(&self) -> bool {
        // Release: what this holder did with the slot lies before. Acquire, for the last one: so does what others did.
        if self.holders.fetch_sub(1, Ordering::Release) != 1 {
            return false;
        }
        fence(Ordering::Acquire);
        true
    }

    /// What `read` finds out about the task that lives here; `None`: none does, or it ended meanwhile.
    pub(crate) fn read<R>(&self, read: impl FnOnce(u32) -> R) -> Option<R> {
        // Acquire: pairs with `begin`.
        let generation = self.generation.load(Ordering::Acquire);
        if generation.is_multiple_of(2) {
            return None;
        }
        let found = read(generation);
        // Acquire: pairs with `prepare`: who read a word of a later task sees the generation of a later one.
        fence(Ordering::Acquire);
        (self.generation.load(Ordering::Relaxed) == generation).then_some(found)
    }
}

/// Slots that nobody holds. The upper half of the word counts changes, so that a slot which came and went meanwhile is
/// not taken for the one that was seen.
pub(crate) struct FreeList(AtomicU64);

impl FreeList {
    #[cfg(not(loom))]
    pub(crate) const fn new() -> FreeList {
        FreeList(AtomicU64::new(0))
    }

    #[cfg(loom)]
    pub(crate) fn new() -> FreeList {
        FreeList(AtomicU64::new(0))
    }

    /// Adds a slot that is the caller's.
    pub(crate) fn push<'a>(&self, number: u32, life: impl Fn(u32) -> Option<&'a Life>) {
        let Some(own) = life(number) else { return };
        let mut head = self.0.load(Ordering::Relaxed);
        loop {
            // Relaxed: read again by `pop` only after the exchange below.
            own.next_free.store(head as u32, Ordering::Relaxed);
            // Release: who takes the slot sees its link, and all that was done to it.
            match self.0.compare_exchange_weak(
                head,
                changed(head) | u64::from(number + 1),
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => return,
                Err(current) => head = current,
            }
        }
    }

    /// A free slot, the caller's from now on.
    pub(crate) fn pop<'a>(&self, life: impl Fn(u32) -> Option<&'a Life>) -> Option<u32> {
        // Acquire, here and below: the slot's link, and what was done to it, as its last holder left them.
        let mut head = self.0.load(Ordering::Acquire);
        loop {
            let number = (head as u32).checked_sub(1)?;
            // Of a slot that somebody else takes meanwhile this is nonsense, and the exchange fails.
            let next = life(number)?.next_free.load(Ordering::Relaxed);
            match self.0.compare_exchange_weak(
                head,
                changed(head) | u64::from(next),
                Ordering::Acquire,
                Ordering::Acquire,
            ) {
                Ok(_) => return Some(number),
                Err(current) => head = current,
            }
        }
    }
}

fn changed(head: u64) -> u64 {
    (head >> 32).wrapping_add(1) << 32
}
