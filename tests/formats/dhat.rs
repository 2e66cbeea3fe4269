//! DHAT's file against the profile, and against the rules by which its viewer refuses files. The viewer itself opens one
//! in `tests/exports`.
#![forbid(unsafe_code)]

use std::collections::{HashMap, HashSet};

use heapsite::format::{Format, dhat};
use heapsite::profile::*;
use proptest::prelude::*;
use serde_json::Value;

use crate::exported::{self, as_heap, plain, total};
use crate::generate::{by_hand, cases, wild};
use crate::round_trip::written;

/// What the viewer asks of a file (`buildTree` and `checkPP` in `dh_view.js`).
fn checked(document: &Value) -> &Value {
    assert_eq!(document["dhatFileVersion"], 2);
    for key in [
        "mode", "verb", "bklt", "bkacc", "tu", "Mtu", "cmd", "pid", "te", "pps", "ftbl",
    ] {
        assert!(!document[key].is_null(), "no {key}");
    }
    assert_eq!(
        (&document["bklt"], &document["bkacc"]),
        (&false.into(), &false.into())
    );
    assert!(document["te"].as_u64().unwrap() > 0);
    assert_eq!(document["ftbl"][0], "[root]");
    let frames = document["ftbl"].as_array().unwrap().len() as u64;
    let mut stacks = HashSet::new();
    for point in document["pps"].as_array().unwrap() {
        let stack = point["fs"].as_array().unwrap();
        assert!(
            stack
                .iter()
                .all(|it| (1..frames).contains(&it.as_u64().unwrap()))
        );
        assert!(stacks.insert(stack), "a repeated location");
    }
    document
}

fn parsed(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

/// Bytes and blocks by the texts of the frames, leaf first.
fn points(document: &Value) -> HashMap<Vec<&str>, (u64, u64)> {
    let mut points: HashMap<Vec<&str>, (u64, u64)> = HashMap::new();
    for point in document["pps"].as_array().unwrap() {
        let stack = point["fs"].as_array().unwrap();
        let frame = |it: &Value| it.as_u64().unwrap() as usize;
        let stack = stack
            .iter()
            .map(|it| document["ftbl"][frame(it)].as_str().unwrap());
        // Texts that differ in control characters only read the same.
        let sum = points.entry(stack.collect()).or_default();
        sum.0 += point["tb"].as_u64().unwrap();
        sum.1 += point["tbk"].as_u64().unwrap();
    }
    points
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn every_stack_arrives(profile in wild(), of_all in any::<bool>()) {
        let profile = as_heap(profile);
        let (sample_type, bytes, blocks) = match of_all {
            true => ("alloc_objects", 1, 0),
            false => ("inuse_space", 3, 2),
        };
        let mut file = Vec::new();
        dhat::write(&profile, Some(sample_type), &mut file).unwrap();
        let document = parsed(&file);
        let mut expected: HashMap<Vec<String>, (u64, u64)> = HashMap::new();
        for sample in &profile.samples {
            let values = (sample.values[bytes] as u64, sample.values[blocks] as u64);
            if values == (0, 0) {
                continue;
            }
            let frame = |place: exported::Place| {
                plain(&match (place.file.as_str(), place.line) {
                    ("", _) => place.name,
                    (file, 0) => format!("{} ({file})", place.name),
                    (file, line) => format!("{} ({file}:{line})", place.name),
                })
            };
            let stack = exported::stack(&profile, sample).into_iter().map(frame);
            let sum = expected.entry(stack.collect()).or_default();
            *sum = (sum.0 + values.0, sum.1 + values.1);
        }
        let found = points(checked(&document));
        let found: HashMap<Vec<String>, (u64, u64)> =
            found.into_iter().map(|(stack, sum)| (stack.into_iter().map(str::to_owned).collect(), sum)).collect();
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn a_file_says_what_it_counts() {
    let document = parsed(&written(Format::Dhat, &by_hand()));
    let points = points(checked(&document));
    assert_eq!(points.len(), 1, "what is freed is not in use");
    let (stack, sums) = points.iter().next().unwrap();
    assert_eq!(*sums, (57_600, 900));
    assert_eq!(stack[1], "server::cache::insert (/src/cache.rs:42)");
    assert_eq!(document["verb"], "In use, allocated");
    assert_eq!(
        (&document["te"], &document["tu"], &document["Mtu"]),
        (&3_500_000.into(), &"µs".into(), &"s".into())
    );
    assert_eq!(
        (&document["pid"], &document["cmd"]),
        (&4321.into(), &"server --port 80".into())
    );
    let mode = document["mode"].as_str().unwrap();
    assert!(
        mode.contains("values are estimates") && mode.contains("live-map-full"),
        "{mode}"
    );
    assert!(
        document["heapsite"]["comments"]
            .to_string()
            .contains("up 3.5 s")
    );
}

/// 100 bytes of an unknown time would be "∞ a second".
#[test]
fn a_time_that_is_not_known_is_none() {
    let mut profile = by_hand();
    profile.heap = None;
    let document = parsed(&written(Format::Dhat, &profile));
    assert_eq!(
        (&document["te"], &document["Mtu"]),
        (&1_000_000.into(), &"run".into())
    );
    profile.samples.clear();
    assert_eq!(
        checked(&parsed(&written(Format::Dhat, &profile)))["pps"],
        serde_json::json!([])
    );
}

#[test]
fn what_it_cannot_hold_is_refused() {
    let refusal = |profile: &Profile, sample_type| {
        let error = dhat::write(profile, sample_type, &mut Vec::new()).unwrap_err();
        error.to_string()
    };
    let mut shrunk = by_hand();
    shrunk.samples[1].values[2] = -1;
    assert!(refusal(&shrunk, None).contains("which 1 stacks did"));
    // Of the other pair nothing shrank.
    dhat::write(&shrunk, Some("alloc_space"), &mut Vec::new()).unwrap();
    let mut cpu = by_hand();
    cpu.sample_types.truncate(2);
    cpu.sample_types[1].kind = "cpu".into();
    cpu.samples.iter_mut().for_each(|it| it.values.truncate(2));
    assert!(refusal(&cpu, None).contains("this profile has alloc_objects/count, cpu/bytes"));
    assert!(refusal(&by_hand(), Some("cpu")).contains("no sample type \"cpu\""));
    assert_eq!(total(&by_hand(), "inuse_space"), 57_600);
}
