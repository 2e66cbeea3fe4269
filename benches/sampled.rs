//! What a sampled allocation and its free take: capture, intern, insert, count; take out, settle.
//!
//! Each block is as large as thirty intervals, so all but one in 10^13 is sampled, and the time of a pair at that
//! interval less the bare pair's is the sampled path's. Stacks are the bench's own, some 30 frames, warm: in a program
//! whose stacks are deeper or not in the cache it takes longer (`benches/capture.rs` has the capture by depth). In exact
//! mode a walk goes on from the last one, which is the same here each time: the best there is.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use heapsite::Heapsite;

#[global_allocator]
static HEAP: Heapsite = Heapsite::system().sample_interval(0);

fn sampled(c: &mut Criterion) {
    let mut group = c.benchmark_group("sampled");
    for (interval, size) in [(4096, 120 << 10), (1, 64)] {
        for (what, now) in [("bare", 0), ("recorded", interval)] {
            let id = BenchmarkId::new(what, format!("{size} B at {interval}"));
            heapsite::set_sample_interval(now);
            group.bench_function(id, |b| {
                b.iter(|| drop(black_box(Vec::<u8>::with_capacity(size))))
            });
            heapsite::set_sample_interval(0);
        }
    }
}

criterion_group!(benches, sampled);
criterion_main!(benches);
