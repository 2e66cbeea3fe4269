//! How long freed samples lived, by powers of two.
#![forbid(unsafe_code)]

use super::clock;
use crate::sync::primitive::{AtomicU64, Ordering};

/// Bucket 0: less than one tick; bucket n: `[2^(n-1), 2^n)` ticks; the last: that and longer (52 days).
pub(crate) const BUCKETS: usize = 40;

/// The bucket of a lifetime in ticks.
pub(crate) fn bucket(ticks: u64) -> usize {
    ((u64::BITS - ticks.leading_zeros()) as usize).min(BUCKETS - 1)
}

/// Shortest and one past the longest lifetime of a bucket, nanoseconds.
pub(crate) fn bounds_nanos(bucket: usize) -> (u64, u64) {
    let from = if bucket == 0 {
        0
    } else {
        clock::ticks_to_nanos(1 << (bucket - 1))
    };
    let to = if bucket == BUCKETS - 1 {
        u64::MAX
    } else {
        clock::ticks_to_nanos(1 << bucket)
    };
    (from, to)
}

/// Freed samples and the bytes they stand for, by lifetime. Two sampled allocations' worth per word would
/// save memory but tear; a word each does not.
pub(crate) type Lifetimes = [[AtomicU64; 2]; BUCKETS];

/// Adds one freed sample.
pub(crate) fn add(lifetimes: &Lifetimes, ticks: u64, bytes_estimate: u64) {
    let [objects, bytes] = &lifetimes[bucket(ticks)];
    // Release: see `Site::count_alloc`.
    objects.fetch_add(1, Ordering::Release);
    bytes.fetch_add(bytes_estimate, Ordering::Release);
}

/// Each bucket's freed samples and the bytes they stand for.
pub(crate) fn read(lifetimes: &Lifetimes) -> [(u64, u64); BUCKETS] {
    std::array::from_fn(|bucket| {
        let [objects, bytes] = &lifetimes[bucket];
        // Acquire: pairs with `add`.
        (
            objects.load(Ordering::Acquire),
            bytes.load(Ordering::Acquire),
        )
    })
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn buckets_cover_time_without_gaps() {
        assert_eq!(bucket(0), 0);
        assert_eq!(bucket(1), 1);
        assert_eq!(bucket(3), 2);
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
        for number in 1..BUCKETS {
            assert_eq!(bounds_nanos(number - 1).1, bounds_nanos(number).0);
            assert_eq!(bucket(bounds_nanos(number).0 >> 13), number);
        }
    }
}
