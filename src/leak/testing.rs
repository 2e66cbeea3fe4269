//! Profiles made up for tests.
#![forbid(unsafe_code)]
#![allow(clippy::field_reassign_with_default)] // the fields of a profile are set one by one, as outside of the crate

use crate::profile::{
    Function, FunctionId, HeapFacts, LifetimeBucket, Line, Location, LocationId, Profile, Sample,
    SiteDetail, Tally, ValueType,
};

/// One line of a made-up profile.
#[derive(Clone, Copy)]
pub(super) struct Row {
    pub(super) function: &'static str,
    pub(super) line: i64,
    pub(super) allocated: i64,
    pub(super) live: i64,
    pub(super) peak: i64,
    /// Of each of the three.
    pub(super) variance: f64,
}

impl Row {
    pub(super) fn new(function: &'static str, line: i64) -> Row {
        Row {
            function,
            line,
            allocated: 0,
            live: 0,
            peak: 0,
            variance: 0.0,
        }
    }
}

/// A snapshot of the one process there is, at `moment`.
pub(super) fn profile(moment: u64, rows: &[Row]) -> Profile {
    let mut profile = Profile::default();
    profile.sample_types = ["alloc_space", "inuse_space"]
        .map(|kind| ValueType {
            kind: kind.into(),
            unit: "bytes".into(),
        })
        .into();
    profile.period = 1024;
    let mut heap = HeapFacts {
        interval: 1024,
        uptime_nanos: moment,
        ..HeapFacts::default()
    };
    (heap.process.pid, heap.process.start_time_nanos) = (7, 99);
    profile.heap = Some(Box::new(heap));
    for (id, row) in (0u32..).zip(rows) {
        profile.functions.push(Function {
            name: row.function.into(),
            filename: file_of(row.function).into(),
            ..Function::default()
        });
        profile.locations.push(Location {
            lines: vec![Line {
                function: FunctionId(id),
                line: row.line,
                column: 0,
            }],
            ..Location::default()
        });
        let tally = |bytes: i64| Tally {
            objects: 1,
            bytes_estimate: bytes as f64,
            bytes_variance: row.variance,
            ..Tally::default()
        };
        let freed = LifetimeBucket {
            from_nanos: 1000,
            to_nanos: 2000,
            objects: 1,
            bytes_estimate: (row.allocated - row.live) as f64,
        };
        let detail = SiteDetail {
            alloc: tally(row.allocated),
            live: tally(row.live),
            peak: tally(row.peak),
            lifetimes: vec![freed],
            ..SiteDetail::default()
        };
        profile.samples.push(Sample {
            locations: vec![LocationId(id)],
            values: vec![row.allocated, row.live],
            detail: Some(Box::new(detail)),
            ..Sample::default()
        });
    }
    profile
}

fn file_of(function: &str) -> &'static str {
    match function.starts_with("alloc::") {
        true => "/rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/alloc/src/vec/mod.rs",
        false => "/home/me/shop/src/main.rs",
    }
}
