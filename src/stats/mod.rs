//! A program's heap in a few numbers, at any time, and its process: the `MemStats` of Rust.
#![forbid(unsafe_code)]

mod allocator;
mod cgroup;
mod fds;
pub(crate) mod leaks;
mod memory;
pub(crate) mod process;
mod reconcile;
pub(crate) mod resources;
mod smaps;
pub(crate) mod threads;

use serde::Serialize;

use crate::profile::{Cost, Footprint, HeapFacts, Loss, Tally};
use crate::record::local::Ignore;
use crate::snapshot::totals;

pub use crate::profile::resources::{
    Cgroup, Count, HeldMemory, MemoryPart, MemoryParts, Resources, TaskCounts,
};
pub(crate) use cgroup::nearest_limit;

pub use leaks::{GrowingSite, LeakWatch};

pub use allocator::{Allocator, AllocatorCount, ask_glibc, give_memory_back, register_allocator};

/// The program's heap and what watching it costs, in numbers.
///
/// Fields are added as heapsite learns more.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// Mean bytes between sampled allocations now, or when a pause ends; 1: every allocation is recorded, 0: none is, or
    /// no heapsite allocator is installed.
    pub interval: u64,
    /// Every allocation since the start was recorded and nothing was lost: all of [`Amount`] is exact.
    pub exact: bool,
    /// Time since the program's first allocation, nanoseconds.
    pub uptime_nanos: u64,
    /// What has been allocated and not freed.
    pub live: Amount,
    /// All that was ever allocated.
    pub allocated: Amount,
    /// All that was ever freed.
    pub freed: Amount,
    /// Estimated live bytes at the high-water mark, to a hundredth.
    pub peak_bytes: f64,
    /// When that was, nanoseconds since the first allocation.
    pub peak_nanos: u64,
    /// Bytes requested by all threads, each up to its last look-up: exact, but for up to `requested_slack_bytes` more.
    pub requested_bytes: u64,
    /// How much may have been requested beyond `requested_bytes`: 64 KiB for every thread there has been.
    pub requested_slack_bytes: u64,
    /// What could not be recorded, by reason.
    pub losses: Vec<Loss>,
    /// heapsite's own memory.
    pub footprint: Footprint,
    /// heapsite's own time.
    pub cost: Cost,
    /// Tracked tasks, exact; `None` without the feature `task`.
    pub tasks: Option<TaskCounts>,
    /// What the leak watch has found; `None`: none runs.
    pub leak_watch: Option<LeakWatch>,
    /// What the process holds: resident memory by parts, threads, descriptors. `None` from [`heap`], and where there is no
    /// `/proc`.
    pub process: Option<Resources>,
}

/// Objects and bytes. Estimated from a sample, with standard errors; exact, with errors of 0, where every allocation was
/// recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Amount {
    /// Sampled allocations that the estimates come from (exact).
    pub sampled_objects: u64,
    /// Bytes of those (exact).
    pub sampled_bytes: u64,
    /// Objects.
    pub objects: f64,
    /// Standard error of `objects`.
    pub objects_error: f64,
    /// Bytes.
    pub bytes: f64,
    /// Standard error of `bytes`.
    pub bytes_error: f64,
}

/// Reads the recorder's totals, and looks at the process as a whole. No thread waits for it, but for what
/// [`ask_glibc`] tells.
///
/// The look takes some 30 ms per GiB that is resident, and 0.3 ms at least
/// ([where the memory really is](crate::guide::memory)); [`heap`] goes without.
///
/// ```
/// let stats = heapsite::stats();
/// if let Some(process) = stats.process {
///     let memory = process.memory;
///     println!("{} bytes resident, {} of them unexplained", memory.rss_bytes, memory.unexplained_bytes);
///     println!("{} threads", process.thread_count());
/// }
/// ```
pub fn stats() -> Stats {
    let _own_work = Ignore::new();
    let measured = resources::measure();
    let mut facts = totals::now();
    if let Some(measured) = measured {
        measured.tell(&mut facts);
    }
    let stats: Stats = facts.into();
    Stats {
        // The same as the process's, which there may be none of.
        tasks: stats.tasks.or_else(crate::task::counts),
        leak_watch: leaks::current(),
        ..stats
    }
}

/// Reads the recorder's totals only. Never stops another thread.
///
/// Takes the time to read every site's counters, some 130 ns per site, and one look at heapsite's own pages; it does not
/// walk what is live. Errors of what is live and freed are therefore a site's error shared out by number of samples;
/// [`snapshot`](crate::snapshot()) has them from the live samples themselves.
///
/// ```
/// let stats = heapsite::stats::heap();
/// println!("{} ± {} bytes live", stats.live.bytes, stats.live.bytes_error);
/// println!("{:.4} of the CPU time went into sampling", stats.cost.share_of_cpu());
/// ```
pub fn heap() -> Stats {
    let _own_work = Ignore::new();
    Stats {
        tasks: crate::task::counts(),
        leak_watch: leaks::current(),
        ..totals::now().into()
    }
}

impl From<HeapFacts> for Stats {
    fn from(facts: HeapFacts) -> Stats {
        Stats {
            interval: facts.interval,
            exact: facts.exact,
            uptime_nanos: facts.uptime_nanos,
            live: facts.live.into(),
            allocated: facts.alloc.into(),
            freed: facts.free.into(),
            peak_bytes: facts.peak_bytes,
            peak_nanos: facts.peak_nanos,
            requested_bytes: facts.requested_bytes,
            requested_slack_bytes: facts.requested_slack_bytes,
            losses: facts.losses,
            footprint: facts.footprint,
            cost: facts.cost,
            leak_watch: None,
            tasks: facts.resources.as_ref().and_then(|it| it.tasks.clone()),
            process: facts.resources.map(|resources| *resources),
        }
    }
}

impl From<Tally> for Amount {
    fn from(tally: Tally) -> Amount {
        Amount {
            sampled_objects: tally.objects,
            sampled_bytes: tally.bytes,
            objects: tally.objects_estimate,
            objects_error: tally.objects_variance.max(0.0).sqrt(),
            bytes: tally.bytes_estimate,
            bytes_error: tally.bytes_variance.max(0.0).sqrt(),
        }
    }
}
