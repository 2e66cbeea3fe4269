//! What makes the memory grow, weighed by bytes.
#![forbid(unsafe_code)]

use super::Verdict;
use super::sentence;
use crate::find::{Class, Suspect, Thing, Why};
use crate::profile::resources::{MemoryPart, Resources};
use crate::view::memory::{self, SMALL};

/// Why memory grows, or why it is large. The names are those of `--fail-on` and of JSON, and stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Cause {
    /// Lines of the program keep what they allocate.
    Leak,
    /// Async tasks pile up, alive or ended.
    Tasks,
    /// Lines that look like leaks in all but this: they have not grown for longer than a cache may take to fill.
    Suspicion,
    /// Lines that grow and may have a cap.
    Filling,
    /// Threads pile up.
    Threads,
    /// Open files and sockets pile up.
    Descriptors,
    /// The allocator holds freed memory.
    Allocator,
    /// The allocator holds what a peak needed.
    Peak,
    /// Memory from elsewhere grows: C code, `mmap`.
    Foreign,
    /// Nothing grows, as far as one can see.
    None,
    /// It cannot be told yet.
    Unknown,
}

/// A cause with its weight.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// What it is.
    pub cause: Cause,
    /// Bytes that it accounts for: of growth between two moments, or of one moment. Estimated.
    pub bytes: f64,
    /// The rule of [`find::rules::RULES`](crate::find::rules::RULES) that names it, if one does.
    pub rule: Option<&'static str>,
    /// In a sentence.
    pub sentence: String,
}

/// Freed memory is spoken of from here on: a quarter of the resident memory, and
const HELD_SHARE: f64 = 0.25;
/// so many bytes.
const HELD_BYTES: u64 = 16 << 20;

/// What a line that grows is told as. Tasks that pile up are no cache, whether they live or have ended.
pub(super) fn class(verdict: &Verdict, suspect: &Suspect) -> Cause {
    let is_leak = suspect.class == Class::Leak;
    let is_known = suspect.looks_like_leak && verdict.process.tasks_grow.is_some();
    match suspect.thing {
        Thing::TaskCell if is_leak || is_known => Cause::Tasks,
        _ if is_leak => Cause::Leak,
        _ if suspect.looks_like_leak => Cause::Suspicion,
        _ => Cause::Filling,
    }
}

/// Everything that holds, the most bytes first.
pub(super) fn causes(verdict: &Verdict) -> Vec<Finding> {
    let mut found: Vec<(Cause, f64)> = Vec::new();
    let of = |cause: Cause| -> Vec<&Suspect> {
        verdict
            .growing()
            .filter(|suspect| class(verdict, suspect) == cause)
            .collect()
    };
    let sum = |cause| of(cause).iter().map(|it| it.live_bytes).sum::<f64>();
    let task_bytes = sum(Cause::Tasks);
    for cause in [Cause::Leak, Cause::Tasks, Cause::Suspicion, Cause::Filling] {
        found.push((cause, sum(cause)));
    }
    if let Some(now) = &verdict.now {
        of_process(verdict, now, task_bytes > 0.0, &mut found);
    }
    // Counts have no bytes of their own, and are told after what has.
    found.retain(|&(cause, bytes)| {
        bytes > 0.0 || matches!(cause, Cause::Descriptors | Cause::Threads)
    });
    found.sort_by(|a, b| b.1.total_cmp(&a.1));
    found
        .into_iter()
        .map(|(cause, bytes)| Finding {
            cause,
            bytes,
            rule: rule(verdict, cause),
            sentence: sentence::of(verdict, cause),
        })
        .collect()
}

fn of_process(
    verdict: &Verdict,
    now: &Resources,
    tasks_known: bool,
    found: &mut Vec<(Cause, f64)>,
) {
    let base = verdict.before.as_ref().map(|before| &before.resources);
    let grew = |part| base.and_then(|base| memory::grew(&base.memory, &now.memory, part));
    let held = now.memory.free_bytes;
    let much = held >= HELD_BYTES && held as f64 > HELD_SHARE * now.memory.rss_bytes as f64;
    // Between two moments what grew counts; a heap that shrank and left its pages behind counts as well.
    let bytes = match base {
        Some(_) => grew(MemoryPart::Free).map(|bytes| bytes as f64),
        None => much.then_some(held as f64),
    };
    let grows = verdict.process.heap_grows == Some(true);
    if let Some(bytes) = bytes.or((much && !grows).then_some(held as f64)) {
        let above = verdict.peak_bytes - verdict.live_bytes;
        let cause =
            match verdict.peak_bytes >= 2.0 * verdict.live_bytes && above > held as f64 / 2.0 {
                true => Cause::Peak,
                false => Cause::Allocator,
            };
        found.push((cause, bytes));
    }
    let foreign = [MemoryPart::Unexplained, MemoryPart::Overhead];
    let bytes: i64 = foreign.into_iter().filter_map(grew).sum();
    if bytes >= SMALL {
        found.push((Cause::Foreign, bytes as f64));
    }
    if verdict.process.threads_grow == Some(true) {
        let bytes = grew(MemoryPart::Stacks).unwrap_or(0);
        found.push((Cause::Threads, bytes as f64));
    }
    if verdict.process.descriptors_grow == Some(true) {
        found.push((Cause::Descriptors, 0.0));
    }
    // Tasks that pile up though no line stands out yet.
    if verdict.process.tasks_grow == Some(true) && !tasks_known {
        found.push((Cause::Tasks, 1.0));
    }
}

/// The rule that names a cause of the process, or the surest one of its first suspect.
fn rule(verdict: &Verdict, cause: Cause) -> Option<&'static str> {
    let advice = match cause {
        Cause::Leak | Cause::Suspicion | Cause::Filling | Cause::Tasks => {
            sentence::first(verdict, cause)?.advice.first()
        }
        Cause::Threads => of(verdict, "endless-threads"),
        Cause::Descriptors => of(verdict, "open-descriptors"),
        Cause::Allocator | Cause::Peak => of(verdict, "allocator-holds"),
        Cause::Foreign => of(verdict, "foreign-memory"),
        Cause::None | Cause::Unknown => None,
    };
    advice.map(|advice| advice.rule)
}

fn of<'v>(verdict: &'v Verdict, rule: &str) -> Option<&'v crate::find::Advice> {
    let mut advice = verdict.findings.advice.iter();
    advice.find(|advice| advice.rule == rule)
}

/// Where nothing was found: whether there was enough to look at.
pub(super) fn none_or_unknown(verdict: &Verdict) -> Cause {
    let findings = &verdict.findings;
    // Places with a handful of samples are small, unless they are all there is.
    let told: f64 = findings.others.iter().map(|it| it.live_bytes).sum();
    let undecided: f64 = findings
        .cannot_tell
        .iter()
        .filter(|it| it.why != Why::FewSamples)
        .map(|it| it.live_bytes)
        .sum();
    let all = verdict.live_bytes.max(1.0);
    let heap_grew = verdict
        .before
        .as_ref()
        .zip(verdict.now.as_ref())
        .is_some_and(|(before, now)| {
            memory::grew(&before.resources.memory, &now.memory, MemoryPart::Live).is_some()
        });
    if heap_grew || undecided > 0.25 * all || told + undecided < 0.25 * all {
        return Cause::Unknown;
    }
    Cause::None
}

impl Cause {
    /// All of them that can be found, as `--fail-on` takes them.
    pub const FOUND: [Cause; 9] = [
        Cause::Leak,
        Cause::Tasks,
        Cause::Suspicion,
        Cause::Filling,
        Cause::Threads,
        Cause::Descriptors,
        Cause::Allocator,
        Cause::Peak,
        Cause::Foreign,
    ];

    /// The name in JSON and of `--fail-on`.
    pub fn name(self) -> &'static str {
        match self {
            Cause::Leak => "leak",
            Cause::Tasks => "tasks",
            Cause::Suspicion => "suspicion",
            Cause::Filling => "filling",
            Cause::Threads => "threads",
            Cause::Descriptors => "descriptors",
            Cause::Allocator => "allocator",
            Cause::Peak => "peak",
            Cause::Foreign => "foreign",
            Cause::None => "none",
            Cause::Unknown => "unknown",
        }
    }
}
