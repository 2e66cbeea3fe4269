//! `convert` into the formats of other viewers, and of differences.

use super::Scene;
use super::machine::json;
use serde_json::Value;
use std::fs;

fn read(scene: &Scene, name: &str) -> String {
    fs::read_to_string(scene.dir.path().join(name)).unwrap()
}

fn parsed(scene: &Scene, name: &str) -> Value {
    serde_json::from_str(&read(scene, name)).unwrap()
}

fn total(scene: &Scene, name: &str, kind: &str) -> i64 {
    let top = json(scene, &["top", name, "--sort", kind, "--json"]);
    top["total"]["value"].as_i64().unwrap()
}

#[test]
fn the_name_or_the_option_tells_the_format() {
    let scene = Scene::new();
    for (name, start) in [
        (
            "a.speedscope.json",
            "{\"$schema\":\"https://www.speedscope.app/",
        ),
        ("a.dhat.json", "{\"dhatFileVersion\":2,"),
        ("dhat.out.4711", "{\"dhatFileVersion\":2,"),
        ("a.callgrind", "# callgrind format\n"),
        ("callgrind.out.4711", "# callgrind format\n"),
        ("a.heap", "heap profile: "),
    ] {
        scene.run(&["convert", "new.json", "-o", name]).ok();
        assert!(read(&scene, name).starts_with(start), "{name}");
    }
    for (format, name) in [
        ("speedscope", "a.speedscope.json"),
        ("dhat", "a.dhat.json"),
        ("callgrind", "a.callgrind"),
        ("legacy", "a.heap"),
    ] {
        scene
            .run(&["convert", "new.json", "-o", "again", "--to", format])
            .ok();
        assert!(read(&scene, "again") == read(&scene, name), "{format}");
    }
}

#[test]
fn the_report_says_what_is_in_the_file() {
    let scene = Scene::new();
    let report = |arguments: &[&str]| {
        json(
            &scene,
            &[&["convert", "new.json", "--json"], arguments].concat(),
        )
    };
    let types = |report: &Value| -> Vec<String> {
        let types = report["output"]["sample_types"].as_array().unwrap();
        types
            .iter()
            .map(|it| it.as_str().unwrap().to_owned())
            .collect()
    };
    let dhat = report(&["-o", "x.dhat.json"]);
    assert_eq!(types(&dhat), ["inuse_space", "inuse_objects"]);
    let dhat = report(&["-o", "x.dhat.json", "--sample-type", "alloc_objects"]);
    assert_eq!(
        (types(&dhat), &dhat["output"]["format"]),
        (
            vec!["alloc_space".into(), "alloc_objects".into()],
            &"dhat".into()
        )
    );
    let callgrind = report(&["-o", "x.callgrind"]);
    assert_eq!(
        (types(&callgrind).len(), &callgrind["output"]["is_split"]),
        (4, &false.into())
    );
    assert!(
        callgrind["notes"][0]
            .as_str()
            .unwrap()
            .contains("numbers of stacks")
    );
    let speedscope = report(&["-o", "x.speedscope.json", "--base", "base.json"]);
    assert_eq!(speedscope["output"]["is_split"], true);
    assert_eq!(
        (
            &speedscope["inputs"][0]["name"],
            &speedscope["inputs"][1]["name"]
        ),
        (&"base.json".into(), &"new.json".into())
    );
    assert!(
        speedscope["notes"][1]
            .as_str()
            .unwrap()
            .contains("side by side")
    );
}

/// The same growth in each format that can hold it.
#[test]
fn a_difference_is_written_in_each_formats_way() {
    let scene = Scene::new();
    let growth =
        total(&scene, "new.json", "inuse_space") - total(&scene, "base.json", "inuse_space");
    assert_ne!(growth, 0);
    for name in ["d.pb.gz", "d.json", "d.speedscope.json", "d.callgrind"] {
        scene
            .run(&["convert", "new.json", "--base", "base.json", "-o", name])
            .ok();
    }
    for name in ["d.pb.gz", "d.json"] {
        assert_eq!(total(&scene, name, "inuse_space"), growth, "{name}");
    }
    let file = parsed(&scene, "d.speedscope.json");
    let end = |name: &str| {
        let profiles = file["profiles"].as_array().unwrap();
        let named = profiles.iter().find(|it| it["name"] == name).unwrap();
        named["endValue"].as_i64().unwrap()
    };
    assert_eq!(end("inuse_space grown") - end("inuse_space shrunk"), growth);
    assert!(
        file["heapsite"]["comments"]
            .to_string()
            .contains("difference: new.json minus base.json")
    );
    let text = read(&scene, "d.callgrind");
    let totals = text
        .lines()
        .find_map(|line| line.strip_prefix("totals: "))
        .unwrap();
    let totals: Vec<i64> = totals.split(' ').map(|it| it.parse().unwrap()).collect();
    assert_eq!((totals.len(), totals[0] - totals[1]), (8, growth));

    // Swapped, everything shrinks.
    let refused = |name: &str| {
        scene
            .run(&["convert", "base.json", "--base", "new.json", "-o", name])
            .refused()
    };
    assert!(refused("d.dhat.json").contains("no place for what shrank"));
    assert!(refused("d.heap").contains("no place for what shrank"));
    assert!(!scene.dir.path().join("d.heap").exists());
    let twice = scene
        .run(&["convert", "-", "--base", "-", "-o", "x.json"])
        .refused();
    assert!(twice.contains("stdin"), "{twice}");
}

#[test]
fn what_writes_a_profile_reports_on_it() {
    let scene = Scene::new();
    let size = |name: &str| {
        std::fs::metadata(scene.dir.path().join(name))
            .unwrap()
            .len()
    };
    let convert = json(&scene, &["convert", "new.json", "-o", "c.pb.gz", "--json"]);
    assert_eq!(convert["output"]["bytes"], size("c.pb.gz"));
    assert_eq!(convert["output"]["format"], "pprof");
    assert_eq!(
        convert["output"]["sample_types"].as_array().unwrap().len(),
        4
    );
    assert_eq!(convert["output"]["is_split"], false);
    assert_eq!(
        (&convert["samples"], &convert["locations_named"]),
        (&3.into(), &10.into())
    );
    let notes = convert["notes"].as_array().unwrap();
    assert!(
        notes.len() == 1 && notes[0].as_str().unwrap().contains("left out"),
        "{notes:?}"
    );
    let merge = json(
        &scene,
        &["merge", "base.json", "new.json", "-o", "m.json", "--json"],
    );
    assert_eq!(
        (&merge["heapsite"], &merge["inputs"][1]["name"]),
        (&"merge".into(), &"new.json".into())
    );
    assert_eq!(merge["output"]["bytes"], size("m.json"));
    for command in ["convert", "symbolize", "merge"] {
        let args = [command, "new.json", "-o", "-", "--to", "json", "--json"];
        assert!(
            scene
                .run(&args)
                .refused()
                .contains("--json writes its report to stdout")
        );
    }
}
