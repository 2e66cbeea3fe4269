#![forbid(unsafe_code)]
#![allow(clippy::field_reassign_with_default)] // the fields of a profile are set one by one, as outside of the crate

use super::*;
use crate::profile::{
    Cohort, Function, FunctionId, HeapFacts, Line, Location, LocationId, Sample, SiteDetail, Tally,
    ValueType,
};

/// A recorder's profile with functions `a`, `b`, … and per function live bytes, variance, and the variance of
/// what was born until 10 ns.
fn profile(uptime: u64, rows: &[(i64, f64, f64)]) -> Profile {
    let mut profile = Profile::default();
    profile.time_nanos = 1_000_000 + uptime as i64;
    profile.sample_types = [("alloc_space", "bytes"), ("inuse_space", "bytes")]
        .map(|(kind, unit)| ValueType {
            kind: kind.into(),
            unit: unit.into(),
        })
        .into();
    let mut heap = HeapFacts {
        interval: 1024,
        uptime_nanos: uptime,
        ..HeapFacts::default()
    };
    (heap.process.pid, heap.process.start_time_nanos) = (7, 99);
    profile.heap = Some(Box::new(heap));
    for (at, &(bytes, variance, old)) in rows.iter().enumerate() {
        let name = char::from(b'a' + at as u8).to_string();
        let id = FunctionId(at as u32);
        profile.functions.push(Function {
            name,
            ..Function::default()
        });
        profile.locations.push(Location {
            lines: vec![Line {
                function: id,
                line: 1,
                column: 0,
            }],
            ..Location::default()
        });
        let tally = |variance| Tally {
            objects: 3,
            bytes_variance: variance,
            ..Tally::default()
        };
        let cohort = Cohort {
            to_nanos: 10,
            live: tally(old),
            ..Cohort::default()
        };
        let detail = SiteDetail {
            alloc: tally(variance),
            live: tally(variance),
            cohorts: vec![cohort],
            ..SiteDetail::default()
        };
        profile.samples.push(Sample {
            locations: vec![LocationId(at as u32)],
            values: vec![bytes, bytes],
            detail: Some(Box::new(detail)),
            ..Sample::default()
        });
    }
    profile
}

fn compare(base: &Profile, new: &Profile, kind: &str) -> Growth {
    growth(
        base,
        new,
        Some(kind),
        By::Function,
        Blame::Application,
        Sum::Flat,
    )
    .unwrap()
}

#[test]
fn the_row_that_grew_most_comes_first() {
    let base = profile(10, &[(100, 4.0, 4.0), (50, 9.0, 9.0)]);
    let new = profile(20, &[(90, 4.0, 4.0), (150, 25.0, 9.0), (1, 1.0, 0.0)]);
    let growth = compare(&base, &new, "inuse_space");
    let rows: Vec<(&str, i64)> = growth
        .rows
        .iter()
        .map(|row| (row.key.name(), row.change.growth))
        .collect();
    assert_eq!(rows, [("b", 100), ("c", 1), ("a", -10)]);
    assert_eq!(
        (growth.total.growth, growth.span_nanos, growth.same_process),
        (91, Some(10), true)
    );
    // b: 9 + 25 − 2·9 = 16; all: 13 + 30 − 2·13 = 17.
    assert_eq!(growth.rows[0].change.standard_error(), 4.0);
    assert_eq!(growth.total.variance, 17.0);
    assert_eq!(growth.rows[0].change.verdict, Verdict::Significant);
    assert_eq!(growth.rows[1].change.verdict, Verdict::WithinNoise);
}

#[test]
fn what_was_ever_allocated_only_adds_what_is_new() {
    let (base, new) = (
        profile(10, &[(100, 4.0, 4.0)]),
        profile(20, &[(200, 20.0, 0.0)]),
    );
    assert_eq!(compare(&base, &new, "alloc_space").total.variance, 16.0);
}

#[test]
fn nothing_cancels_once_births_stand_still() {
    let variance = |uptime: u64| {
        let base = profile(uptime, &[(100, 4.0, 4.0)]);
        let new = profile(uptime + 10, &[(100, 12.0, 4.0)]);
        compare(&base, &new, "inuse_space").total.variance
    };
    assert_eq!(variance(LAST_BIRTH_NANOS - 1), 8.0);
    assert_eq!(variance(LAST_BIRTH_NANOS), 16.0);
}

#[test]
fn two_processes_share_no_errors() {
    let base = profile(10, &[(100, 4.0, 4.0)]);
    let mut new = profile(20, &[(100, 12.0, 4.0)]);
    new.heap.as_mut().unwrap().process.pid = 8;
    let growth = compare(&base, &new, "inuse_space");
    assert_eq!(
        (growth.same_process, growth.total.variance, growth.total.p),
        (false, 16.0, Some(1.0))
    );
    assert_eq!(growth.total.verdict, Verdict::WithinNoise);
}

#[test]
fn exact_and_unknown_say_so() {
    let (mut base, mut new) = (
        profile(10, &[(100, 0.0, 0.0)]),
        profile(20, &[(101, 0.0, 0.0)]),
    );
    for profile in [&mut base, &mut new] {
        profile.heap.as_mut().unwrap().exact = true;
    }
    let exact = compare(&base, &new, "inuse_space");
    assert_eq!(
        (exact.rows[0].change.verdict, exact.rows[0].change.p),
        (Verdict::Exact, None)
    );
    base.heap = None;
    base.samples[0].detail = None;
    assert_eq!(
        compare(&base, &new, "inuse_space").rows[0].change.verdict,
        Verdict::Unknown
    );
    let error = growth(&base, &new, Some("x"), By::Site, Blame::Leaf, Sum::Cum).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("new profile: no sample type `x`"),
        "{error}"
    );
}

#[test]
fn chance_alone_is_rarely_significant() {
    // 20,000 rows of pure noise, z from a normal sum of 12 uniforms: with Bonferroni, at most one table in 20
    // has any significant row, so this seed's table must not have three.
    let mut state = 1u64;
    let mut uniform = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    let qualities = (
        Quality::Recorded { interval: 1 },
        Quality::Recorded { interval: 1 },
    );
    let rows = 20_000;
    let significant = (0..rows).filter(|_| {
        let z: f64 = (0..12).map(|_| uniform()).sum::<f64>() - 6.0;
        let new = Measure {
            value: (z * 1000.0) as i64,
            variance: 1e6,
            sampled: 1.0,
        };
        let entry = Entry {
            new,
            ..Entry::default()
        };
        entry.change(qualities, false, rows).verdict == Verdict::Significant
    });
    assert!(significant.count() < 3);
}
