//! Two moments as JSON: the verdict first, then part by part and line by line.
#![forbid(unsafe_code)]

use serde_json::{Map, Value, json};

use crate::history::{Bound, Change, LineChange, Moment};
use crate::profile::growth::{Basis, Growth, bonferroni};
use crate::profile::resources::{Count, MemoryPart, Resources};
use crate::view::memory;
use crate::view::name::printable;
use crate::view::significance::LEVEL;

/// Lines that grew, and as many that shrank, at most.
const MOST_ROWS: usize = 40;

/// `latest` says where the parts' numbers come from.
pub(super) fn compare(base: &Moment, now: &Moment, latest: Option<&Resources>) -> Value {
    let change = Change::new(base, now);
    let rows = change.comparisons();
    let shown = |line: &&LineChange| line.growth.delta != 0;
    let grown = change.lines.iter().filter(|line| line.growth.delta > 0);
    let shrunk = change
        .lines
        .iter()
        .rev()
        .filter(|line| line.growth.delta < 0);
    let changed = change.lines.iter().filter(shown).count();
    let mut lines: Vec<Value> = grown.take(MOST_ROWS).map(|one| line(one, rows)).collect();
    lines.extend(shrunk.take(MOST_ROWS).map(|one| line(one, rows)));
    let left_out = changed - lines.len();
    json!({
        "base": moment(base),
        "now": moment(now),
        "verdict": verdict(base, now, &change),
        "total": growth(&change.total, 1),
        "allocated": growth(&change.allocated, 1),
        "memory": parts(base, now, latest),
        "threads": counts(base, now, |process| Some((process.thread_count, &process.threads))),
        "descriptors": counts(base, now, |process| Some((process.fd_count, &process.fds))),
        "tasks": counts(base, now, |process| {
            process.tasks.as_ref().map(|(alive, by_spawn_site)| (*alive, &**by_spawn_site))
        }),
        "lines": lines,
        "lines_left_out": left_out,
        "lines_compared": change.lines.len(),
        "other_lines": growth(&change.rest, rows),
        "lost": now.lost.saturating_sub(base.lost),
        "level": LEVEL,
    })
}

pub(super) fn key(part: MemoryPart) -> String {
    json!(part).as_str().unwrap_or_default().to_owned()
}

fn moment(moment: &Moment) -> Value {
    json!({
        "id": moment.id,
        "time_ms": moment.time_nanos / 1_000_000,
        "exact": moment.exact,
        "interval": moment.interval,
    })
}

/// In a word for the page (`growing`, `elsewhere`, `steady`, `unknown`), with the part that grew most, as `heapsite info`
/// picks it; `live_grew`: what is live did, too, and by more than chance.
fn verdict(base: &Moment, now: &Moment, change: &Change) -> Value {
    let live_grew = change.total.delta >= memory::SMALL && change.total.is_significant(LEVEL, 1);
    let both = base.process.as_ref().zip(now.process.as_ref());
    let part = both.and_then(|(base, now)| memory::largest_growth(&base.memory, &now.memory));
    // Where both compare what is live, the error is smaller here.
    let part = part.or_else(|| live_grew.then_some((MemoryPart::Live, change.total.delta)));
    let word = match part {
        _ if base.id == now.id => "unknown",
        Some((MemoryPart::Live, _)) => "growing",
        Some(_) => "elsewhere",
        None => "steady",
    };
    json!({
        "word": word,
        "part": part.map(|(part, _)| key(part)),
        "name": part.map(|(part, _)| part.name()),
        "bytes": part.map(|(_, bytes)| bytes),
        "meaning": part.map(|(part, _)| part.meaning()),
        "live_grew": live_grew,
    })
}

fn parts(base: &Moment, now: &Moment, latest: Option<&Resources>) -> Value {
    let Some((before, after)) = base.process.as_ref().zip(now.process.as_ref()) else {
        return Value::Null;
    };
    let both = before.memory.parts().into_iter().zip(after.memory.parts());
    let parts: Vec<Value> = both
        .map(|((part, base), (_, now))| {
            json!({
                "part": key(part),
                "name": part.name(),
                "meaning": part.meaning(),
                "source": latest.map(|latest| memory::source(part, latest)),
                "base": base,
                "now": now,
                "growth": now.saturating_sub(base),
            })
        })
        .collect();
    let [base, now] = [before, after].map(|process| process.memory.rss_bytes);
    json!({ "resident": { "base": base, "now": now, "growth": difference(now, base) }, "parts": parts })
}

fn counts(
    base: &Moment,
    now: &Moment,
    of: impl Fn(&crate::history::Process) -> Option<(u64, &[Count])>,
) -> Value {
    let [before, after] = [base, now].map(|moment| moment.process.as_ref().and_then(&of));
    let Some(((base, base_names), (now, names))) = before.zip(after) else {
        return Value::Null;
    };
    let mut changes: Map<String, Value> = Map::new();
    for (name, count, sign) in names
        .iter()
        .map(|count| (&count.name, count.count, 1))
        .chain(
            base_names
                .iter()
                .map(|count| (&count.name, count.count, -1)),
        )
    {
        let count = sign * i64::try_from(count).unwrap_or(i64::MAX);
        let before = changes.get(&*printable(name)).and_then(Value::as_i64);
        let sum = before.unwrap_or(0).saturating_add(count);
        changes.insert(printable(name).into_owned(), sum.into());
    }
    changes.retain(|_, change| change.as_i64() != Some(0));
    json!({ "base": base, "now": now, "growth": difference(now, base), "by_name": changes })
}

fn difference(now: u64, base: u64) -> i64 {
    let [now, base] = [now, base].map(|number| i64::try_from(number).unwrap_or(i64::MAX));
    now - base
}

fn line(change: &LineChange, rows: usize) -> Value {
    let mut value = growth(&change.growth, rows);
    let more = json!({
        "function": printable(&change.line.function),
        "file": printable(&change.line.file),
        "line": change.line.line,
        "base_objects": change.objects[0].round(),
        "now_objects": change.objects[1].round(),
        "allocated": change.allocated.map(f64::round),
        "bound": match change.bound {
            Bound::None => Value::Null,
            Bound::Base => "base".into(),
            Bound::Now => "now".into(),
        },
    });
    if let (Some(value), Value::Object(more)) = (value.as_object_mut(), more) {
        value.extend(more);
    }
    value
}

/// Bytes; `error`: standard error, `null`: unknown; `p`: by chance, corrected for the number of rows.
fn growth(growth: &Growth, rows: usize) -> Value {
    let error = Some(growth.std_error).filter(|error| !error.is_nan());
    let p = growth.p_value().map(|p| bonferroni(p, rows));
    let verdict = match (growth.basis, p) {
        (Basis::Exact, _) => "exact",
        (_, None) => "unknown",
        (_, Some(p)) if p < LEVEL => "significant",
        _ => "within noise",
    };
    json!({
        "base": growth.base,
        "now": growth.new,
        "growth": growth.delta,
        "error": error,
        "p": p,
        "verdict": verdict,
    })
}
