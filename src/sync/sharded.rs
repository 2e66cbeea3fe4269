//! A counter that threads add to without sharing a cache line.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering};

use super::lane::{self, LANES, Lane};

/// 128 bytes: processors fetch lines in pairs.
#[repr(align(128))]
struct Shard(AtomicU64);

/// A signed sum over lanes.
pub(crate) struct Sharded([Shard; LANES]);

impl Sharded {
    pub(crate) const fn new() -> Sharded {
        Sharded([const { Shard(AtomicU64::new(0)) }; LANES])
    }

    /// Adds to the shard of this lane, which must be the calling thread's.
    pub(crate) fn add(&self, lane: Lane, amount: i64) {
        if let Some(shard) = self.0.get(lane.number() as usize) {
            super::own::add_if(lane.is_own(), &shard.0, amount as u64);
        }
    }

    /// The sum over all lanes: exact when nobody adds meanwhile.
    pub(crate) fn sum(&self) -> i64 {
        // Relaxed: no other memory is published through it. Wrapping: single shards may be far negative and positive.
        self.0[..lane::used()].iter().fold(0u64, |sum, shard| {
            sum.wrapping_add(shard.0.load(Ordering::Relaxed))
        }) as i64
    }
}
