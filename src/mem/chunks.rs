//! Who holds which chunk of an arena: one word per chunk, and no lock.
//!
//! ```text
//!            take (owner)              last one gives up
//! CLEAN ──▶ ┌───────────────────────┐ ──────▶ RELEASING ──┬─▶ CLEAN  its pages went back
//! DIRTY ──▶ │ holders: 1, 2, 3 …    │                     └─▶ DIRTY  kept for the owner
//!   │       └───────────────────────┘                            │
//!   └──◀──────────────────────────────────────────────────────────┘
//! ```
//!
//! Only the arena's owner takes chunks; anybody may give one up. Whoever gives up last has the chunk alone until saying
//! what becomes of it, so pages are never given back under a block.
#![forbid(unsafe_code)]

use crate::sync::primitive::{AtomicU32, Ordering};

/// Free, and no page of it in use.
const CLEAN: u32 = 0;
/// Free, with pages that were used.
const DIRTY: u32 = u32::MAX;
/// The last holder gives its pages back.
const RELEASING: u32 = u32::MAX - 1;
/// Belongs to the run of chunks that began before it.
const PART: u32 = u32::MAX - 2;
const MOST_HOLDERS: u32 = u32::MAX - 3;

/// The words of `N` chunks.
pub(crate) struct Chunks<const N: usize>([AtomicU32; N]);

/// What a free chunk is taken for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum For {
    /// One holder.
    Use,
    /// The rest of a run.
    Part,
}

impl<const N: usize> Chunks<N> {
    #[cfg(not(loom))]
    pub(crate) const fn new() -> Chunks<N> {
        Chunks([const { AtomicU32::new(CLEAN) }; N])
    }

    #[cfg(loom)]
    pub(crate) fn new() -> Chunks<N> {
        Chunks(std::array::from_fn(|_| AtomicU32::new(CLEAN)))
    }

    /// Whether nobody holds it. For the owner that stays so: nobody else takes.
    pub(crate) fn is_free(&self, chunk: usize) -> bool {
        // Relaxed: `take` looks again.
        matches!(self.load(chunk), Some(CLEAN | DIRTY))
    }

    /// Whether it is free and its pages were used.
    pub(crate) fn is_dirty(&self, chunk: usize) -> bool {
        self.load(chunk) == Some(DIRTY)
    }

    /// The owner takes a free chunk. `Some(true)`: it was dirty; `None`: it is not free.
    pub(crate) fn take(&self, chunk: usize, what_for: For) -> Option<bool> {
        let word = self.0.get(chunk)?;
        let to = match what_for {
            For::Use => 1,
            For::Part => PART,
        };
        [(CLEAN, false), (DIRTY, true)]
            .into_iter()
            .find(|(from, _)| {
                // Acquire: what the last holder did to the memory, giving pages back included, lies before.
                word.compare_exchange(*from, to, Ordering::Acquire, Ordering::Relaxed)
                    .is_ok()
            })
            .map(|(_, dirty)| dirty)
    }

    /// One more holder; the owner is one already.
    pub(crate) fn hold(&self, chunk: usize) {
        self.change(chunk, |holders| holders + 1);
    }

    /// One holder less; returns how many are left. 0: the caller has the chunk alone, and ends with [`Chunks::free`].
    pub(crate) fn give_up(&self, chunk: usize) -> Option<u32> {
        self.change(chunk, |holders| match holders {
            1 => RELEASING,
            _ => holders - 1,
        })
        .map(|holders| holders - 1)
    }

    /// Takes a dirty chunk to give its pages back; ends with [`Chunks::free`].
    pub(crate) fn seize_dirty(&self, chunk: usize) -> bool {
        self.0.get(chunk).is_some_and(|word| {
            // Acquire: as in `take`.
            word.compare_exchange(DIRTY, RELEASING, Ordering::Acquire, Ordering::Relaxed)
                .is_ok()
        })
    }

    /// Makes a chunk free that the caller has alone: given up last, seized, or part of such a run.
    pub(crate) fn free(&self, chunk: usize, dirty: bool) {
        if let Some(word) = self.0.get(chunk) {
            let to = if dirty { DIRTY } else { CLEAN };
            // Release: who takes it finds everything done that was done to it.
            word.store(to, Ordering::Release);
        }
    }

    fn load(&self, chunk: usize) -> Option<u32> {
        // Relaxed: a hint for everybody but its holders.
        self.0.get(chunk).map(|word| word.load(Ordering::Relaxed))
    }

    /// Changes the number of holders and returns what it was; `None`: nobody held it, and nothing was done.
    fn change(&self, chunk: usize, to: impl Fn(u32) -> u32) -> Option<u32> {
        let word = self.0.get(chunk)?;
        let mut holders = word.load(Ordering::Relaxed);
        // Lock-free: a lost race means another holder's change went through.
        while (1..=MOST_HOLDERS).contains(&holders) {
            // Release: what this holder did lies before; Acquire: and so does, for the last one, what the others did.
            match word.compare_exchange_weak(
                holders,
                to(holders),
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Some(holders),
                Err(current) => holders = current,
            }
        }
        None
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_lives_from_taken_to_given_up() {
        let chunks = Chunks::<2>::new();
        assert!(chunks.is_free(0) && !chunks.is_dirty(0));
        assert_eq!(chunks.take(0, For::Use), Some(false));
        assert_eq!(chunks.take(0, For::Use), None, "is taken");
        chunks.hold(0);
        assert_eq!(chunks.give_up(0), Some(1));
        assert_eq!(chunks.give_up(0), Some(0));
        assert!(!chunks.is_free(0), "its last holder is at it");
        assert_eq!(chunks.give_up(0), None, "freed twice: nothing happens");
        chunks.free(0, true);
        assert!(chunks.is_dirty(0));
        assert_eq!(chunks.take(0, For::Part), Some(true));
        assert_eq!(chunks.give_up(0), None, "has no holders of its own");
        chunks.free(0, true);
        assert!(chunks.seize_dirty(0) && !chunks.seize_dirty(0));
        chunks.free(0, false);
        assert!(chunks.is_free(0) && !chunks.is_dirty(0));
        assert_eq!(chunks.take(2, For::Use), None, "there is none");
    }
}
