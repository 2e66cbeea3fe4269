//! A list of very many threads, beside reading of them in `/proc` alone.

use std::sync::{Arc, Barrier};

use criterion::{Criterion, criterion_group, criterion_main};
use heapsite::Heapsite;
use heapsite::thread::{dump, of_process};

#[global_allocator]
static HEAP: Heapsite = Heapsite::system();

fn lists(c: &mut Criterion) {
    let mut group = c.benchmark_group("threads");
    group.sample_size(10);
    for number in [100, 1000] {
        let gate = Arc::new(Barrier::new(number + 1));
        let threads: Vec<_> = (0..number)
            .map(|_| {
                let gate = Arc::clone(&gate);
                let thread = std::thread::Builder::new().stack_size(64 << 10);
                thread
                    .spawn(move || {
                        gate.wait();
                    })
                    .expect("a thread")
            })
            .collect();
        let all = dump();
        let answered = all.threads.iter().filter(|thread| thread.stack.is_ok());
        assert_eq!(answered.count(), all.threads.len());
        group.bench_function(format!("{number}, with stacks"), |b| b.iter(dump));
        let pid = std::process::id();
        group.bench_function(format!("{number}, /proc alone"), |b| {
            b.iter(|| of_process(pid))
        });
        gate.wait();
        threads
            .into_iter()
            .for_each(|thread| thread.join().expect("it only waits"));
    }
    group.finish();
}

criterion_group!(benches, lists);
criterion_main!(benches);
