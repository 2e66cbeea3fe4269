//! `callgrind_annotate` of Valgrind, and KCachegrind.
#![forbid(unsafe_code)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::{KINDS, Rows, dumps, functions, output, total};

/// The total, and the cost of each function as it is printed, without those of 0.
fn annotated(file: &Path, event: &str, is_inclusive: bool) -> (i64, Vec<(String, i64)>) {
    let inclusive = if is_inclusive { "yes" } else { "no" };
    // Its own folder is cut off names: none of ours is there.
    let said = output(
        Command::new("callgrind_annotate")
            .current_dir("/proc")
            .args([
                "--auto=no",
                "--threshold=100",
                &format!("--inclusive={inclusive}"),
                &format!("--show={event}"),
                &format!("--sort={event}"),
                crate::path(file),
            ]),
    );
    let mut total = None;
    let mut rows = Vec::new();
    for line in said.lines() {
        // `1,234 (12.34%)  file:function [object]`, or without a share.
        let Some((cost, rest)) = line.trim_start().split_once(' ') else {
            continue;
        };
        let Ok(cost) = cost.replace(',', "").parse::<i64>() else {
            continue;
        };
        let rest = rest.trim_start();
        let name = match rest.starts_with('(') {
            true => rest.split_once("%)").unwrap().1.trim_start(),
            false => rest,
        };
        match name == "PROGRAM TOTALS" {
            true => total = Some(cost),
            false if cost != 0 => rows.push((name.rsplit_once(" [").unwrap().0.to_owned(), cost)),
            false => {}
        }
    }
    rows.sort();
    (total.unwrap_or_else(|| panic!("no total in\n{said}")), rows)
}

/// What it should print.
fn expected(rows: &Rows, value: impl Fn((i64, i64)) -> i64) -> Vec<(String, i64)> {
    let named = rows.iter().map(|((function, file), values)| {
        let file = if file.is_empty() { "???" } else { file };
        (format!("{file}:{function}"), value(*values))
    });
    let mut rows: Vec<_> = named.filter(|(_, value)| *value != 0).collect();
    rows.sort();
    rows
}

#[test]
#[ignore = "needs Valgrind: ci/setup.sh installs it, ci/viewers.sh runs this"]
fn annotate_shows_the_same_costs() {
    let dumps = dumps();
    let file = dumps.converted("costs.callgrind", &[]);
    for kind in KINDS {
        let ours = functions(&dumps.after, kind);
        let all = total(&dumps.after, kind);
        assert_eq!(
            annotated(&file, kind, false),
            (all, expected(&ours, |(flat, _)| flat)),
            "{kind}"
        );
        let mut inclusive = expected(&ours, |(_, cum)| cum);
        inclusive.push(("???:[root]".to_owned(), all));
        inclusive.sort();
        let (sum, mut theirs) = annotated(&file, kind, true);
        // It has no caller, so what it shows for it is the sum of its own calls: everything.
        theirs.sort();
        assert_eq!((sum, theirs), (all, inclusive), "{kind}, inclusive");
    }
}

#[test]
#[ignore = "needs Valgrind: ci/setup.sh installs it, ci/viewers.sh runs this"]
fn annotate_shows_what_grew_and_what_shrank() {
    let dumps = dumps();
    let file = dumps.difference("growth.callgrind");
    let sum = |half: &str| annotated(&file, &format!("inuse_space_{half}"), false).0;
    let growth = total(&dumps.after, "inuse_space") - total(&dumps.before, "inuse_space");
    assert_eq!(sum("grown") - sum("shrunk"), growth);
    assert!(
        sum("grown") > 256 << 10 && sum("shrunk") > 0,
        "nothing happened"
    );
}

/// What KCachegrind says on stderr of a file: it names the lines it does not understand, and the function it opens with.
fn kcachegrind(file: &Path) -> Vec<String> {
    let home = tempfile::tempdir().unwrap();
    let kept = [("HOME", home.path()), ("XDG_RUNTIME_DIR", home.path())];
    // It starts once per desktop session, so it gets one of its own, and no screen.
    let mut bus = Command::new("dbus-daemon")
        .args(["--session", "--nofork", "--print-address"])
        .envs(kept)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut address = String::new();
    let mut printed = BufReader::new(bus.stdout.take().unwrap());
    printed.read_line(&mut address).unwrap();
    let mut session = Command::new("kcachegrind")
        .arg(file)
        .envs(kept)
        .env("DBUS_SESSION_BUS_ADDRESS", address.trim())
        .env("QT_QPA_PLATFORM", "offscreen")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(session.stderr.take().unwrap());
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        said.lines()
            .map_while(Result::ok)
            .all(|line| tell.send(line).is_ok())
    });
    let mut lines = Vec::new();
    // Measures nothing: only ends what hangs.
    while let Ok(line) = told.recv_timeout(Duration::from_secs(120)) {
        // Its window comes to the front when the file is read, and this platform has no front.
        let is_done = line.contains("does not support raise()");
        lines.push(line);
        if is_done {
            break;
        }
    }
    for child in [&mut session, &mut bus] {
        let _ = child.kill();
        let _ = child.wait();
    }
    assert!(
        lines.iter().any(|line| line.contains("raise()")),
        "{lines:?}"
    );
    lines.retain(|line| line.starts_with("Loading") || line.starts_with("Selected"));
    lines
}

#[test]
#[ignore = "needs KCachegrind: ci/setup.sh installs it, ci/viewers.sh runs this"]
fn kcachegrind_understands_every_line() {
    let dumps = dumps();
    let whole = dumps.converted("kcachegrind.callgrind", &[]);
    assert_eq!(kcachegrind(&whole), ["Selected  \"main\""]);
    // `main` is over before anything grows, so there is nothing to open with.
    let growth = dumps.difference("kcachegrind-growth.callgrind");
    let mut said = kcachegrind(&growth);
    said.retain(|line| line.starts_with("Loading"));
    assert_eq!(said, Vec::<String>::new());
    // It would say so.
    let damaged = dumps.dir.path().join("damaged.callgrind");
    let text = std::fs::read_to_string(whole).unwrap();
    std::fs::write(&damaged, text.replacen("\ncalls=", "\nfalls=", 1)).unwrap();
    let complaints = kcachegrind(&damaged);
    assert!(
        complaints[0].contains("Invalid line 'falls="),
        "{complaints:?}"
    );
}
