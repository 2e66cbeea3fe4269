//! How long a snapshot takes, by sites and live samples.
//!
//! Counts of sites and samples are made with interval 1, so each number is what it says. What the caller waits for is
//! timed; nobody else waits (`cargo bench --bench pauses`). Reading the process's own facts from `/proc` is part
//! of it: a few milliseconds in a process of this size, whatever the numbers of sites and samples.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use heapsite::Heapsite;

#[path = "sites/mod.rs"]
mod sites;

#[global_allocator]
static HEAP: Heapsite = Heapsite::system().sample_interval(0);

fn snapshot(c: &mut Criterion) {
    let mut group = c.benchmark_group("snapshot");
    group.sample_size(10);
    let mut kept: Vec<Vec<u8>> = Vec::with_capacity(1_000_000);
    for (sites, live) in [
        (1_000, 10_000),
        (10_000, 100_000),
        (100_000, 100_000),
        (100_000, 1_000_000),
    ] {
        sites::fill(&mut kept, sites, live);
        let id = BenchmarkId::new(format!("{sites} sites"), format!("{live} live"));
        group.bench_function(id, |b| {
            b.iter_custom(|rounds| {
                // Without giving the copy back, which is the caller's time to choose.
                (0..rounds).map(|_| timed(heapsite::snapshot)).sum()
            });
        });
    }
    group.finish();
    c.bench_function("stats/100000 sites", |b| {
        b.iter(|| black_box(heapsite::stats::heap()))
    });
}

fn timed<T>(work: impl FnOnce() -> T) -> Duration {
    let started = Instant::now();
    let done = black_box(work());
    let took = started.elapsed();
    drop(done);
    took
}

criterion_group!(benches, snapshot);
criterion_main!(benches);
