//! `heapsite info`.
#![forbid(unsafe_code)]

use super::args;
use super::input::Input;
use super::style::Look;
use super::{Failure, about, input, json, killed, verdict};
use crate::profile::{Cost, HeapFacts, Profile, Tally, ValueType};
use crate::view::name::printable;
use crate::view::{Measure, Value, memory, units};
use serde_json::json;
use std::io::{self, Write};
use std::process::ExitCode;

pub(super) fn run(
    args: &args::Info,
    look: &Look,
    out: &mut dyn Write,
) -> Result<ExitCode, Failure> {
    match (&args.base, &args.now) {
        (Some(base), _) => return verdict::run([base, &args.profile], args.json.json, look, out),
        (None, Some(now)) => {
            return verdict::run([&args.profile, now], args.json.json, look, out);
        }
        (None, None) => {}
    }
    let profile = match input::read_any(&args.profile)? {
        Input::State(bytes) => return killed::run(&args.profile, &bytes, args.json.json, out),
        Input::Profile(profile) => profile,
    };
    if args.json.json {
        json::write(&document(&args.profile, &profile), out)?;
    } else {
        text(&args.profile, &profile, look, out)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn text(name: &str, profile: &Profile, look: &Look, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", about::origin(name, profile))?;
    if let Some(resources) = profile.resources() {
        if let Some(partial) = about::partial_memory(profile) {
            writeln!(out, "{partial}")?;
        }
        memory::write_now(&resources, &look.paint(), out)?;
        writeln!(out)?;
    }
    if let Some(heap) = &profile.heap {
        process(heap, out)?;
        writeln!(out)?;
    } else if profile.resources().is_none() {
        writeln!(out)?;
    }
    values(profile, out)?;
    if let Some(heap) = &profile.heap {
        recorder(heap, out)?;
    }
    losses(profile, out)?;
    let (samples, locations) = (profile.samples.len(), profile.locations.len());
    let named = profile
        .locations
        .iter()
        .filter(|location| !location.lines.is_empty())
        .count();
    line(
        out,
        "stacks",
        &format!(
            "{}, of {} locations, {} with names",
            number(samples),
            number(locations),
            number(named)
        ),
    )?;
    for mapping in &profile.mappings {
        let id = if mapping.build_id.is_empty() {
            "no build id"
        } else {
            &mapping.build_id
        };
        line(
            out,
            "mapping",
            &format!(
                "{:#x}-{:#x} {}  {id}",
                mapping.start, mapping.limit, mapping.file
            ),
        )?;
    }
    for comment in &profile.comments {
        line(out, "comment", comment)?;
    }
    if !profile.doc_url.is_empty() {
        line(out, "more at", &profile.doc_url)?;
    }
    Ok(())
}

fn process(heap: &HeapFacts, out: &mut dyn Write) -> io::Result<()> {
    let process = &heap.process;
    let some = |text: &str| {
        if text.is_empty() {
            "unknown".to_owned()
        } else {
            text.to_owned()
        }
    };
    line(out, "command", &some(&process.command))?;
    line(out, "program", &some(&process.executable))?;
    if process.start_time_nanos != 0 {
        line(out, "started", &units::time(process.start_time_nanos))?;
    }
    if let Some(parent) = process.forked_from {
        line(
            out,
            "forked",
            &format!("from pid {parent}, which recorded what was live before"),
        )?;
    }
    let (rss, peak) = (
        units::bytes(process.rss_bytes as f64),
        units::bytes(process.peak_rss_bytes as f64),
    );
    let of = match process.pid {
        0 => "of all processes together",
        _ => "of the whole process",
    };
    line(
        out,
        "resident",
        &format!("{rss}, at most {peak} ({of}; the peak is approximate)"),
    )
}

/// Each sample type with its total, and where the errors come from.
fn values(profile: &Profile, out: &mut dyn Write) -> io::Result<()> {
    for value_type in &profile.sample_types {
        let Some((value, total)) = total(profile, value_type) else {
            continue;
        };
        let error = value
            .quality
            .has_error()
            .then(|| total.standard_error())
            .filter(|&error| error > 0.0);
        let total = units::with_error(total.value, error, value.unit());
        line(out, value.kind(), &total)?;
    }
    let period = match &profile.period_type {
        Some(kind) if profile.period > 0 => {
            let size = match kind.unit.as_str() {
                "bytes" => units::round_bytes(profile.period as u64),
                unit => units::quantity(profile.period, unit),
            };
            format!("1 sample per {size} of {} on average", kind.kind)
        }
        _ => "unknown".to_owned(),
    };
    line(out, "period", &period)?;
    let accuracy = profile
        .sample_types
        .last()
        .and_then(|kind| Value::find(profile, Some(&kind.kind)).ok());
    let accuracy = match accuracy.map(|value| value.quality) {
        Some(crate::view::Quality::Exact) => "exact: every allocation was recorded",
        Some(crate::view::Quality::Recorded { .. }) => "estimated; ±1 standard error, as recorded",
        Some(crate::view::Quality::Derived { .. }) => {
            "estimated; ±1 standard error, from each stack's mean size"
        }
        Some(crate::view::Quality::Unknown) | None => {
            "unknown: the profile does not say how all of it was sampled"
        }
    };
    line(out, "accuracy", accuracy)
}

fn total(profile: &Profile, value_type: &ValueType) -> Option<(Value, Measure)> {
    let value = Value::find(profile, Some(&value_type.kind)).ok()?;
    let total = value.total(profile);
    Some((value, total))
}

fn recorder(heap: &HeapFacts, out: &mut dyn Write) -> io::Result<()> {
    let tally = |tally: &Tally| {
        let error = Some(tally.bytes_variance.max(0.0).sqrt()).filter(|&error| error > 0.0);
        let size = units::with_error(tally.bytes_estimate.round() as i64, error, "bytes");
        let objects = units::count(tally.objects_estimate.round() as i64);
        format!(
            "{size} in {objects} objects, {} of them sampled",
            number(tally.objects as usize)
        )
    };
    for (name, sum) in [
        ("allocated", &heap.alloc),
        ("freed", &heap.free),
        ("live", &heap.live),
    ] {
        line(out, name, &tally(sum))?;
    }
    let peak = units::bytes(heap.peak_bytes);
    line(
        out,
        "peak",
        &format!(
            "{peak} live (estimated) after {}",
            units::duration(heap.peak_nanos)
        ),
    )?;
    let slack = units::bytes(heap.requested_slack_bytes as f64);
    let requested = units::bytes(heap.requested_bytes as f64);
    line(
        out,
        "requested",
        &format!("{requested} by all threads, and at most {slack} more (exact)"),
    )?;
    let own = heap.footprint;
    let [resident, mapped, limit] = [own.resident_bytes, own.mapped_bytes, own.limit_bytes]
        .map(|bytes| units::bytes(bytes as f64));
    line(
        out,
        "own memory",
        &format!("{resident} resident, {mapped} mapped, limit {limit} (exact)"),
    )?;
    own_time(&heap.cost, out)?;
    let (sites, samples) = (
        number(own.sites as usize),
        number(own.live_samples as usize),
    );
    line(
        out,
        "own tables",
        &format!("{sites} sites, {samples} live sampled allocations"),
    )?;
    Ok(())
}

/// Absent where the recorder did not measure it.
fn own_time(cost: &Cost, out: &mut dyn Write) -> io::Result<()> {
    if cost.timed_events == 0 {
        return Ok(());
    }
    let [time, error, cpu] = [
        cost.sampled_nanos,
        cost.sampled_nanos_error,
        cost.process_cpu_nanos,
    ]
    .map(units::duration);
    let share = 100.0 * cost.share_of_cpu();
    line(
        out,
        "own time",
        &format!("{time} ± {error}, {share:.2}% of the process's {cpu} of CPU time (estimated)"),
    )
}

/// Also for pprof files, whose comments tell.
fn losses(profile: &Profile, out: &mut dyn Write) -> io::Result<()> {
    if let Some(why) = about::silence(profile) {
        line(out, "empty", why)?;
    }
    let lost = profile.losses();
    let told = profile.heap.is_some() || profile.told_sampling().is_some();
    if told && lost.iter().all(|loss| about::word(loss) != "lost") {
        line(out, "lost", "nothing")?;
    }
    for loss in &lost {
        line(out, about::word(loss), &about::explain(loss))?;
    }
    Ok(())
}

fn line(out: &mut dyn Write, name: &str, text: &str) -> io::Result<()> {
    writeln!(out, "{:<14}  {}", printable(name), printable(text))
}

fn number(number: usize) -> String {
    units::count(i64::try_from(number).unwrap_or(i64::MAX))
}

fn document(name: &str, profile: &Profile) -> serde_json::Value {
    let values = profile.sample_types.iter().filter_map(|value_type| {
        let (value, total) = total(profile, value_type)?;
        let total = json::measure(&total, value.quality);
        Some(json!({ "sample_type": json::value_type(value_type), "quality": json::quality(value.quality), "total": total }))
    });
    let mappings = profile.mappings.iter().map(|mapping| {
        let (start, limit, offset) = (mapping.start, mapping.limit, mapping.offset);
        json!({ "start": start, "limit": limit, "offset": offset, "file": mapping.file, "build_id": mapping.build_id })
    });
    json!({
        "heapsite": "info",
        "version": 1,
        "profile": json::source(name, profile),
        "values": values.collect::<Vec<_>>(),
        "default_sample_type": Value::find(profile, None).ok().map(|value| value.value_type.kind),
        "period_type": profile.period_type.as_ref().map(json::value_type),
        "period": profile.period,
        "duration_nanos": json::known(profile.duration_nanos),
        "samples": profile.samples.len(),
        "locations": profile.locations.len(),
        "mappings": mappings.collect::<Vec<_>>(),
        "comments": profile.comments,
        "sum": profile.sum().map(|sum| json!({
            "profiles": sum.profiles,
            "processes": sum.processes,
            "span_nanos": sum.span_nanos,
            "with_memory": sum.with_memory,
        })),
        "recorder": profile.heap.as_deref().map(facts),
        "resources": profile.resources().as_deref().map(verdict::resources),
    })
}

fn facts(heap: &HeapFacts) -> serde_json::Value {
    let (process, own) = (&heap.process, &heap.footprint);
    json!({
        "interval_bytes": heap.interval,
        "exact": heap.exact,
        "uptime_nanos": heap.uptime_nanos,
        "alloc": json::tally(&heap.alloc),
        "free": json::tally(&heap.free),
        "live": json::tally(&heap.live),
        "peak_bytes": heap.peak_bytes,
        "peak_nanos": heap.peak_nanos,
        "requested_bytes": heap.requested_bytes,
        "requested_slack_bytes": heap.requested_slack_bytes,
        "footprint": {
            "mapped_bytes": own.mapped_bytes,
            "resident_bytes": own.resident_bytes,
            "limit_bytes": own.limit_bytes,
            "sites": own.sites,
            "live_samples": own.live_samples,
        },
        "cost": heap.cost,
        "process": {
            "pid": process.pid,
            "forked_from": process.forked_from,
            "start_time_nanos": json::known(process.start_time_nanos),
            "command": process.command,
            "executable": process.executable,
            "rss_bytes": process.rss_bytes,
            "peak_rss_bytes": process.peak_rss_bytes,
        },
    })
}
