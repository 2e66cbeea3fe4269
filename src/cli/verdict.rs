//! `heapsite info BASE NOW`: what of the process grew.
#![forbid(unsafe_code)]

use std::io::Write;
use std::process::ExitCode;

use serde_json::{Map, Value, json};

use super::style::Look;
use super::{Failure, about, input, json};
use crate::profile::resources::{MemoryPart, Resources};
use crate::view::{memory, units};
use crate::{Error, Profile};

pub(super) fn run(
    [base, now]: [&String; 2],
    json: bool,
    look: &Look,
    out: &mut dyn Write,
) -> Result<ExitCode, Failure> {
    input::check_stdin([base, now])?;
    let names = [base, now];
    let profiles = [input::read(base)?, input::read(now)?];
    let [before, after] = [0, 1].map(|at| known(names[at], &profiles[at]));
    let (before, after) = (before?, after?);
    if json {
        let document = json!({
            "heapsite": "verdict",
            "version": 1,
            "base": json::source(base, &profiles[0]),
            "now": json::source(now, &profiles[1]),
            "grew_most": memory::largest_growth(&before.memory, &after.memory).map(|(part, _)| part),
            "growth": growth(&before, &after),
            "base_resources": resources(&before),
            "now_resources": resources(&after),
        });
        json::write(&document, out)?;
    } else {
        writeln!(out, "base {}", about::origin(base, &profiles[0]))?;
        writeln!(
            out,
            "now  {}{}",
            about::origin(now, &profiles[1]),
            span(&profiles)
        )?;
        for (name, profile) in names.iter().zip(&profiles) {
            if let Some(partial) = about::partial_memory(profile) {
                writeln!(out, "{}: {partial}", input::display(name))?;
            }
        }
        if is_restarted(&profiles) {
            writeln!(
                out,
                "these are two processes (a restart in between?): what differs need not have grown"
            )?;
        }
        memory::write_change(&before, &after, &look.paint(), out)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// `, 4.9 s after the base`
fn span([base, now]: &[Profile; 2]) -> String {
    if base.time_nanos == 0 || now.time_nanos == 0 {
        return String::new();
    }
    match now.time_nanos.saturating_sub(base.time_nanos) {
        span @ 0.. => format!(", {} after the base", units::duration(span as u64)),
        span => format!(
            ", {} before the base: the wrong way round?",
            units::duration(span.unsigned_abs())
        ),
    }
}

/// Not of one process. Every process of a container has number 1, so when it began counts, too, where the files tell.
fn is_restarted([base, now]: &[Profile; 2]) -> bool {
    /// What a clock that is set, and rounding, may come to.
    const SLACK: u64 = 30_000_000_000;
    if base.pid() != now.pid() {
        return true;
    }
    match (base.recording_since(), now.recording_since()) {
        (Some(base), Some(now)) => base.abs_diff(now) > SLACK,
        _ => false,
    }
}

fn known(name: &str, profile: &Profile) -> Result<Resources, Error> {
    match profile.resources() {
        Some(resources) => Ok(resources.into_owned()),
        None => Err(Error::input(format!(
            "{} does not say where the process had its memory: dumps of this version of heapsite do",
            input::display(name)
        ))),
    }
}

/// Growth by part, bytes.
fn growth(base: &Resources, now: &Resources) -> Value {
    let parts = base.memory.parts().into_iter().zip(now.memory.parts());
    let mut map: Map<String, Value> = parts
        .map(|((part, before), (_, after))| (key(part), after.saturating_sub(before).into()))
        .collect();
    // A dump may say anything: numbers above i64::MAX count as that, and then no difference overflows.
    let more = |after: u64, before: u64| {
        let [after, before] = [after, before].map(|number| number.min(i64::MAX as u64) as i64);
        Value::from(after - before)
    };
    map.insert(
        "resident".into(),
        more(now.memory.rss_bytes, base.memory.rss_bytes),
    );
    map.insert(
        "threads".into(),
        more(now.thread_count(), base.thread_count()),
    );
    map.insert("descriptors".into(), more(now.fd_count(), base.fd_count()));
    if let (Some(now), Some(base)) = (&now.tasks, &base.tasks) {
        map.insert("tasks".into(), more(now.alive, base.alive));
    }
    Value::Object(map)
}

/// The same keys as in a JSON dump, and each part's source.
pub(super) fn resources(resources: &Resources) -> Value {
    let parts = resources.memory.parts().map(|(part, bytes)| {
        json!({ "part": part, "bytes": bytes, "source": memory::source(part, resources) })
    });
    json!({ "parts": parts, "facts": resources })
}

fn key(part: MemoryPart) -> String {
    json!(part).as_str().unwrap_or_default().to_owned()
}
