#![forbid(unsafe_code)]

use super::*;
use crate::profile::{
    Function, FunctionId, Line, Location, LocationId, Mapping, MappingId, Profile, Sample,
    ValueType,
};
use crate::view::{Key, Selection, count_of, traces};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// One sample type; functions `f0`, `f1`, … in files `a.rs` and `b.rs`, locations with up to three of them, some without
/// a name, and samples with these stacks and values.
#[derive(Clone, Debug)]
struct Made {
    locations: Vec<Vec<u32>>,
    samples: Vec<(Vec<u32>, i64)>,
}

const FUNCTIONS: u32 = 5;

fn made(values: std::ops::Range<i64>) -> impl Strategy<Value = Made> {
    let locations = vec(vec(0..FUNCTIONS, 0..4), 1..8);
    locations.prop_flat_map(move |locations| {
        let stack = vec(0..locations.len() as u32, 1..7);
        let samples = vec((stack, values.clone()), 0..12);
        (Just(locations), samples).prop_map(|(locations, samples)| Made { locations, samples })
    })
}

fn profile(made: &Made) -> Profile {
    let mut profile = Profile {
        sample_types: vec![ValueType {
            kind: "inuse_space".into(),
            unit: "bytes".into(),
        }],
        mappings: vec![Mapping {
            start: 0,
            limit: 1 << 20,
            file: "/srv/bin/shop".into(),
            ..Mapping::default()
        }],
        ..Profile::default()
    };
    profile.functions = (0..FUNCTIONS)
        .map(|at| Function {
            name: format!("shop::f{at}"),
            filename: ["/shop/a.rs", "/shop/b.rs"][at as usize % 2].into(),
            ..Function::default()
        })
        .collect();
    for (at, lines) in made.locations.iter().enumerate() {
        let line = |&function: &u32| Line {
            function: FunctionId(function),
            line: i64::from(function) % 2 + 1,
            column: 0,
        };
        profile.locations.push(Location {
            address: 0x1000 + 16 * at as u64,
            mapping: Some(MappingId(0)),
            lines: lines.iter().map(line).collect(),
            ..Location::default()
        });
    }
    for (stack, value) in &made.samples {
        profile.samples.push(Sample {
            locations: stack.iter().map(|&id| LocationId(id)).collect(),
            values: vec![*value],
            ..Sample::default()
        });
    }
    profile
}

fn subject(made: &Made) -> Subject {
    Subject::new(profile(made), None).unwrap()
}

/// Names, and between two names what passes.
type Rows = BTreeMap<Key, (i64, i64)>;
type Calls = BTreeMap<(Key, Key), (i64, bool)>;

fn rows_of(graph: &Graph) -> Rows {
    let rows = graph.shown();
    rows.map(|(_, row)| (row.key.clone(), (row.flat.value, row.cum.value)))
        .collect()
}

fn calls_of(graph: &Graph) -> Calls {
    let key = |row: usize| graph.count.rows[row].key.clone();
    let edges = graph.edges.iter();
    edges
        .map(|edge| {
            let names = (key(edge.caller), key(edge.callee));
            (names, (edge.weight.value, edge.inlined))
        })
        .collect()
}

/// The definition, word by word: every sample, every row of its stack once, every pair of neighbours once.
fn naive(made: &Made, by: By) -> (Rows, Calls) {
    let subject = subject(made);
    let listed = traces(&subject, by, Blame::Leaf).unwrap();
    let (mut rows, mut calls) = (Rows::new(), Calls::new());
    for trace in listed.traces.iter().filter(|it| it.measure.value != 0) {
        let value = trace.measure.value;
        let stack: Vec<(Key, bool)> = trace
            .stack
            .iter()
            .map(|frame| (listed.keys[frame.key].clone(), frame.inlined))
            .collect();
        rows.entry(stack[0].0.clone()).or_default().0 += value;
        for key in stack.iter().map(|it| &it.0).collect::<BTreeSet<_>>() {
            rows.entry(key.clone()).or_default().1 += value;
        }
        let mut seen = BTreeSet::new();
        for pair in stack.windows(2).rev() {
            let names = (pair[1].0.clone(), pair[0].0.clone());
            if names.0 != names.1 && seen.insert(names.clone()) {
                let call = calls.entry(names).or_insert((0, true));
                call.0 += value;
                call.1 &= pair[0].1;
            }
        }
    }
    rows.retain(|_, sums| *sums != (0, 0));
    calls.retain(|_, call| call.0 != 0);
    (rows, calls)
}

const FRAMES: [By; 6] = [
    By::Line,
    By::Function,
    By::FunctionName,
    By::File,
    By::Address,
    By::Crate,
];

fn whole(subject: &Subject, by: By, blame: Blame) -> Graph {
    graph(subject, by, blame, &Cut::nothing(Order::Flat)).unwrap()
}

fn cases() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn named(part: &'static str) -> Option<crate::view::select::Matches<'static>> {
    Some(Box::new(move |text: &str| text.contains(part)))
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn the_graph_is_what_its_definition_says(made in made(-3..4)) {
        for by in FRAMES {
            let found = whole(&subject(&made), by, Blame::Leaf);
            let (rows, calls) = naive(&made, by);
            prop_assert_eq!(rows_of(&found), rows);
            prop_assert_eq!(calls_of(&found), calls);
        }
    }

    #[test]
    fn flat_adds_up_and_cum_holds_it(made in made(0..50)) {
        let subject = subject(&made);
        let total = subject.total().value;
        for by in FRAMES {
            for blame in [Blame::Leaf, Blame::Application] {
                let graph = whole(&subject, by, blame);
                let flat: i64 = graph.count.rows.iter().map(|row| row.flat.value).sum();
                prop_assert_eq!(flat, total);
                for row in &graph.count.rows {
                    prop_assert!(row.flat.value <= row.cum.value && row.cum.value <= total);
                }
                for edge in &graph.edges {
                    for end in [edge.caller, edge.callee] {
                        prop_assert!(edge.weight.value <= graph.count.rows[end].cum.value);
                    }
                }
                // The table is the graph without its edges.
                let mut table = count_of(&subject, by, blame).unwrap();
                table.drop_empty(false);
                let table: Rows = table.rows.into_iter().map(|row| (row.key, (row.flat.value, row.cum.value))).collect();
                prop_assert_eq!(rows_of(&graph), table);
            }
        }
    }

    #[test]
    fn the_order_of_samples_does_not_matter(made in made(-50..50)) {
        let mut turned = made.clone();
        turned.samples.reverse();
        for by in FRAMES {
            let graphs = [&made, &turned].map(|made| whole(&subject(made), by, Blame::Leaf));
            let [one, other] = graphs.each_ref().map(|graph| {
                let rows = graph.count.rows.iter().map(|row| (row.key.clone(), row.flat, row.cum));
                (rows.collect::<Vec<_>>(), calls_of(graph))
            });
            prop_assert_eq!(one, other);
        }
    }

    #[test]
    fn focus_and_ignore_share_out_everything(made in made(-50..50), function in 0..FUNCTIONS) {
        let part: &'static str = ["f0", "f1", "f2", "f3", "f4"][function as usize];
        let (mut with, mut without) = (subject(&made), subject(&made));
        let all = with.total().value;
        with.select(&Selection { focus: named(part), ..Selection::default() });
        without.select(&Selection { ignore: named(part), ..Selection::default() });
        prop_assert_eq!(with.total().value + without.total().value, all);
        prop_assert_eq!(with.measures.len() + without.measures.len(), made.samples.len());
        // What is shown of the one and hidden of the other is every frame once.
        let frames = |subject: &Subject| -> usize {
            let ids = subject.profile.samples.iter().flat_map(|sample| &sample.locations);
            ids.map(|id| subject.profile.locations[id.0 as usize].lines.len()).sum()
        };
        let (mut shown, mut hidden) = (subject(&made), subject(&made));
        let in_all = frames(&shown);
        shown.select(&Selection { show: named(part), ..Selection::default() });
        hidden.select(&Selection { hide: named(part), ..Selection::default() });
        prop_assert_eq!(frames(&shown) + frames(&hidden), in_all);
    }

    #[test]
    fn a_cut_keeps_the_numbers_of_what_stays(made in made(0..50), rows in 1..6usize) {
        let subject = subject(&made);
        let cut = Cut { rows, ..Cut::nothing(Order::Cum) };
        let found = graph(&subject, By::Function, Blame::Leaf, &cut).unwrap();
        let all = whole(&subject, By::Function, Blame::Leaf);
        let (all, in_all) = (rows_of(&all), all.shown().count());
        prop_assert_eq!(found.rows_in_all, in_all);
        prop_assert_eq!(found.shown().count(), rows.min(in_all));
        for (key, sums) in rows_of(&found) {
            prop_assert_eq!(all[&key], sums);
        }
    }
}

/// `leaf` ← `middle` ← `root`: without `middle` the other two call each other.
#[test]
fn what_is_cut_out_is_stepped_over() {
    let made = Made {
        locations: vec![vec![0], vec![1], vec![2]],
        samples: vec![(vec![0, 1, 2], 10), (vec![0, 2], 1), (vec![2], 90)],
    };
    let cut = Cut {
        rows: 2,
        ..Cut::nothing(Order::Flat)
    };
    let graph = graph(&subject(&made), By::FunctionName, Blame::Leaf, &cut).unwrap();
    let edges: Vec<(i64, bool)> = graph
        .edges
        .iter()
        .map(|edge| (edge.weight.value, edge.residual))
        .collect();
    assert_eq!(edges, [(11, true)]);
    assert_eq!(graph.callers(1).count() + graph.callees(0).count(), 2);
    let error = super::graph(&subject(&made), By::Thread, Blame::Leaf, &cut).unwrap_err();
    assert!(error.to_string().contains("has no callers"), "{error}");
}

/// `f2` calls `f0`, and elsewhere itself: the stack counts once.
#[test]
fn recursion_counts_once() {
    let made = Made {
        locations: vec![vec![0], vec![2]],
        samples: vec![(vec![0, 1, 0, 1, 1], 10)],
    };
    let graph = whole(&subject(&made), By::FunctionName, Blame::Leaf);
    let weights: Vec<i64> = graph.edges.iter().map(|edge| edge.weight.value).collect();
    assert_eq!(weights, [10, 10]);
}

#[test]
fn show_from_cuts_what_called_it() {
    let made = Made {
        locations: vec![vec![0], vec![1, 2], vec![3]],
        samples: vec![(vec![0, 1, 2], 10), (vec![0, 2], 5)],
    };
    let mut subject = subject(&made);
    let unmatched = subject.select(&Selection {
        show_from: named("f1"),
        ignore: named("nothing of this name"),
        ..Selection::default()
    });
    assert_eq!(unmatched, ["ignore"]);
    let names: Vec<String> = whole(&subject, By::FunctionName, Blame::Leaf)
        .count
        .rows
        .iter()
        .map(|row| format!("{} {}", row.key.name(), row.cum.value))
        .collect();
    assert_eq!(names, ["shop::f0 10", "shop::f1 10"]);
}
