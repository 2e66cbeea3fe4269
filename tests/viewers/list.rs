//! `heapsite list` beside `pprof -list`: the same functions, lines and numbers.

use super::{Pprof, bytes, clean, for_each, output, path};
use serde_json::Value;
use std::collections::BTreeMap;
use std::process::Command;

/// (function, file, line) to (flat, cum), without what is 0 in both.
type Lines = BTreeMap<(String, String, i64), (i64, i64)>;

/// The demo's own functions and some of its dependencies': their source is where the profile says. pprof leaves out others'.
const REGEX: &str = "^<?(demo|serde_json|bytes)::";

fn theirs(tool: &Pprof, args: &[&str]) -> Lines {
    let listing = tool.run(&[&["-unit=B", "-list", REGEX], args].concat());
    let mut lines = Lines::new();
    let mut routine = None;
    for line in listing.lines() {
        if let Some(rest) = line.strip_prefix("ROUTINE ======================== ") {
            let (name, file) = rest.rsplit_once(" in ").unwrap();
            routine = Some((name.to_owned(), clean(file)));
            continue;
        }
        // `flat cum line:text`
        let mut words = line.split_whitespace();
        let (Some(flat), Some(cum), Some(place)) = (words.next(), words.next(), words.next())
        else {
            continue;
        };
        let number = place
            .split(':')
            .next()
            .and_then(|it| it.parse::<i64>().ok());
        let (Some(number), Some((name, file))) = (number, &routine) else {
            continue;
        };
        let values = (bytes(flat), bytes(cum));
        if values != (0, 0) {
            lines.insert((name.clone(), file.clone(), number), values);
        }
    }
    lines
}

fn ours(args: &[&str], values: impl Fn(&Value) -> (i64, i64)) -> Lines {
    let mut command = Command::new(env!("CARGO_BIN_EXE_heapsite"));
    let all = ["list", REGEX, "--leaf", "--json", "-n", "1000000"];
    let said = output(command.args(all).args(args));
    let document: Value = serde_json::from_str(&said).unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut lines = Lines::new();
    for function in document["functions"].as_array().unwrap() {
        let source = &function["source"]["path"];
        assert!(source.is_string(), "no source: {function}");
        for line in function["lines"].as_array().unwrap() {
            assert!(line["text"].is_string(), "no such line: {line}");
            let key = (
                text(&function["function"]),
                clean(&text(&function["file"])),
                line["line"].as_i64().unwrap(),
            );
            if values(line) != (0, 0) {
                lines.insert(key, values(line));
            }
        }
    }
    lines
}

/// (function, file) to flat, of every function, those without source as well: where memory comes from is std's.
#[test]
#[ignore = "needs Go's pprof: ci/setup.sh installs it, ci/viewers.sh runs this"]
fn list_agrees_on_what_functions_hold() {
    for_each(|tool, dumps| {
        let args = [
            "-unit=B",
            "-sample_index=alloc_space",
            "-list",
            ".",
            path(&dumps.after),
        ];
        let mut theirs = BTreeMap::new();
        let listing = tool.run(&args);
        let mut lines = listing.lines();
        while let Some(line) = lines.next() {
            if let Some(rest) = line.strip_prefix("ROUTINE ======================== ") {
                let (name, file) = rest.rsplit_once(" in ").unwrap();
                let flat = lines.next().unwrap().split_whitespace().next().unwrap();
                theirs.insert((name.to_owned(), clean(file)), bytes(flat));
            }
        }
        theirs.retain(|_, flat| *flat != 0);
        let mut command = Command::new(env!("CARGO_BIN_EXE_heapsite"));
        let all = [
            "list",
            "",
            "--leaf",
            "--json",
            "-n",
            "1000000",
            "--sort",
            "alloc_space",
        ];
        let document: Value =
            serde_json::from_str(&output(command.args(all).arg(&dumps.after))).unwrap();
        let mut ours = BTreeMap::new();
        for function in document["functions"].as_array().unwrap() {
            let text = |key: &str| function[key].as_str().unwrap_or_default().to_owned();
            let flat = function["flat"]["value"].as_i64().unwrap();
            if flat != 0 && function["file"].is_string() {
                *ours
                    .entry((text("function"), clean(&text("file"))))
                    .or_insert(0) += flat;
            }
        }
        assert!(ours.len() > 1, "{}: {ours:?}", tool.name);
        assert_eq!(theirs, ours, "{}", tool.name);
    });
}

fn compare(what: &str, theirs: &Lines, ours: &Lines) {
    let keys = theirs.keys().chain(ours.keys());
    let differing: BTreeMap<_, _> = keys
        .filter(|key| theirs.get(*key) != ours.get(*key))
        .map(|key| (key, (theirs.get(key), ours.get(key))))
        .collect();
    assert!(
        differing.is_empty(),
        "{what}: (pprof, heapsite) (flat, cum) differ in\n{differing:#?}"
    );
    assert!(
        ours.len() > 10,
        "{what}: too few lines to mean anything: {ours:?}"
    );
}

#[test]
#[ignore = "needs Go's pprof: ci/setup.sh installs it, ci/viewers.sh runs this"]
fn list_agrees() {
    for_each(|tool, dumps| {
        for kind in super::KINDS {
            let index = format!("-sample_index={kind}");
            let theirs = theirs(tool, &[&index, path(&dumps.after)]);
            let value = |line: &Value, what: &str| line[what]["value"].as_i64().unwrap();
            let ours = ours(&["--sort", kind, path(&dumps.after)], |line| {
                (value(line, "flat"), value(line, "cum"))
            });
            compare(&format!("{} -list {kind}", tool.name), &theirs, &ours);
        }
    });
}

#[test]
#[ignore = "needs Go's pprof: ci/setup.sh installs it, ci/viewers.sh runs this"]
fn list_over_a_base_agrees() {
    for_each(|tool, dumps| {
        let (before, after) = (path(&dumps.before), path(&dumps.after));
        let theirs = theirs(tool, &["-sample_index=inuse_space", "-base", before, after]);
        let grew = |line: &Value, what: &str| line[what]["growth"].as_i64().unwrap();
        let ours = ours(
            &["--sort", "inuse_space", "--base", before, after],
            |line| (grew(line, "flat"), grew(line, "cum")),
        );
        compare(&format!("{} -list -base", tool.name), &theirs, &ours);
    });
}
