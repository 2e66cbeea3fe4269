//! Mistakes: one line that says what, where, and what would be accepted; exit code 2.

use super::{Done, Scene};
use std::process::Stdio;

#[test]
fn inputs_that_are_no_profiles() {
    let scene = Scene::new();
    for (args, expected) in [
        (
            &["top", "missing.pb.gz"][..],
            "cannot read missing.pb.gz: No such file",
        ),
        (&["top", "noise.bin"], "noise.bin: "),
        (&["top", "empty.json"], "empty.json: "),
        (
            &["info", "."],
            ". is a folder, not a profile: `heapsite merge . -o sum.pb.gz` adds up",
        ),
        (
            &["symbolize", "go.pb.gz", "--binary", ".", "-o", "x.json"],
            "not a regular file",
        ),
        (
            &["top", "https://localhost/heap"],
            "curl -fsS 'https://localhost/heap' | heapsite",
        ),
        (
            &["top", "http://localhost:x/heap"],
            "http://HOST:PORT/PATH is accepted",
        ),
        (
            &["diff", "-", "-"],
            "only one profile can be read from stdin",
        ),
        (
            &["info", "1"],
            "cannot read 1 (if it is a process: `heapsite dump 1` makes",
        ),
        (
            &["top", "127.0.0.1:6060/debug/pprof/heap"],
            "(if it is an address: http://127.0.0.1:6060/debug/pprof/heap): No such file",
        ),
        (
            &["merge", "base.json", "go.pb.gz", "missing", "-o", "m.json"],
            "cannot read missing",
        ),
    ] {
        let error = scene.run(args).refused();
        assert!(error.contains(expected), "{args:?}: {error}");
    }
}

#[test]
fn memory_that_no_process_has() {
    let scene = Scene::new();
    let path = |name: &str| scene.dir.path().join(name);
    let text = std::fs::read_to_string(path("held-now.json")).unwrap();
    let held: serde_json::Value = serde_json::from_str(&text).unwrap();
    let name = "hostile.json";
    for (count, size) in [
        (u64::MAX, i64::MIN),
        (u64::MAX, i64::MAX),
        (i64::MAX as u64 + 1, i64::MIN),
        (0, i64::MIN),
    ] {
        let mut hostile = held.clone();
        let resources = &mut hostile["heap"]["resources"];
        for (key, value) in resources["memory"].as_object_mut().unwrap() {
            let signed = matches!(key.as_str(), "overhead_bytes" | "unexplained_bytes");
            *value = if signed { size.into() } else { count.into() };
        }
        let threads =
            (0..12).map(|at| serde_json::json!({ "name": format!("t{at}"), "count": count }));
        resources["threads"] = threads.collect();
        resources["fds"] = resources["threads"].clone();
        // The schema comes first in a dump; a map sorts its keys.
        let schema = hostile.as_object_mut().unwrap().remove("schema").unwrap();
        let rest = hostile.to_string();
        let text = format!("{{\"schema\":{schema},{}", &rest[1..]);
        std::fs::write(path(name), text).unwrap();
        for args in [
            &["info", name][..],
            &["info", name, "--json"],
            &["info", "held-base.json", name],
            &["info", name, "held-base.json"],
            &["info", "held-base.json", name, "--json"],
            &["info", name, "held-base.json", "--json"],
            &["merge", name, name, "-o", "twice.json"],
            &["convert", name, "-o", "hostile.pb.gz"],
            &["info", "hostile.pb.gz"],
            &["info", "held-base.json", "hostile.pb.gz"],
        ] {
            let done = scene.run(args);
            assert_eq!(done.code, Some(0), "{args:?}: {}", done.stderr);
        }
    }
}

#[test]
fn questions_a_profile_cannot_answer() {
    let scene = Scene::new();
    for (args, expected) in [
        (
            &["top", "go.pb.gz", "--sort", "cpu"][..],
            "go.pb.gz: no sample type `cpu` in this profile; it has: alloc_objects, alloc_space, inuse_objects, inuse_space",
        ),
        (
            &["top", "go.pb.gz", "--sort", "lifetime"],
            "go.pb.gz: the profile has no lifetimes",
        ),
        (
            &["top", "go.pb.gz", "--by", "thread"],
            "does not say which threads its inuse_space comes from",
        ),
        (
            &["top", "new.json", "--by", "thread", "-s", "alloc_space"],
            "which threads its alloc_space comes from",
        ),
        (
            &["top", "new.json", "--sort", "lifetime", "--cum"],
            "--cum does not go with --sort lifetime",
        ),
        (
            &["diff", "base.json", "new.json", "-s", "lifetime"],
            "lifetimes cannot be subtracted",
        ),
        (
            &["diff", "base.json", "new.json", "-s", "cpu"],
            "new profile: no sample type `cpu`",
        ),
        (
            &["symbolize", "addresses.json", "-o", "s.json"],
            "addresses.json: ",
        ),
    ] {
        let error = scene.run(args).refused();
        assert!(error.contains(expected), "{args:?}: {error}");
    }
}

#[test]
fn outputs_that_cannot_be_written() {
    let scene = Scene::new();
    for (args, expected) in [
        (
            &["convert", "new.json", "-o", "new.txt"][..],
            "does not tell the format: .pb.gz, .pb, .pprof, .json, .folded, .speedscope.json, .dhat.json,",
        ),
        (
            &["convert", "new.json", "-o", "nowhere/new.json"],
            "cannot write nowhere/new.json: No such file",
        ),
        (
            &[
                "convert",
                "new.json",
                "-o",
                "x.json",
                "--sample-type",
                "space",
            ],
            "--sample-type chooses the one that folded",
        ),
        (
            &[
                "convert",
                "new.json",
                "-o",
                "x.folded",
                "--sample-type",
                "cpu",
            ],
            "cpu",
        ),
    ] {
        let error = scene.run(args).refused();
        assert!(error.contains(expected), "{args:?}: {error}");
    }
    let left: Vec<_> = std::fs::read_dir(scene.dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert!(
        left.iter()
            .all(|name| !name.to_string_lossy().contains("tmp")),
        "{left:?}"
    );
    assert!(
        !left
            .iter()
            .any(|name| name.to_string_lossy().starts_with("x.")),
        "{left:?}"
    );
}

#[test]
fn wrong_usage_is_explained_on_stderr() {
    let scene = Scene::new();
    for args in [
        &["tap"][..],
        &[],
        &["top"],
        &["top", "new.json", "--by", "colour"],
        &["dump", "0"],
        &["dump", "-1"],
    ] {
        let Done {
            code,
            stdout,
            stderr,
        } = scene.run(args);
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{args:?}");
        assert!(
            stderr.contains("Usage: heapsite") || stderr.contains("try '--help'"),
            "{args:?}: {stderr}"
        );
        assert!(
            !stderr.contains('\u{1b}'),
            "no colours without a terminal: {stderr:?}"
        );
    }
    assert!(scene.run(&["--version"]).ok().starts_with("heapsite "));
}

#[test]
fn only_growth_beyond_chance_fails_and_only_when_asked() {
    let scene = Scene::new();
    let code = |args: &[&str]| scene.run(args).code;
    assert_eq!(code(&["diff", "base.json", "new.json"]), Some(0));
    assert_eq!(
        code(&["diff", "base.json", "new.json", "--fail-on-growth"]),
        Some(1)
    );
    assert_eq!(
        code(&[
            "diff",
            "exact-base.json",
            "exact-new.json",
            "--fail-on-growth",
            "--json"
        ]),
        Some(1)
    );
    assert_eq!(
        code(&[
            "diff",
            "exact-base.pb.gz",
            "exact-new.pb.gz",
            "--fail-on-growth"
        ]),
        Some(1)
    );
    // Recording everything now does not make exact what was recorded before.
    let late = [
        "diff",
        "late-base.pb.gz",
        "late-new.pb.gz",
        "--fail-on-growth",
    ];
    assert_eq!(code(&late), Some(0));
    assert!(scene.run(&late).stdout.contains("of unknown accuracy"));
    let note = scene.run(&late).stderr;
    assert!(note.contains("--fail-on-growth cannot judge"), "{note}");
    assert_eq!(
        code(&["diff", "new.json", "base.json", "--fail-on-growth"]),
        Some(0)
    );
    assert_eq!(
        code(&["diff", "new.json", "new.json", "--fail-on-growth"]),
        Some(0)
    );
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let scene = Scene::new();
    let mut command = scene.command(&["top", "-"]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The reader leaves first; only then does the command get its input and start to write.
    drop(child.stdout.take());
    let bytes = std::fs::read(scene.dir.path().join("new.json")).unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), &bytes).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr), (Some(0), vec![]));
}

#[test]
fn an_exit_code_needs_no_reader() {
    let scene = Scene::new();
    let grown = ["diff", "base.json", "new.json", "--fail-on-growth"];
    let grown_json = [&grown[..], &["--json"]].concat();
    for (args, code) in [
        (&grown[..], 1),
        (&grown_json, 1),
        (&["top", "missing.json"], 2),
        (&["top", "new.json", "--by", "colour"], 2),
        (&["--help"], 0),
    ] {
        // A pipe without a reader from the start.
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = scene.command(args);
        let status = command
            .stdout(writer.try_clone().unwrap())
            .stderr(writer)
            .status()
            .unwrap();
        assert_eq!(status.code(), Some(code), "{args:?}");
    }
}

#[test]
fn a_full_disk_is_an_error() {
    let scene = Scene::new();
    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let output = scene
        .command(&["top", "new.json"])
        .stdout(full)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        error.contains("cannot write the output: No space left"),
        "{error}"
    );
}
