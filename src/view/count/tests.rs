#![forbid(unsafe_code)]
#![allow(clippy::field_reassign_with_default)] // the fields of a profile are set one by one, as outside of the crate

use super::*;
use crate::profile::{
    Cohort, Function, FunctionId, HeapFacts, Label, LabelValue, LifetimeBucket, Line, Location,
    LocationId, SiteDetail, Tally, ValueType,
};
use crate::view::measure::Quality;

/// A profile of `inuse_objects` and `inuse_space` with a function per name, in file `name.rs` at line 7.
fn profile(stacks: &[(&[&str], i64, i64)]) -> Profile {
    let mut profile = Profile::default();
    profile.sample_types = [("inuse_objects", "count"), ("inuse_space", "bytes")]
        .map(|(kind, unit)| ValueType {
            kind: kind.into(),
            unit: unit.into(),
        })
        .into();
    for (stack, objects, bytes) in stacks {
        let mut sample = Sample {
            values: vec![*objects, *bytes],
            ..Sample::default()
        };
        for name in *stack {
            let known = profile
                .functions
                .iter()
                .position(|function| function.name == *name);
            let at = known.unwrap_or_else(|| {
                let id = FunctionId(profile.functions.len() as u32);
                profile.functions.push(Function {
                    name: (*name).into(),
                    filename: "src/x.rs".into(),
                    ..Function::default()
                });
                profile.locations.push(Location {
                    lines: vec![Line {
                        function: id,
                        line: 7,
                        column: 0,
                    }],
                    ..Location::default()
                });
                id.0 as usize
            });
            sample.locations.push(LocationId(at as u32));
        }
        profile.samples.push(sample);
    }
    profile
}

fn rows(profile: &Profile, by: By, blame: Blame) -> Vec<(String, i64, i64)> {
    let value = Value::find(profile, None).unwrap();
    let mut count = count(profile, &value, by, blame).unwrap();
    count.sort(Order::Flat);
    count
        .rows
        .iter()
        .map(|row| (row.key.name().to_owned(), row.flat.value, row.cum.value))
        .collect()
}

fn row(name: &str, flat: i64, cum: i64) -> (String, i64, i64) {
    (name.to_owned(), flat, cum)
}

#[test]
fn plumbing_is_not_blamed_and_recursion_counts_once() {
    let profile = profile(&[
        (
            &[
                "alloc::vec::Vec<T>::push",
                "app::walk",
                "app::walk",
                "app::main",
            ],
            1,
            100,
        ),
        (&["app::load", "app::main"], 1, 10),
        (&["alloc::alloc::alloc", "std::rt::init"], 1, 1),
    ]);
    let blamed = [
        row("app::walk", 100, 100),
        row("app::load", 10, 10),
        row("alloc::alloc::alloc", 1, 1),
        row("app::main", 0, 110),
    ];
    assert_eq!(rows(&profile, By::Function, Blame::Application), blamed);
    let leaves = rows(&profile, By::Line, Blame::Leaf);
    assert_eq!(leaves[0], row("alloc::vec::Vec<T>::push", 100, 100));
    assert!(
        leaves.contains(&row("app::walk", 0, 100)) && leaves.contains(&row("std::rt::init", 0, 1))
    );
    let crates = [row("app", 110, 110), row("alloc", 1, 1)];
    assert_eq!(rows(&profile, By::Crate, Blame::Application), crates);
}

#[test]
fn inlined_frames_are_frames() {
    let mut profile = profile(&[(&["app::outer"], 1, 8), (&["app::inner"], 1, 1)]);
    let inner = profile.locations[1].lines[0];
    profile.locations[0].lines.insert(0, inner);
    let expected = [row("app::inner", 9, 9), row("app::outer", 0, 8)];
    assert_eq!(rows(&profile, By::Function, Blame::Application), expected);
}

#[test]
fn sites_keep_the_stack_and_addresses_get_names() {
    let mut profile = profile(&[
        (&["alloc::f", "app::a", "app::main"], 1, 5),
        (&["app::a", "app::main"], 1, 3),
    ]);
    assert_eq!(
        rows(&profile, By::Site, Blame::Application),
        [row("app::a", 5, 5), row("app::a", 3, 3)]
    );
    profile.locations[1].lines.clear();
    profile.locations[1].address = 0x40;
    profile.samples.push(Sample {
        values: vec![0, 2],
        ..Sample::default()
    });
    // A frame with a name is a better answer than one without; a stack without any names blames its leaf.
    profile.locations[2].lines.clear();
    profile.locations[2].address = 0x50;
    let lines = rows(&profile, By::Line, Blame::Application);
    let expected = [
        row("alloc::f", 5, 5),
        row("0x40", 3, 8),
        row("(empty stack)", 2, 2),
        row("0x50", 0, 8),
    ];
    assert_eq!(lines, expected);
}

#[test]
fn errors_add_up_and_lifetimes_are_means() {
    let mut profile = profile(&[(&["app::a"], 4, 400), (&["app::a"], 1, 100)]);
    for (sample, variance) in profile.samples.iter_mut().zip([9.0, 16.0]) {
        let live = Tally {
            objects: 2,
            bytes_variance: variance,
            ..Tally::default()
        };
        let lifetimes = vec![LifetimeBucket {
            from_nanos: 1024,
            to_nanos: 2048,
            objects: 1,
            bytes_estimate: 50.0,
        }];
        sample.detail = Some(Box::new(SiteDetail {
            live,
            lifetimes,
            ..SiteDetail::default()
        }));
    }
    profile.heap = Some(Box::new(HeapFacts {
        interval: 512,
        ..HeapFacts::default()
    }));
    let value = Value::find(&profile, Some("inuse_space")).unwrap();
    assert_eq!(value.quality, Quality::Recorded { interval: 512 });
    let count = count(&profile, &value, By::Line, Blame::Application).unwrap();
    let row = &count.rows[0];
    assert_eq!(
        (row.flat.value, row.flat.standard_error(), row.flat.sampled),
        (500, 5.0, 4.0)
    );
    // 1024 / ln 2
    assert!((row.mean_lifetime().unwrap() - 1477.3).abs() < 0.1);
}

#[test]
fn derived_errors_follow_the_interval() {
    let mut profile = profile(&[(&["app::a"], 1000, 64_000)]);
    profile.period = 4096;
    profile.period_type = Some(ValueType {
        kind: "space".into(),
        unit: "bytes".into(),
    });
    let value = Value::find(&profile, None).unwrap();
    assert_eq!(value.quality, Quality::Derived { interval: 4096 });
    let measure = value.of(&profile.samples[0]);
    // p = 1 − exp(−64/4096) = 0.015504; n = 1000 p; σ = 64 √(1000 (1/p − 1))
    assert!((measure.sampled - 15.504).abs() < 0.001);
    assert!(
        (measure.standard_error() - 16_128.0).abs() < 5.0,
        "{}",
        measure.standard_error()
    );
    profile.period = 1;
    assert_eq!(Value::find(&profile, None).unwrap().quality, Quality::Exact);
    profile.period_type = None;
    assert_eq!(
        Value::find(&profile, None).unwrap().quality,
        Quality::Unknown
    );
}

#[test]
fn threads_come_from_cohorts_or_labels() {
    let mut profile = profile(&[(&["app::a"], 1, 30)]);
    let value = Value::find(&profile, Some("inuse_space")).unwrap();
    let error = count(&profile, &value, By::Thread, Blame::Application).unwrap_err();
    assert!(
        error.to_string().contains("does not say which threads"),
        "{error}"
    );
    let cohort = |thread, to_nanos, bytes| Cohort {
        thread,
        to_nanos,
        live: Tally {
            bytes_estimate: bytes,
            ..Tally::default()
        },
        ..Cohort::default()
    };
    let cohorts = vec![cohort(0, 5, 10.0), cohort(1, 9, 20.0)];
    profile.samples[0].detail = Some(Box::new(SiteDetail {
        cohorts,
        ..SiteDetail::default()
    }));
    profile.heap = Some(Box::new(HeapFacts {
        threads: vec!["main".into()],
        ..HeapFacts::default()
    }));
    let both = [row("thread 1", 20, 20), row("main", 10, 10)];
    assert_eq!(rows(&profile, By::Thread, Blame::Application), both);
    let what = What {
        value: &value,
        by: By::Thread,
        blame: Blame::Application,
        cum: true,
        born: 5,
    };
    let old = what.count(&profile, &profile.samples).unwrap();
    assert_eq!((old.rows.len(), old.total.value), (1, 10));
    profile.samples[0].labels = vec![Label {
        key: "thread".into(),
        value: LabelValue::Str("worker".into()),
    }];
    assert_eq!(
        rows(&profile, By::Thread, Blame::Application),
        [row("worker", 30, 30)]
    );
}

#[test]
fn unknown_sample_types_are_named() {
    let profile = profile(&[]);
    let error = Value::find(&profile, Some("cpu")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no sample type `cpu` in this profile; it has: inuse_objects, inuse_space"
    );
    assert!(Value::find(&Profile::default(), None).is_err());
}

#[test]
fn flat_sums_do_not_depend_on_cumulative_ones() {
    let std = "alloc::raw_vec::RawVec<T,A>::grow_one";
    let profile = profile(&[
        (&[std, "shop::a", "shop::b", "shop::main"], 1, 64),
        (&["shop::b", "shop::b", "shop::main"], 2, 32),
        (&[std, std], 1, 8),
        (&[], 1, 4),
    ]);
    let value = Value::find(&profile, None).unwrap();
    for by in [By::Site, By::Function, By::Line, By::Crate] {
        for blame in [Blame::Application, Blame::Leaf] {
            let flat = |cum| {
                let value = &value;
                let what = What {
                    value,
                    by,
                    blame,
                    cum,
                    born: u64::MAX,
                };
                let count = what.count(&profile, &profile.samples).unwrap();
                let blamed = count
                    .rows
                    .into_iter()
                    .filter(|row| row.flat != Measure::default());
                let mut rows: Vec<_> = blamed.map(|row| (row.key, row.flat.value)).collect();
                rows.sort();
                (rows, count.total)
            };
            assert_eq!(flat(false), flat(true), "{by:?} {blame:?}");
        }
    }
}
