//! A counter that threads add to without sharing a cache line.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicI64, Ordering};

/// Threads spread over this many lines; more threads than that share.
const SHARDS: usize = 64;

/// 128 bytes: processors fetch lines in pairs.
#[repr(align(128))]
struct Shard(AtomicI64);

/// A signed sum over shards.
pub(crate) struct Sharded([Shard; SHARDS]);

impl Sharded {
    pub(crate) const fn new() -> Sharded {
        Sharded([const { Shard(AtomicI64::new(0)) }; SHARDS])
    }

    /// Adds to the shard of the thread with this number, and returns the shard's value before.
    pub(crate) fn add(&self, thread_number: u32, amount: i64) -> i64 {
        // Relaxed: a sum; no other memory is published through it.
        self.0[thread_number as usize % SHARDS]
            .0
            .fetch_add(amount, Ordering::Relaxed)
    }

    /// The sum over all shards: exact when nobody adds meanwhile.
    pub(crate) fn sum(&self) -> i64 {
        // Relaxed: as in `add`. Wrapping: single shards may be far negative and positive.
        self.0.iter().fold(0i64, |sum, shard| {
            sum.wrapping_add(shard.0.load(Ordering::Relaxed))
        })
    }
}
