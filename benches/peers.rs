//! heapsite beside its peers, in one run:
//! `cargo bench --bench peers [-- --rounds N] [--only WORKLOAD,…] [--with PART-OF-A-NAME;…]`.
//!
//! Builds the programs of `benches/lab` (they fetch the peers, which the crate itself never does), runs each workload
//! under each profiler and under its allocator alone, by turns, and prints tables of ratios: the median of the rounds'
//! ratios, and their smallest and largest. A round compares runs that follow each other, so that what else the machine
//! does falls on both. Wall time, so read nothing into a few per cent: instructions are counted by `ci/instructions.sh`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How the programs are built: a target folder of their own, features, flags.
struct Build {
    folder: &'static str,
    features: &'static str,
    frame_pointers: bool,
}

const PLAIN: Build = Build {
    folder: "lab",
    features: "mimalloc,dhat,jemalloc",
    frame_pointers: false,
};
const WITH_FRAME_POINTERS: Build = Build {
    folder: "lab-fp",
    features: "heapscope,pprof-alloc",
    frame_pointers: true,
};
const JEMALLOC_PROF: Build = Build {
    folder: "lab-jeprof",
    features: "jemalloc-prof",
    frame_pointers: false,
};

struct Candidate {
    name: &'static str,
    build: &'static Build,
    program: &'static str,
    setting: Option<(&'static str, &'static str)>,
    /// Runs under heaptrack.
    traced: bool,
    base: (&'static Build, &'static str),
    /// Records every allocation: fewer operations, the base's as well.
    slow: bool,
}

const fn candidate(
    name: &'static str,
    build: &'static Build,
    program: &'static str,
    setting: Option<(&'static str, &'static str)>,
    base: (&'static Build, &'static str),
    slow: bool,
) -> Candidate {
    Candidate {
        name,
        build,
        program,
        setting,
        traced: false,
        base,
        slow,
    }
}

const SYSTEM: (&Build, &str) = (&PLAIN, "on_system");
const SYSTEM_FP: (&Build, &str) = (&WITH_FRAME_POINTERS, "on_system");

const CANDIDATES: [Candidate; 12] = [
    candidate(
        "glibc again (noise)",
        &PLAIN,
        "on_system",
        None,
        SYSTEM,
        false,
    ),
    candidate(
        "heapsite, off",
        &PLAIN,
        "heapsite_off_on_system",
        None,
        SYSTEM,
        false,
    ),
    candidate(
        "heapsite, 512 KiB",
        &PLAIN,
        "heapsite_on_system",
        None,
        SYSTEM,
        false,
    ),
    candidate(
        "heapsite, 512 KiB, mimalloc",
        &PLAIN,
        "heapsite_on_mimalloc",
        None,
        (&PLAIN, "on_mimalloc"),
        false,
    ),
    candidate(
        "jemalloc's own, 512 KiB",
        &JEMALLOC_PROF,
        "on_jemalloc",
        Some(("_RJEM_MALLOC_CONF", "prof:true,lg_prof_sample:19")),
        (&PLAIN, "on_jemalloc"),
        false,
    ),
    candidate(
        "heapscope, 512 KiB",
        &WITH_FRAME_POINTERS,
        "on_heapscope",
        Some(("LAB_INTERVAL", "524288")),
        SYSTEM_FP,
        false,
    ),
    candidate(
        "pprof-alloc, 512 KiB",
        &WITH_FRAME_POINTERS,
        "on_pprof_alloc",
        None,
        SYSTEM_FP,
        false,
    ),
    candidate(
        "heapsite, exact",
        &PLAIN,
        "heapsite_on_system",
        Some(("LAB_INTERVAL", "1")),
        SYSTEM,
        true,
    ),
    candidate(
        "heapscope, exact",
        &WITH_FRAME_POINTERS,
        "on_heapscope",
        None,
        SYSTEM_FP,
        true,
    ),
    Candidate {
        traced: true,
        ..candidate("heaptrack --raw", &PLAIN, "on_system", None, SYSTEM, true)
    },
    candidate(
        "pprof-alloc, exact",
        &WITH_FRAME_POINTERS,
        "on_pprof_alloc",
        Some(("PPROF_ALLOC_SAMPLE_RATE", "1")),
        SYSTEM_FP,
        true,
    ),
    candidate("dhat", &PLAIN, "on_dhat", None, SYSTEM, true),
];

/// A workload, and how many operations make about half a second: bare, and where every allocation is recorded.
const WORKLOADS: [(&str, u64, u64); 11] = [
    ("tight", 40_000_000, 400_000),
    ("tight-t2", 20_000_000, 200_000),
    ("churn-d5", 2_000_000, 60_000),
    ("churn-d20", 2_000_000, 60_000),
    ("churn-d60", 1_000_000, 40_000),
    ("churn-t2", 600_000, 40_000),
    ("churn-x", 600_000, 40_000),
    ("json", 60, 3),
    ("map", 1, 1),
    ("syn", 5, 1),
    ("http", 12_000, 2_000),
];

/// One run: nanoseconds, and the peak of resident memory in KiB.
#[derive(Clone, Copy)]
struct Run {
    nanos: f64,
    peak_kib: f64,
}

/// Times the base's time, times its peak, nanoseconds more per operation.
type Sample = (f64, f64, f64);
/// By candidate and workload.
type Ratios = BTreeMap<(usize, usize), Vec<Sample>>;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let value = |key: &str| {
        let place = arguments.iter().position(|argument| argument == key)?;
        arguments.get(place + 1).cloned()
    };
    let rounds = value("--rounds").map_or(5, |n| n.parse().expect("--rounds takes a number"));
    let only = value("--only");
    let wanted = |name: &str| {
        only.as_ref()
            .is_none_or(|list| list.split(',').any(|w| w == name))
    };
    let with = value("--with");
    // By parts of names, which have commas in them.
    let takes_part = |name: &str| {
        with.as_ref()
            .is_none_or(|list| list.split(';').any(|part| name.contains(part)))
    };

    for build in [&PLAIN, &WITH_FRAME_POINTERS, &JEMALLOC_PROF] {
        compile(build);
    }
    let heaptrack = Command::new("heaptrack").arg("--version").output().is_ok();
    if !heaptrack {
        eprintln!("heaptrack is not installed: its row is left out");
    }
    let mut ratios = Ratios::new();
    for round in 0..rounds {
        for (column, (workload, fast, slow)) in WORKLOADS.iter().enumerate() {
            if !wanted(workload) {
                continue;
            }
            for (row, candidate) in CANDIDATES.iter().enumerate() {
                if candidate.traced && !heaptrack || !takes_part(candidate.name) {
                    continue;
                }
                let operations = if candidate.slow { *slow } else { *fast };
                let base = run(
                    &program(candidate.base.0, candidate.base.1),
                    None,
                    false,
                    workload,
                    operations,
                );
                let path = program(candidate.build, candidate.program);
                let with = run(
                    &path,
                    candidate.setting,
                    candidate.traced,
                    workload,
                    operations,
                );
                ratios.entry((row, column)).or_default().push((
                    with.nanos / base.nanos,
                    with.peak_kib / base.peak_kib,
                    (with.nanos - base.nanos) / operations as f64,
                ));
            }
            eprintln!("round {} of {rounds}: {workload}", round + 1);
        }
    }
    let columns: Vec<usize> = (0..WORKLOADS.len())
        .filter(|c| wanted(WORKLOADS[*c].0))
        .collect();
    table(
        "Wall time, times the allocator alone: median (smallest to largest)",
        &columns,
        &ratios,
        |sample| sample.0,
        true,
    );
    table(
        "More nanoseconds per operation: median",
        &columns,
        &ratios,
        |sample| sample.2,
        false,
    );
    table(
        "Peak resident memory, times the allocator alone: median",
        &columns,
        &ratios,
        |sample| sample.1,
        false,
    );
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn program(build: &Build, name: &str) -> PathBuf {
    root()
        .join("target")
        .join(build.folder)
        .join("release")
        .join(name)
}

fn compile(build: &Build) {
    let mut command = Command::new(env!("CARGO"));
    // heapscope states a newer Rust than it needs.
    command.args([
        "build",
        "--release",
        "--quiet",
        "--ignore-rust-version",
        "--features",
        build.features,
    ]);
    command
        .arg("--manifest-path")
        .arg(root().join("benches/lab/Cargo.toml"));
    command
        .arg("--target-dir")
        .arg(root().join("target").join(build.folder));
    if build.frame_pointers {
        command.env("RUSTFLAGS", "-C force-frame-pointers=yes");
    }
    assert!(
        command.status().expect("cargo runs").success(),
        "benches/lab does not build"
    );
}

fn run(
    program: &Path,
    setting: Option<(&str, &str)>,
    traced: bool,
    workload: &str,
    operations: u64,
) -> Run {
    let trace = std::env::temp_dir().join(format!("heapsite-peers-{}", std::process::id()));
    let mut command = if traced {
        let mut heaptrack = Command::new("heaptrack");
        heaptrack.arg("--raw").arg("-o").arg(&trace).arg(program);
        heaptrack
    } else {
        Command::new(program)
    };
    command
        .arg(workload)
        .arg(operations.to_string())
        .envs(setting);
    command.env("LAB_SOURCES", root().join("src"));
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    for end in ["raw.gz", "raw.zst", "raw"] {
        let _ = std::fs::remove_file(trace.with_extension(end));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text
        .lines()
        .find(|line| line.starts_with("{\"workload\""))
        .unwrap_or_else(|| {
            panic!(
                "{} {workload}: {text}{}",
                program.display(),
                String::from_utf8_lossy(&output.stderr)
            )
        });
    let value: serde_json::Value = serde_json::from_str(line).expect("the programs print JSON");
    Run {
        nanos: value["nanos"].as_f64().expect("a number"),
        peak_kib: value["peak_kib"].as_f64().expect("a number"),
    }
}

fn table(
    title: &str,
    columns: &[usize],
    ratios: &Ratios,
    pick: impl Fn(&Sample) -> f64,
    spread: bool,
) {
    println!("\n### {title}\n");
    let names: Vec<&str> = columns.iter().map(|column| WORKLOADS[*column].0).collect();
    println!(
        "| | {} |\n|---|{}",
        names.join(" | "),
        "---|".repeat(names.len())
    );
    for (row, candidate) in CANDIDATES.iter().enumerate() {
        if !ratios.keys().any(|(of, _)| *of == row) {
            continue;
        }
        let cells: Vec<String> = columns
            .iter()
            .map(|column| {
                let mut values: Vec<f64> = ratios
                    .get(&(row, *column))
                    .into_iter()
                    .flatten()
                    .map(&pick)
                    .collect();
                values.sort_by(f64::total_cmp);
                match values[..] {
                    [] => "–".to_owned(),
                    [first, .., last] if spread => {
                        let median = values[values.len() / 2];
                        format!("{median:.2} ({first:.2}–{last:.2})")
                    }
                    _ => number(values[values.len() / 2]),
                }
            })
            .collect();
        println!("| {} | {} |", candidate.name, cells.join(" | "));
    }
}

fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 1e6 => format!("{:.1}M", value / 1e6),
        size if size >= 1e4 => format!("{:.0}k", value / 1e3),
        size if size >= 10.0 => format!("{value:.0}"),
        _ => format!("{value:.2}"),
    }
}
