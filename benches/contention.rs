//! Threads that record at once, exact mode: all at one site, or each at its own.
//!
//! Time is per pair and thread. On a machine with two processors four threads take turns, so twice the time of two
//! is what no contention at all looks like.

#[expect(dead_code, reason = "others fill tables with it")]
#[path = "sites/mod.rs"]
mod sites;

use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use heapsite::Heapsite;

#[global_allocator]
static HEAP: Heapsite = Heapsite::system().sample_interval(0);

fn contention(c: &mut Criterion) {
    let mut group = c.benchmark_group("exact");
    group.sample_size(20);
    for threads in [1, 2, 4] {
        for (where_, apart) in [("one site", 0), ("a site each", 1)] {
            let id = BenchmarkId::new(where_, format!("{threads} threads"));
            group.bench_function(id, |b| {
                b.iter_custom(|rounds| together(threads, rounds, apart))
            });
        }
    }
}

/// The longest that any thread took.
fn together(threads: u64, rounds: u64, apart: u64) -> Duration {
    let start = Barrier::new(threads as usize);
    heapsite::set_sample_interval(1);
    let longest = thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|thread| {
                let start = &start;
                scope.spawn(move || {
                    start.wait();
                    let began = Instant::now();
                    for _ in 0..rounds {
                        drop(black_box(sites::at_stack(thread * apart)));
                    }
                    began.elapsed()
                })
            })
            .collect();
        running
            .into_iter()
            .map(|thread| thread.join().expect("does not panic"))
            .max()
    });
    heapsite::set_sample_interval(0);
    longest.unwrap_or_default()
}

criterion_group!(benches, contention);
criterion_main!(benches);
