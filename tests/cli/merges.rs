//! `merge` of many: folders, lists, and what cannot be read.

use super::Scene;
use std::fs;

/// Three dumps of one service in a folder, with what lies about in such folders.
fn folder(scene: &Scene) {
    let path = |name: &str| scene.dir.path().join(name);
    fs::create_dir(path("dumps")).unwrap();
    for (from, to) in [
        ("base.json", "heapsite.1.1.json"),
        ("new.json", "heapsite.2.1.json"),
        ("base.pb.gz", "heapsite.3.1.pb.gz"),
    ] {
        fs::copy(path(from), path("dumps").join(to)).unwrap();
    }
    fs::write(path("dumps/.heapsite.4.tmp.json"), "{").unwrap();
    fs::write(path("dumps/notes.txt"), "").unwrap();
}

fn report(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn folders_and_lists_are_what_is_in_them() {
    let scene = Scene::new();
    folder(&scene);
    let names = [
        "dumps/heapsite.1.1.json",
        "dumps/heapsite.2.1.json",
        "dumps/heapsite.3.1.pb.gz",
    ];
    let read = |name: &str| fs::read(scene.dir.path().join(name)).unwrap();
    let plain = [&["merge"], &names[..], &["-o", "plain.json"]].concat();
    scene.run(&plain).ok();

    // Twice: the output of the first run is no input of the second.
    for _ in 0..2 {
        let done = scene.run(&["merge", "dumps", "-o", "dumps/all.json"]);
        assert!(
            done.stderr
                .contains("2 of the names in dumps are not those of profiles"),
            "{}",
            done.stderr
        );
        done.ok();
        assert!(read("dumps/all.json") == read("plain.json"));
    }
    fs::write(scene.dir.path().join("list"), names.join("\n\n") + "\n").unwrap();
    scene.run(&["merge", "@list", "-o", "listed.json"]).ok();
    assert!(read("listed.json") == read("plain.json"));
    scene
        .pipe(&["merge", "@-", "-o", "piped.json"], "list")
        .ok();
    assert!(read("piped.json") == read("plain.json"));

    fs::create_dir(scene.dir.path().join("empty")).unwrap();
    for (args, expected) in [
        (
            &["merge", "empty", "-o", "m.json"][..],
            "there is no profile in empty",
        ),
        (&["merge", "@none", "-o", "m.json"], "cannot read none"),
        (
            &["merge", "@empty.json", "-o", "m.json"],
            "there is no name in the list",
        ),
        (
            &["merge", "-", "@-", "-o", "m.json"],
            "or one list, can be read from stdin",
        ),
    ] {
        let error = scene.run(args).refused();
        assert!(error.contains(expected), "{args:?}: {error}");
    }
}

#[test]
fn one_bad_file_is_named_or_left_out_with_a_word() {
    let scene = Scene::new();
    folder(&scene);
    let bad = "dumps/heapsite.2.2.json";
    fs::write(scene.dir.path().join(bad), &b"{\"schema\":"[..]).unwrap();
    let mut other = fs::read_to_string(scene.dir.path().join("new.json")).unwrap();
    other = other.replace("inuse_space", "resident_set");
    fs::write(scene.dir.path().join("dumps/heapsite.5.1.json"), other).unwrap();

    let error = scene.run(&["merge", "dumps", "-o", "m.json"]).refused();
    assert!(error.contains(bad), "{error}");
    assert!(!scene.dir.path().join("m.json").exists());

    let done = scene.run(&["merge", "dumps", "-o", "m.json", "--keep-going", "--json"]);
    assert_eq!(done.code, Some(1), "{}", done.stderr);
    let left_out: Vec<&str> = done
        .stderr
        .lines()
        .filter(|line| line.starts_with("heapsite: left out: "))
        .collect();
    assert_eq!(left_out.len(), 2, "{}", done.stderr);
    assert!(left_out[0].contains(bad));
    assert!(
        left_out[1].contains("heapsite.5.1.json: cannot merge profiles of different sample types")
    );
    let report = report(&done.stdout);
    assert_eq!(report["left_out"][0]["name"], bad);
    assert_eq!(report["inputs"].as_array().unwrap().len(), 3);
    // The file itself tells.
    let info = scene.run(&["info", "m.json"]).ok();
    assert!(info.contains("2 of 5 inputs could not be read"), "{info}");

    let error = scene.run(&["merge", bad, "--keep-going", "-o", "none.json"]);
    assert_eq!(error.code, Some(2));
    assert!(
        error.stderr.contains("none of 1 inputs could be read"),
        "{}",
        error.stderr
    );
}

#[test]
fn a_sum_tells_what_it_is_of() {
    let scene = Scene::new();
    let info = |inputs: &[&str]| {
        let args = [&["merge"], inputs, &["-o", "m.json"]].concat();
        let merged = scene.run(&args);
        let told = merged.stderr.clone();
        merged.ok();
        (scene.run(&["info", "m.json"]).ok(), told)
    };
    let (whole, told) = info(&["held-base.json", "held-now.json"]);
    assert!(whole.starts_with("m.json: "), "{whole}");
    assert!(whole.contains("sum of 2 profiles"), "{whole}");
    assert!(
        !whole.contains("of the 2 profiles tell") && told.is_empty(),
        "{whole}{told}"
    );
    assert!(whole.contains("unexplained"), "{whole}");
    // One of three does not say where its memory is: the sum of the others is called that.
    for other in ["new.json", "new.pb.gz", "go.pb.gz"] {
        let (partial, told) = info(&["held-base.json", "held-now.pb.gz", other]);
        assert!(
            partial.contains("where the memory is, 2 of the 3 profiles tell:"),
            "{partial}"
        );
        assert!(partial.contains("unexplained"), "{partial}");
        assert!(told.contains("2 of the 3 profiles tell where"), "{told}");
    }
    let change = scene.run(&["info", "held-base.json", "m.json"]).ok();
    assert!(
        change.contains("m.json: where the memory is, 2 of the 3"),
        "{change}"
    );
}
