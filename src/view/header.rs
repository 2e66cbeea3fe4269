//! The lines above a report: what was added up, how good it is, how much there is, and what 100 % is.
#![forbid(unsafe_code)]

use super::measure::{Measure, Quality, Value};
use super::subject::{Whole, WholeOf};
use super::units;

/// What was added up and how good it is, in a line: `inuse_space, estimated from 1 in 512 KiB (2,113 sampled
/// allocations), ±1 standard error`.
pub fn describe(value: &Value, total: &Measure, whole: Whole) -> String {
    match whole.is_of_difference() {
        true => difference(value),
        false => describe_value(value, total.sampled),
    }
}

/// The same of a value of which so many allocations were sampled.
pub(crate) fn describe_value(value: &Value, sampled: f64) -> String {
    let sampled = units::count(sampled.round() as i64);
    let kind = value.kind();
    match value.quality {
        Quality::Exact => match value.things() {
            Some(things) => format!("{things}, exact: each of them is counted"),
            None => format!("{kind}, exact"),
        },
        Quality::Recorded { interval: 0 } => format!(
            "{kind}, estimated ({sampled} sampled allocations; sampling is off now), ±1 standard error"
        ),
        Quality::Recorded { interval } => {
            let often = how_often(interval);
            format!(
                "{kind}, estimated from {often} ({sampled} sampled allocations), ±1 standard error"
            )
        }
        Quality::Derived { interval } => {
            let often = how_often(interval);
            format!(
                "{kind}, estimated from {often} (about {sampled} sampled allocations), ±1 standard error \
                 from each stack's mean size"
            )
        }
        Quality::Unknown => {
            format!(
                "{kind}, of unknown accuracy (the profile does not say how all of it was sampled)"
            )
        }
    }
}

/// Of a difference, where errors are those of what changed.
fn difference(value: &Value) -> String {
    let kind = value.kind();
    match (value.quality, value.things()) {
        (Quality::Exact, Some(things)) => {
            format!("{things}, difference, exact: each of them is counted")
        }
        (Quality::Exact, None) => format!("{kind}, difference, exact"),
        (Quality::Unknown, _) => format!(
            "{kind}, difference, of unknown accuracy (a profile does not say how all of it was sampled)"
        ),
        (Quality::Recorded { interval }, _) => {
            let often = how_often(interval);
            format!("{kind}, difference, estimated from {often}, ±1 standard error")
        }
        (Quality::Derived { interval }, _) => {
            let often = how_often(interval);
            format!(
                "{kind}, difference, estimated from {often}, ±1 standard error from each stack's mean size"
            )
        }
    }
}

/// How much is selected, and of what: `total 74.0 ± 2.1 MiB`, or `change +12.0 ± 1.1 MiB (100% = 61.0 MiB, the base)`.
pub fn total(value: &Value, total: &Measure, whole: Whole) -> String {
    let unit = value.unit();
    let error = value.quality.has_error().then(|| total.standard_error());
    let text = value
        .scale
        .with_error(total.value, error.filter(|&error| error > 0.0), unit);
    let all = value.scale.quantity(whole.value, unit);
    let plus = if total.value > 0 { "+" } else { "" };
    match whole.of {
        WholeOf::Profile if total.value != whole.value => {
            let share = units::percent(total.value, whole.value);
            format!("selected {text}, {share} of {all}")
        }
        WholeOf::Profile => format!("total {text}"),
        WholeOf::Selected => format!("selected {text}"),
        WholeOf::Changed => {
            format!("change {plus}{text} (100% = {all}: all that grew and all that shrank)")
        }
        WholeOf::Base => format!("change {plus}{text} (100% = {all}: the base)"),
    }
}

/// `1 in 512 KiB`. An estimate at interval 1 is one that began otherwise, or of which something was lost.
pub(super) fn how_often(interval: u64) -> String {
    match interval {
        1 => "every allocation, but not all from the start".to_owned(),
        _ => format!("1 in {}", units::round_bytes(interval)),
    }
}
