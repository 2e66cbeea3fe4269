//! What a piece of code allocates, counted exactly, and limits to it.
#![forbid(unsafe_code)]

use std::fmt;

use serde::Serialize;

use super::scope::{Blind, Scope};
use crate::view::units;

/// Counts what the calling thread, and the threads that it starts, allocate while it lives, whatever the interval is.
///
/// ```
/// # #[global_allocator]
/// # static HEAP: heapsite::Heapsite = heapsite::Heapsite::system();
/// let counting = heapsite::leak::Counting::start();
/// let line = String::from("twelve bytes");
/// let used = counting.read();
/// assert_eq!((used.allocations, used.bytes, used.live_bytes), (1, 12, 12));
/// ```
#[derive(Debug)]
#[must_use = "it counts for as long as it lives"]
pub struct Counting(Result<Scope, Blind>);

/// What was allocated, exact. A `realloc` counts as an allocation of its new size and a free of its old one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Used {
    /// Allocations.
    pub allocations: u64,
    /// Requested bytes.
    pub bytes: u64,
    /// Allocations that have not been freed.
    pub live_allocations: u64,
    /// Their requested bytes.
    pub live_bytes: u64,
    /// The most bytes that were live at once.
    pub peak_bytes: u64,
}

impl Counting {
    /// Starts at zero.
    pub fn start() -> Counting {
        Counting(Scope::open())
    }

    /// What has been allocated so far.
    ///
    /// # Panics
    /// If nothing can be counted: no heapsite allocator is installed, or another platform.
    #[track_caller]
    pub fn read(&self) -> Used {
        let scope = match &self.0 {
            Ok(scope) => scope,
            Err(blind) => panic!("allocations cannot be counted: {}", blind.why()),
        };
        let counts = scope.counts();
        Used {
            allocations: counts.allocations,
            bytes: counts.bytes,
            live_allocations: counts.live_objects,
            live_bytes: counts.live_bytes,
            peak_bytes: counts.peak_bytes,
        }
    }
}

impl Used {
    /// A number by the name that [`assert_allocs!`](super::assert_allocs) has for it.
    fn by_name(&self, name: &str) -> Option<u64> {
        Some(match name {
            "count" => self.allocations,
            "bytes" => self.bytes,
            "peak" => self.peak_bytes,
            "live" => self.live_allocations,
            "live_bytes" => self.live_bytes,
            _ => return None,
        })
    }
}

impl fmt::Display for Used {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [count, bytes, peak, live, live_bytes] = [
            self.allocations,
            self.bytes,
            self.peak_bytes,
            self.live_allocations,
            self.live_bytes,
        ]
        .map(|number| units::count(i64::try_from(number).unwrap_or(i64::MAX)));
        write!(
            f,
            "count {count}, bytes {bytes}, peak {peak}, live {live}, live_bytes {live_bytes}"
        )
    }
}

/// The comparison of one limit: what is compared, how, with what, as written in the source.
#[doc(hidden)]
pub type Limit<'a> = (&'a str, fn(&u64, &u64) -> bool, &'a str, u64);

/// Panics unless all limits hold. For [`assert_allocs!`](super::assert_allocs).
#[doc(hidden)]
#[track_caller]
pub fn check(used: Used, limits: &[Limit<'_>]) {
    for (name, holds, operator, limit) in limits {
        let Some(is) = used.by_name(name) else {
            panic!(
                "assert_allocs! knows count, bytes, peak, live and live_bytes, and not `{name}`"
            );
        };
        assert!(
            holds(&is, limit),
            "allocations: {name} is {is}, which is not {operator} {limit}\n  in all: {used}"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USED: Used = Used {
        allocations: 2,
        bytes: 4096,
        live_allocations: 1,
        live_bytes: 96,
        peak_bytes: 4000,
    };

    #[test]
    fn limits_that_hold() {
        check(
            USED,
            &[("count", u64::le, "<=", 2), ("peak", u64::lt, "<", 4001)],
        );
    }

    #[test]
    #[should_panic = "bytes is 4096, which is not <= 4095"]
    fn a_limit_that_does_not() {
        check(USED, &[("bytes", u64::le, "<=", 4095)]);
    }
}
