//! Labels of samples: what carries which of them.
#![forbid(unsafe_code)]

use super::measure::Measure;
use super::scale::is_unit;
use super::subject::Subject;
use super::units;
use crate::profile::{Label, LabelValue};
use std::collections::BTreeMap;

/// The values of one key.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Tag {
    /// The key.
    pub key: String,
    /// All samples that have the key; one with several values of it counts once for each, as in pprof.
    pub total: Measure,
    /// The largest first.
    pub values: Vec<(LabelValue, Measure)>,
}

/// What carries which label, by key.
pub fn tags(subject: &Subject) -> Vec<Tag> {
    let mut keys: BTreeMap<&str, BTreeMap<LabelValue, Measure>> = BTreeMap::new();
    for (sample, &measure) in subject.profile.samples.iter().zip(&subject.measures) {
        for label in &sample.labels {
            let value = match &label.value {
                LabelValue::Num(number, unit) => {
                    LabelValue::Num(*number, unit_of(&label.key, unit).to_owned())
                }
                text => text.clone(),
            };
            let values = keys.entry(&label.key).or_default();
            values.entry(value).or_default().add(measure);
        }
    }
    let tag = |(key, values): (&str, BTreeMap<LabelValue, Measure>)| {
        let mut total = Measure::default();
        values.values().for_each(|&measure| total.add(measure));
        let mut values: Vec<(LabelValue, Measure)> = values.into_iter().collect();
        values.sort_by_key(|(_, measure)| std::cmp::Reverse(measure.value.unsigned_abs()));
        Tag {
            key: key.to_owned(),
            total,
            values,
        }
    };
    keys.into_iter().map(tag).collect()
}

/// The value of a label as text.
pub fn text(value: &LabelValue) -> String {
    match value {
        LabelValue::Str(text) => text.clone(),
        LabelValue::Num(number, unit) => units::quantity(*number, unit),
    }
}

/// The value of a label as text, with the unit that its key stands for.
pub(super) fn text_of(label: &Label) -> String {
    match &label.value {
        LabelValue::Str(text) => text.clone(),
        LabelValue::Num(number, unit) => units::quantity(*number, unit_of(&label.key, unit)),
    }
}

/// All labels of a sample in one text: `bytes:64.0 KiB, user:anna`.
pub(super) fn joined(labels: &[Label]) -> String {
    let mut texts: Vec<String> = labels
        .iter()
        .map(|label| format!("{}:{}", label.key, text_of(label)))
        .collect();
    texts.sort();
    match texts.is_empty() {
        true => "(no label)".to_owned(),
        false => texts.join(", "),
    }
}

/// The unit of a numeric label. Where the profile has none, pprof takes the key for it, and knows two that are sizes.
pub(super) fn unit_of<'a>(key: &'a str, unit: &'a str) -> &'a str {
    match (unit, key) {
        ("", "request" | "alignment") => "bytes",
        ("", key) if is_unit(key) => key,
        (unit, _) => unit,
    }
}
