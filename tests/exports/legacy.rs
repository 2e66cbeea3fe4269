//! Legacy text in Go's pprof, old and new, and in google-pprof and jeprof.
#![forbid(unsafe_code)]

use std::process::Command;

use crate::{dumps, output, path, tools, total};

#[test]
#[ignore = "needs Go's pprof, google-pprof and jeprof: ci/setup.sh installs them, ci/viewers.sh runs this"]
fn four_readers_show_the_same_total() {
    let dumps = dumps();
    let file = dumps.converted("dump.heap", &[]);
    // Counts are those that scale to the values, in whole samples.
    let read = heapsite::format::read(&std::fs::read(&file).unwrap()).unwrap();
    let stacks = read.samples.len() as i64;
    let program =
        std::path::Path::new(env!("CARGO_BIN_EXE_heapsite")).with_file_name("examples/demo");
    for kind in ["inuse_space", "alloc_space"] {
        let ours = total(&file, kind);
        let real = total(&dumps.after, kind);
        assert!((ours - real).abs() <= real / 20, "{kind}: {ours} of {real}");
        for name in ["pprof-debian", "pprof-1.27.3"] {
            let mut command = Command::new(tools().join(name));
            command.args(["-raw", "-symbolize=none", path(&file)]);
            command
                .current_dir(dumps.dir.path())
                .env("PPROF_TMPDIR", dumps.dir.path());
            let said = output(&mut command);
            let theirs = raw_total(&said, if kind == "inuse_space" { 3 } else { 1 });
            // Each stack is rounded on its own.
            assert!(
                (theirs - ours).abs() <= stacks,
                "{name} {kind}: {theirs}, not {ours}"
            );
        }
        for name in ["google-pprof", "jeprof"] {
            let mut command = Command::new(tools().join(name));
            command.args(["--text", &format!("--{kind}"), "--show_bytes"]);
            let said = output(
                command
                    .arg(&program)
                    .arg(&file)
                    .current_dir(dumps.dir.path()),
            );
            let line = said
                .lines()
                .find_map(|line| line.strip_prefix("Total: ")?.strip_suffix(" B"));
            let theirs: i64 = line
                .unwrap_or_else(|| panic!("{name}:\n{said}"))
                .parse()
                .unwrap();
            assert!(
                (theirs - ours).abs() <= stacks,
                "{name} {kind}: {theirs}, not {ours}"
            );
        }
    }
}

/// The sum of one column of `pprof -raw`: `  1  2  3  4: 1 2 3`.
fn raw_total(said: &str, column: usize) -> i64 {
    let samples = said
        .split_once("Samples:\n")
        .unwrap()
        .1
        .split("\nLocations\n")
        .next()
        .unwrap();
    let mut sum = 0;
    for line in samples.lines().skip(1) {
        let Some((values, _)) = line.split_once(':') else {
            continue;
        };
        let values: Vec<i64> = values
            .split_whitespace()
            .filter_map(|it| it.parse().ok())
            .collect();
        // Labels have lines of their own.
        if values.len() == 4 {
            sum += values[column];
        }
    }
    sum
}
