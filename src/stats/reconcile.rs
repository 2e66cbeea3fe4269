//! The sum: live heap + overhead + free + stacks + files + shared + own + unexplained = resident.
//!
//! ```text
//! resident ─┬─ allocators ─┬─ in use ─┬─ live      heapsite
//!           │              │          └─ overhead  the allocator's count, minus live
//!           │              └─ free                 resident in the allocator, minus in use
//!           ├─ stacks, files, shared, own          the kernel
//!           └─ unexplained                         what is left, whatever its sign
//! ```
#![forbid(unsafe_code)]

use crate::profile::resources::{HeldMemory, MemoryParts};

/// What was measured, bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Measured {
    pub(crate) rss: u64,
    pub(crate) live: u64,
    pub(crate) live_error: u64,
    pub(crate) stacks: u64,
    pub(crate) files: u64,
    pub(crate) shared: u64,
    pub(crate) own: u64,
}

/// Splits what is resident. The parts of the answer add up to `measured.rss` exactly, whatever is passed in (numbers above
/// 64 PiB count as 64 PiB).
pub(crate) fn reconcile(measured: &Measured, allocators: &[HeldMemory]) -> MemoryParts {
    let live = bounded(measured.live);
    let mut in_use = 0;
    let mut free = 0;
    // Where no allocator is known to serve Rust, what is live lies in none of them.
    let mut holder_of_live_counts = false;
    for allocator in allocators {
        let used = match (allocator.in_use_bytes, allocator.is_global) {
            (Some(used), is_global) => {
                holder_of_live_counts |= is_global;
                bounded(used)
            }
            // It does not tell: all that is known to be in use is what is live, which stands for itself.
            (None, true) => {
                free += (bounded(allocator.resident_bytes) - live).max(0);
                continue;
            }
            (None, false) => 0,
        };
        in_use += used;
        // Below zero: in use, but never touched. That shows as unexplained, with its sign.
        free += (bounded(allocator.resident_bytes) - used).max(0);
    }
    let overhead = match holder_of_live_counts {
        true => in_use - live,
        false => in_use,
    };
    let [rss, stacks, files, shared, own] = [
        measured.rss,
        measured.stacks,
        measured.files,
        measured.shared,
        measured.own,
    ]
    .map(bounded);
    MemoryParts {
        rss_bytes: rss as u64,
        live_bytes: live as u64,
        live_error_bytes: bounded(measured.live_error) as u64,
        overhead_bytes: overhead,
        free_bytes: free as u64,
        stacks_bytes: stacks as u64,
        files_bytes: files as u64,
        shared_bytes: shared as u64,
        own_bytes: own as u64,
        unexplained_bytes: rss - live - overhead - free - stacks - files - shared - own,
    }
}

/// No address space is larger, and sums of these do not overflow.
fn bounded(bytes: u64) -> i64 {
    bytes.min(1 << 56) as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn held(is_global: bool, in_use: Option<u64>, resident: u64) -> HeldMemory {
        HeldMemory {
            is_global,
            in_use_bytes: in_use,
            resident_bytes: resident,
            ..HeldMemory::default()
        }
    }

    fn sum(parts: &MemoryParts) -> i64 {
        parts.parts().iter().map(|(_, bytes)| bytes).sum()
    }

    const PLAIN: Measured = Measured {
        rss: 200,
        live: 64,
        live_error: 3,
        stacks: 10,
        files: 20,
        shared: 5,
        own: 1,
    };

    #[test]
    fn an_allocator_that_counts_splits_into_overhead_and_free() {
        let parts = reconcile(&PLAIN, &[held(true, Some(70), 100)]);
        assert_eq!((parts.overhead_bytes, parts.free_bytes), (6, 30));
        assert_eq!(parts.unexplained_bytes, 200 - 100 - 36);
        assert_eq!(sum(&parts), 200);
    }

    #[test]
    fn one_that_does_not_count_is_free_beyond_what_is_live() {
        let both = [held(true, None, 100), held(false, Some(7), 9)];
        let parts = reconcile(&PLAIN, &both);
        // C's heap beside it is in use, and not by Rust.
        assert_eq!((parts.overhead_bytes, parts.free_bytes), (7, 36 + 2));
        assert_eq!(parts.unexplained_bytes, 200 - 109 - 36);
        assert_eq!(sum(&parts), 200);
    }

    #[test]
    fn under_an_unknown_allocator_live_stands_for_itself() {
        let parts = reconcile(&PLAIN, &[held(false, Some(7), 9)]);
        assert_eq!((parts.overhead_bytes, parts.free_bytes), (7, 2));
        assert_eq!(parts.unexplained_bytes, 200 - 64 - 9 - 36);
    }

    #[test]
    fn what_was_never_touched_is_below_zero() {
        let measured = Measured {
            live: 1000,
            ..PLAIN
        };
        let parts = reconcile(&measured, &[held(true, Some(1000), 90)]);
        assert_eq!((parts.overhead_bytes, parts.free_bytes), (0, 0));
        assert_eq!(parts.unexplained_bytes, 200 - 1000 - 36);
        assert_eq!(sum(&parts), 200);
    }

    #[test]
    fn an_estimate_above_what_is_in_use_leaves_the_rest_alone() {
        let parts = reconcile(&PLAIN, &[held(true, Some(60), 100)]);
        assert_eq!(parts.overhead_bytes, -4);
        assert_eq!(parts.unexplained_bytes, 200 - 100 - 36);
    }

    proptest! {
        #[test]
        fn parts_always_add_up(
            numbers in proptest::array::uniform7(any::<u64>()),
            allocators in proptest::collection::vec((any::<bool>(), any::<Option<u64>>(), any::<u64>()), 0..4),
        ) {
            let [rss, live, live_error, stacks, files, shared, own] = numbers;
            let measured = Measured { rss, live, live_error, stacks, files, shared, own };
            let allocators: Vec<HeldMemory> = allocators
                .into_iter()
                .map(|(is_global, in_use, resident)| held(is_global, in_use, resident))
                .collect();
            let parts = reconcile(&measured, &allocators);
            prop_assert_eq!(sum(&parts), rss.min(1 << 56) as i64);
        }
    }
}
