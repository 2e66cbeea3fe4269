//! Time of one capture at three depths, against libgcc's walk.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use std::cell::Cell;
use std::hint::black_box;

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

criterion_group!(benches, capture);
criterion_main!(benches);
