//! Time to read, write and compare profiles of 1,000, 10,000 and 50,000 stacks of 36 frames.
//!
//! `cargo bench --bench formats -- --files DIR` leaves a pair of 50,000 there instead, 10,000 without symbols, and dumps of
//! 1,000 processes: files to measure whole commands with (`ci/formats.sh`).
#![forbid(unsafe_code)]

#[path = "../tests/formats/call_tree.rs"]
mod call_tree;
#[path = "../tests/formats/fleet.rs"]
mod fleet;

use call_tree::Shape;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group};
use heapsite::format::{self, Format};
use heapsite::profile::{Profile, diff};
use heapsite::view::{self, growth::Sum};
use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

const SIZES: [usize; 3] = [1_000, 10_000, 50_000];

fn main() -> std::io::Result<()> {
    let mut args = std::env::args().skip_while(|arg| arg != "--files");
    if let Some(folder) = args.nth(1) {
        return leave_files(Path::new(&folder));
    }
    benches();
    Criterion::default().configure_from_args().final_summary();
    Ok(())
}

fn leave_files(folder: &Path) -> std::io::Result<()> {
    let (base, new) = call_tree::pair(Shape::of(50_000));
    std::fs::create_dir_all(folder)?;
    let addresses = call_tree::addresses(Shape::of(10_000));
    for (name, profile) in [("base", base), ("new", new), ("addresses", addresses)] {
        let file = folder.join(name).with_extension("pb.gz");
        std::fs::write(file, written(Format::Pprof, &profile))?;
    }
    leave_fleet(folder)
}

/// `json/0000.json` and `pprof/0000.pb.gz` to 0999.
fn leave_fleet(folder: &Path) -> std::io::Result<()> {
    let fleet = fleet::Fleet::new();
    for (format, ending) in [(Format::Json, "json"), (Format::Pprof, "pb.gz")] {
        let folder = folder.join(format.name());
        std::fs::create_dir_all(&folder)?;
        for number in 0..1_000 {
            let file = folder.join(format!("{number:04}.{ending}"));
            std::fs::write(file, written(format, &fleet.process(number)))?;
        }
    }
    Ok(())
}

fn written(format: Format, profile: &Profile) -> Vec<u8> {
    let mut bytes = Vec::new();
    format.write(profile, &mut bytes).expect("a whole profile");
    bytes
}

/// To memory: a disk adds its own. The generated profiles have no details, which make most of the JSON that a recorder
/// leaves; there the time grows with the file's size, not with the number of stacks.
fn write(c: &mut Criterion) {
    let mut group = c.benchmark_group("write");
    group
        .measurement_time(Duration::from_secs(2))
        .sample_size(10);
    for size in SIZES {
        let profile = call_tree::one(Shape::of(size));
        for format in Format::ALL {
            group.throughput(Throughput::Elements(size as u64));
            group.bench_function(BenchmarkId::new(format.name(), size), |b| {
                b.iter(|| black_box(written(format, &profile)));
            });
        }
    }
    // What a program does on a signal: names come later, on another machine.
    let profile = call_tree::addresses(Shape::of(10_000));
    group.throughput(Throughput::Elements(10_000));
    group.bench_function("pprof without symbols/10000", |b| {
        b.iter(|| black_box(written(Format::Pprof, &profile)));
    });
}

/// From memory, compressed where the format is. Giving the profile's memory back is in it, which a command leaves to the
/// end of the process.
fn read(c: &mut Criterion) {
    let mut group = c.benchmark_group("read");
    group
        .measurement_time(Duration::from_secs(2))
        .sample_size(10);
    for size in SIZES {
        let profile = call_tree::one(Shape::of(size));
        for format in [Format::Pprof, Format::Json] {
            let bytes = written(format, &profile);
            group.throughput(Throughput::Bytes(bytes.len() as u64));
            group.bench_function(BenchmarkId::new(format.name(), size), |b| {
                b.iter(|| black_box(format::read(&bytes).expect("readable")));
            });
        }
    }
}

/// Both ways to compare: whole stacks with an error each, and the rows that `heapsite diff` shows. Both profiles are of one
/// build; of two builds names are compared as well, which depends on their number, not on that of the stacks.
fn compare(c: &mut Criterion) {
    let mut group = c.benchmark_group("compare");
    group
        .measurement_time(Duration::from_secs(2))
        .sample_size(10);
    for size in SIZES {
        let (base, new) = call_tree::pair(Shape::of(size));
        group.throughput(Throughput::Elements(size as u64));
        group.bench_function(BenchmarkId::new("stacks", size), |b| {
            b.iter(|| black_box(diff::diff(&base, &new, &diff::Options::default())));
        });
        group.bench_function(BenchmarkId::new("rows", size), |b| {
            let (by, blame) = (view::By::Line, view::Blame::Application);
            b.iter(|| black_box(view::growth(&base, &new, None, by, blame, Sum::Flat)));
        });
    }
}

criterion_group!(benches, write, read, compare);
