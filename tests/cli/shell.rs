//! `heapsite shell`, fed by a pipe: its lines mean what the command line's words mean.

use std::io::Write;
use std::process::Stdio;

use super::{Done, Scene};

fn shell(scene: &Scene, lines: &str) -> Done {
    let mut child = scene
        .command(&["shell", "base.json"])
        .env("BROWSER", "true")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(lines.as_bytes()).unwrap();
    drop(stdin);
    Done::new(child.wait_with_output().unwrap())
}

#[test]
fn lines_mean_what_commands_mean() {
    let scene = Scene::new();
    for (lines, command) in [
        ("top\n", "top base.json"),
        ("top3\n", "top base.json -n 3"),
        ("text 3\n", "top base.json -n 3"),
        ("nodecount=2\ntop\nquit\ntop\n", "top base.json -n 2"),
        (
            "alloc_space\ncum\ntop\n",
            "top base.json --sort alloc_space --cum",
        ),
        (
            "sample_index=alloc_objects\ntop -cum\n",
            "top base.json --sort alloc_objects --cum",
        ),
        ("top --by=crate\n", "top base.json --by=crate"),
        ("info\n", "info base.json"),
        ("list .\n", "list . base.json"),
        (
            "top4 shop -remember\n",
            "top base.json -n 4 --focus shop --ignore remember",
        ),
        ("lines\ntree\n", "tree base.json --lines"),
        ("peek main\n", "peek main base.json"),
        ("traces\ntags\n", "traces base.json"),
    ] {
        let words: Vec<&str> = command.split(' ').collect();
        let text = shell(&scene, lines).ok();
        assert!(text.starts_with(&scene.run(&words).ok()), "{lines}: {text}");
        assert_eq!(
            text.matches("base.json: ").count(),
            lines.matches("tags").count() + 1
        );
    }
}

#[test]
fn output_goes_into_a_file_or_a_browser() {
    let scene = Scene::new();
    assert_eq!(shell(&scene, "top >out.txt\nflame > x.svg\n").ok(), "");
    let text = std::fs::read_to_string(scene.dir.path().join("out.txt")).unwrap();
    assert_eq!(text, scene.run(&["top", "base.json"]).ok());
    let picture = std::fs::read_to_string(scene.dir.path().join("x.svg")).unwrap();
    assert!(picture.contains("<svg"));
    let said = shell(&scene, "web\n").ok();
    let file = said.split(" (opened with true)").next().unwrap();
    assert!(
        std::fs::read_to_string(file).unwrap().contains("<svg"),
        "{said}"
    );
    std::fs::remove_file(file).unwrap();
}

#[test]
fn what_is_wrong_is_told_with_its_line_and_the_rest_goes_on() {
    let scene = Scene::new();
    let done = shell(
        &scene,
        "tpo\nweblist f\nlist\nfocus\ntop --no-such\nsample_index=cpu\nlist (\ntop1\n",
    );
    assert_eq!(done.code, Some(2));
    for said in [
        "line 1: unknown command: tpo",
        "line 2: there is no weblist here: `list` shows source",
        "line 3: list: a regular expression is missing",
        "line 4: focus: a value is missing",
        "line 5: unexpected argument '--no-such'",
        "line 6: sample_index: cpu is no sample type of the profile; it has ",
        "line 7: `(` is no regular expression",
    ] {
        assert!(done.stderr.contains(said), "{said}: {}", done.stderr);
    }
    assert!(!done.stdout.is_empty(), "the last line ran");
    let done = scene.run(&["shell", "-"]);
    assert!(
        done.stderr.contains("the prompt reads stdin"),
        "{}",
        done.stderr
    );
}

#[test]
fn help_and_options_tell_what_there_is() {
    let scene = Scene::new();
    let text = shell(&scene, "help\nhelp top\nhelp focus\nfocus=x\no\n").ok();
    for part in [
        "  list ",
        "  web      the same, in a browser",
        "Show where memory was allocated",
        "focus=…: Only stacks",
        "  focus                  = x ",
        "sample types: ",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}
