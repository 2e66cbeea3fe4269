//! speedscope's file against the profile: every value, every frame. A real viewer opens it in `tests/exports`.
#![forbid(unsafe_code)]

use heapsite::format::{Format, speedscope};
use heapsite::profile::*;
use proptest::prelude::*;
use serde_json::Value;

use crate::exported::{self, Place};
use crate::generate::{by_hand, cases, wild};
use crate::round_trip::written;

fn parsed(profile: &Profile) -> Value {
    serde_json::from_slice(&written(Format::Speedscope, profile)).unwrap()
}

/// Name of each profile in the file.
fn names(document: &Value) -> Vec<&str> {
    let profiles = document["profiles"].as_array().unwrap();
    let names = profiles.iter().map(|it| it["name"].as_str().unwrap());
    names.collect()
}

/// Stacks, root first, and weights.
fn samples(document: &Value, profile: &Value) -> Vec<(Vec<Place>, u64)> {
    let frames = document["shared"]["frames"].as_array().unwrap();
    let place = |index: &Value| {
        let frame = &frames[index.as_u64().unwrap() as usize];
        Place {
            name: frame["name"].as_str().unwrap().to_owned(),
            file: frame["file"].as_str().unwrap_or_default().to_owned(),
            line: frame["line"].as_i64().unwrap_or(0),
        }
    };
    let stacks = profile["samples"].as_array().unwrap();
    let weights = profile["weights"].as_array().unwrap();
    assert_eq!(stacks.len(), weights.len());
    let rows = stacks.iter().zip(weights).map(|(stack, weight)| {
        let stack = stack.as_array().unwrap().iter().map(place).collect();
        (stack, weight.as_u64().unwrap())
    });
    rows.collect()
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn every_value_arrives(profile in wild()) {
        let document = parsed(&profile);
        let is_split = profile.samples.iter().flat_map(|it| &it.values).any(|&value| value < 0);
        let signs: &[i64] = if is_split { &[1, -1] } else { &[1] };
        let mut profiles = document["profiles"].as_array().unwrap().iter();
        for (index, kind) in profile.sample_types.iter().enumerate() {
            for &sign in signs {
                let shown = profiles.next().unwrap();
                let suffix = match (is_split, sign) {
                    (false, _) => "",
                    (true, 1) => " grown",
                    _ => " shrunk",
                };
                prop_assert_eq!(shown["name"].as_str().unwrap(), format!("{}{suffix}", kind.kind));
                let mut expected = Vec::new();
                for sample in &profile.samples {
                    let value = sample.values[index];
                    if value.signum() == sign {
                        let mut stack = exported::stack(&profile, sample);
                        stack.reverse();
                        expected.push((stack, value.unsigned_abs()));
                    }
                }
                let sum: f64 = expected.iter().map(|(_, value)| *value as f64).sum();
                prop_assert_eq!(samples(&document, shown), expected);
                // Beyond 64 bits it is read as a float.
                let end = shown["endValue"].as_f64().unwrap();
                prop_assert!((end - sum).abs() <= 1e-9 * sum, "{} is not {}", end, sum);
            }
        }
        prop_assert!(profiles.next().is_none());
    }
}

#[test]
fn facts_and_losses_are_in_it() {
    let document = parsed(&by_hand());
    assert_eq!(
        names(&document)[document["activeProfileIndex"].as_u64().unwrap() as usize],
        "inuse_space"
    );
    assert_eq!(
        document["name"],
        "server, process 4321, up 3.5 s, losses: live-map-full"
    );
    assert_eq!(document["heapsite"]["uptime_nanos"], 3_500_000_000u64);
    let comments = document["heapsite"]["comments"].to_string();
    assert!(comments.contains("loss: 3 x live-map-full"), "{comments}");
    let units: Vec<&str> = document["profiles"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["unit"].as_str().unwrap())
        .collect();
    assert_eq!(units, ["none", "bytes", "none", "bytes"]);
    // An inlined function, a function, and a place without a name.
    let rows = samples(&document, &document["profiles"][3]);
    let stack: Vec<String> = rows[0]
        .0
        .iter()
        .map(|it| format!("{}:{}", it.name, it.line))
        .collect();
    assert_eq!(
        stack,
        [
            "[libc.so.6]+0x4001:0",
            "server::main:12",
            "server::cache::insert:42",
            "<alloc::vec::Vec<T> as core::clone::Clone>::clone:2700",
        ]
    );
}

/// Also where nothing shrank: what a script finds must not depend on it.
#[test]
fn a_difference_is_always_split() {
    let mut bytes = Vec::new();
    speedscope::write_difference(&by_hand(), &mut bytes).unwrap();
    let document: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(
        names(&document)[6..],
        ["inuse_space grown", "inuse_space shrunk"]
    );
    assert_eq!(document["activeProfileIndex"], 6);
    assert_eq!(
        (
            &document["profiles"][6]["endValue"],
            &document["profiles"][7]["endValue"]
        ),
        (&57_600.into(), &0.into())
    );
}

#[test]
fn nothing_is_a_file_as_well() {
    let mut empty = by_hand();
    empty.samples.clear();
    let document = parsed(&empty);
    assert_eq!(names(&document).len(), 4);
    assert_eq!(document["profiles"][0]["endValue"], 0);
    assert_eq!(
        parsed(&Profile::default())["profiles"],
        serde_json::json!([])
    );
}
