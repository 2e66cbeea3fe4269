//! Time of one capture at three depths, against libgcc's walk; and of the first capture at new places.
//!
//! Warm captures have rules, tables and stack in the nearest caches: the least that a capture takes. In the cold ones each of
//! some 20 frames is at an address of its own whose rule has to be found; "caches cold" also reads 64 MiB before each,
//! so that the unwind tables come from memory. They have been read from the disk before: a page fault on top is not in it.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use std::cell::Cell;
use std::hint::black_box;
use std::time::{Duration, Instant};

#[inline(never)]
fn at_depth(depth: u32, f: &mut dyn FnMut()) -> u32 {
    if depth == 0 {
        f();
        return 0;
    }
    black_box(at_depth(depth - 1, f)) + 1
}

fn capture(c: &mut Criterion) {
    let frames = [const { Cell::new(0) }; 256];
    let mut group = c.benchmark_group("capture");
    for depth in [10, 30, 100] {
        at_depth(depth, &mut || {
            let n = heapsite::internals::unwind::capture(&frames).0;
            group.bench_function(BenchmarkId::new("heapsite", n), |b| {
                // The closure's own callers are criterion's, a few frames more.
                b.iter(|| black_box(heapsite::internals::unwind::capture(&frames)));
            });
            group.bench_function(BenchmarkId::new("libgcc", n), |b| {
                b.iter(|| {
                    let mut count = 0;
                    // SAFETY: nothing else in this process uses the backtrace crate at the same time.
                    unsafe {
                        backtrace::trace_unsynchronized(|_| {
                            count += 1;
                            true
                        });
                    }
                    black_box(count)
                });
            });
        });
    }
}

/// Captures far from each other in time, so each is timed alone; the clock takes some 30 ns of it.
fn cold(c: &mut Criterion) {
    let frames = [const { Cell::new(0) }; 256];
    let mut group = c.benchmark_group("cold capture");
    group.sample_size(20);
    for (name, evicted) in [("rules forgotten", 0), ("caches cold", 64 << 20)] {
        let memory = vec![1u8; evicted];
        let mut n = 0;
        first(&mut || n = heapsite::internals::unwind::capture(&frames).0);
        let id = BenchmarkId::new(name, n);
        group.bench_function(id, |b| {
            b.iter_custom(|rounds| {
                let mut sum = Duration::ZERO;
                for _ in 0..rounds {
                    first(&mut || {
                        heapsite::internals::unwind::forget_rules();
                        black_box(
                            memory
                                .iter()
                                .step_by(64)
                                .map(|&byte| u64::from(byte))
                                .sum::<u64>(),
                        );
                        let started = Instant::now();
                        black_box(heapsite::internals::unwind::capture(&frames));
                        sum += started.elapsed();
                    });
                }
                sum
            });
        });
    }
}

/// Functions that call one another: as many frames, each at an address of its own.
macro_rules! chain {
    ($($caller:ident calls $callee:ident),*) => {
        $(#[inline(never)]
        fn $caller(f: &mut dyn FnMut()) -> u32 {
            black_box($callee(f)) + 1
        })*
    };
}
chain!(first calls second, second calls third, third calls fourth, fourth calls fifth, fifth calls last);

#[inline(never)]
fn last(f: &mut dyn FnMut()) -> u32 {
    f();
    black_box(0)
}

criterion_group!(benches, capture, cold);
criterion_main!(benches);
