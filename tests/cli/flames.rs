//! `heapsite flame`: where the picture goes, and that it holds what the profile holds.

use super::Scene;
use serde_json::Value;
use std::fs;

/// The value of every frame, and of the whole.
fn widths(svg: &str) -> (Vec<i64>, i64) {
    let number = |text: &str| text.split('"').next().unwrap().parse::<i64>().unwrap();
    let (_, total) = svg.split_once("total_samples=\"").expect("a flame graph");
    let frames = svg.split("fg:w=\"").skip(1).map(number);
    (frames.collect(), number(total))
}

fn read(scene: &Scene, name: &str) -> String {
    fs::read_to_string(scene.dir.path().join(name)).unwrap()
}

fn total(scene: &Scene, args: &[&str]) -> i64 {
    let top: Value = serde_json::from_str(&scene.run(args).ok()).unwrap();
    top["total"]["value"].as_i64().unwrap()
}

#[test]
fn every_value_in_every_shape_adds_up() {
    let scene = Scene::new();
    let shapes: [&[&str]; 5] = [
        &[],
        &["--plumbing"],
        &["--reversed"],
        &["--icicle", "--plumbing"],
        &["--base", "base.json"],
    ];
    for value in [
        "alloc_objects",
        "alloc_space",
        "inuse_objects",
        "inuse_space",
    ] {
        let expected = total(&scene, &["top", "new.json", "--sort", value, "--json"]);
        for shape in shapes {
            let args = [&["flame", "new.json", "--sort", value], shape].concat();
            let (widths, whole) = widths(&scene.run(&args).ok());
            assert_eq!(whole, expected, "{args:?}");
            assert_eq!(widths.iter().max(), Some(&expected));
            assert!(widths.len() > 4, "{args:?}: {widths:?}");
        }
    }
}

#[test]
fn selections_are_those_of_every_report() {
    let scene = Scene::new();
    let selections: [&[&'static str]; 5] = [
        &["--focus", "insert"],
        &["--ignore", "history.rs"],
        &["--hide", "shop::main"],
        &["--show", "^shop"],
        &["--inlined", "no"],
    ];
    for selection in selections {
        let of = |command: &[&'static str]| [command, selection].concat();
        let expected = total(&scene, &of(&["top", "new.json", "--json"]));
        let svg = scene.run(&of(&["flame", "new.json"])).ok();
        assert_eq!(widths(&svg).1, expected, "{selection:?}");
        let listed = total(&scene, &of(&["list", "", "new.json", "--json"]));
        assert_eq!(listed, expected, "{selection:?}");
    }
    let error = scene
        .run(&["flame", "new.json", "--focus", "nowhere"])
        .refused();
    assert!(
        error.contains("--focus matched nothing: nothing to draw"),
        "{error}"
    );
}

#[test]
fn tasks_goroutines_and_addresses_have_pictures_too() {
    let scene = Scene::new();
    for (name, said) in [
        ("tasks-new.json", "tasks "),
        ("goroutines-new.txt", "goroutines "),
        ("go.pb.gz", "example.org/shop/cache.(*Cache).Put ("),
        ("addresses.json", "shop+0x"),
    ] {
        let svg = scene.run(&["flame", name]).ok();
        assert!(svg.contains(said), "{name}: {said}");
    }
}

#[test]
fn without_a_terminal_it_goes_to_stdout_with_dash_o_to_a_file() {
    let scene = Scene::new();
    let stdout = scene.run(&["flame", "new.json"]).ok();
    assert!(stdout.starts_with("<?xml") && stdout.ends_with("</svg>"));
    let quiet = scene.run(&["flame", "new.json", "-o", "out.svg"]).ok();
    assert_eq!(quiet, "");
    assert_eq!(read(&scene, "out.svg"), stdout);
    assert_eq!(scene.run(&["flame", "new.json", "-o", "-"]).ok(), stdout);
    assert_eq!(
        scene
            .pipe(&["flame", "-"], "new.json")
            .ok()
            .replace("stdin", "new.json"),
        stdout
    );
    // No temporary file is left.
    let left: Vec<_> = fs::read_dir(scene.dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".tmp"))
        .collect();
    assert_eq!(left, Vec::<String>::new());
}

#[test]
fn the_report_is_for_machines_and_the_picture_lies_beside_the_profile() {
    let scene = Scene::new();
    let report = scene
        .run(&["flame", "new.pb.gz", "--base", "base.pb.gz", "--json"])
        .ok();
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["output"]["path"], "new.svg");
    let svg = read(&scene, "new.svg");
    assert_eq!(report["output"]["bytes"], svg.len());
    assert_eq!(report["frames"], widths(&svg).0.len());
    assert_eq!(report["total"]["value"], widths(&svg).1);
    // An older picture is replaced; what is none is not, unless it is named.
    scene.run(&["flame", "new.json", "--json"]).ok();
    fs::write(scene.dir.path().join("new.svg"), "<svg>mine</svg>").unwrap();
    let error = scene.run(&["flame", "new.json", "--json"]).refused();
    assert!(
        error.contains("new.svg is there and is no flame graph of heapsite: -o FILE"),
        "{error}"
    );
    assert_eq!(read(&scene, "new.svg"), "<svg>mine</svg>");
    scene
        .run(&["flame", "new.json", "--json", "-o", "new.svg"])
        .ok();
    let error = scene
        .run(&["flame", "new.json", "--json", "-o", "-"])
        .refused();
    assert!(
        error.contains("-o FILE takes the picture elsewhere"),
        "{error}"
    );
}

#[test]
fn what_cannot_be_drawn_is_said() {
    let scene = Scene::new();
    let error = scene.run(&["flame", "silent.json"]).refused();
    assert!(
        error.contains("nothing to draw: no heapsite allocator"),
        "{error}"
    );
    let error = scene.run(&["flame", "new.json", "--sort", "cpu"]).refused();
    assert!(error.contains("it has: alloc_objects"), "{error}");
    let done = scene.run(&["flame", "new.json", "-o", "no/such/folder.svg"]);
    assert!(done.refused().contains("no/such/folder.svg"));
    // What was lost is told beside the picture.
    let done = scene.run(&["flame", "new.json", "-o", "out.svg"]);
    assert!(
        done.stderr.contains("lost: live-map-full 2 times"),
        "{}",
        done.stderr
    );
}
