//! `heapsite list`: functions with their source, and without it.

use super::Scene;
use super::golden::check_in;
use heapsite::format::json;
use heapsite::profile::{Function, FunctionId, Line, Profile};
use serde_json::Value;
use std::fs::{self, File};
use std::time::{Duration, UNIX_EPOCH};

const HISTORY: &str = "checkout/src/orders/history.rs";

/// A scene with the source of the fixtures' shop, older than its profiles, in a checkout somewhere else.
fn scene() -> Scene {
    let scene = Scene::new();
    let mut lines: Vec<String> = (1..=120).map(|line| format!("// line {line}")).collect();
    let function = [
        "    pub fn remember(&mut self, order: T) {",
        "        if self.is_full() {",
        "            self.forget_oldest();",
        "        }",
        "        let when = self.clock.now();",
        "        self.seen += 1;",
        "\tself.newest = Some(when); // after a tab",
        "        self.orders.push(order);",
        "    }",
        "// a remark that is so long that it does not fit on any screen, and whoever wrote it had a large one indeed",
        "// \u{1b}[31mred",
    ];
    for (line, text) in lines[80..].iter_mut().zip(function) {
        text.clone_into(line);
    }
    put(&scene, HISTORY, &lines.join("\n"));
    let main: Vec<String> = (1..=20).map(|line| format!("// main {line}")).collect();
    put(&scene, "checkout/src/main.rs", &main.join("\n"));
    write_inlined(&scene);
    scene
}

fn put(scene: &Scene, name: &str, text: &str) {
    let path = scene.dir.path().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    change(scene, name, 1_700_000_000);
}

/// A file's time of change, in seconds since 1970.
fn change(scene: &Scene, name: &str, seconds: u64) {
    let file = File::options()
        .append(true)
        .open(scene.dir.path().join(name));
    let when = UNIX_EPOCH + Duration::from_secs(seconds);
    file.unwrap().set_modified(when).unwrap();
}

/// The shop, the growth of the vector inlined into the line that asks for it, twice over, and first lines known.
fn write_inlined(scene: &Scene) {
    for name in ["base.json", "new.json"] {
        let bytes = fs::read(scene.dir.path().join(name)).unwrap();
        let mut profile: Profile = heapsite::format::read(&bytes).unwrap();
        let mut push = Function::default();
        push.name = "alloc::vec::Vec<T,A>::push".into();
        push.filename = "/rustc/9b00/library/alloc/src/vec/mod.rs".into();
        profile.functions.push(push);
        let push = FunctionId(profile.functions.len() as u32 - 1);
        profile.functions[1].start_line = 81;
        // The first stack's first two locations become one.
        let (inner, outer) = (profile.locations[0].lines[0], profile.locations[1].lines[0]);
        let between = Line {
            function: push,
            line: 2500,
            column: 0,
        };
        profile.locations[1].lines = vec![inner, between, outer];
        profile.samples[0].locations.remove(0);
        let mut bytes = Vec::new();
        json::write(&profile, &mut bytes).unwrap();
        fs::write(scene.dir.path().join(format!("inlined-{name}")), bytes).unwrap();
    }
}

fn json(scene: &Scene, args: &[&str]) -> Value {
    serde_json::from_str(&scene.run(&[args, &["--json"]].concat()).ok()).unwrap()
}

macro_rules! golden {
    ($($name:ident: $args:literal;)*) => {
        $(#[test] fn $name() { check_in(&scene(), stringify!($name), $args); })*
    };
}

golden! {
    list: "list orders inlined-new.json --source-root checkout --width 90";
    list_all_lines: "list remember inlined-new.json --source-root checkout --all-lines --width 120";
    list_leaf: "list grow_one|main new.json --leaf --source-root checkout -C 1 --width 100";
    list_base: "list remember|main inlined-new.json --base inlined-base.json --source-root checkout -C 1 --width 100";
    list_focus: "list remember|main inlined-new.json --focus session --source-root checkout --unit KiB -C 0 --width 100";
    list_missing: "list remember|insert|grow_one new.json --width 100";
}

/// The fixture's Go profile has no period comment of heapsite's, other names, and files that are nowhere.
#[test]
fn any_pprof_file_and_any_value() {
    let scene = scene();
    let listed = json(
        &scene,
        &[
            "list",
            "Put|handle",
            "go.pb.gz",
            "--sort",
            "alloc_objects",
            "--leaf",
        ],
    );
    let functions = listed["functions"].as_array().unwrap();
    let values: Vec<(&str, i64, i64)> = functions
        .iter()
        .map(|it| {
            let value = |what: &str| it[what]["value"].as_i64().unwrap();
            (
                it["function"].as_str().unwrap(),
                value("flat"),
                value("cum"),
            )
        })
        .collect();
    let expected = [
        ("example.org/shop/api.(*Server).handle", 0, 900),
        ("example.org/shop/cache.(*Cache).Put", 900, 900),
    ];
    assert_eq!(values, expected);
    let source = &functions[0]["source"];
    assert_eq!(source["path"], Value::Null);
    assert_eq!(source["tried"][0], "/src/shop/api/server.go");
}

#[test]
fn numbers_are_those_of_top() {
    let scene = scene();
    let top = json(&scene, &["top", "inlined-new.json", "-n", "1000"]);
    let listed = json(&scene, &["list", "", "inlined-new.json", "-n", "1000"]);
    assert_eq!(top["total"], listed["total"]);
    let mut rows = 0;
    for function in listed["functions"].as_array().unwrap() {
        for line in function["lines"].as_array().unwrap() {
            let same = |row: &&Value| {
                row["function"] == function["function"] && row["line"] == line["line"]
            };
            // Plumbing has no rows in `top`.
            if let Some(row) = top["rows"].as_array().unwrap().iter().find(same) {
                assert_eq!((&row["flat"], &row["cum"]), (&line["flat"], &line["cum"]));
                rows += 1;
            }
        }
    }
    assert_eq!(rows, top["rows"].as_array().unwrap().len());
    let diff = json(&scene, &["diff", "base.json", "new.json", "-n", "1000"]);
    let listed = json(
        &scene,
        &["list", "remember", "new.json", "--base", "base.json"],
    );
    assert_eq!(listed["total"]["growth"], diff["total"]["growth"]);
    let [line] = &listed["functions"][0]["lines"].as_array().unwrap()[..] else {
        panic!("{listed}")
    };
    let same = |row: &&Value| row["line"] == line["line"];
    let row = diff["rows"].as_array().unwrap().iter().find(same).unwrap();
    for key in ["base", "new", "growth", "standard_error"] {
        assert_eq!(row[key], line["flat"][key], "{key}");
    }
}

#[test]
fn a_file_that_changed_since_is_told() {
    let scene = scene();
    let list = |scene: &Scene| {
        let args = ["list", "remember", "new.json", "--source-root", "checkout"];
        scene.run(&args).ok()
    };
    assert!(!list(&scene).contains("newer"), "{}", list(&scene));
    // The profile is of 2026-11-23 23:48:09.
    change(&scene, HISTORY, 1_795_477_689 + 60);
    assert!(list(&scene).contains("the file is newer than the profile: lines may have moved"));
    put(&scene, HISTORY, "one\ntwo\n");
    assert!(list(&scene).contains("the file has 2 lines, and line 88 is asked for"));
}

#[test]
fn prefixes_are_trimmed() {
    let scene = scene();
    let args = [
        "list",
        "remember",
        "new.json",
        "--trim-path",
        "/home/dev/shop",
        "--source-root",
        "checkout",
    ];
    let listed = json(&scene, &args);
    assert_eq!(listed["functions"][0]["source"]["path"], HISTORY);
    assert_eq!(
        listed["functions"][0]["lines"][0]["text"],
        "        self.orders.push(order);"
    );
}

#[test]
fn colours_are_for_terminals_and_never_change_the_text() {
    let scene = scene();
    let args = [
        "list",
        "remember",
        "new.json",
        "--base",
        "base.json",
        "--source-root",
        "checkout",
    ];
    let plain = scene.run(&args).ok();
    let mut command = scene.command(&args);
    let output = command
        .env_remove("NO_COLOR")
        .env("CLICOLOR_FORCE", "1")
        .output()
        .unwrap();
    let coloured = String::from_utf8(output.stdout).unwrap();
    assert!(
        coloured.contains("\u{1b}[1m\u{1b}[31m+"),
        "what grew is red:\n{coloured}"
    );
    let sequences = regex::Regex::new("\u{1b}\\[[0-9;]*m").unwrap();
    assert_eq!(sequences.replace_all(&coloured, ""), plain);
    // The source has a sequence of its own, which is shown and not obeyed.
    assert!(!plain.contains('\u{1b}') && plain.contains("\\u{1b}[31mred"));
}

#[test]
fn mistakes_are_explained() {
    let scene = scene();
    let error = scene.run(&["list", "Remember", "new.json"]).refused();
    assert!(
        error.contains("no function's name matches `Remember`; with (?i)Remember one does"),
        "{error}"
    );
    let error = scene.run(&["list", "a(", "new.json"]).refused();
    assert!(
        error.contains("`a(` is no regular expression: unclosed group"),
        "{error}"
    );
    let error = scene.run(&["list", "a", "addresses.json"]).refused();
    assert!(error.contains("heapsite symbolize"), "{error}");
    let error = scene
        .run(&["list", "a", "new.json", "--sort", "cpu"])
        .refused();
    assert!(error.contains("it has: alloc_objects"), "{error}");
    scene.run(&["list", "a", "silent.json"]).ok();
}
