//! `--json`: keys are stable, and described in `src/guide/cli.md`.
#![forbid(unsafe_code)]

use super::input::display;
use crate::Profile;
use crate::profile::{Loss, Tally, ValueType};
use crate::view::{Frame, Key, Measure, Quality};
use serde_json::{Map, Value, json};
use std::io::{self, Write};

/// Writes one document and a line end.
pub(super) fn write(document: &Value, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, document)?;
    writeln!(out)
}

/// Where a profile comes from.
pub(super) fn source(name: &str, profile: &Profile) -> Value {
    let process = profile.heap.as_deref().map(|heap| &heap.process);
    json!({
        "name": display(name),
        "time_nanos": known(profile.time_nanos),
        "pid": profile.pid(),
        "command": process.map(|process| &process.command),
        "losses": losses(profile),
    })
}

pub(super) fn losses(profile: &Profile) -> Vec<Value> {
    profile.losses().iter().map(loss).collect()
}

fn loss(loss: &Loss) -> Value {
    let Loss {
        reason,
        meaning,
        count,
        bytes_estimate,
    } = loss;
    json!({ "reason": reason, "meaning": meaning, "count": count, "bytes_estimate": bytes_estimate })
}

/// 0 stands for unknown.
pub(super) fn known(value: i64) -> Option<i64> {
    (value != 0).then_some(value)
}

pub(super) fn value_type(value_type: &ValueType) -> Value {
    json!({ "kind": value_type.kind, "unit": value_type.unit })
}

pub(super) fn quality(quality: Quality) -> Value {
    json!({
        "exact": quality == Quality::Exact,
        "errors": quality.name(),
        "interval_bytes": quality.interval(),
    })
}

/// A measure; its error is null where none is known.
pub(super) fn measure(measure: &Measure, quality: Quality) -> Value {
    json!({
        "value": measure.value,
        "standard_error": quality.has_error().then(|| measure.standard_error()),
        "sampled": measure.sampled,
    })
}

/// The keys that say what a row stands for.
pub(super) fn key(key: &Key) -> Map<String, Value> {
    let mut map = Map::new();
    map.insert("name".into(), key.name().into());
    if let Some(frame) = key.frame() {
        map.extend(self::frame(frame));
    }
    if let Key::Site(frames, _) = key {
        map.insert(
            "stack".into(),
            frames
                .iter()
                .map(|f| Value::Object(self::frame(f)))
                .collect(),
        );
    }
    map
}

fn frame(frame: &Frame) -> Map<String, Value> {
    let mut map = Map::new();
    map.insert("function".into(), frame.function.as_str().into());
    map.insert(
        "file".into(),
        Some(frame.file.as_str())
            .filter(|file| !file.is_empty())
            .into(),
    );
    map.insert("line".into(), known(frame.line).into());
    map
}

pub(super) fn tally(tally: &Tally) -> Value {
    json!({
        "sampled_objects": tally.objects,
        "sampled_bytes": tally.bytes,
        "objects": tally.objects_estimate,
        "objects_standard_error": tally.objects_variance.max(0.0).sqrt(),
        "bytes": tally.bytes_estimate,
        "bytes_standard_error": tally.bytes_variance.max(0.0).sqrt(),
    })
}
