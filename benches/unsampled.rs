//! A pair of allocating and freeing 64 bytes: the allocator bare, under heapsite, and under heapsite that is off.
//!
//! Both share one process and one malloc, so the pairs can be compared, and only they: a loop that does nothing else
//! has its block and heapsite's thread-local in the nearest cache, and a predictor that has seen it all. One nanosecond
//! more or less is where the loop was placed in memory; `ci/instructions.sh` counts instead.

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use heapsite::Heapsite;

/// Called by hand. The program's own allocator is the system's, so nothing else is counted.
static HEAP: Heapsite = Heapsite::system();

fn unsampled(c: &mut Criterion) {
    let mut group = c.benchmark_group("malloc(64) and free");
    group.bench_function("bare", |b| b.iter(|| pair(&System)));
    // First off: the recorder is started by the first allocation that finds it on.
    heapsite::set_sample_interval(0);
    group.bench_function("heapsite, off", |b| b.iter(|| pair(&HEAP)));
    heapsite::set_sample_interval(512 << 10);
    group.bench_function("heapsite, 512 KiB", |b| b.iter(|| pair(&HEAP)));
    group.bench_function("bare again", |b| b.iter(|| pair(&System)));
}

#[inline(always)]
fn pair(heap: &impl GlobalAlloc) {
    let layout = Layout::new::<[u8; 64]>();
    // SAFETY: the layout has a size; the block is freed once, by who gave it out, with its layout.
    unsafe {
        let block = heap.alloc(layout);
        heap.dealloc(black_box(block), layout);
    }
}

criterion_group!(benches, unsampled);
criterion_main!(benches);
