//! What the process holds: where its memory is, which threads and files it has, and what its container allows.
//!
//! Plain numbers. `src/stats` measures them and works out the sum; `src/guide/memory.md` says what each means.
#![forbid(unsafe_code)]

use serde::{Deserialize, Serialize};

/// What a process holds at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Resources {
    /// Resident memory, split into parts that add up to it.
    pub memory: MemoryParts,
    /// The allocators in the process, as far as they are known.
    pub allocators: Vec<HeldMemory>,
    /// Address space, bytes (sum of all mappings, exact).
    pub virtual_bytes: u64,
    /// Swapped out, bytes (`smaps`, exact); not part of what is resident.
    pub swap_bytes: u64,
    /// Mappings there are. The kernel allows 65,530 unless told otherwise.
    pub mappings: u64,
    /// Page faults since the start that needed no input (`/proc/self/stat`).
    pub minor_faults: u64,
    /// Page faults since the start that did.
    pub major_faults: u64,
    /// Threads by name, the most numerous first.
    pub threads: Vec<Count>,
    /// Open file descriptors by kind (`file`, `socket`, `pipe`, `epoll`, …), the most numerous first.
    pub fds: Vec<Count>,
    /// How many descriptors the process may have open; 0: unknown, or no limit.
    pub fd_limit: u64,
    /// Tracked tasks; `None`: the program is without heapsite's feature `task`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tasks: Option<TaskCounts>,
    /// The control group (version 2) that the process runs in; `None`: there is none, or it does not account memory.
    pub cgroup: Option<Cgroup>,
}

/// Resident memory and its parts, bytes. The parts add up to `rss_bytes` exactly: what is left is `unexplained_bytes`.
///
/// A part is signed where it is a difference of two numbers from different sources.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct MemoryParts {
    /// Resident set size: the sum over all mappings (`smaps`, exact at the moment each was looked at).
    pub rss_bytes: u64,
    /// Requested through heapsite's allocator and not freed (estimated; exact where all is recorded).
    pub live_bytes: u64,
    /// Standard error of `live_bytes`.
    pub live_error_bytes: u64,
    /// In use by the allocators' own count, beyond `live_bytes`: rounding and headers, C code's `malloc`, heapsite's helper
    /// thread. Has the error of `live_bytes` in it, and may be below zero because of it. 0 where the allocator does not
    /// say what is in use; then all it holds beyond `live_bytes` is in `free_bytes`.
    pub overhead_bytes: i64,
    /// Resident in the allocators and not in use: free lists, caches, pages kept for later.
    pub free_bytes: u64,
    /// Stacks of the threads there are (estimated where a stack has no mapping of its own).
    pub stacks_bytes: u64,
    /// Mapped files, programs, libraries, and their static data (`smaps`).
    pub files_bytes: u64,
    /// Memory shared with other processes or by descriptor: `/dev/shm`, `memfd`, shared anonymous mappings (`smaps`).
    pub shared_bytes: u64,
    /// heapsite's own tables.
    pub own_bytes: u64,
    /// What is left. Above zero: memory that somebody mapped past the allocators. Below zero: memory that was asked for
    /// and is counted above, but was never touched, so it is not resident.
    pub unexplained_bytes: i64,
}

impl MemoryParts {
    /// What the allocators hold beyond what is live: `overhead_bytes` and `free_bytes` together.
    pub fn held_bytes(&self) -> i64 {
        self.overhead_bytes.saturating_add(signed(self.free_bytes))
    }

    /// Every part with its name, in the order they are shown; they add up to `rss_bytes`.
    pub fn parts(&self) -> [(MemoryPart, i64); 8] {
        use MemoryPart::*;
        [
            (Live, signed(self.live_bytes)),
            (Overhead, self.overhead_bytes),
            (Free, signed(self.free_bytes)),
            (Stacks, signed(self.stacks_bytes)),
            (Files, signed(self.files_bytes)),
            (Shared, signed(self.shared_bytes)),
            (Own, signed(self.own_bytes)),
            (Unexplained, self.unexplained_bytes),
        ]
    }
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// One of the parts of [`MemoryParts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MemoryPart {
    /// [`MemoryParts::live_bytes`]
    Live,
    /// [`MemoryParts::overhead_bytes`]
    Overhead,
    /// [`MemoryParts::free_bytes`]
    Free,
    /// [`MemoryParts::stacks_bytes`]
    Stacks,
    /// [`MemoryParts::files_bytes`]
    Files,
    /// [`MemoryParts::shared_bytes`]
    Shared,
    /// [`MemoryParts::own_bytes`]
    Own,
    /// [`MemoryParts::unexplained_bytes`]
    Unexplained,
}

/// What one allocator holds, bytes, by its own count and by the kernel's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct HeldMemory {
    /// `glibc`, `jemalloc`, `mimalloc`, or what it was registered as.
    pub name: String,
    /// Rust's global allocator gets its memory here: a block that heapsite allocated for a test was found in it.
    pub is_global: bool,
    /// In blocks that are not freed, rounding included; `None`: the allocator does not count it.
    pub in_use_bytes: Option<u64>,
    /// Resident; where it cannot be measured, the allocator's own upper bound.
    pub resident_bytes: u64,
    /// Address space kept for later, not resident; `None`: unknown.
    pub retained_bytes: Option<u64>,
    /// The allocator's own tables, part of `resident_bytes`; `None`: unknown.
    pub metadata_bytes: Option<u64>,
    /// Where the numbers come from.
    pub source: String,
}

/// Tracked tasks ([`crate::task`]) that are alive, and what became of the others. Exact.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct TaskCounts {
    /// Tasks that have not ended.
    pub alive: u64,
    /// Tasks made since the start.
    pub started: u64,
    /// Of these: their future was ready.
    pub completed: u64,
    /// Their future panicked.
    pub panicked: u64,
    /// They were dropped before: aborted, timed out, or their runtime ended.
    pub cancelled: u64,
    /// Living ones that no list of tasks has: there was no memory for them.
    pub unlisted: u64,
    /// Living ones by the line that made them, `file:line:column`, the most numerous first; the sum is `alive`. Of more than
    /// 100 lines those with fewest are one more, `(other lines)`.
    pub by_spawn_site: Vec<Count>,
}

/// Spawn sites that [`TaskCounts::by_spawn_site`] has.
const SPAWN_SITES: usize = 100;

/// How many of something there are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Count {
    /// Of what.
    pub name: String,
    /// How many.
    pub count: u64,
}

/// Memory of the process's control group (cgroup v2), bytes. It counts page cache and other processes, too.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Cgroup {
    /// Used now (`memory.current`).
    pub current_bytes: u64,
    /// The lowest `memory.max` from here to the root: beyond it the kernel kills. `None`: no limit.
    pub limit_bytes: Option<u64>,
    /// The lowest `memory.high`: beyond it the kernel slows allocations down. `None`: no such limit.
    pub high_bytes: Option<u64>,
    /// Swap used (`memory.swap.current`); `None`: not accounted.
    pub swap_bytes: Option<u64>,
    /// How often the kernel has killed here (`memory.events`, `oom_kill`).
    pub oom_kills: u64,
}

impl Resources {
    /// All threads.
    pub fn thread_count(&self) -> u64 {
        total(&self.threads)
    }

    /// All open descriptors.
    pub fn fd_count(&self) -> u64 {
        total(&self.fds)
    }
}

/// What stands for lines without a name of their own.
pub(crate) const OTHER_LINES: &str = "(other lines)";

fn total(counts: &[Count]) -> u64 {
    counts
        .iter()
        .fold(0, |sum, part| sum.saturating_add(part.count))
}

/// Sums over processes.
impl Resources {
    /// Adds another process's, but for threads and descriptors, which are many. Limits of one group do not add up, so the group stays only where it is the same one.
    pub(crate) fn add(&mut self, other: &Resources) {
        self.memory.add(&other.memory);
        for held in &other.allocators {
            let known = self
                .allocators
                .iter_mut()
                .find(|known| known.name == held.name);
            match known {
                Some(known) => known.add(held),
                None => self.allocators.push(held.clone()),
            }
        }
        for (sum, other) in [
            (&mut self.virtual_bytes, other.virtual_bytes),
            (&mut self.swap_bytes, other.swap_bytes),
            (&mut self.mappings, other.mappings),
            (&mut self.minor_faults, other.minor_faults),
            (&mut self.major_faults, other.major_faults),
            (&mut self.fd_limit, other.fd_limit),
        ] {
            *sum = sum.saturating_add(other);
        }
        match (&mut self.tasks, &other.tasks) {
            (Some(sum), Some(other)) => sum.add(other),
            (sum @ None, other) => sum.clone_from(other),
            (Some(_), None) => {}
        }
        if self.cgroup != other.cgroup {
            self.cgroup = None;
        }
    }
}

impl TaskCounts {
    /// Sorts and bounds the spawn sites, and adds them up.
    pub(crate) fn set_spawn_sites(&mut self, mut sites: Vec<Count>) {
        sites.retain(|site| site.count > 0);
        Count::sort(&mut sites);
        Count::keep_most(&mut sites, SPAWN_SITES, OTHER_LINES);
        self.alive = total(&sites);
        self.by_spawn_site = sites;
    }

    fn add(&mut self, other: &TaskCounts) {
        for (sum, other) in [
            (&mut self.started, other.started),
            (&mut self.completed, other.completed),
            (&mut self.panicked, other.panicked),
            (&mut self.cancelled, other.cancelled),
            (&mut self.unlisted, other.unlisted),
        ] {
            *sum = sum.saturating_add(other);
        }
        let mut sites = std::mem::take(&mut self.by_spawn_site);
        for site in &other.by_spawn_site {
            Count::add_to(&mut sites, &site.name, site.count);
        }
        self.set_spawn_sites(sites);
    }
}

impl MemoryParts {
    fn add(&mut self, other: &MemoryParts) {
        for (sum, other) in [
            (&mut self.rss_bytes, other.rss_bytes),
            (&mut self.live_bytes, other.live_bytes),
            (&mut self.free_bytes, other.free_bytes),
            (&mut self.stacks_bytes, other.stacks_bytes),
            (&mut self.files_bytes, other.files_bytes),
            (&mut self.shared_bytes, other.shared_bytes),
            (&mut self.own_bytes, other.own_bytes),
        ] {
            *sum = sum.saturating_add(other);
        }
        // Independent estimates: their variances add up.
        let error = (self.live_error_bytes as f64).hypot(other.live_error_bytes as f64);
        self.live_error_bytes = error.round() as u64;
        self.overhead_bytes = self.overhead_bytes.saturating_add(other.overhead_bytes);
        self.unexplained_bytes = self
            .unexplained_bytes
            .saturating_add(other.unexplained_bytes);
    }
}

impl HeldMemory {
    fn add(&mut self, other: &HeldMemory) {
        let both = |a: Option<u64>, b: Option<u64>| Some(a?.saturating_add(b?));
        self.is_global |= other.is_global;
        self.in_use_bytes = both(self.in_use_bytes, other.in_use_bytes);
        self.resident_bytes = self.resident_bytes.saturating_add(other.resident_bytes);
        self.retained_bytes = both(self.retained_bytes, other.retained_bytes);
        self.metadata_bytes = both(self.metadata_bytes, other.metadata_bytes);
    }
}

impl Count {
    /// Counts equal names, the most numerous first, then by name.
    pub(crate) fn of(names: impl IntoIterator<Item = String>) -> Vec<Count> {
        let mut counts = std::collections::HashMap::<String, u64>::new();
        for name in names {
            *counts.entry(name).or_default() += 1;
        }
        let mut counts: Vec<Count> = counts
            .into_iter()
            .map(|(name, count)| Count { name, count })
            .collect();
        Count::sort(&mut counts);
        counts
    }

    /// Of sorted counts the first `most`, and all others as one more, called `others`.
    pub(crate) fn keep_most(counts: &mut Vec<Count>, most: usize, others: &str) {
        let rest = counts.split_off(counts.len().min(most));
        let count = total(&rest);
        if count > 0 {
            let name = others.to_owned();
            counts.push(Count { name, count });
        }
    }

    /// So many more of this name.
    pub(crate) fn add_to(counts: &mut Vec<Count>, name: &str, more: u64) {
        match counts.iter_mut().find(|known| known.name == name) {
            Some(known) => known.count = known.count.saturating_add(more),
            None => counts.push(Count {
                name: name.to_owned(),
                count: more,
            }),
        }
    }

    pub(crate) fn sort(counts: &mut [Count]) {
        counts.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.name.cmp(&b.name)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_counted_the_most_numerous_first() {
        let names = ["b", "a", "b", "c"].map(str::to_owned);
        let counts: Vec<(String, u64)> = Count::of(names)
            .into_iter()
            .map(|part| (part.name, part.count))
            .collect();
        assert_eq!(counts, [("b".into(), 2), ("a".into(), 1), ("c".into(), 1)]);
    }

    #[test]
    fn spawn_sites_are_bounded_and_add_up() {
        let of = |lines: std::ops::Range<u64>| {
            let mut tasks = TaskCounts::default();
            let sites = lines.map(|line| Count {
                name: format!("a.rs:{line}:1"),
                count: line,
            });
            tasks.set_spawn_sites(sites.collect());
            tasks
        };
        let mut resources = Resources {
            tasks: Some(of(0..201)),
            ..Resources::default()
        };
        let tasks = resources.tasks.clone().unwrap();
        assert_eq!(tasks.by_spawn_site.len(), SPAWN_SITES + 1);
        assert_eq!(tasks.by_spawn_site[0].name, "a.rs:200:1");
        assert_eq!((tasks.alive, total(&tasks.by_spawn_site)), (20_100, 20_100));
        resources.add(&Resources {
            tasks: Some(of(200..202)),
            ..Resources::default()
        });
        let sum = resources.tasks.unwrap();
        assert_eq!((sum.alive, sum.by_spawn_site.len()), (20_501, 101));
        assert_eq!(sum.by_spawn_site[0].count, 5_050, "the others of before");
        assert_eq!(sum.by_spawn_site[1].count, 400);
    }

    #[test]
    fn held_is_what_the_allocators_hold_beyond_what_is_live() {
        let parts = MemoryParts {
            overhead_bytes: -3,
            free_bytes: 10,
            ..MemoryParts::default()
        };
        assert_eq!(parts.held_bytes(), 7);
    }
}
