//! `--json`: keys are stable, and described in `src/guide/cli.md`.
#![forbid(unsafe_code)]

use super::input::display;
use crate::Profile;
use crate::profile::{Label, LabelValue, Loss, Tally, ValueType};
use crate::view::subject::{Whole, WholeOf};
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

/// What 100 % is.
pub(super) fn whole(whole: Whole) -> Value {
    let of = match whole.of {
        WholeOf::Profile => "profile",
        WholeOf::Selected => "selected",
        WholeOf::Changed => "changed",
        WholeOf::Base => "base",
    };
    json!({ "value": whole.value, "of": of })
}

/// A label of a sample.
pub(super) fn label(label: &Label) -> Value {
    let mut map = label_value(&label.value);
    map.insert("key".into(), label.key.as_str().into());
    Value::Object(map)
}

/// A label's value: a text, or a number with its unit.
pub(super) fn label_value(value: &LabelValue) -> Map<String, Value> {
    let (value, unit): (Value, Option<&str>) = match value {
        LabelValue::Str(text) => (text.as_str().into(), None),
        LabelValue::Num(number, unit) => ((*number).into(), Some(unit.as_str())),
    };
    let unit = unit.filter(|unit| !unit.is_empty());
    Map::from_iter([
        ("value".to_owned(), value),
        ("unit".to_owned(), unit.into()),
    ])
}

/// The keys that say what a row stands for.
pub(super) fn key(key: &Key) -> Map<String, Value> {
    let mut map = Map::new();
    map.insert("name".into(), key.name().into());
    if let Some(frame) = key.frame() {
        map.extend(self::frame(frame));
    }
    if let Key::File(path) = key {
        map.insert("file".into(), path.as_str().into());
    }
    if let Key::Address(address, _) = key {
        map.insert("address".into(), format!("{address:#x}").into());
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
