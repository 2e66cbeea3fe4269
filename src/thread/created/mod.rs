//! Where threads were created, where that is watched: in a program that is linked to its C library dynamically.

mod births;
mod slots;

use std::collections::HashMap;

use super::Raw;

pub(crate) use births::watch;

/// Threads that were there at one moment, with places of creation.
pub(super) struct Before(slots::Before);

/// The first half: before the threads are listed, so that whoever is not in the list has ended.
pub(super) fn look() -> Before {
    Before(slots::look())
}

impl Before {
    /// The second half: where the threads with these ids were created. Some are not known.
    pub(super) fn of(&self, ids: &[u32]) -> HashMap<u32, Raw> {
        slots::of(&self.0, ids)
    }
}

/// In the name of the function that creates threads: what is leafward of it takes the stack down.
pub(super) const CREATES: &str = "heapsite::thread::created::births::create";

/// In the name of the function that a thread begins with, between the C library's and its own.
pub(super) const BEGINS: &str = "heapsite::thread::created::births::begin";

/// Threads whose place of creation found no room, since the start of the process.
pub(super) fn lost() -> u64 {
    slots::lost()
}
