//! Tasks, threads and goroutines that a profile counts.
#![forbid(unsafe_code)]

use std::io::Write;
use std::process::ExitCode;

use super::{Census, Item, Kind, TASKS, counted, place};
use crate::cli::style::Look;
use crate::cli::{Failure, about, args, input};
use crate::profile::{LabelValue, LocationId, Sample};
use crate::view::measure::Value;
use crate::view::name::{fit, printable};
use crate::view::{Frame, key};
use crate::{Error, Profile};

pub(in crate::cli) fn of_profile(
    kind: Kind,
    args: &args::Census,
    profile: &Profile,
    look: &Look,
    out: &mut dyn Write,
) -> Result<ExitCode, Failure> {
    let name = input::display(&args.profile);
    let column = profile
        .sample_types
        .iter()
        .position(|it| it.kind == kind.sample_type);
    let Some(column) = column else {
        let have: Vec<&str> = profile
            .sample_types
            .iter()
            .map(|it| it.kind.as_str())
            .collect();
        return Err(Error::input(format!(
            "{name}: no {} in it; it has {}. Accepted are heapsite's list of {}, and profiles with the value type {}",
            kind.many,
            have.join(", "),
            kind.many,
            kind.sample_type
        ))
        .into());
    };
    // Go's, which are read as well, are called what they are.
    let value = Value::find(profile, Some(kind.sample_type))?;
    let kind = match value.things() {
        Some("goroutines") => GOROUTINES,
        _ => kind,
    };
    if args.stacks {
        return stacks(kind, profile, column, out);
    }
    let census = Census {
        kind,
        head: about::origin(&args.profile, profile),
        ended: None,
        unlisted: 0,
        items: profile
            .samples
            .iter()
            .filter_map(|sample| of_sample(profile, sample, column))
            .collect(),
    };
    census.show(args, look, out)
}

/// What Go's profiles of the same name count.
const GOROUTINES: Kind = Kind {
    one: "goroutine",
    many: "goroutines",
    made: "created by",
    ..TASKS
};

fn of_sample(profile: &Profile, sample: &Sample, column: usize) -> Option<Item> {
    let count = u64::try_from(*sample.values.get(column)?).ok()?;
    let label = |key: &str| {
        let found = sample.labels.iter().find(|label| label.key == key);
        found.and_then(|label| match &label.value {
            LabelValue::Str(text) => Some(text.clone()),
            LabelValue::Num(..) => None,
        })
    };
    let frames = frames(profile, &sample.locations);
    let (place, within) = place(&frames);
    let made_at = label("spawned_at").or_else(|| label("created_at"));
    let within = label("waits_for").or(within);
    Some(Item {
        count,
        state: label("state").unwrap_or_default(),
        name: label("task")
            .or_else(|| label("thread"))
            .unwrap_or_default(),
        ages: None,
        place,
        within: within.into_iter().collect(),
        made_at: made_at.unwrap_or_default(),
    })
}

fn frames(profile: &Profile, locations: &[LocationId]) -> Vec<Frame> {
    let frames = locations.iter().flat_map(|&id| key::frames(profile, id));
    frames.collect()
}

/// As Go's `debug=2`, for a profile.
fn stacks(
    kind: Kind,
    profile: &Profile,
    column: usize,
    out: &mut dyn Write,
) -> Result<ExitCode, Failure> {
    let mut samples: Vec<&Sample> = profile.samples.iter().collect();
    samples.sort_by_key(|sample| std::cmp::Reverse(sample.values.get(column).copied()));
    for (place, sample) in samples.iter().enumerate() {
        let count = sample.values.get(column).copied().unwrap_or(0);
        if place > 0 {
            writeln!(out)?;
        }
        writeln!(out, "{}", counted(count.unsigned_abs(), kind))?;
        for label in &sample.labels {
            if let LabelValue::Str(text) = &label.value {
                writeln!(out, "  {}: {}", printable(&label.key), printable(text))?;
            }
        }
        for frame in frames(profile, &sample.locations) {
            writeln!(out, "    {}", fit(&frame, 110))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
