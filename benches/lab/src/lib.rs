//! Workloads to measure allocators with. `PROGRAM WORKLOAD ITERATIONS` runs one and prints a line of JSON:
//! `{"workload","ops","nanos","best_nanos_per_op","peak_kib"}`. `nanos` is wall time of the measured part (filling a
//! live set beforehand is not); the best is the fastest of up to 20 parts; the peak is the process's highest RSS in KiB.
//!
//! Everything is seeded: a workload does the same work in every program and every run, but for `http`, whose
//! requests interleave as the scheduler likes.

mod churn;
mod json;
mod map;
mod service;
mod syntax;
mod tight;

use std::time::{Duration, Instant};

/// What `LAB_INTERVAL` says, in bytes.
pub fn interval() -> Option<u64> {
    let text = std::env::var("LAB_INTERVAL").ok()?;
    Some(text.parse().expect("LAB_INTERVAL is a number of bytes"))
}

/// A workload: its name, what one operation is, and the code, which is given a number of operations.
struct Workload {
    name: &'static str,
    operation: &'static str,
    run: fn(u64) -> Time,
}

const WORKLOADS: &[Workload] = &[
    Workload {
        name: "tight",
        operation: "allocate and free 64 bytes",
        run: |n| tight::run(n, 1),
    },
    Workload {
        name: "tight-t2",
        operation: "the same on each of two threads",
        run: |n| tight::run(n, 2),
    },
    Workload {
        name: "churn-d5",
        operation: "replace one of 100,000 objects, 5 calls deep",
        run: |n| churn::own(n, 5, 1),
    },
    Workload {
        name: "churn-d20",
        operation: "the same, 20 calls deep",
        run: |n| churn::own(n, 20, 1),
    },
    Workload {
        name: "churn-d60",
        operation: "the same, 60 calls deep",
        run: |n| churn::own(n, 60, 1),
    },
    Workload {
        name: "churn-t2",
        operation: "20 calls deep, two threads, each its own objects",
        run: |n| churn::own(n, 20, 2),
    },
    Workload {
        name: "churn-x",
        operation: "20 calls deep, two threads that free each other's",
        run: |n| churn::shared(n, 20),
    },
    Workload {
        name: "json",
        operation: "parse and write 0.8 MB",
        run: json::run,
    },
    Workload {
        name: "map",
        operation: "build a map of 1,000,000 entries, remove half, scan",
        run: map::run,
    },
    Workload {
        name: "syn",
        operation: "parse the sources under LAB_SOURCES (default: src)",
        run: syntax::run,
    },
    Workload {
        name: "http",
        operation: "POST some JSON to an axum service, one of 4 connections",
        run: service::run,
    },
];

/// How long the measured part took.
struct Time {
    whole: Duration,
    /// Of one operation in the fastest part, nanoseconds.
    best: f64,
}

/// Runs `operations` in up to 20 parts, and takes the time of all and of the fastest.
fn in_parts(operations: u64, mut part: impl FnMut(u64)) -> Time {
    let mut time = Time {
        whole: Duration::ZERO,
        best: f64::INFINITY,
    };
    let size = operations.div_ceil(20).max(1);
    let mut left = operations;
    while left > 0 {
        let now = size.min(left);
        let started = Instant::now();
        part(now);
        let took = started.elapsed();
        time.whole += took;
        time.best = time.best.min(took.as_nanos() as f64 / now as f64);
        left -= now;
    }
    time
}

/// A small generator (xorshift64*), so that every program draws the same numbers.
#[derive(Clone)]
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11
    }
}

/// What every program's `main` does.
pub fn main() {
    let mut arguments = std::env::args().skip(1);
    let (name, operations) = match (arguments.next(), arguments.next().map(|n| n.parse::<u64>())) {
        (Some(name), Some(Ok(operations))) => (name, operations),
        _ => usage(),
    };
    let Some(workload) = WORKLOADS.iter().find(|workload| workload.name == name) else {
        usage()
    };
    let time = (workload.run)(operations);
    println!(
        r#"{{"workload":"{name}","ops":{operations},"nanos":{},"best_nanos_per_op":{:.2},"peak_kib":{}}}"#,
        time.whole.as_nanos(),
        if time.best.is_finite() {
            time.best
        } else {
            0.0
        },
        peak_kib(),
    );
}

fn usage() -> ! {
    eprintln!("usage: PROGRAM WORKLOAD ITERATIONS, WORKLOAD being one of");
    for workload in WORKLOADS {
        eprintln!("  {:10} {}", workload.name, workload.operation);
    }
    std::process::exit(2)
}

fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok())
        .unwrap_or(0)
}
