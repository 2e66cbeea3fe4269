//! Does anybody wait for a snapshot? Threads allocate and free; another one takes snapshots of 100,000 sites and
//! 1,000,000 live samples without end, or only computes, or sleeps. How long single pairs of malloc and free took:
//!
//! `cargo bench --bench pauses`
//!
//! Read across: what a busy third thread costs at all shows in "computes". With more threads than processors the
//! scheduler's slices, milliseconds, are the longest pauses in every row. "copies" maps, fills and unmaps as much memory
//! as a snapshot does: the kernel lets page faults of one thread wait for another's mappings, whoever makes them.

#[path = "sites/mod.rs"]
mod sites;

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use heapsite::Heapsite;

#[global_allocator]
static HEAP: Heapsite = Heapsite::system().sample_interval(0);

const LENGTH: Duration = Duration::from_secs(2);
/// What a snapshot of this size takes from the heap, roughly.
const COPY_BYTES: usize = 150 << 20;

fn main() {
    let mut kept = Vec::with_capacity(1_000_000);
    sites::fill(&mut kept, 100_000, 1_000_000);
    println!(
        "| interval | allocating threads | the other thread | pairs | p50 | p99 | p99.9 | p99.99 | longest, µs |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for interval in [512 << 10, 1] {
        heapsite::set_sample_interval(interval);
        for threads in [1, 2] {
            for (name, other) in OTHERS {
                let times = run(threads, other);
                let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
                println!(
                    "| {interval} | {threads} | {name} | {} | {} ns | {} ns | {} ns | {} ns | {:.0} |",
                    times.len(),
                    at(0.5),
                    at(0.99),
                    at(0.999),
                    at(0.9999),
                    f64::from(at(1.0)) / 1e3,
                );
            }
        }
    }
}

const OTHERS: [(&str, fn()); 4] = [
    ("sleeps", || thread::sleep(Duration::from_millis(1))),
    ("computes", || {
        black_box((0..1_000_000u64).fold(1, |sum: u64, n| black_box(sum.wrapping_mul(31) ^ n)));
    }),
    ("copies", || drop(black_box(vec![1u8; COPY_BYTES]))),
    ("takes snapshots", || drop(black_box(heapsite::snapshot()))),
];

/// Nanoseconds of each pair, sorted.
fn run(threads: usize, other: fn()) -> Vec<u32> {
    let stop = AtomicBool::new(false);
    let mut times = thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                other();
            }
        });
        let allocating: Vec<_> = (0..threads).map(|_| scope.spawn(allocate)).collect();
        let times = allocating
            .into_iter()
            .flat_map(|thread| thread.join().expect("does not panic"))
            .collect::<Vec<u32>>();
        stop.store(true, Ordering::Relaxed);
        times
    });
    times.sort_unstable();
    times
}

fn allocate() -> Vec<u32> {
    // Its pages are there before the time runs.
    let mut times = vec![1u32; 40_000_000];
    let began = Instant::now();
    let mut last = began;
    for (number, time) in times.iter_mut().enumerate() {
        drop(black_box(Vec::<u8>::with_capacity(64)));
        let now = Instant::now();
        *time = (now - last).as_nanos() as u32;
        last = now;
        if now - began > LENGTH {
            times.truncate(number + 1);
            break;
        }
    }
    times
}
