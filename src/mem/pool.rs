//! Numbered elements, each given to whoever asks for one, for good.
#![forbid(unsafe_code)]

use super::{Published, Zeroable, place_in_doubling_chunks};
use crate::sync::primitive::{AtomicU64, Ordering};

const CHUNKS: usize = if cfg!(loom) { 1 } else { 20 };
const CHUNK_BITS: usize = if cfg!(loom) { 1 } else { 4 };

/// Elements in chunks of 2^4, 2^5, …, mapped as they are needed.
pub(crate) struct Pool<T> {
    chunks: [Published<T>; CHUNKS],
    count: AtomicU64,
}

impl<T: Zeroable> Pool<T> {
    #[cfg(not(loom))]
    pub(crate) const fn new() -> Pool<T> {
        let mut chunks = [const { Published::new(0) }; CHUNKS];
        let mut number = 0;
        while number < CHUNKS {
            chunks[number] = Published::new(1 << (CHUNK_BITS + number));
            number += 1;
        }
        Pool {
            chunks,
            count: AtomicU64::new(0),
        }
    }

    #[cfg(loom)]
    pub(crate) fn new() -> Pool<T> {
        Pool {
            chunks: std::array::from_fn(|chunk| Published::new(1 << (CHUNK_BITS + chunk))),
            count: AtomicU64::new(0),
        }
    }

    /// The element with a number that [`Pool::take`] gave out.
    pub(crate) fn get(&self, number: u32) -> Option<&'static T> {
        let (chunk, offset) = place(number.into());
        self.chunks.get(chunk)?.get()?.get(offset)
    }

    /// The number of an element that nobody else has; `None`: no room.
    #[cold]
    pub(crate) fn take(&self) -> Option<u32> {
        // Relaxed: a number is handed out once; the element is zeros, and published by whoever took it.
        let mut number = self.count.load(Ordering::Relaxed);
        loop {
            self.chunks.get(place(number).0)?.get_or_publish()?;
            match self.count.compare_exchange_weak(
                number,
                number + 1,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return u32::try_from(number).ok(),
                Err(current) => number = current,
            }
        }
    }

    /// How many have been taken.
    #[cfg(any(feature = "task", feature = "threadcreate", test))]
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

/// Chunk and offset of an element's number.
fn place(number: u64) -> (usize, usize) {
    place_in_doubling_chunks(number, CHUNK_BITS)
}
