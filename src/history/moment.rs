//! One moment: totals, the process's numbers, and the lines that hold most.
#![forbid(unsafe_code)]

use std::sync::Arc;

use super::ring::MOST_LINES;
use crate::profile::resources::{Count, MemoryParts, Resources};
use crate::profile::{HeapFacts, Tally};
use crate::snapshot::lines::{self, LineLevel};
use crate::view::key::Frame;

/// Thread names, kinds of descriptors and spawn sites of tasks that a moment keeps; the rest is one more.
const MOST_COUNTS: usize = 12;

/// What was known of the process at one time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Moment {
    /// Given by the ring: 1, 2, 3, …
    pub(crate) id: u64,
    /// Nanoseconds since the Unix epoch.
    pub(crate) time_nanos: i64,
    /// All lines together.
    pub(crate) total: Level,
    /// Everything since the start was recorded.
    pub(crate) exact: bool,
    /// Sampling interval, bytes; 0: nothing was being recorded.
    pub(crate) interval: u64,
    /// Events that could not be recorded, up to then.
    pub(crate) lost: u64,
    /// `None`: there is no `/proc`.
    pub(crate) process: Option<Process>,
    /// The lines that hold most, the first one most.
    pub(crate) lines: Box<[(Arc<Frame>, Level)]>,
    /// Lines that are left out: how many, and what the largest of them holds, bytes.
    pub(crate) left_out: (usize, f64),
    /// What it took to look, nanoseconds.
    pub(crate) took_nanos: u64,
}

/// What is live and what was ever allocated, estimated unless everything is recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Level {
    pub(crate) live_objects: f64,
    pub(crate) live_bytes: f64,
    pub(crate) live_variance: f64,
    pub(crate) alloc_bytes: f64,
    pub(crate) alloc_variance: f64,
}

/// The process's numbers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Process {
    pub(crate) memory: MemoryParts,
    pub(crate) thread_count: u64,
    pub(crate) fd_count: u64,
    pub(crate) threads: Box<[Count]>,
    pub(crate) fds: Box<[Count]>,
    /// Tracked tasks that are alive, and by spawn site; `None`: without the feature `task`.
    pub(crate) tasks: Option<(u64, Box<[Count]>)>,
}

/// Looks. What of it is known about the process comes along whole.
pub(super) fn take() -> (Moment, Option<Resources>) {
    let mut snapshot = crate::snapshot();
    let levels = lines::levels(&snapshot);
    let resources = snapshot.facts.resources.take().map(|resources| *resources);
    let mut moment = Moment::new(&snapshot.facts, resources.as_ref(), levels);
    moment.time_nanos = snapshot.time_nanos;
    (moment, resources)
}

impl Moment {
    /// `levels`: every line's, the one that holds most first.
    pub(super) fn new(
        facts: &HeapFacts,
        resources: Option<&Resources>,
        mut levels: Vec<LineLevel>,
    ) -> Moment {
        levels.retain(|level| level.live.bytes_estimate > 0.0);
        let left_out = levels.get(MOST_LINES..).unwrap_or_default();
        let left_out = (
            left_out.len(),
            left_out
                .first()
                .map_or(0.0, |largest| largest.live.bytes_estimate),
        );
        levels.truncate(MOST_LINES);
        // Left out on purpose, and every moment adds to it.
        let lost = facts.losses.iter().filter(|loss| loss.reason != "own-work");
        Moment {
            total: Level::new(facts.live, facts.alloc),
            exact: facts.exact,
            interval: facts.interval,
            lost: lost.map(|loss| loss.count).sum(),
            process: resources.map(Process::new),
            lines: levels
                .into_iter()
                .map(|level| (level.line, Level::new(level.live, level.alloc)))
                .collect(),
            left_out,
            ..Moment::default()
        }
    }

    /// The line's level; `None`: it is left out, or holds nothing.
    pub(super) fn line(&self, line: &Frame) -> Option<Level> {
        let found = self.lines.iter().find(|(frame, _)| **frame == *line);
        found.map(|(_, level)| *level)
    }

    /// All lines that are not kept, together.
    pub(crate) fn rest(&self) -> Level {
        let mut rest = self.total;
        for (_, level) in &self.lines {
            rest.live_objects -= level.live_objects;
            rest.live_bytes -= level.live_bytes;
            rest.live_variance -= level.live_variance;
            rest.alloc_bytes -= level.alloc_bytes;
            rest.alloc_variance -= level.alloc_variance;
        }
        // Sums of sums differ in their last bits.
        rest.map(|value| value.max(0.0))
    }
}

impl Level {
    fn new(live: Tally, alloc: Tally) -> Level {
        Level {
            live_objects: live.objects_estimate,
            live_bytes: live.bytes_estimate,
            live_variance: live.bytes_variance,
            alloc_bytes: alloc.bytes_estimate,
            alloc_variance: alloc.bytes_variance,
        }
    }

    fn map(self, f: impl Fn(f64) -> f64) -> Level {
        Level {
            live_objects: f(self.live_objects),
            live_bytes: f(self.live_bytes),
            live_variance: f(self.live_variance),
            alloc_bytes: f(self.alloc_bytes),
            alloc_variance: f(self.alloc_variance),
        }
    }

    /// Standard error of `live_bytes`.
    pub(crate) fn live_error(&self) -> f64 {
        self.live_variance.max(0.0).sqrt()
    }
}

impl Process {
    fn new(resources: &Resources) -> Process {
        Process {
            memory: resources.memory,
            thread_count: resources.thread_count(),
            fd_count: resources.fd_count(),
            threads: most_numerous(&resources.threads),
            fds: most_numerous(&resources.fds),
            tasks: resources
                .tasks
                .as_ref()
                .map(|tasks| (tasks.alive, most_numerous(&tasks.by_spawn_site))),
        }
    }
}

fn most_numerous(counts: &[Count]) -> Box<[Count]> {
    let mut kept = counts.to_vec();
    Count::keep_most(&mut kept, MOST_COUNTS, "others");
    kept.into()
}
