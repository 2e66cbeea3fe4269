//! What the report draws: everything that is known, as one JSON document. Names come from profiles; the page makes text
//! nodes of them.
#![forbid(unsafe_code)]

use std::collections::HashMap;

use serde_json::{Value, json};

use super::super::input::display;
use super::super::{about, json};
use super::Series;
use super::flames::flames;
use crate::Profile;
use crate::find::{Class, Findings};
use crate::profile::resources::Resources;
use crate::verdict::Verdict;
use crate::view::growth::Sum;
use crate::view::key::Key;
use crate::view::measure::Measure;
use crate::view::name::printable;
use crate::view::{self, Blame, By, memory, units};
use crate::{Error, Result};

/// Rows of a table that are written, the largest.
const MOST_ROWS: usize = 2000;

pub(super) fn data(series: &Series) -> Result<Value> {
    let last = series
        .profiles
        .last()
        .ok_or_else(|| Error::input("no profile to report on"))?;
    let first = series
        .profiles
        .first()
        .filter(|_| series.profiles.len() > 1);
    let verdict = series.verdict.as_ref();
    Ok(json!({
        "by": concat!("heapsite ", env!("CARGO_PKG_VERSION")),
        "profiles": series.names.iter().zip(&series.profiles).map(|(name, it)| source(name, it)).collect::<Vec<_>>(),
        "verdict": verdict.ok().map(self::verdict),
        "no_verdict": verdict.err(),
        "memory": last.resources().map(|now| parts(&now, first.and_then(|it| it.resources()).as_deref())),
        "timeline": series.profiles.iter().map(moment).collect::<Vec<_>>(),
        "lines": lines(last, first, verdict.ok().map(|it| &it.findings))?,
        "flames": flames(last, first)?,
        "losses": json::losses(last),
        "silence": about::silence(last),
        "nameless": about::is_nameless(last),
        "notes": series.notes,
    }))
}

fn source(name: &str, profile: &Profile) -> Value {
    json!({
        "name": printable(display(name)),
        "origin": about::origin(name, profile),
        "time_ms": json::known(profile.time_nanos / 1_000_000),
        "uptime_nanos": profile.heap.as_deref().map(|heap| heap.uptime_nanos),
    })
}

/// The same as `heapsite leaks --json` has, and the words that its text shows.
fn verdict(verdict: &Verdict) -> Value {
    json!({
        "cause": verdict.cause(),
        "sentence": verdict.sentence(),
        "causes": verdict.causes,
        "findings": verdict.findings,
        "crates": verdict.crates,
        "process": verdict.process,
        "span_nanos": verdict.span_nanos,
        "longest_fill_nanos": verdict.longest_fill_nanos,
        "live_bytes": verdict.live_bytes,
        "live_error": verdict.live_error,
        "exact": verdict.exact,
        "peak_bytes": verdict.peak_bytes,
        "peak_nanos": verdict.peak_nanos,
        "untold": untold(&verdict.findings),
    })
}

/// What could not be told, by reason.
fn untold(findings: &Findings) -> Vec<Value> {
    let mut reasons: Vec<(crate::find::Why, usize, f64)> = Vec::new();
    for row in &findings.cannot_tell {
        match reasons.iter_mut().find(|known| known.0 == row.why) {
            Some(known) => {
                known.1 += 1;
                known.2 += row.live_bytes;
            }
            None => reasons.push((row.why, 1, row.live_bytes)),
        }
    }
    let row = |(why, lines, bytes): (crate::find::Why, usize, f64)| json!({ "why": why, "words": why.words(), "lines": lines, "bytes": bytes });
    reasons.into_iter().map(row).collect()
}

fn parts(now: &Resources, base: Option<&Resources>) -> Value {
    let before = base.map(|base| base.memory.parts());
    let rows = now.memory.parts().into_iter().enumerate();
    let rows = rows.map(|(at, (part, bytes))| {
        json!({
            "part": part,
            "name": part.name(),
            "source": memory::source(part, now),
            "now": bytes,
            "base": before.map(|before| before[at].1),
        })
    });
    let counts = |of: fn(&Resources) -> u64| json!({ "now": of(now), "base": base.map(of) });
    json!({
        "resident": { "now": now.memory.rss_bytes, "base": base.map(|base| base.memory.rss_bytes) },
        "parts": rows.collect::<Vec<_>>(),
        "threads": counts(Resources::thread_count),
        "descriptors": counts(Resources::fd_count),
        "tasks": now.tasks.as_ref().filter(|tasks| tasks.started > 0).map(|tasks| json!({
            "now": tasks.alive,
            "base": base.and_then(|base| base.tasks.as_ref()).map(|tasks| tasks.alive),
        })),
        "allocators": now.allocators.iter().map(|held| printable(&held.name)).collect::<Vec<_>>(),
    })
}

fn moment(profile: &Profile) -> Value {
    let resources = profile.resources();
    let heap = profile.heap.as_deref();
    let live = heap.map_or_else(
        || total(profile).map(|it| (it.value as f64, it.standard_error())),
        |heap| {
            let live = &heap.live;
            Some((live.bytes_estimate, live.bytes_variance.max(0.0).sqrt()))
        },
    );
    json!({
        "time_ms": json::known(profile.time_nanos / 1_000_000),
        "live": live.map(|it| it.0),
        "live_error": live.map(|it| it.1),
        "resident": resources.as_ref().map(|it| it.memory.rss_bytes),
        "free": resources.as_ref().map(|it| it.memory.free_bytes),
    })
}

fn total(profile: &Profile) -> Option<Measure> {
    let value = view::Value::find(profile, Some("inuse_space")).ok()?;
    Some(value.total(profile))
}

/// Every line that holds something, or allocated, or changed.
fn lines(last: &Profile, first: Option<&Profile>, findings: Option<&Findings>) -> Result<Value> {
    let heap = [
        "inuse_space",
        "inuse_objects",
        "alloc_space",
        "alloc_objects",
    ];
    let has = |profile: &Profile, kind: &str| profile.sample_types.iter().any(|it| it.kind == kind);
    // Other profiles have their own; they are all shown, and the default comes first.
    let kinds: Vec<String> = match has(last, heap[0]) {
        true => heap
            .iter()
            .filter(|kind| has(last, kind))
            .map(|kind| (*kind).to_owned())
            .collect(),
        false => last.sample_types.iter().map(|it| it.kind.clone()).collect(),
    };
    let mut rows: HashMap<Key, Vec<Value>> = HashMap::new();
    let mut columns = Vec::new();
    for (at, kind) in kinds.iter().enumerate() {
        let value = view::Value::find(last, Some(kind))?;
        let quality = value.quality;
        columns
            .push(json!({ "kind": kind, "unit": value.unit(), "quality": json::quality(quality) }));
        let count = view::count(last, &value, By::Line, Blame::Application)?;
        for row in count.rows.into_iter().filter(|row| row.flat.value != 0) {
            let cells = rows
                .entry(row.key)
                .or_insert_with(|| vec![Value::Null; kinds.len()]);
            let error = quality.has_error().then(|| row.flat.standard_error());
            cells[at] = json!([row.flat.value, error]);
        }
    }
    let mut growths: HashMap<Key, Value> = HashMap::new();
    let mut growth_of = Value::Null;
    if let (Some(base), Some(kind)) = (first, kinds.first())
        && let Ok(growth) = view::growth(
            base,
            last,
            Some(kind),
            By::Line,
            Blame::Application,
            Sum::Flat,
        )
    {
        growth_of = json!({ "kind": kind, "same_process": growth.same_process, "span_nanos": growth.span_nanos });
        for row in growth.rows.into_iter().filter(|row| row.change.growth != 0) {
            let change = &row.change;
            let value = json!([
                change.growth,
                change.standard_error(),
                change.verdict.name()
            ]);
            rows.entry(row.key.clone())
                .or_insert_with(|| vec![Value::Null; kinds.len()]);
            growths.insert(row.key, value);
        }
    }
    let classes = classes(findings);
    let mut rows: Vec<(Key, Vec<Value>)> = rows.into_iter().collect();
    let first_of = |cells: &[Value]| cells.first().and_then(|cell| cell[0].as_i64()).unwrap_or(0);
    rows.sort_by(|a, b| {
        first_of(&b.1)
            .cmp(&first_of(&a.1))
            .then_with(|| a.0.cmp(&b.0))
    });
    let in_all = rows.len();
    let keeps = |at: usize, key: &Key| at < MOST_ROWS || growths.contains_key(key);
    let written = rows
        .into_iter()
        .enumerate()
        .filter(|(at, row)| keeps(*at, &row.0));
    let written = written.map(|(_, (key, cells))| {
        let frame = key.frame();
        let file = frame.map_or("", |it| it.file.as_str());
        let line = frame.map_or(0, |it| it.line);
        json!({
            "function": printable(frame.map_or(key.name(), |it| it.function.as_str())),
            "file": printable(file),
            "line": line,
            "cells": cells,
            "growth": growths.get(&key),
            "class": classes.get(&(file, line)).map(|class| json!(class)),
        })
    });
    let written: Vec<Value> = written.take(2 * MOST_ROWS).collect();
    Ok(json!({
        "columns": columns,
        "growth_of": growth_of,
        "left_out": in_all.saturating_sub(written.len()),
        "rows": written,
    }))
}

/// What lines do, by file and line.
fn classes(findings: Option<&Findings>) -> HashMap<(&str, i64), Class> {
    let Some(findings) = findings else {
        return HashMap::new();
    };
    let all = findings
        .leaks
        .iter()
        .chain(&findings.filling)
        .chain(&findings.others);
    all.filter(|it| it.place.line > 0)
        .map(|it| ((it.place.file.as_str(), it.place.line), it.class))
        .collect()
}

/// For the file's title: the program and when.
pub(super) fn title(data: &Value) -> String {
    let last = data["profiles"].as_array().and_then(|all| all.last());
    let time = last.and_then(|it| it["time_ms"].as_i64());
    let time = time.map_or(String::new(), |ms| {
        format!(", {}", units::time(ms.saturating_mul(1_000_000)))
    });
    let name = last
        .and_then(|it| it["name"].as_str())
        .unwrap_or("a heap profile");
    format!("heapsite: {name}{time}")
}
