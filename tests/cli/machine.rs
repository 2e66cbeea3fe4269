//! What scripts rely on: JSON keys, files written, stdin and http.

use super::Scene;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpListener;

pub(crate) fn json(scene: &Scene, args: &[&str]) -> Value {
    serde_json::from_str(&scene.run(args).ok()).expect("--json writes one JSON document")
}

/// Every key of `pointers` is there; `null` is a value, too.
pub(crate) fn has(document: &Value, pointers: &[&str]) {
    for pointer in pointers {
        assert!(
            document.pointer(pointer).is_some(),
            "{pointer} is missing in {document:#}"
        );
    }
}

#[test]
fn top_has_the_promised_keys() {
    let scene = Scene::new();
    let top = json(&scene, &["top", "new.json", "--json", "-n", "1"]);
    has(
        &top,
        &[
            "/profile/name",
            "/profile/time_nanos",
            "/profile/pid",
            "/profile/command",
            "/profile/losses/0/reason",
            "/sample_type/kind",
            "/sample_type/unit",
            "/quality/exact",
            "/quality/errors",
            "/quality/interval_bytes",
            "/total/value",
            "/total/standard_error",
            "/total/sampled",
            "/rows/0/function",
            "/rows/0/file",
            "/rows/0/line",
            "/rows/0/name",
            "/rows/0/flat/value",
            "/rows/0/cum/standard_error",
            "/rows/0/mean_lifetime_nanos",
            "/rows/0/freed_bytes",
        ],
    );
    assert_eq!(
        (&top["heapsite"], &top["version"], &top["by"]),
        (&"top".into(), &1.into(), &"line".into())
    );
    assert_eq!(top["rows"].as_array().unwrap().len(), 1);
    assert_eq!(
        top["rows"][0]["file"],
        "/home/dev/shop/src/orders/history.rs"
    );
    // 640 sampled orders of 4 KiB, p = 1 − exp(−1/16) = 0.0605869: 640 · 4096 / p.
    let value = top["rows"][0]["flat"]["value"].as_i64().unwrap();
    assert!((value - 43_267_185).abs() < 1000, "{value}");
    let site = json(&scene, &["top", "new.json", "--json", "--by", "site"]);
    has(&site, &["/rows/0/stack/3/function"]);
}

#[test]
fn diff_has_the_promised_keys() {
    let scene = Scene::new();
    let diff = json(&scene, &["diff", "base.json", "new.json", "--json"]);
    has(
        &diff,
        &[
            "/base/name",
            "/new/losses",
            "/span_nanos",
            "/quality/base/errors",
            "/quality/new/errors",
            "/total/growth",
            "/total/standard_error",
            "/total/p",
            "/total/verdict",
            "/rows/0/base/value",
            "/rows/0/new/standard_error",
            "/rows/0/growth",
            "/rows/0/standard_error",
            "/rows/0/p",
            "/rows/0/function",
            "/rows/0/file",
            "/rows/0/line",
            "/rows_in_all",
        ],
    );
    assert_eq!(
        (&diff["same_process"], &diff["rows"][0]["verdict"]),
        (&true.into(), &"significant".into())
    );
    assert_eq!(diff["span_nanos"], 200_000_000_000u64);
    let cache = &diff["rows"][1];
    assert_eq!(
        (&cache["line"], &cache["verdict"]),
        (&54.into(), &"within noise".into()),
        "{cache:#}"
    );
    let exact = json(
        &scene,
        &["diff", "exact-base.json", "exact-new.json", "--json"],
    );
    assert_eq!(exact["rows"][0]["growth"], 600 * 4096);
    assert_eq!(exact["rows"][0]["standard_error"], 0.0);
}

#[test]
fn info_has_the_promised_keys() {
    let scene = Scene::new();
    let info = json(&scene, &["info", "new.json", "--json"]);
    has(
        &info,
        &[
            "/profile/name",
            "/values/3/sample_type/kind",
            "/values/3/total/standard_error",
            "/default_sample_type",
            "/period_type/kind",
            "/period",
            "/samples",
            "/locations",
            "/mappings/0/build_id",
            "/comments",
            "/recorder/exact",
            "/recorder/live/bytes_standard_error",
            "/recorder/footprint/resident_bytes",
            "/recorder/process/rss_bytes",
        ],
    );
    assert_eq!(
        json(&scene, &["info", "go.pb.gz", "--json"])["recorder"],
        Value::Null
    );
}

#[test]
fn a_verdict_has_the_promised_keys() {
    let scene = Scene::new();
    let names = ["info", "held-base.json", "held-now.json", "--json"];
    let verdict = json(&scene, &names);
    has(
        &verdict,
        &[
            "/base/name",
            "/now/time_nanos",
            "/growth/live",
            "/growth/resident",
            "/growth/descriptors",
            "/base_resources/parts/7/source",
            "/now_resources/facts/memory/rss_bytes",
            "/now_resources/facts/allocators/0/in_use_bytes",
            "/now_resources/facts/threads/0/name",
            "/now_resources/facts/cgroup/limit_bytes",
        ],
    );
    assert_eq!(verdict["grew_most"], "free");
    assert_eq!(verdict["growth"]["free"], 70 << 20);
    assert_eq!(verdict["growth"]["threads"], 8);
    assert_eq!(verdict["growth"]["tasks"], 800);
    let diff = json(
        &scene,
        &["diff", "held-base.json", "held-now.json", "--json"],
    );
    assert_eq!(diff["tasks"]["new"]["alive"], 1203);
    assert_eq!(diff["tasks"]["base"]["by_spawn_site"][0]["count"], 400);
    let one = json(&scene, &["info", "held-now.json", "--json"]);
    assert_eq!(one["resources"], verdict["now_resources"]);
    assert_eq!(
        json(&scene, &["info", "new.json", "--json"])["resources"],
        Value::Null
    );
    // pprof's comments tell hundredths of a MiB.
    let told = json(
        &scene,
        &["info", "held-base.pb.gz", "held-now.pb.gz", "--json"],
    );
    assert_eq!(told["growth"]["free"], 70 << 20);
    let parts = told["now_resources"]["parts"].as_array().unwrap();
    let sum: i64 = parts
        .iter()
        .map(|part| part["bytes"].as_i64().unwrap())
        .sum();
    assert_eq!(told["now_resources"]["facts"]["memory"]["rss_bytes"], sum);
}

#[test]
fn symbolize_reports_on_every_file() {
    let scene = Scene::new();
    // A dump of this very test, as addresses: its binary is there to name them.
    let kept: Vec<String> = (0..2000).map(|n: u32| n.to_string().repeat(200)).collect();
    let mut bytes = Vec::new();
    heapsite::format::json::write(&heapsite::snapshot().to_address_profile(), &mut bytes).unwrap();
    drop(kept);
    std::fs::write(scene.dir.path().join("own.json"), bytes).unwrap();
    let report = json(
        &scene,
        &["symbolize", "own.json", "-o", "named.json", "--json"],
    );
    has(
        &report,
        &[
            "/inputs/0/name",
            "/output/path",
            "/output/bytes",
            "/samples",
            "/locations",
            "/locations_named",
            "/notes",
            "/symbols/addresses",
            "/symbols/outside",
            "/symbols/files/0/file",
            "/symbols/files/0/build_id",
            "/symbols/files/0/used",
            "/symbols/files/0/problem",
            "/symbols/files/0/with_lines",
        ],
    );
    let number = |pointer: &str| report.pointer(pointer).unwrap().as_u64().unwrap();
    assert!(
        number("/symbols/named") > 0 && number("/symbols/named") <= number("/symbols/addresses")
    );
    // What was written has lost the recorder's own frames, and leaves nothing for a viewer to name.
    assert_eq!(
        number("/locations_named"),
        number("/locations"),
        "{report:#}"
    );
    assert_eq!(report["symbols"]["files"][0]["problem"], Value::Null);
}

#[test]
fn json_survives_every_format_that_holds_it() {
    let scene = Scene::new();
    scene.run(&["convert", "new.json", "-o", "again.json"]).ok();
    let read = |name: &str| std::fs::read(scene.dir.path().join(name)).unwrap();
    assert!(
        read("again.json") == read("new.json"),
        "JSON to JSON loses nothing"
    );
    let done = scene.run(&["convert", "new.json", "-o", "lossy.pprof"]);
    assert!(
        done.stderr
            .contains("variances, lifetimes and birth times are left out"),
        "{}",
        done.stderr
    );
    done.ok();
    assert_eq!(
        scene.run(&["convert", "go.pb.gz", "-o", "go.json"]).stderr,
        "",
        "nothing is lost"
    );
    let value = |name| json(&scene, &["top", name, "--json"])["total"]["value"].clone();
    assert_eq!(value("lossy.pprof"), value("new.json"));
    // Over a file that exists, and to stdout byte by byte.
    scene
        .run(&["convert", "base.json", "-o", "again.json"])
        .ok();
    assert!(read("again.json") == read("base.json"));
    let output = scene
        .command(&["convert", "new.json", "-o", "-", "--to", "pprof"])
        .output()
        .unwrap();
    assert!(output.stdout == read("lossy.pprof"));
}

#[test]
fn merged_profiles_add_up() {
    let scene = Scene::new();
    scene
        .run(&["merge", "new.json", "new.json", "-o", "twice.json"])
        .ok();
    let value = |name| {
        json(&scene, &["top", name, "--json"])["total"]["value"]
            .as_i64()
            .unwrap()
    };
    assert_eq!(value("twice.json"), 2 * value("new.json"));
}

#[test]
fn names_come_from_the_binary() {
    // The addresses of the fixture lie in a binary that is not there, so its report must say so.
    let scene = Scene::new();
    let error = scene
        .run(&[
            "symbolize",
            "addresses.json",
            "-o",
            "s.json",
            "--binary",
            "noise.bin",
        ])
        .refused();
    assert!(error.contains("noise.bin"), "{error}");
    assert!(!scene.dir.path().join("s.json").exists());
    let note = scene.run(&["top", "addresses.json"]).stderr;
    assert!(note.contains("`heapsite symbolize`"), "{note}");
}

#[test]
fn profiles_that_cannot_match_are_pointed_out() {
    let scene = Scene::new();
    let note = scene.run(&["diff", "addresses.json", "new.json"]).stderr;
    assert!(
        note.contains("base profile has no names") && note.contains("is of the same build"),
        "{note}"
    );
    let text = std::fs::read_to_string(scene.dir.path().join("addresses.json")).unwrap();
    let place = text.find("\"build_id\":\"").expect("a build id") + 12;
    let other = format!("{}00{}", &text[..place], &text[place..]);
    std::fs::write(scene.dir.path().join("other.json"), other).unwrap();
    let note = scene.run(&["diff", "new.json", "other.json"]).stderr;
    assert!(
        note.contains("new profile has no names and is not of the other one's build")
            && note.contains("`heapsite symbolize other.json -o FILE`"),
        "{note}"
    );
    let note = scene.run(&["diff", "base.pb.gz", "new.pb.gz"]).stderr;
    assert!(
        note.contains("JSON dumps") && note.lines().count() == 1,
        "{note}"
    );
    for [base, new] in [
        ["exact-base.pb.gz", "exact-new.pb.gz"],
        ["go.pb.gz", "go.pb.gz"],
        ["base.json", "new.pb.gz"],
    ] {
        assert_eq!(scene.run(&["diff", base, new]).stderr, "");
    }
    let path = scene.dir.path().join("window.pb.gz");
    let mut window =
        heapsite::format::read(&std::fs::read(scene.dir.path().join("new.pb.gz")).unwrap())
            .unwrap();
    window.duration_nanos = 30_000_000_000;
    let mut bytes = Vec::new();
    heapsite::format::pprof::write(&window, &mut bytes).unwrap();
    std::fs::write(path, bytes).unwrap();
    for pair in [["base.pb.gz", "window.pb.gz"], ["window.pb.gz", "new.json"]] {
        let note = scene.run(&["diff", pair[0], pair[1]]).stderr;
        assert!(note.contains("within 30.0 s (`?seconds=`)"), "{note}");
    }
    let note = scene.run(&["diff", "window.pb.gz", "window.pb.gz"]).stderr;
    assert!(!note.contains("?seconds="), "{note}");
    let note = scene.run(&["diff", "new.json", "base.json"]).stderr;
    assert!(note.contains("the wrong way round?"), "{note}");
    assert_eq!(scene.run(&["diff", "base.json", "new.json"]).stderr, "");
}

#[test]
fn stdin_and_http_are_inputs() {
    let scene = Scene::new();
    let file = scene.run(&["top", "new.json"]).ok();
    let piped = scene.pipe(&["top", "-"], "new.json").ok();
    assert_eq!(piped.replace("stdin:", "new.json:"), file);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/debug/pprof/heap", listener.local_addr().unwrap());
    let body = std::fs::read(scene.dir.path().join("new.json")).unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 1024];
        let _ = stream.read(&mut request).unwrap();
        write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
            body.len()
        )
        .unwrap();
        stream.write_all(&body).unwrap();
    });
    let fetched = scene.run(&["top", &url]).ok();
    server.join().unwrap();
    assert_eq!(fetched.replace(&url, "new.json"), file);
}

#[test]
fn a_verdict_says_when_it_compares_two_processes() {
    let scene = Scene::new();
    let read = |name: &str| std::fs::read(scene.dir.path().join(name)).unwrap();
    let mut restarted = heapsite::format::read(&read("held-now.json")).unwrap();
    // Number 4711 again, as every container's first process has the same one.
    restarted.heap.as_mut().unwrap().uptime_nanos = 100_000_000_000;
    for name in ["restarted.json", "restarted.pb.gz"] {
        let mut bytes = Vec::new();
        match name.ends_with(".json") {
            true => heapsite::format::json::write(&restarted, &mut bytes).unwrap(),
            false => heapsite::format::pprof::write(&restarted, &mut bytes).unwrap(),
        }
        std::fs::write(scene.dir.path().join(name), bytes).unwrap();
        let verdict = scene.run(&["info", "held-base.json", name]).ok();
        assert!(verdict.contains("these are two processes"), "{verdict}");
    }
    let one = scene
        .run(&["info", "held-base.pb.gz", "held-now.json"])
        .ok();
    assert!(!one.contains("two processes"), "{one}");
    let turned = scene.run(&["info", "held-now.json", "held-base.json"]).ok();
    assert!(
        turned.contains("3m 20s before the base: the wrong way round?"),
        "{turned}"
    );
}
