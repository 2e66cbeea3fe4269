//! Go's pprof, the oldest in use and the newest, reads our dumps and sees the numbers that the `heapsite` command
//! prints: to the byte, and in the same order.
//!
//! `bash ci/viewers.sh` runs these; `bash ci/setup.sh` installs the two. They are found through `HEAPSITE_PPROF_OLD` and
//! `HEAPSITE_PPROF_NEW`. The dumps come from the demo, a real service under load, in exact mode and sampled.
#![forbid(unsafe_code)]

mod call_graphs;
mod census;
mod list;
mod listings;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use serde_json::Value;

const KINDS: [&str; 4] = [
    "alloc_objects",
    "alloc_space",
    "inuse_objects",
    "inuse_space",
];

/// A dump before and one after some traffic, as pprof files.
struct Dumps {
    before: PathBuf,
    after: PathBuf,
}

/// Row name to (flat, cum), without rows that are 0 in both.
type Rows = BTreeMap<String, (i64, i64)>;

#[test]
#[ignore = "needs Go's pprof: ci/setup.sh installs it, ci/viewers.sh runs this"]
fn top_agrees() {
    for_each(|tool, dumps| {
        for kind in KINDS {
            for (granularity, by) in [("-filefunctions", "function"), ("-lines", "line")] {
                let index = format!("-sample_index={kind}");
                let theirs = tool.top(&[granularity, &index, path(&dumps.after)]);
                let ours = ours(
                    &["top", "--sort", kind, "--by", by, path(&dumps.after)],
                    flat_and_cum,
                );
                assert!(
                    ours.len() > 10,
                    "{kind} by {by}: too few rows to mean anything: {ours:?}"
                );
                compare(&format!("{} {kind} by {by}", tool.name), &theirs, &ours);
            }
        }
    });
}

/// Rows of equal value may come in any order; all others must come as pprof has them.
#[test]
#[ignore = "needs Go's pprof: ci/setup.sh installs it, ci/viewers.sh runs this"]
fn top_has_the_same_order() {
    for_each(|tool, dumps| {
        for (option, value) in [("-flat", 0), ("-cum", 1)] {
            let theirs = tool.top_in_order(&[
                option,
                "-filefunctions",
                "-sample_index=inuse_space",
                path(&dumps.after),
            ]);
            let mut args = vec![
                "top",
                "--sort",
                "inuse_space",
                "--by",
                "function",
                path(&dumps.after),
            ];
            args.extend((value == 1).then_some("--cum"));
            let ours = ours_in_order(&args, flat_and_cum);
            let column = |rows: &[(String, (i64, i64))]| -> Vec<(i64, String)> {
                let pick = |values: (i64, i64)| if value == 0 { values.0 } else { values.1 };
                let mut rows: Vec<_> = rows
                    .iter()
                    .map(|(name, values)| (pick(*values), name.clone()))
                    .collect();
                // Stable, so that only equal neighbours are put in order of their names.
                for equal in rows.chunk_by_mut(|a, b| a.0 == b.0) {
                    equal.sort();
                }
                rows.retain(|row| row.0 != 0);
                rows
            };
            assert_eq!(column(&theirs), column(&ours), "{} {option}", tool.name);
        }
    });
}

#[test]
#[ignore = "needs Go's pprof: ci/setup.sh installs it, ci/viewers.sh runs this"]
fn base_agrees_with_diff() {
    for_each(|tool, dumps| {
        let (before, after) = (path(&dumps.before), path(&dumps.after));
        let theirs = tool.top(&[
            "-filefunctions",
            "-sample_index=inuse_space",
            "-base",
            before,
            after,
        ]);
        let growth = |cum: &[&str]| {
            let args = [
                "diff",
                "--sort",
                "inuse_space",
                "--by",
                "function",
                before,
                after,
            ];
            ours(&[&args, cum].concat(), |row| {
                (row["growth"].as_i64().unwrap(), 0)
            })
        };
        let (flat, cum) = (growth(&[]), growth(&["--cum"]));
        let mut both: Rows = flat;
        for (name, (growth, _)) in cum {
            both.entry(name).or_default().1 = growth;
        }
        assert!(
            both.values().any(|(_, growth)| *growth > 1 << 20),
            "nothing leaked: {both:?}"
        );
        compare(&format!("{} -base", tool.name), &theirs, &both);
    });
}

#[test]
#[ignore = "needs Go's pprof: ci/setup.sh installs it, ci/viewers.sh runs this"]
fn raw_has_the_same_samples() {
    for_each(|tool, dumps| {
        let theirs = parse_raw(&tool.run(&["-raw", path(&dumps.after)]));
        let profile = heapsite::format::read(&std::fs::read(&dumps.after).unwrap()).unwrap();
        let mut ours: Vec<(Vec<i64>, Vec<u64>)> = Vec::new();
        for sample in &profile.samples {
            let stack = sample
                .locations
                .iter()
                .map(|id| profile.locations[id.0 as usize].address);
            ours.push((sample.values.clone(), stack.collect()));
        }
        ours.sort();
        assert!(ours.len() > 20, "{} samples", ours.len());
        assert_eq!(theirs, ours, "{} -raw", tool.name);
    });
}

#[test]
#[ignore = "needs Go's pprof: ci/setup.sh installs it, ci/viewers.sh runs this"]
fn list_shows_the_planted_line() {
    const FUNCTION: &str = "MetricsCache::record";
    for_each(|tool, dumps| {
        let listing = tool.run(&[
            "-unit=B",
            "-sample_index=inuse_space",
            "-list",
            FUNCTION,
            path(&dumps.after),
        ]);
        let mut theirs = BTreeMap::new();
        for line in listing.lines() {
            let mut words = line.split_whitespace();
            let (Some(flat), Some(cum), Some(place)) = (words.next(), words.next(), words.next())
            else {
                continue;
            };
            let Some(number) = place
                .split(':')
                .next()
                .and_then(|number| number.parse::<i64>().ok())
            else {
                continue;
            };
            if (flat, cum) != (".", ".") {
                theirs.insert(number, (bytes(flat), bytes(cum)));
            }
        }
        let mut ours = BTreeMap::new();
        for row in rows(&[
            "top",
            "--sort",
            "inuse_space",
            "--by",
            "line",
            path(&dumps.after),
        ]) {
            let values = flat_and_cum(&row);
            if row["function"].as_str().unwrap().contains(FUNCTION) && values != (0, 0) {
                ours.insert(row["line"].as_i64().unwrap(), values);
            }
        }
        assert_eq!(ours.len(), 1, "the leak sits on one line: {ours:?}");
        assert_eq!(theirs, ours, "{} -list, of\n{listing}", tool.name);
        assert!(
            listing.contains("map.insert(request_id.to_owned()"),
            "pprof does not find the source:\n{listing}"
        );
    });
}

/// Each of the two pprofs with each pair of dumps.
fn for_each(check: impl Fn(&Pprof, &Dumps)) {
    static DUMPS: LazyLock<(tempfile::TempDir, [Dumps; 2])> = LazyLock::new(|| {
        let dir = tempfile::Builder::new()
            .prefix("heapsite-viewers-")
            .tempdir()
            .unwrap();
        let dumps = [("exact", "1"), ("sampled", "4096")]
            .map(|(name, interval)| demo(&dir.path().join(name), interval));
        (dir, dumps)
    });
    for variable in ["HEAPSITE_PPROF_OLD", "HEAPSITE_PPROF_NEW"] {
        let tool = std::env::var_os(variable)
            .unwrap_or_else(|| panic!("{variable} is not set; see ci/viewers.sh"));
        // pprof shortens paths that hold the name of its working directory: here none does.
        let tool = Pprof {
            name: variable,
            tool: tool.into(),
            dir: DUMPS.0.path().to_owned(),
        };
        DUMPS.1.iter().for_each(|dumps| check(&tool, dumps));
    }
}

/// Runs the demo, and makes pprof files of its two dumps.
fn demo(out: &Path, interval: &str) -> Dumps {
    let heapsite = Path::new(env!("CARGO_BIN_EXE_heapsite"));
    let demo = heapsite.parent().unwrap().join("examples/demo");
    let said = output(
        Command::new(&demo)
            .args(["--requests", "4000", "--interval", interval, "--out"])
            .arg(out),
    );
    let files: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    let [before, after] = [0, 1].map(|index| {
        let dump = PathBuf::from(files["files"][index].as_str().unwrap());
        let pprof = dump.with_extension("converted.pb.gz");
        output(
            Command::new(heapsite)
                .arg("convert")
                .arg(dump)
                .arg("-o")
                .arg(&pprof),
        );
        pprof
    });
    Dumps { before, after }
}

struct Pprof {
    name: &'static str,
    tool: PathBuf,
    dir: PathBuf,
}

impl Pprof {
    fn run(&self, args: &[&str]) -> String {
        // Never asks a server for symbols, and keeps its copies of files to itself.
        output(
            Command::new(&self.tool)
                .args(args)
                .current_dir(&self.dir)
                .env("PPROF_TMPDIR", &self.dir),
        )
    }

    fn top_in_order(&self, args: &[&str]) -> Vec<(String, (i64, i64))> {
        let all = [
            "-top",
            "-unit=B",
            "-nodecount=1000000",
            "-nodefraction=0",
            "-edgefraction=0",
        ];
        let text = self.run(&[&all, args].concat());
        // After the line of titles: flat flat% sum% cum cum% name
        let table = text
            .lines()
            .skip_while(|line| !line.trim_start().starts_with("flat"))
            .skip(1);
        table.map(top_line).collect()
    }

    fn top(&self, args: &[&str]) -> Rows {
        sum(self.top_in_order(args))
    }
}

fn top_line(line: &str) -> (String, (i64, i64)) {
    let mut rest = line;
    let mut word = || {
        rest = rest.trim_start();
        let (word, after) = rest.split_at(rest.find(' ').unwrap_or(rest.len()));
        rest = after;
        word
    };
    let (flat, _, _, cum, _) = (word(), word(), word(), word(), word());
    let name = rest.trim().trim_end_matches(" (partial-inline)");
    (listings::frame(name).0, (bytes(flat), bytes(cum)))
}

/// `1234B`, or a bare number for counts and for 0.
fn bytes(text: &str) -> i64 {
    if text == "." {
        return 0;
    }
    text.trim_end_matches('B')
        .parse()
        .unwrap_or_else(|_| panic!("`{text}` is not a whole number of bytes"))
}

/// Values and addresses of each sample, sorted.
fn parse_raw(text: &str) -> Vec<(Vec<i64>, Vec<u64>)> {
    let (samples, tables) = text.split_once("\nLocations\n").unwrap();
    let (locations, _) = tables.split_once("\nMappings\n").unwrap();
    let mut addresses = BTreeMap::new();
    for line in locations.lines() {
        // `  12: 0x55d0 M=1 name file:line`, then a line for each further inlined function, without a number.
        let mut words = line.split_whitespace();
        let id = words
            .next()
            .and_then(|id| id.strip_suffix(':'))
            .and_then(|id| id.parse::<u64>().ok());
        let address = words.next().and_then(|address| address.strip_prefix("0x"));
        if let (Some(id), Some(address)) = (id, address) {
            addresses.insert(id, u64::from_str_radix(address, 16).unwrap());
        }
    }
    let mut parsed = Vec::new();
    // Labels stand on lines of their own, and do not start with a number.
    for line in samples
        .lines()
        .skip_while(|line| *line != "Samples:")
        .skip(2)
    {
        let Some((values, stack)) = line.split_once(": ") else {
            continue;
        };
        let Ok(values) = values
            .split_whitespace()
            .map(str::parse)
            .collect::<Result<Vec<i64>, _>>()
        else {
            continue;
        };
        let stack = stack
            .split_whitespace()
            .map(|id| addresses[&id.parse().unwrap()]);
        parsed.push((values, stack.collect()));
    }
    parsed.sort();
    parsed
}

fn rows(args: &[&str]) -> Vec<Value> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_heapsite"));
    let said = output(
        command
            .args(args)
            .args(["--leaf", "--json", "-n", "1000000"]),
    );
    let document: Value = serde_json::from_str(&said).unwrap();
    document["rows"].as_array().unwrap().clone()
}

fn ours_in_order(
    args: &[&str],
    values: impl Fn(&Value) -> (i64, i64),
) -> Vec<(String, (i64, i64))> {
    // As pprof prints a row: `name file:line`, without what is unknown.
    let name = |row: &Value| {
        let mut name = row["function"].as_str().unwrap().to_owned();
        if let Some(file) = row["file"].as_str() {
            name = format!("{name} {}", clean(file));
        }
        match row["line"].as_i64() {
            Some(line) => format!("{name}:{line}"),
            None => name,
        }
    };
    rows(args)
        .iter()
        .map(|row| (name(row), values(row)))
        .collect()
}

fn ours(args: &[&str], values: impl Fn(&Value) -> (i64, i64)) -> Rows {
    sum(ours_in_order(args, values))
}

fn flat_and_cum(row: &Value) -> (i64, i64) {
    (
        row["flat"]["value"].as_i64().unwrap(),
        row["cum"]["value"].as_i64().unwrap(),
    )
}

/// By name; a name that comes twice would hide a row.
fn sum(rows: Vec<(String, (i64, i64))>) -> Rows {
    let mut table = Rows::new();
    for (name, values) in rows {
        if values != (0, 0) {
            assert!(
                table.insert(name.clone(), values).is_none(),
                "two rows for {name}"
            );
        }
    }
    table
}

/// pprof resolves `..` and `.` in paths before it prints them.
fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            ".." if parts
                .last()
                .is_some_and(|last| !last.is_empty() && *last != "..") =>
            {
                parts.pop();
            }
            "." => {}
            "" if !parts.is_empty() => {}
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

/// Fails with the rows that differ, not with both tables.
fn compare(what: &str, theirs: &Rows, ours: &Rows) {
    let names = theirs.keys().chain(ours.keys());
    let differing: BTreeMap<_, _> = names
        .filter(|name| theirs.get(*name) != ours.get(*name))
        .map(|name| (name, (theirs.get(name), ours.get(name))))
        .collect();
    assert!(
        differing.is_empty(),
        "{what}: (pprof, heapsite) (flat, cum) differ in\n{differing:#?}"
    );
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn output(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{command:?}: {}\n{stderr}",
        output.status
    );
    String::from_utf8(output.stdout).unwrap()
}
