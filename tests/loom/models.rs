//! Small questions about the lock-free tables, answered by loom for every interleaving it can find.
//!
//! The modules below are heapsite's own, over loom's atomics (`sync::primitive`) and shrunk to two slots a
//! bucket and two levels, so that collisions, full buckets and growth all happen within a few steps.
//!
//! Run with `ci/loom.sh`.
#![cfg(loom)]
#![allow(dead_code, unused_imports, reason = "whole modules are included, of which a model uses a part")]

mod stepping;

#[path = "../../src/mem/mod.rs"]
mod mem;
#[path = "../../src/sync/mod.rs"]
mod sync;
#[path = "../../src/sys/fallback.rs"]
mod sys;

#[path = "../../src/unwind"]
mod unwind {
    pub(crate) mod stack_hash;
}
#[path = "../../src/record"]
mod record {
    pub(crate) mod clock;
    pub(crate) mod counters;
    pub(crate) mod lifetimes;
    pub(crate) mod live_map;
    pub(crate) mod sampler;
    pub(crate) mod site;
    pub(crate) mod site_table;
}

#[path = "../../src/task"]
mod task {
    pub(crate) mod life;
}
#[path = "../../src/thread"]
mod thread {
    pub(crate) mod ask;
}

/// All orders with at most two preemptions: what almost every known concurrency bug needs (CHESS, Musuvathi
/// and Qadeer 2007), and as far as these models can go in seconds.
#[cfg(test)]
fn check(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.max_branches = 10_000;
    builder.check(model);
}

#[cfg(test)]
mod chunks;
#[cfg(test)]
mod counters;
#[cfg(test)]
mod map;
#[cfg(test)]
mod questions;
#[cfg(test)]
mod sites;
#[cfg(test)]
mod tasks;
