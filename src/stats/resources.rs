//! Looks at the process as a whole: memory, threads, descriptors, control group.
#![forbid(unsafe_code)]

use std::fs;
use std::hint::black_box;

use super::memory::{self, Split};
use super::reconcile::{Measured, reconcile};
use super::{allocator, cgroup, fds, threads};
use crate::profile::resources::{HeldMemory, Resources};
use crate::profile::{HeapFacts, Tally};
use crate::record::scratch::outside_of_all;

/// What was measured, before it is known how much is live.
pub(crate) struct Measurement {
    split: Split,
    allocators: Vec<HeldMemory>,
    rest: Resources,
}

/// Measures; `None` where there is no `/proc`. Memory comes first: the rest allocates.
pub(crate) fn measure() -> Option<Measurement> {
    let ids = threads::ids();
    let outside = outside_of_all(); // of heapsite's own arena
    let probe = black_box(Box::new([0u8; 64]));
    drop(outside);
    let (split, places) = memory::split(&ids, std::ptr::from_ref(&*probe) as u64)?;
    drop(probe);
    let allocators = allocator::held(places, &split.allocators);
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let (minor_faults, major_faults) = faults(&stat).unwrap_or_default();
    let rest = Resources {
        virtual_bytes: split.virtual_bytes,
        swap_bytes: split.swap,
        mappings: split.mappings,
        minor_faults,
        major_faults,
        threads: threads::by_name(&ids),
        fds: fds::by_kind(),
        fd_limit: fds::limit(&limits),
        tasks: crate::task::counts(),
        cgroup: cgroup::current(),
        ..Resources::default()
    };
    Some(Measurement {
        split,
        allocators,
        rest,
    })
}

impl Measurement {
    /// Adds what was measured to the facts of a snapshot.
    pub(crate) fn tell(self, facts: &mut HeapFacts) {
        let resources = self.with_live(&facts.live);
        let process = &mut facts.process;
        process.rss_bytes = resources.memory.rss_bytes;
        // The two are counted differently, and a peak below what is there would be odd.
        process.peak_rss_bytes = process.peak_rss_bytes.max(process.rss_bytes);
        facts.resources = Some(Box::new(resources));
    }

    /// Works out the sum.
    pub(crate) fn with_live(self, live: &Tally) -> Resources {
        let Split {
            stacks,
            files,
            shared,
            own,
            rss,
            ..
        } = self.split;
        let measured = Measured {
            rss,
            live: live.bytes_estimate.max(0.0).round() as u64,
            live_error: live.bytes_variance.max(0.0).sqrt().round() as u64,
            stacks,
            files,
            shared,
            own,
        };
        Resources {
            memory: reconcile(&measured, &self.allocators),
            allocators: self.allocators,
            ..self.rest
        }
    }
}

/// Minor and major page faults (proc(5): fields 10 and 12 of `stat`).
fn faults(stat: &str) -> Option<(u64, u64)> {
    // The command in parentheses may hold anything, so fields are counted from its end.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let minor = fields.nth(7)?.parse().ok()?;
    Some((minor, fields.nth(1)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_the_tenth_and_the_twelfth_field() {
        let fields: Vec<String> = (3..53).map(|field| field.to_string()).collect();
        let stat = format!("17 (odd ) name) {}", fields.join(" "));
        assert_eq!(faults(&stat), Some((10, 12)));
        assert_eq!(faults(""), None);
    }

    #[test]
    fn this_process_is_measured_and_its_parts_add_up() {
        let live = Tally {
            bytes_estimate: 1e6,
            bytes_variance: 1e8,
            ..Tally::default()
        };
        let resources = measure().unwrap().with_live(&live);
        let parts = resources.memory;
        let sum: i64 = parts.parts().iter().map(|(_, bytes)| bytes).sum();
        assert_eq!(sum, parts.rss_bytes as i64);
        assert_eq!(
            (parts.live_bytes, parts.live_error_bytes),
            (1_000_000, 10_000)
        );
        assert!(resources.virtual_bytes > parts.rss_bytes && resources.minor_faults > 100);
        assert!(resources.thread_count() >= 1 && resources.fd_count() >= 3);
        assert!(resources.mappings > 10);
    }
}
