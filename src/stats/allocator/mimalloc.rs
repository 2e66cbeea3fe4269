//! mimalloc. It gives its mappings its name, so without the feature, too, its memory is known where the kernel keeps names
//! (`CONFIG_ANON_VMA_NAME`); with it, mimalloc itself is asked which addresses are its own.
#![forbid(unsafe_code)]

use super::{Allocator, AllocatorCount};
use crate::sys;

pub(super) const SOURCE: &str = if cfg!(feature = "mimalloc") {
    "resident pages by smaps of mappings named mimalloc, or that mi_is_in_heap_region knows"
} else {
    "resident pages by smaps of mappings named mimalloc"
};

pub(super) struct MiMalloc;

impl Allocator for MiMalloc {
    fn name(&self) -> &str {
        "mimalloc"
    }

    /// Nothing: release builds count committed memory only, which on Linux includes what was never touched.
    fn count(&self) -> AllocatorCount {
        AllocatorCount::default()
    }

    fn holds(&self, address: usize) -> Option<bool> {
        sys::mimalloc::holds(address)
    }

    fn mapping_name(&self) -> Option<&str> {
        Some("mimalloc")
    }

    fn give_back(&self) -> bool {
        sys::mimalloc::collect()
    }
}
