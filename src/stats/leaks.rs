//! What the leak watch of this process has found, for everybody who shows numbers.
#![forbid(unsafe_code)]

use serde::Serialize;

use crate::helper::{Remembered, own_work};

/// The leak watch that runs in this process: [`leak::Watch`](crate::leak::Watch).
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LeakWatch {
    /// Looks so far.
    pub looks: u64,
    /// Looks that came to nothing, because heapsite panicked or refused its own data.
    pub failed_looks: u64,
    /// Times that the callback panicked.
    pub callback_panics: u64,
    /// When the last look was, nanoseconds since the Unix epoch; 0: there was none.
    pub last_look_nanos: i64,
    /// What the looks took, all together, nanoseconds.
    pub took_nanos: u64,
    /// What is announced as a leak, the fastest first.
    pub suspects: Vec<GrowingSite>,
    /// What grows and may have a cap: first what looks like a leak all the same, then the fastest, ten at most. Never
    /// announced.
    pub filling: Vec<GrowingSite>,
    /// Places that the last look could judge; odds are corrected for them.
    pub judged: usize,
    /// Looks that are kept.
    pub kept_looks: usize,
    /// Stacks whose names were looked up.
    pub named_stacks: u64,
    /// What the watch keeps, bytes; counted. Beside it, a look takes memory for the moment, apart from the program's heap.
    pub own_bytes: usize,
}

/// A line whose live memory grows.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct GrowingSite {
    /// `cache.rs:42 (shop::Cache::set)`.
    pub site: String,
    /// How fast, estimated.
    pub bytes_per_second: f64,
    /// Standard error of `bytes_per_second`.
    pub bytes_per_second_error: f64,
    /// What is live of it, bytes; estimated unless everything is recorded.
    pub live_bytes: f64,
    /// Since when it grows, nanoseconds since the recorder's start.
    pub since_nanos: u64,
    /// `1 − p`, corrected for the number of places; 0 for what is filling.
    pub confidence: f64,
    /// Of what is filling: it does all that a leak does, but a cache may take as long to fill.
    pub looks_like_leak: bool,
}

/// With the process that it is of.
static CURRENT: Remembered<Option<(u32, LeakWatch)>> = Remembered::new();

/// What the watch of this very process has found; `None`: none runs.
pub(crate) fn current() -> Option<LeakWatch> {
    let _own_work = own_work();
    let pid = std::process::id();
    // A forked child has its parent's numbers, but no watch.
    CURRENT.with(|current| {
        let (_, watch) = current.as_ref().filter(|(owner, _)| *owner == pid)?;
        Some(watch.clone())
    })
}

/// To be called under [`own_work`]; `None`: the watch has ended.
pub(crate) fn publish(watch: Option<LeakWatch>) {
    let watch = watch.map(|watch| (std::process::id(), watch));
    CURRENT.with(|current| *current = watch);
}
