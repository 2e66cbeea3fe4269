//! `heapsite info` of what is left of a process.

use super::{Scene, golden};

/// As the helper thread writes it; times lie in the past, and the process is not there.
fn state(ended: &str) -> String {
    let look = |minute: i64, mib: i64| {
        format!(
            r#"{{"time_nanos":{},"rss_bytes":{},"live_bytes":{}.0,"live_error_bytes":1048576.0,"group_bytes":{},"group_limit_bytes":536870912}}"#,
            1_764_000_000_000_000_000 + minute * 60_000_000_000,
            (mib + 20) << 20,
            mib << 20,
            (mib + 25) << 20,
        )
    };
    let dump = |number: u32, reason: &str, named: bool, minute, mib| {
        format!(
            r#"{{"file":"heapsite.7.{number}.pb.gz","reason":"{reason}","named":{named},"look":{}}}"#,
            look(minute, mib)
        )
    };
    let looks: Vec<String> = (0..10)
        .map(|minute| look(minute, 300 + 20 * minute))
        .collect();
    format!(
        r#"{{"format":"heapsite-state","version":1,"sequence":9,"pid":7,"executable":"/srv/shop","start_time_nanos":1763990000000000000,"boot_id":"another","interval":524288,"ended":{ended},"last":{},"worst":{},"looks":[{}],"spacing_seconds":60,"dumps":[{},{},{}]}}
"#,
        look(9, 480),
        look(9, 480),
        looks.join(","),
        dump(2, "peak", true, 1, 320),
        dump(9, "near-limit", false, 9, 480),
        dump(8, "throttled", true, 8, 460),
    )
}

fn write(scene: &Scene, name: &str, text: &str) {
    std::fs::write(scene.dir.path().join(name), text).unwrap();
}

#[test]
fn a_killed_process_and_what_to_do_next() {
    let scene = Scene::new();
    write(&scene, "heapsite.7.1.state", &state("null"));
    golden::check_in(&scene, "info_killed", "info heapsite.7.1.state");
}

#[test]
fn one_that_ended_in_order() {
    let scene = Scene::new();
    write(&scene, "heapsite.7.1.state", &state("\"in-order\""));
    let text = scene.run(&["info", "heapsite.7.1.state"]).ok();
    assert!(text.contains("It ended in good order "), "{text}");
    let json = scene.run(&["info", "--json", "heapsite.7.1.state"]).ok();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["fate"], "in-order");
    assert_eq!(json["state"]["dumps"][1]["reason"], "near-limit");
}

#[test]
fn other_commands_say_what_it_is() {
    let scene = Scene::new();
    write(&scene, "heapsite.7.1.state", &state("null"));
    let done = scene.run(&["top", "heapsite.7.1.state"]);
    assert_eq!(done.code, Some(2));
    assert!(
        done.stderr.contains("`heapsite info` reads it"),
        "{}",
        done.stderr
    );
    write(&scene, "torn", &state("null")[..500]);
    let done = scene.run(&["info", "torn"]);
    assert_eq!(done.code, Some(2));
    assert!(
        done.stderr.contains("torn: no whole state in it"),
        "{}",
        done.stderr
    );
}
