//! Callgrind's file against the profile, read by the grammar of Valgrind's manual. Real readers open one in
//! `tests/exports`.
#![forbid(unsafe_code)]

use std::collections::{HashMap, HashSet};

use heapsite::format::{Format, callgrind};
use heapsite::profile::*;
use proptest::prelude::*;

use crate::exported::{self, plain, total};
use crate::generate::{by_hand, cases, named, wild};
use crate::round_trip::written;

/// Name and file.
type Function = (String, String);

#[derive(Default, Debug)]
struct File {
    header: Vec<(String, String)>,
    events: Vec<String>,
    summary: Vec<u128>,
    totals: Vec<u128>,
    /// By function and line.
    own: HashMap<(Function, i64), Vec<u128>>,
    /// What passed through calls: by caller, its line, and callee; and how many.
    calls: HashMap<(Function, i64, Function), (Vec<u128>, u64)>,
}

fn read(text: &str) -> File {
    let mut file = File::default();
    let mut names: HashMap<(char, u32), String> = HashMap::new();
    // `(1) name` the first time, `(1)` from then on.
    let mut name = |kind: char, text: &str| {
        let (id, name) = text.strip_prefix('(').unwrap().split_once(')').unwrap();
        let id = (kind, id.parse().unwrap());
        match name.strip_prefix(' ') {
            Some(name) => {
                assert!(
                    !name.trim().is_empty() && !name.contains(char::is_control),
                    "{name:?}"
                );
                assert_eq!(names.insert(id, name.to_owned()), None, "{id:?} twice");
                name.to_owned()
            }
            None => names[&id].clone(),
        }
    };
    let numbers = |text: &str| -> Vec<u128> {
        text.split_whitespace()
            .map(|it| it.parse().unwrap())
            .collect()
    };
    let (mut at, mut called): (Function, Function) = Default::default();
    let mut calls = None;
    for line in text.lines() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if line.starts_with(|c: char| c.is_ascii_digit()) {
            let (number, costs) = line.split_once(' ').unwrap();
            let (number, costs) = (number.parse().unwrap(), numbers(costs));
            assert_eq!(costs.len(), file.events.len());
            match calls.take() {
                Some(calls) => {
                    let old = file
                        .calls
                        .insert((at.clone(), number, called.clone()), (costs, calls));
                    assert!(old.is_none(), "a call twice: {line}");
                }
                None => assert!(
                    file.own.insert((at.clone(), number), costs).is_none(),
                    "{at:?} {line}"
                ),
            }
            continue;
        }
        assert!(calls.is_none(), "costs belong behind calls=");
        if let Some((key, value)) = line
            .split_once('=')
            .filter(|(key, _)| key.len() <= 5 && !key.contains([':', ' ']))
        {
            match key {
                "ob" | "cob" => drop(name('o', value)),
                "fl" => at.1 = name('l', value),
                "fn" => at.0 = name('n', value),
                "cfi" => called.1 = name('l', value),
                "cfn" => called.0 = name('n', value),
                "calls" => calls = Some(value.strip_suffix(" 0").unwrap().parse().unwrap()),
                other => panic!("{other}"),
            }
            continue;
        }
        let (key, value) = line.split_once(':').unwrap();
        match key {
            "events" => file.events = value.split_whitespace().map(str::to_owned).collect(),
            "summary" => file.summary = numbers(value),
            "totals" => file.totals = numbers(value),
            _ => {
                assert!(
                    file.events.is_empty(),
                    "`events` ends the header, not {line}"
                );
                file.header.push((key.to_owned(), value.trim().to_owned()));
            }
        }
    }
    file
}

impl File {
    /// As `callgrind_annotate --inclusive=yes` has it: the sum of the calls to each function.
    fn inclusive(&self) -> HashMap<&Function, Vec<u128>> {
        let mut sums = HashMap::new();
        for ((_, _, called), (costs, _)) in &self.calls {
            add(sums.entry(called).or_default(), costs.iter().copied());
        }
        sums
    }
}

fn add(sums: &mut Vec<u128>, values: impl IntoIterator<Item = u128>) {
    for (at, value) in values.into_iter().enumerate() {
        if sums.len() <= at {
            sums.push(0);
        }
        sums[at] += value;
    }
}

/// A name or file as the format has it.
fn shown(text: &str) -> String {
    match plain(text) {
        text if text.trim().is_empty() => "???".to_owned(),
        text => text,
    }
}

proptest! {
    #![proptest_config(cases(200))]

    /// Values of up to 40 bits of either sign: sums stay within the 64 bits that readers have.
    #[test]
    fn own_and_inclusive_costs_arrive(profile in wild()) {
        let mut profile = profile;
        for sample in &mut profile.samples {
            sample.values.iter_mut().for_each(|value| *value >>= 24);
        }
        let file = read(&String::from_utf8(written(Format::Callgrind, &profile)).unwrap());
        let is_split = profile.samples.iter().flat_map(|it| &it.values).any(|&value| value < 0);
        let first = profile.sample_type_index(None).unwrap();
        let mut order: Vec<usize> = (0..profile.sample_types.len()).collect();
        order.sort_by_key(|&index| index != first);
        let columns = |values: &[i64]| -> Vec<u128> {
            let split = |index: &usize| match is_split {
                true => vec![values[*index].max(0).unsigned_abs().into(), values[*index].min(0).unsigned_abs().into()],
                false => vec![values[*index].unsigned_abs().into()],
            };
            order.iter().flat_map(split).collect()
        };
        let mut own: HashMap<(Function, i64), Vec<u128>> = HashMap::new();
        let mut inclusive: HashMap<Function, Vec<u128>> = HashMap::new();
        let mut sum = vec![0; file.events.len()];
        for sample in &profile.samples {
            let values = columns(&sample.values);
            if values.iter().all(|&value| value == 0) {
                continue;
            }
            add(&mut sum, values.clone());
            let stack = exported::stack(&profile, sample);
            let function = |place: &exported::Place| (shown(&place.name), shown(&place.file));
            add(own.entry((function(&stack[0]), stack[0].line)).or_default(), values.clone());
            for function in stack.iter().map(function).collect::<HashSet<_>>() {
                add(inclusive.entry(function).or_default(), values.clone());
            }
        }
        prop_assert_eq!(&file.own, &own);
        prop_assert_eq!(file.inclusive(), inclusive.iter().map(|(function, costs)| (function, costs.clone())).collect());
        prop_assert_eq!(&file.totals, &sum);
        prop_assert_eq!(&file.summary, &sum);
        // Names of events are words, each once.
        let distinct: HashSet<&String> = file.events.iter().collect();
        prop_assert_eq!(distinct.len(), file.events.len());
        prop_assert!(file.events.iter().all(|name| name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')), "{:?}", file.events);
    }
}

/// `f → g → f → g`: each passes on the whole once, not twice.
#[test]
fn recursion_counts_once() {
    let mut profile = by_hand();
    profile.functions = vec![named("f", "f.rs"), named("g", "g.rs")];
    profile.locations.truncate(2);
    for (index, location) in (0..).zip(&mut profile.locations) {
        location.lines = vec![Line {
            function: FunctionId(index),
            line: 7,
            column: 0,
        }];
    }
    profile.samples.truncate(1);
    profile.samples[0].locations = [1, 0, 1, 0].map(LocationId).to_vec();
    let file = read(&String::from_utf8(written(Format::Callgrind, &profile)).unwrap());
    let inclusive = file.inclusive();
    let function = |name: &str| (name.to_owned(), format!("{name}.rs"));
    for name in ["f", "g"] {
        assert_eq!(inclusive[&function(name)][0], 57_600);
    }
    // Both ways of the loop are there, and how many stacks took them.
    let call = |from: &str, to: &str| &file.calls[&(function(from), 7, function(to))];
    assert_eq!((call("f", "g").0[0], call("f", "g").1), (57_600, 2));
    assert_eq!((call("g", "f").0[0], call("g", "f").1), (0, 1));
}

#[test]
fn the_header_tells_what_is_known() {
    let file = read(&String::from_utf8(written(Format::Callgrind, &by_hand())).unwrap());
    let value = |key: &str| {
        file.header
            .iter()
            .find(|(known, _)| known == key)
            .map(|(_, value)| value.as_str())
    };
    assert_eq!(
        (
            value("version"),
            value("pid"),
            value("cmd"),
            value("positions")
        ),
        (
            Some("1"),
            Some("4321"),
            Some("server --port 80"),
            Some("line")
        )
    );
    // What the profile shows first is the first event: readers sort by it.
    assert_eq!(
        file.events,
        [
            "inuse_space",
            "alloc_objects",
            "alloc_space",
            "inuse_objects"
        ]
    );
    assert_eq!(value("event"), Some("inuse_space : inuse_space (bytes)"));
    assert!(
        file.header
            .iter()
            .any(|(_, value)| value.contains("loss: 3 x live-map-full"))
    );
    assert_eq!(file.totals[0], total(&by_hand(), "inuse_space") as u128);
    let mut bytes = Vec::new();
    callgrind::write_difference(&by_hand(), &mut bytes).unwrap();
    assert_eq!(
        read(&String::from_utf8(bytes).unwrap()).events[..2],
        ["inuse_space_grown", "inuse_space_shrunk"]
    );
}

#[test]
fn nothing_costs_nothing() {
    let mut empty = by_hand();
    empty.samples.clear();
    let file = read(&String::from_utf8(written(Format::Callgrind, &empty)).unwrap());
    assert_eq!((&file.totals, file.own.len()), (&vec![0; 4], 0));
    let error = Format::Callgrind
        .write(&Profile::default(), &mut Vec::new())
        .unwrap_err();
    assert!(
        error.to_string().contains("needs something to count"),
        "{error}"
    );
}
