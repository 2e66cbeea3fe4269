//! An append-only store of 64-bit words in runs: the frames of all stacks.
#![forbid(unsafe_code)]

use super::Published;
use crate::sync::primitive::{AtomicU64, Ordering};

/// Chunk `k` holds `2^(FIRST_BITS + k)` words.
pub(crate) struct Words {
    next: AtomicU64,
    chunks: [Published<AtomicU64>; CHUNKS],
}

const FIRST_BITS: u32 = if cfg!(loom) { 2 } else { 13 };
const CHUNKS: usize = if cfg!(loom) { 3 } else { 20 };

impl Words {
    #[cfg(not(loom))]
    pub(crate) const fn new() -> Words {
        let mut chunks = [const { Published::new(0) }; CHUNKS];
        let mut number = 0;
        while number < CHUNKS {
            chunks[number] = Published::new(1 << (FIRST_BITS as usize + number));
            number += 1;
        }
        Words {
            next: AtomicU64::new(0),
            chunks,
        }
    }

    #[cfg(loom)]
    pub(crate) fn new() -> Words {
        let chunks =
            std::array::from_fn(|number| Published::new(1 << (FIRST_BITS as usize + number)));
        Words {
            next: AtomicU64::new(0),
            chunks,
        }
    }

    /// Appends `words` as one run and returns its position; `None`: no room.
    ///
    /// The words are not published by this: hand the position on with a Release store.
    pub(crate) fn append(&self, words: impl ExactSizeIterator<Item = u64>) -> Option<u64> {
        let len = words.len();
        let start = self.reserve(len as u64)?;
        let run = self.run(start, len)?;
        for (slot, word) in run.iter().zip(words) {
            // Relaxed: published by the caller's Release store of the position.
            slot.store(word, Ordering::Relaxed);
        }
        Some(start)
    }

    /// The run of `len` words at a position that [`Words::append`] returned.
    pub(crate) fn run(&self, start: u64, len: usize) -> Option<&'static [AtomicU64]> {
        let (chunk, offset) = place(start);
        self.chunks.get(chunk)?.get()?.get(offset..offset + len)
    }

    /// Takes `len` consecutive positions within one chunk. What is left of a chunk that is too short is
    /// skipped: at most one stack's length per chunk.
    fn reserve(&self, len: u64) -> Option<u64> {
        // Relaxed: positions are handed out once each by the exchange; contents are published elsewhere.
        let mut next = self.next.load(Ordering::Relaxed);
        loop {
            let (mut chunk, offset) = place(next);
            let mut start = next;
            if offset as u64 + len > 1 << (FIRST_BITS as usize + chunk) {
                chunk += 1;
                start = (1u64 << (FIRST_BITS as usize + chunk)) - (1 << FIRST_BITS);
            }
            // Before the position is taken, so that a refusal leaves no hole.
            let memory = self.chunks.get(chunk)?.get_or_publish()?;
            if len > memory.len() as u64 {
                return None;
            }
            match self.next.compare_exchange_weak(
                next,
                start + len,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Some(start),
                Err(current) => next = current,
            }
        }
    }
}

/// Chunk and offset of a position.
fn place(position: u64) -> (usize, usize) {
    super::place_in_doubling_chunks(position, FIRST_BITS as usize)
}
