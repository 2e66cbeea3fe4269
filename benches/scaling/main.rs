//! How cost grows: time per event, time per snapshot and own memory, by sites, live samples and threads.
//!
//! `cargo bench --bench scaling --features internals` prints one table and draws a chart per dimension into
//! `target/scaling`; with `-- --guide` into the guide. Each point is a process of its own, so that none inherits another's
//! tables. Exact mode throughout: every allocation is an event. Times are processor time of the whole process, so points
//! with more threads than processors compare; what the same work takes with heapsite off is taken off.

mod chart;
#[expect(dead_code, reason = "others fill tables with it")]
#[path = "../sites/mod.rs"]
mod sites;

use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use heapsite::Heapsite;
use serde::{Deserialize, Serialize};

#[global_allocator]
static HEAP: Heapsite = Heapsite::system().sample_interval(0);

/// Set in a child: the dimension and the size.
const POINT: &str = "HEAPSITE_SCALING_POINT";
const DIMENSIONS: [(&str, &[u64]); 3] = [
    ("sites", &[1_000, 10_000, 100_000, 1_000_000]),
    (
        "live samples",
        &[1_000, 10_000, 100_000, 1_000_000, 10_000_000],
    ),
    ("threads", &[1, 2, 4, 8, 16, 32, 64]),
];
const PAIRS: u64 = 2_000_000;

#[derive(Serialize, Deserialize)]
struct Point {
    size: u64,
    /// Nanoseconds that recording an allocation and its free takes.
    event_nanos: f64,
    /// Microseconds of the fastest of five snapshots.
    snapshot_micros: f64,
    /// KiB of heapsite's own memory that are resident.
    own_kib: f64,
}

fn main() {
    if let Ok(point) = std::env::var(POINT) {
        let (dimension, size) = point.split_once('=').expect("dimension=size");
        let point = measure(dimension, size.parse().expect("a number"));
        println!("{}", serde_json::to_string(&point).expect("plain data"));
        return;
    }
    let guide = std::env::args().any(|argument| argument == "--guide");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(if guide {
        "src/guide"
    } else {
        "target/scaling"
    });
    std::fs::create_dir_all(&folder).expect("a folder");
    println!(
        "| | | ns per allocation and free | snapshot, ms | own memory, MiB |\n|---|---|---|---|---|"
    );
    for (dimension, sizes) in DIMENSIONS {
        let points: Vec<Point> = sizes
            .iter()
            .map(|&size| in_child(dimension, size))
            .collect();
        for point in &points {
            let (snapshot, own) = (point.snapshot_micros / 1e3, point.own_kib / 1024.0);
            println!(
                "| {dimension} | {} | {:.0} | {snapshot:.2} | {own:.1} |",
                point.size, point.event_nanos
            );
        }
        let file = format!("scaling-{}.svg", dimension.replace(' ', "-"));
        std::fs::write(folder.join(file), chart::draw(dimension, &points)).expect("written");
    }
}

fn in_child(dimension: &str, size: u64) -> Point {
    let program = std::env::current_exe().expect("this program");
    let child = Command::new(program)
        .env(POINT, format!("{dimension}={size}"))
        .output()
        .expect("a child");
    assert!(
        child.status.success(),
        "{}",
        String::from_utf8_lossy(&child.stderr)
    );
    serde_json::from_slice(&child.stdout).expect("a point")
}

fn measure(dimension: &str, size: u64) -> Point {
    // The largest points need more than the default 512 MiB.
    heapsite::internals::set_memory_limit(4 << 30);
    let (sites, live, threads) = match dimension {
        "sites" => (size, size, 1),
        "live samples" => (1_000, size, 1),
        _ => (1_000, 1_000, size),
    };
    // Before anything is recorded: where the live blocks go is not to be one of them.
    let room = Vec::with_capacity(live as usize);
    heapsite::set_sample_interval(1);
    let (kept, _) = pairs(1, live, sites, room);
    heapsite::set_sample_interval(0);
    let (_, bare) = pairs(threads, PAIRS, sites, Vec::new());
    heapsite::set_sample_interval(1);
    let (_, recorded) = pairs(threads, PAIRS, sites, Vec::new());
    heapsite::set_sample_interval(0);
    let snapshots = (0..5).map(|_| {
        let started = Instant::now();
        let snapshot = black_box(heapsite::snapshot());
        let took = started.elapsed();
        drop(snapshot);
        took.as_secs_f64() * 1e6
    });
    let snapshot_micros = snapshots.fold(f64::INFINITY, f64::min);
    let facts = heapsite::stats::heap();
    // The runtime's own are a few dozen.
    assert!(
        facts.footprint.sites.abs_diff(sites) < 100
            && facts.footprint.live_samples.abs_diff(live) < 100
    );
    assert!(
        facts.losses.iter().all(|loss| loss.reason == "own-work"),
        "{:?}",
        facts.losses
    );
    drop(kept);
    Point {
        size,
        event_nanos: (recorded - bare) / PAIRS as f64,
        snapshot_micros,
        own_kib: facts.footprint.resident_bytes as f64 / 1024.0,
    }
}

/// Allocates at one site after another, in large strides, fills `kept` up to its capacity and frees what is beyond; returns
/// the processor time of it, nanoseconds. Always on new threads, so that the stacks are the same each time.
fn pairs(threads: u64, count: u64, sites: u64, mut kept: Vec<Vec<u8>>) -> (Vec<Vec<u8>>, f64) {
    let before = heapsite::stats::heap().cost.process_cpu_nanos;
    std::thread::scope(|scope| {
        let mut others = Vec::new();
        for thread in 0..threads {
            let mut kept = std::mem::take(&mut kept);
            others.push(scope.spawn(move || {
                for number in 0..count / threads {
                    // The stride is a prime that divides no power of ten: every site has its turn.
                    let block = black_box(sites::at_stack((number * 7_919 + thread) % sites));
                    if kept.len() < kept.capacity() {
                        kept.push(block);
                    }
                }
                kept
            }));
        }
        for other in others {
            let back = other.join().expect("does not panic");
            if back.capacity() > 0 {
                kept = back;
            }
        }
    });
    (
        kept,
        (heapsite::stats::heap().cost.process_cpu_nanos - before) as f64,
    )
}
