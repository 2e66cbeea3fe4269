//! The experiment: the allocator was asked to give free memory back. What went was kept for later; what stayed lies between
//! live blocks.
#![forbid(unsafe_code)]

use crate::profile::resources::{MemoryParts, Resources};
use crate::view::memory::SMALL;
use crate::view::units;

/// The process before and after.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Trim {
    /// Before it was asked.
    pub before: MemoryParts,
    /// After.
    pub after: MemoryParts,
}

impl Trim {
    /// What an allocator was asked between these two moments.
    pub fn new(before: &Resources, after: &Resources) -> Trim {
        Trim {
            before: before.memory,
            after: after.memory,
        }
    }

    /// By how much the allocators' free memory fell, bytes; what the program did meanwhile is in it.
    pub fn given_back(&self) -> u64 {
        self.before.free_bytes.saturating_sub(self.after.free_bytes)
    }

    /// What happened, in a sentence.
    pub fn sentence(&self) -> String {
        let bytes = |bytes: u64| units::bytes(bytes as f64);
        let held = self.before.free_bytes;
        let resident = format!(
            "resident {} → {}",
            bytes(self.before.rss_bytes),
            bytes(self.after.rss_bytes)
        );
        match self.given_back() {
            back if back < SMALL as u64 => format!(
                "asked for its {} of free memory, the allocator gave nothing back ({resident}): it lies between live blocks, or the \
                 allocator cannot",
                bytes(held)
            ),
            back if back >= held / 2 => format!(
                "asked for it, the allocator gave {} of {} back ({resident}): it was kept for later, and is not lost",
                bytes(back),
                bytes(held)
            ),
            back => format!(
                "asked for it, the allocator gave {} of {} back ({resident}): the rest lies between live blocks (fragmentation)",
                bytes(back),
                bytes(held)
            ),
        }
    }
}
