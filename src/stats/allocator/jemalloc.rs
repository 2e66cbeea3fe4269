//! jemalloc, by its own statistics.
#![forbid(unsafe_code)]

use tikv_jemalloc_ctl::{Result, epoch, stats};

use super::{Allocator, AllocatorCount};
use crate::sys;

pub(super) const SOURCE: &str =
    "stats.allocated, stats.resident (an upper bound), stats.retained and stats.metadata";

pub(super) struct Jemalloc;

impl Allocator for Jemalloc {
    fn name(&self) -> &str {
        "jemalloc"
    }

    fn count(&self) -> AllocatorCount {
        read().unwrap_or_default()
    }

    fn holds(&self, address: usize) -> Option<bool> {
        Some(sys::jemalloc::holds(address))
    }

    fn give_back(&self) -> bool {
        sys::jemalloc::purge()
    }
}

fn read() -> Result<AllocatorCount> {
    epoch::advance()?; // the numbers below are those of the last time this was called
    let bytes = |number: usize| Some(number as u64);
    Ok(AllocatorCount {
        in_use_bytes: bytes(stats::allocated::read()?),
        resident_bytes: bytes(stats::resident::read()?),
        retained_bytes: bytes(stats::retained::read()?),
        metadata_bytes: bytes(stats::metadata::read()?),
    })
}
