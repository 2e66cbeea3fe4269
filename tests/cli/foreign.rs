//! Profiles of other programs, in the shapes they have.
#![forbid(unsafe_code)]

use super::Scene;
use super::fixtures::value_type;
use heapsite::Profile;
use heapsite::format::pprof;
use heapsite::profile::{
    Function, FunctionId, Line, Location, LocationId, Mapping, MappingId, Sample,
};
use serde_json::Value;

/// What `jemalloc_pprof` writes: one sample type, addresses as in the file, everything from 0 on mapped.
fn jemalloc(rows: &[(&str, i64)], period: i64) -> Profile {
    let mut profile = Profile::default();
    profile.sample_types = vec![value_type("inuse_space", "bytes")];
    profile.period_type = Some(value_type("space", "bytes"));
    profile.period = period;
    let mut mapping = Mapping::default();
    (mapping.limit, mapping.file) = (u64::MAX, "/srv/bin/shop".into());
    mapping.build_id = "abcdef".into();
    profile.mappings.push(mapping);
    for (id, &(name, bytes)) in (0u32..).zip(rows) {
        let mut function = Function::default();
        (function.name, function.filename) = (name.into(), "/home/dev/shop/src/main.rs".into());
        profile.functions.push(function);
        let mut location = Location::default();
        (location.mapping, location.address) = (Some(MappingId(0)), 0x1000 + u64::from(id));
        location.lines = vec![Line {
            function: FunctionId(id),
            line: 7,
            column: 0,
        }];
        profile.locations.push(location);
        let mut sample = Sample::default();
        (sample.locations, sample.values) = (vec![LocationId(id)], vec![bytes]);
        profile.samples.push(sample);
    }
    profile
}

fn write(scene: &Scene, name: &str, profile: &Profile) {
    let mut bytes = Vec::new();
    pprof::write(profile, &mut bytes).unwrap();
    std::fs::write(scene.dir.path().join(name), bytes).unwrap();
}

fn json(scene: &Scene, args: &[&str]) -> Value {
    serde_json::from_str(&scene.run(args).ok()).unwrap()
}

#[test]
fn one_sample_type_is_enough() {
    const RATE: i64 = 512 << 10;
    let scene = Scene::new();
    write(
        &scene,
        "base.pb.gz",
        &jemalloc(&[("shop::load", 64 << 20), ("shop::cache", 32 << 20)], RATE),
    );
    write(
        &scene,
        "new.pb.gz",
        &jemalloc(
            &[("shop::load", 64 << 20), ("shop::cache", 256 << 20)],
            RATE,
        ),
    );
    let top = json(&scene, &["top", "base.pb.gz", "--json"]);
    assert_eq!(top["total"]["value"], 96 << 20);
    assert_eq!(top["quality"]["errors"], "derived");
    // At most bytes × rate.
    let bound = ((64 << 20) as f64 * RATE as f64).sqrt();
    let error = top["rows"][0]["flat"]["standard_error"].as_f64().unwrap();
    assert!((error / bound - 1.0).abs() < 1e-9, "{error} is not {bound}");

    let diff = json(&scene, &["diff", "base.pb.gz", "new.pb.gz", "--json"]);
    assert_eq!(diff["rows"][0]["growth"], 224 << 20);
    assert_eq!(diff["rows"][0]["name"], "shop::cache");
    assert_eq!(diff["rows"][0]["verdict"], "significant");
    assert_eq!(diff["rows"][1]["growth"], 0);
    assert_eq!(diff["rows"][1]["verdict"], "within noise");
    let info = json(&scene, &["info", "base.pb.gz", "--json"]);
    assert_eq!(info["values"][0]["total"]["value"], 96 << 20);
}

#[test]
fn without_a_period_there_are_values_and_no_errors() {
    let scene = Scene::new();
    write(&scene, "base.pb.gz", &jemalloc(&[("shop::load", 1000)], 0));
    write(&scene, "new.pb.gz", &jemalloc(&[("shop::load", 1500)], 0));
    let diff = json(&scene, &["diff", "base.pb.gz", "new.pb.gz", "--json"]);
    assert_eq!(diff["quality"]["new"]["errors"], "unknown");
    assert_eq!(diff["rows"][0]["growth"], 500);
    assert_eq!(diff["rows"][0]["verdict"], "unknown");
    for command in ["top", "info"] {
        scene.run(&[command, "new.pb.gz"]).ok();
    }
}

/// What stripping leaves: some exported names, and stopgaps for the rest.
#[test]
fn a_stripped_program_is_told_where_to_get_names() {
    let scene = Scene::new();
    let named = [
        ("shop::load", 1000),
        ("shop+0x1001", 10),
        ("shop+0x1002", 5),
    ];
    let mut stripped = jemalloc(&named, 1);
    for function in &mut stripped.functions[1..] {
        function.filename.clear();
    }
    write(&scene, "stripped.pb.gz", &stripped);
    let done = scene.run(&["top", "stripped.pb.gz"]);
    assert!(
        done.stderr
            .contains("2 of 3 addresses of shop have no names")
            && done.stderr.contains("heapsite symbolize"),
        "{}",
        done.stderr
    );
    write(&scene, "named.pb.gz", &jemalloc(&named[..2], 1));
    assert_eq!(scene.run(&["top", "named.pb.gz"]).stderr, "");
}
