//! What two moments tell of the process as a whole.
#![forbid(unsafe_code)]

use super::Before;
use crate::find::{Findings, Process, Why};
use crate::profile::resources::{MemoryPart, Resources};
use crate::view::memory;

/// Fills in what is not known yet.
pub(super) fn known(
    mut process: Process,
    before: Option<&Before>,
    now: Option<&Resources>,
) -> Process {
    let Some(now) = now else { return process };
    let memory = &now.memory;
    let resident = (memory.rss_bytes as f64).max(1.0);
    process
        .held_share
        .get_or_insert(memory.free_bytes as f64 / resident);
    let foreign = memory
        .unexplained_bytes
        .saturating_add(memory.overhead_bytes);
    process
        .unexplained_share
        .get_or_insert(foreign.max(0) as f64 / resident);
    let Some(base) = before.map(|before| &before.resources) else {
        return process;
    };
    process
        .threads_grow
        .get_or_insert(memory::has_grown(base.thread_count(), now.thread_count()));
    process
        .descriptors_grow
        .get_or_insert(memory::has_grown(base.fd_count(), now.fd_count()));
    if let Some((base, now)) = base.tasks.as_ref().zip(now.tasks.as_ref())
        && now.started > 0
    {
        process
            .tasks_grow
            .get_or_insert(memory::has_grown(base.alive, now.alive));
    }
    let grown = |part| memory::grew(&base.memory, &now.memory, part).is_some();
    process.heap_grows.get_or_insert(grown(MemoryPart::Live));
    let more = now.memory.rss_bytes as i64 - base.memory.rss_bytes as i64;
    process.resident_grows.get_or_insert(more >= memory::SMALL);
    process
}

/// What one moment tells: something grows, or next to everything that is live was judged and does not. `None`: too
/// little could be judged.
pub(super) fn heap_grows(findings: &Findings) -> Option<bool> {
    if !findings.leaks.is_empty() || !findings.filling.is_empty() {
        return Some(true);
    }
    let told: f64 = findings.others.iter().map(|it| it.live_bytes).sum();
    let untold: f64 = findings
        .cannot_tell
        .iter()
        .filter(|it| it.why != Why::FewSamples)
        .map(|it| it.live_bytes)
        .sum();
    (told > untold).then_some(false)
}
