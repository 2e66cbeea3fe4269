//! The answer in one sentence, for each cause.
#![forbid(unsafe_code)]

use super::lines::{self, place};
use super::{Cause, Verdict, cause};
use crate::find::{Suspect, Thing, Untold, Why};
use crate::profile::resources::{MemoryPart, Resources};
use crate::view::{memory, units};

impl Verdict {
    /// The answer: what makes the memory grow most, since when, how fast; or that nothing does.
    pub fn sentence(&self) -> String {
        match self.causes.first() {
            Some(finding) => finding.sentence.clone(),
            None => of(self, self.cause()),
        }
    }
}

/// The suspect that a cause speaks of.
pub(super) fn first(verdict: &Verdict, cause: Cause) -> Option<&Suspect> {
    verdict
        .growing()
        .find(|suspect| cause::class(verdict, suspect) == cause)
}

pub(super) fn of(verdict: &Verdict, cause: Cause) -> String {
    let suspect = first(verdict, cause);
    match (cause, suspect) {
        (Cause::Leak, Some(suspect)) => leak(verdict, suspect),
        (Cause::Tasks, Some(suspect)) => tasks(verdict, suspect),
        (Cause::Suspicion, Some(suspect)) => suspicion(verdict, suspect),
        (Cause::Filling, Some(suspect)) => filling(verdict, suspect),
        (Cause::Tasks, None) => tasks_without_lines(verdict),
        (Cause::Threads, _) => threads(verdict),
        (Cause::Descriptors, _) => descriptors(verdict),
        (Cause::Allocator | Cause::Peak, _) => allocator(verdict, cause),
        (Cause::Foreign, _) => foreign(verdict),
        (Cause::None, _) => none(verdict),
        (Cause::Leak | Cause::Suspicion | Cause::Filling | Cause::Unknown, _) => unknown(verdict),
    }
}

/// `1.9 ± 0.1 MiB/min at cache.rs:42 (MetricsCache::set), the table of a hash map, for 5h 12m, 94% of all growth`
fn growth(verdict: &Verdict, suspect: &Suspect) -> String {
    let findings = &verdict.findings;
    let rate = match &suspect.rate {
        Some(rate) => format!("{} ", lines::rate(rate, &findings.per)),
        None => String::new(),
    };
    let thing = match suspect.thing {
        Thing::Other => String::new(),
        thing => format!(", {}", thing.words()),
    };
    let span = match lines::grown_for(suspect, findings.uptime_nanos) {
        0 => String::new(),
        span => format!(", for {}", units::duration(span)),
    };
    let share = match suspect.share {
        share if share > 0.0 => format!(", {}", lines::of_growth(share)),
        _ => String::new(),
    };
    format!("{rate}at {}{thing}{span}{share}", place(&suspect.place))
}

fn leak(verdict: &Verdict, suspect: &Suspect) -> String {
    format!("Leaking: {}", growth(verdict, suspect))
}

fn suspicion(verdict: &Verdict, suspect: &Suspect) -> String {
    format!(
        "Growing like a leak: {}; a cache that fills looks the same, so it is called one after {} of growth only (--longest-fill, \
         --largest-cache)",
        growth(verdict, suspect),
        units::duration(verdict.longest_fill_nanos)
    )
}

fn filling(verdict: &Verdict, suspect: &Suspect) -> String {
    format!(
        "Growing, and perhaps a cache on its way to its cap: {}; whether it stops cannot be told yet",
        growth(verdict, suspect)
    )
}

fn tasks(verdict: &Verdict, suspect: &Suspect) -> String {
    let what = match verdict.process.tasks_grow {
        Some(true) => "Tasks pile up that never end",
        Some(false) => "Tasks that have ended are kept",
        None => "Tasks pile up",
    };
    format!("{what}: {}", growth(verdict, suspect))
}

fn tasks_without_lines(verdict: &Verdict) -> String {
    // A service's history knows how many there were, and not whose.
    let by_line = |base: &Resources| {
        let tasks = base.tasks.as_ref();
        tasks.is_some_and(|tasks| tasks.alive == 0 || !tasks.by_spawn_site.is_empty())
    };
    let grew = both(verdict)
        .filter(|(base, _)| by_line(base))
        .and_then(|(base, now)| memory::tasks_grew(base, now));
    let grew = grew.unwrap_or_else(|| "more of them are alive than before".to_owned());
    format!("Tasks pile up: {grew}{}", within(verdict))
}

fn threads(verdict: &Verdict) -> String {
    let counts = both(verdict).map(|(base, now)| {
        let counts = [base.thread_count(), now.thread_count()];
        let most = most_grown(&base.threads, &now.threads);
        changed(counts, most, "most of them called")
    });
    format!(
        "Threads pile up: {}{}; `heapsite threads` tells where they are",
        counts.unwrap_or_default(),
        within(verdict)
    )
}

fn descriptors(verdict: &Verdict) -> String {
    let counts = both(verdict).map(|(base, now)| {
        let counts = [base.fd_count(), now.fd_count()];
        changed(
            counts,
            most_grown(&base.fds, &now.fds),
            "most of them of the kind",
        )
    });
    format!(
        "Open files pile up: {}{}",
        counts.unwrap_or_default(),
        within(verdict)
    )
}

fn changed([before, after]: [u64; 2], most: Option<String>, words: &str) -> String {
    let number = |count: u64| units::count(i64::try_from(count).unwrap_or(i64::MAX));
    let most = most.map_or(String::new(), |name| format!(", {words} {name}"));
    format!("{} → {}{most}", number(before), number(after))
}

fn most_grown(
    base: &[crate::profile::resources::Count],
    now: &[crate::profile::resources::Count],
) -> Option<String> {
    if !base.is_empty() && base.iter().all(|count| count.name.is_empty()) {
        return None;
    }
    let before = |name: &str| {
        let known = base.iter().find(|count| count.name == name);
        known.map_or(0, |count| count.count)
    };
    let more = now
        .iter()
        .filter(|count| !count.name.is_empty())
        .map(|count| (count.count.saturating_sub(before(&count.name)), &count.name));
    more.max()
        .filter(|&(more, _)| more > 0)
        .map(|(_, name)| crate::view::name::printable(name).into_owned())
}

fn allocator(verdict: &Verdict, cause: Cause) -> String {
    let Some(now) = &verdict.now else {
        return "Not a leak: the allocator holds freed memory".to_owned();
    };
    let name = global(now);
    let held = units::bytes(now.memory.free_bytes as f64);
    let live = match cause {
        Cause::Peak => format!(
            "the heap was {} at its peak after {}, and {} of it is live now",
            units::bytes(verdict.peak_bytes),
            units::duration(verdict.peak_nanos),
            units::bytes(verdict.live_bytes)
        ),
        _ => match verdict.process.heap_grows {
            Some(false) => format!(
                "the live heap is flat at {}",
                units::bytes(verdict.live_bytes)
            ),
            _ => format!("{} are live", units::bytes(verdict.live_bytes)),
        },
    };
    let opening = match verdict.process.heap_grows {
        Some(true) => "Freed memory that is kept",
        _ => "Not a leak",
    };
    let next = match &verdict.trim {
        Some(trim) => trim.sentence(),
        None => format!("try {}", knob(name)),
    };
    format!("{opening}: {name} holds {held} of freed memory; {live}; {next}")
}

/// The program's allocator.
fn global(now: &Resources) -> &str {
    let held = now.allocators.iter().find(|held| held.is_global);
    held.or(now.allocators.first())
        .map_or("the allocator", |held| held.name.as_str())
}

fn knob(allocator: &str) -> &'static str {
    match allocator {
        "glibc" => "MALLOC_ARENA_MAX=2, or `heapsite leaks --trim URL` to see what can be had back",
        "jemalloc" => {
            "background_thread:true and a shorter dirty_decay_ms, or `heapsite leaks --trim URL` to see what can be had back"
        }
        "mimalloc" => {
            "MIMALLOC_PURGE_DELAY=0, or `heapsite leaks --trim URL` to see what can be had back"
        }
        _ => "`heapsite leaks --trim URL` to see what can be had back",
    }
}

fn foreign(verdict: &Verdict) -> String {
    let grew = both(verdict).map(|(base, now)| {
        let parts = [MemoryPart::Unexplained, MemoryPart::Overhead];
        let more = parts
            .into_iter()
            .filter_map(|part| memory::grew(&base.memory, &now.memory, part));
        units::bytes(more.sum::<i64>() as f64)
    });
    format!(
        "Growing, but not in Rust's heap: {} more from C code or mmap{}; `heapsite info BASE NOW` has the parts",
        grew.unwrap_or_default(),
        within(verdict)
    )
}

fn none(verdict: &Verdict) -> String {
    let error = (verdict.live_error > 0.0 && !verdict.exact).then_some(verdict.live_error);
    let live = units::with_error(verdict.live_bytes.round() as i64, error, "bytes");
    let uptime = match verdict.findings.uptime_nanos {
        0 => String::new(),
        uptime => format!(" after {}", units::duration(uptime)),
    };
    let judged = match verdict.findings.judged {
        1 => "the one line that could be judged does not grow".to_owned(),
        judged => format!(
            "none of the {} lines that could be judged grows",
            units::count(judged as i64)
        ),
    };
    format!("No leak found: {judged}; the live heap is {live}{uptime}")
}

/// Where nothing can be said, what is missing and what helps.
fn unknown(verdict: &Verdict) -> String {
    let findings = &verdict.findings;
    let mut untold: Vec<&Untold> = findings.cannot_tell.iter().collect();
    untold.sort_by(|a, b| b.live_bytes.total_cmp(&a.live_bytes));
    // The reason that covers most bytes.
    let of = |why: Why| -> f64 {
        let same = untold.iter().filter(|it| it.why == why);
        same.map(|it| it.live_bytes).sum()
    };
    let whys = [
        Why::NoAges,
        Why::FewSamples,
        Why::FewOld,
        Why::FewBursts,
        Why::WithinChance,
    ];
    let most = whys.into_iter().max_by(|&a, &b| of(a).total_cmp(&of(b)));
    let Some(why) = most.filter(|&why| of(why) > 0.0) else {
        return "Cannot tell: nothing was sampled yet; take another snapshot later".to_owned();
    };
    let after = match findings.uptime_nanos {
        0 => String::new(),
        uptime => format!(" after {}", units::duration(uptime)),
    };
    let next = match why {
        Why::NoAges => {
            "the profile does not tell births: take a JSON dump (HEAPSITE=format=json), or three profiles of the process"
        }
        Why::FewSamples => {
            "too little was sampled: wait, or sample more often (HEAPSITE=interval=64KiB, or less)"
        }
        Why::FewOld => "too little is old enough to know whether it stays: look again later",
        Why::FewBursts => "it came in a few bursts: look again later",
        Why::WithinChance => "what grows may be chance: look again later",
    };
    let largest = untold
        .iter()
        .find(|it| it.why == why)
        .map_or(String::new(), |it| {
            format!(
                "; the largest is {} at {}",
                units::bytes(it.live_bytes),
                place(&it.place)
            )
        });
    format!("Cannot tell yet{after}: {next}{largest}")
}

fn both(verdict: &Verdict) -> Option<(&Resources, &Resources)> {
    let before = verdict.before.as_ref()?;
    Some((&before.resources, verdict.now.as_ref()?))
}

/// ` within 5h 12m`
fn within(verdict: &Verdict) -> String {
    match verdict.span_nanos {
        0 => String::new(),
        span => format!(" within {}", units::duration(span)),
    }
}
