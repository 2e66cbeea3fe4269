//! Every metric: name, help, type, and where its number comes from. `src/guide/metrics.md` is the same list for readers.
#![forbid(unsafe_code)]

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

use super::lines::Series;
use super::{leaks, threads};
use crate::profile::HeapFacts;
use crate::profile::resources::{Count, MemoryPart, Resources, TaskCounts};
use crate::snapshot::totals;

pub(super) fn encode(
    encoder: DescriptorEncoder<'_>,
    facts: &HeapFacts,
    functions: &[Series],
    tasks: Option<(&TaskCounts, &[Count])>,
    process: bool,
) -> fmt::Result {
    let mut out = Families(encoder);
    heap(&mut out, facts)?;
    if !functions.is_empty() {
        let series = functions.iter().map(|one| {
            let labels = [
                ("function", one.function.as_str()),
                ("file", one.file.as_str()),
            ];
            (labels, one.live_bytes)
        });
        out.gauges(
            "heapsite_function_live",
            "Live heap by the function to blame, estimated. The largest ones; all others together are (others).",
            Some(Unit::Bytes),
            series,
        )?;
    }
    own(&mut out, facts)?;
    if let Some(resources) = &facts.resources {
        memory(&mut out, resources)?;
        counts(&mut out, resources)?;
    }
    if let Some((counts, sites)) = tasks {
        self::tasks(&mut out, counts, sites)?;
    }
    if let Some(watch) = crate::stats::leaks::current() {
        leaks::encode(&mut out, &watch)?;
    }
    if process {
        usual(&mut out, facts)?;
    }
    Ok(())
}

/// What the program has allocated.
fn heap(out: &mut Families<'_>, facts: &HeapFacts) -> fmt::Result {
    let (live, alloc, free) = (&facts.live, &facts.alloc, &facts.free);
    let bytes = || Some(Unit::Bytes);
    out.gauge(
        "heapsite_live",
        "Live heap, estimated; exact where every allocation is recorded.",
        bytes(),
        live.bytes_estimate,
    )?;
    out.gauge(
        "heapsite_live_error",
        "Standard error of heapsite_live_bytes.",
        bytes(),
        live.bytes_variance.max(0.0).sqrt(),
    )?;
    out.gauge(
        "heapsite_live_objects",
        "Live allocations, estimated.",
        None,
        live.objects_estimate,
    )?;
    out.gauge(
        "heapsite_live_objects_error",
        "Standard error of heapsite_live_objects.",
        None,
        live.objects_variance.max(0.0).sqrt(),
    )?;
    out.gauge(
        "heapsite_peak_live",
        "Live heap at its high-water mark, estimated.",
        bytes(),
        facts.peak_bytes,
    )?;
    out.counter(
        "heapsite_allocated",
        "Allocated since the start, estimated.",
        bytes(),
        alloc.bytes_estimate,
    )?;
    out.counter(
        "heapsite_allocated_objects",
        "Allocations since the start, estimated.",
        None,
        alloc.objects_estimate,
    )?;
    out.counter(
        "heapsite_freed",
        "Freed since the start, estimated.",
        bytes(),
        free.bytes_estimate,
    )?;
    out.counter(
        "heapsite_freed_objects",
        "Frees since the start, estimated.",
        None,
        free.objects_estimate,
    )?;
    out.counter(
        "heapsite_requested",
        "Requested since the start: exact, but for up to 64 KiB per thread.",
        bytes(),
        facts.requested_bytes as f64,
    )
}

/// What heapsite does and costs.
fn own(out: &mut Families<'_>, facts: &HeapFacts) -> fmt::Result {
    out.gauge(
        "heapsite_sample_interval",
        "Mean distance between samples; 1: every allocation is recorded, 0: none is.",
        Some(Unit::Bytes),
        facts.interval as f64,
    )?;
    out.counter(
        "heapsite_samples",
        "Allocations recorded since the start.",
        None,
        facts.alloc.objects as f64,
    )?;
    // All of them, from 0 on: what a counter has when it first appears is no increase to anybody.
    let losses = totals::loss_reasons().map(|reason| {
        let lost = facts.losses.iter().find(|loss| loss.reason == reason);
        (
            [("reason", reason)],
            lost.map_or(0.0, |loss| loss.count as f64),
        )
    });
    out.counters(
        "heapsite_losses",
        "What could not be recorded as it should have been, by reason.",
        losses,
    )?;
    out.gauge(
        "heapsite_own_resident",
        "heapsite's own memory that is resident.",
        Some(Unit::Bytes),
        facts.footprint.resident_bytes as f64,
    )?;
    out.gauge(
        "heapsite_sites",
        "Different stacks that have allocated.",
        None,
        facts.footprint.sites as f64,
    )?;
    out.counter(
        "heapsite_own_cpu",
        "Processor time spent recording, estimated from some events that are timed.",
        Some(Unit::Seconds),
        facts.cost.sampled_nanos as f64 / 1e9,
    )?;
    out.counter(
        "heapsite_process_cpu",
        "Processor time of the whole process: user and system.",
        Some(Unit::Seconds),
        facts.cost.process_cpu_nanos as f64 / 1e9,
    )
}

/// Where the resident memory is.
fn memory(out: &mut Families<'_>, resources: &Resources) -> fmt::Result {
    let parts = resources.memory.parts();
    let parts = parts
        .iter()
        .map(|(part, bytes)| ([("part", label(*part))], *bytes as f64));
    out.gauges(
        "heapsite_resident_part",
        "Resident memory by part; the parts add up to heapsite_resident_bytes. A part that is a difference may be below zero.",
        Some(Unit::Bytes),
        parts,
    )?;
    for (name, help, bytes) in [
        (
            "heapsite_resident",
            "Resident memory of the process.",
            resources.memory.rss_bytes,
        ),
        (
            "heapsite_virtual",
            "Address space of the process.",
            resources.virtual_bytes,
        ),
        (
            "heapsite_swapped",
            "Memory of the process that is swapped out.",
            resources.swap_bytes,
        ),
    ] {
        out.gauge(name, help, Some(Unit::Bytes), bytes as f64)?;
    }
    let allocators = || resources.allocators.iter();
    let held = allocators().flat_map(|held| {
        let resident = Some(("resident", held.resident_bytes));
        let in_use = held.in_use_bytes.map(|bytes| ("in_use", bytes));
        let retained = held.retained_bytes.map(|bytes| ("retained", bytes));
        [resident, in_use, retained]
            .into_iter()
            .flatten()
            .map(|(state, bytes)| {
                let labels = [("allocator", held.name.as_str()), ("state", state)];
                (labels, bytes as f64)
            })
    });
    out.gauges(
        "heapsite_allocator",
        "Memory of the allocators by their own count: resident, in use, and retained as address space only.",
        Some(Unit::Bytes),
        held,
    )?;
    let cgroup = resources.cgroup.as_ref();
    let levels = [
        ("current", cgroup.map(|group| group.current_bytes)),
        ("high", cgroup.and_then(|group| group.high_bytes)),
        ("limit", cgroup.and_then(|group| group.limit_bytes)),
    ];
    let levels = levels
        .into_iter()
        .filter_map(|(level, bytes)| Some(([("level", level)], bytes? as f64)));
    out.gauges(
        "heapsite_cgroup_memory",
        "Memory of the process's control group, and its bounds where it has any.",
        Some(Unit::Bytes),
        levels,
    )
}

/// The word that dumps have for it, where heapsite's own memory is `heapsite`.
fn label(part: MemoryPart) -> &'static str {
    match part {
        MemoryPart::Own => "own",
        other => other.word(),
    }
}

/// What else the process holds.
fn counts(out: &mut Families<'_>, resources: &Resources) -> fmt::Result {
    let threads = threads::series(&resources.threads);
    let threads = threads
        .iter()
        .map(|part| ([("name", part.name.as_str())], part.count as f64));
    out.gauges("heapsite_threads", "Threads by name.", None, threads)?;
    let fds = resources
        .fds
        .iter()
        .map(|part| ([("kind", part.name.as_str())], part.count as f64));
    out.gauges("heapsite_fds", "Open file descriptors by kind.", None, fds)?;
    let faults = [
        ("minor", resources.minor_faults),
        ("major", resources.major_faults),
    ];
    out.counters(
        "heapsite_page_faults",
        "Page faults: minor ones needed no input, major ones did.",
        faults.map(|(kind, count)| ([("kind", kind)], count as f64)),
    )
}

/// Tracked tasks.
fn tasks(out: &mut Families<'_>, tasks: &TaskCounts, sites: &[Count]) -> fmt::Result {
    let sites = sites
        .iter()
        .map(|site| ([("spawned_at", site.name.as_str())], site.count as f64));
    out.gauges(
        "heapsite_tasks",
        "Tracked tasks that are alive, by the line that spawned them. The most numerous ones; all others together are (other lines).",
        None,
        sites,
    )?;
    out.counter(
        "heapsite_tasks_started",
        "Tracked tasks that were started.",
        None,
        tasks.started as f64,
    )?;
    let ends = [
        ("completed", tasks.completed),
        ("panicked", tasks.panicked),
        ("cancelled", tasks.cancelled),
    ];
    out.counters(
        "heapsite_tasks_ended",
        "Tracked tasks that have ended, by how.",
        ends.map(|(how, count)| ([("how", how)], count as f64)),
    )?;
    out.gauge(
        "heapsite_tasks_unlisted",
        "Tracked tasks that are alive and in no list: there was no memory for them.",
        None,
        tasks.unlisted as f64,
    )
}

/// What client libraries of other languages call these.
fn usual(out: &mut Families<'_>, facts: &HeapFacts) -> fmt::Result {
    out.counter(
        "process_cpu",
        "Total user and system CPU time spent.",
        Some(Unit::Seconds),
        facts.cost.process_cpu_nanos as f64 / 1e9,
    )?;
    out.gauge(
        "process_start_time",
        "Start time of the process since unix epoch.",
        Some(Unit::Seconds),
        facts.process.start_time_nanos as f64 / 1e9,
    )?;
    let Some(resources) = &facts.resources else {
        return Ok(());
    };
    out.gauge(
        "process_resident_memory",
        "Resident memory size.",
        Some(Unit::Bytes),
        resources.memory.rss_bytes as f64,
    )?;
    out.gauge(
        "process_virtual_memory",
        "Virtual memory size.",
        Some(Unit::Bytes),
        resources.virtual_bytes as f64,
    )?;
    out.gauge(
        "process_open_fds",
        "Number of open file descriptors.",
        None,
        resources.fd_count() as f64,
    )?;
    match resources.fd_limit {
        0 => Ok(()),
        most => out.gauge(
            "process_max_fds",
            "Maximum number of open file descriptors.",
            None,
            most as f64,
        ),
    }
}

/// Writes families one after another. A name is without its unit and without `_total`, which the encoder adds.
pub(super) struct Families<'a>(DescriptorEncoder<'a>);

impl Families<'_> {
    pub(super) fn gauge(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<Unit>,
        value: f64,
    ) -> fmt::Result {
        self.0
            .encode_descriptor(name, help, unit.as_ref(), MetricType::Gauge)?
            .encode_gauge(&value)
    }

    pub(super) fn counter(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<Unit>,
        value: f64,
    ) -> fmt::Result {
        let mut metric =
            self.0
                .encode_descriptor(name, help, unit.as_ref(), MetricType::Counter)?;
        count(&mut metric, value)
    }

    pub(super) fn gauges<'l, const LABELS: usize>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<Unit>,
        series: impl IntoIterator<Item = ([(&'l str, &'l str); LABELS], f64)>,
    ) -> fmt::Result {
        let mut family = self
            .0
            .encode_descriptor(name, help, unit.as_ref(), MetricType::Gauge)?;
        for (labels, value) in series {
            family.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    pub(super) fn counters<'l, const LABELS: usize>(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = ([(&'l str, &'l str); LABELS], f64)>,
    ) -> fmt::Result {
        let mut family = self
            .0
            .encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in series {
            count(&mut family.encode_family(&labels)?, value)?;
        }
        Ok(())
    }
}

fn count(metric: &mut MetricEncoder<'_>, value: f64) -> fmt::Result {
    metric.encode_counter::<NoLabelSet, f64, f64>(&value, None)
}
