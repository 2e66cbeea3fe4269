//! How much memory the command takes for large pprof files, by an allocator that counts: at most three times what they have
//! unpacked. Of short stacks with labels it is more: a sample takes 80 bytes, and a label 56, however few they are in the file. Each command runs in a process of its own, which is this test itself.
//!
//! `HEAPSITE_PEAK_MB=100 cargo test --release --features cli --test peak -- top` takes files of that size (ci/formats.sh does), and
//! one command only.
#![deny(unsafe_op_in_unsafe_fn)]

mod counting;
mod generate;

use generate::Kind;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

#[global_allocator]
static COUNTING: counting::Counting = counting::Counting;

/// Tells the process that it is the command.
const CHILD: &str = "HEAPSITE_PEAK_OF";

fn main() -> ExitCode {
    if std::env::var_os(CHILD).is_some() {
        let code = heapsite::cli::main();
        eprintln!("peak {}", counting::Count::default().peak());
        return code;
    }
    let asked: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with('-'))
        .collect();
    let megabytes: u64 = match std::env::var("HEAPSITE_PEAK_MB") {
        Ok(text) => text.parse().expect("HEAPSITE_PEAK_MB is a number"),
        Err(_) => 4,
    };
    let dir = tempfile::tempdir().unwrap();
    let mut failed = false;
    for kind in [Kind::Deep, Kind::Labelled] {
        let lens = [("base.pb.gz", 1), ("new.pb.gz", 2)].map(|(name, seed)| {
            let file = std::fs::File::create(dir.path().join(name)).unwrap();
            let out = std::io::BufWriter::new(file);
            generate::write(kind, seed, megabytes * 1_000_000, out).unwrap()
        });
        let one = lens[1];
        for (args, len) in [
            (&["top", "new.pb.gz"][..], one),
            (&["info", "new.pb.gz"], one),
            (&["convert", "new.pb.gz", "-o", "out.pb.gz"], one),
            (&["convert", "new.pb.gz", "-o", "out.json"], one),
            (&["convert", "new.pb.gz", "-o", "out.folded"], one),
            (&["diff", "base.pb.gz", "new.pb.gz"], lens[0] + lens[1]),
        ] {
            if !asked.is_empty() && !asked.iter().any(|name| name == args[0]) {
                continue;
            }
            let most = match kind {
                // A report has a measure for each sample.
                Kind::Deep if args[0] == "top" => 3.2,
                Kind::Deep => 3.0,
                Kind::Labelled => 5.9,
            };
            failed |= !holds(kind, args, most, len, dir.path());
        }
    }
    match failed {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    }
}

/// What tables of 20,000 addresses take beside the samples of each file, which small files do not make up for.
const TABLES: u64 = 12 << 20;

fn holds(kind: Kind, args: &[&str], most: f64, len: u64, dir: &Path) -> bool {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(args)
        .env(CHILD, "1")
        .env("NO_COLOR", "1")
        .current_dir(dir)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{args:?}: {told}");
    assert!(
        args[0] == "convert" || output.stdout.len() > 200,
        "{args:?}"
    );
    let peak: u64 = told
        .lines()
        .find_map(|line| line.strip_prefix("peak "))
        .and_then(|peak| peak.parse().ok())
        .expect("the peak");
    let files = args
        .iter()
        .filter(|arg| ["base.pb.gz", "new.pb.gz"].contains(arg))
        .count() as u64;
    let whole = peak <= (most * len as f64) as u64 + TABLES * files;
    println!(
        "{kind:?} {args:?}: {:.1} MB for {:.1} MB unpacked, {:.2} times (at most {most}){}",
        peak as f64 / 1e6,
        len as f64 / 1e6,
        peak as f64 / len as f64,
        if whole { "" } else { "  EXCEEDED" }
    );
    whole
}
