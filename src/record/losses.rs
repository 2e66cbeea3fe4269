//! What could not be recorded, counted by reason. Nothing below the wall fails in any other way.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering};

/// Why something was not recorded as it should have been.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(usize)]
pub(crate) enum Reason {
    /// The live map could not grow: the sampled allocation was dropped whole.
    LiveMapFull,
    /// The site table could not grow: counted under the overflow site, without a stack.
    SiteTableFull,
    /// An allocation inside the recorder's own work on this thread (a signal handler that allocates, an
    /// inner allocator that does).
    Reentrant,
    /// Bytes that heapsite's own reading half asked for (snapshots, symbols, dumps).
    OwnWork,
    /// An address or size the live map has no room for (above 2^56, or 2^40 bytes and more).
    Unrepresentable,
    /// A sample taken out for a realloc that failed could not be put back.
    NotPutBack,
    /// A site had no room for all its lifetimes.
    LifetimesFull,
    /// A stack was cut at the depth limit.
    CutDepth,
    /// A stack was cut at code without unwind information.
    CutNoUnwindInfo,
    /// A stack was cut at unwind information that could not be understood.
    CutUnknownRule,
    /// A stack was cut where the stack memory made no sense.
    CutBadStack,
}

impl Reason {
    /// Sampled allocations, or their frees, are missing from the numbers: these are no longer exact.
    pub(crate) fn is_missing(self) -> bool {
        match self {
            Reason::LiveMapFull
            | Reason::Reentrant
            | Reason::Unrepresentable
            | Reason::NotPutBack => true,
            // Counted, though without (all of) a stack or at a wrong age; or not the program's.
            Reason::SiteTableFull | Reason::LifetimesFull | Reason::OwnWork => false,
            Reason::CutDepth
            | Reason::CutNoUnwindInfo
            | Reason::CutUnknownRule
            | Reason::CutBadStack => false,
        }
    }
}

/// Each reason, its stable name, and what it does to the numbers.
pub(crate) const REASONS: [(Reason, &str, &str); 11] = [
    (
        Reason::LiveMapFull,
        "live-map-full",
        "sampled allocations missing from every number: raise the memory limit or the interval",
    ),
    (
        Reason::SiteTableFull,
        "site-table-full",
        "allocations counted under the overflow site, without a stack: raise the memory limit",
    ),
    (
        Reason::Reentrant,
        "reentrant",
        "requests made inside the recorder's own work (signal handlers that allocate) and not sampled",
    ),
    (
        Reason::OwnWork,
        "own-work",
        "bytes requested by heapsite's own snapshots and dumps, left out of the profile",
    ),
    (
        Reason::Unrepresentable,
        "unrepresentable",
        "sampled allocations of 1 TiB and more, or at addresses above 2^56, left out",
    ),
    (
        Reason::NotPutBack,
        "not-put-back",
        "sampled allocations counted as freed although a failed realloc kept them",
    ),
    (
        Reason::LifetimesFull,
        "lifetimes-full",
        "freed allocations counted with a wrong lifetime: raise the memory limit",
    ),
    (
        Reason::CutDepth,
        "cut-depth",
        "stacks longer than the depth limit; their rootmost frames are missing",
    ),
    (
        Reason::CutNoUnwindInfo,
        "cut-no-unwind-info",
        "stacks cut at code without unwind information (JIT, assembler)",
    ),
    (
        Reason::CutUnknownRule,
        "cut-unknown-rule",
        "stacks cut at unwind information that is not understood",
    ),
    (
        Reason::CutBadStack,
        "cut-bad-stack",
        "stacks cut where the next frame could not be read",
    ),
];

struct Counter {
    count: AtomicU64,
    bytes: AtomicU64,
}

static COUNTERS: [Counter; REASONS.len()] = [const {
    Counter {
        count: AtomicU64::new(0),
        bytes: AtomicU64::new(0),
    }
}; REASONS.len()];

/// Counts one loss of about `bytes` (an estimate; 0 where the reason has no size).
pub(crate) fn count(reason: Reason, bytes: u64) {
    let counter = &COUNTERS[reason as usize];
    // Relaxed: statistics of their own.
    counter.count.fetch_add(1, Ordering::Relaxed);
    counter.bytes.fetch_add(bytes, Ordering::Relaxed);
}

/// How often, and about how many bytes.
pub(crate) fn read(reason: Reason) -> (u64, u64) {
    let counter = &COUNTERS[reason as usize];
    (
        counter.count.load(Ordering::Relaxed),
        counter.bytes.load(Ordering::Relaxed),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_enum() {
        for (number, (reason, name, meaning)) in REASONS.iter().enumerate() {
            assert_eq!(*reason as usize, number, "{name}");
            assert!(!meaning.is_empty());
        }
    }

    #[test]
    fn what_makes_numbers_inexact() {
        let missing = REASONS.iter().filter(|(reason, ..)| reason.is_missing());
        let names: Vec<&str> = missing.map(|(_, name, _)| *name).collect();
        assert_eq!(
            names,
            [
                "live-map-full",
                "reentrant",
                "unrepresentable",
                "not-put-back"
            ]
        );
    }
}
