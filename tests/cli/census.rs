//! `tasks` and `threads`: counts survive every way in, and what cannot be is said.

use super::Scene;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpListener;

fn document(scene: &Scene, args: &[&str]) -> Value {
    serde_json::from_str(&scene.run(args).ok()).unwrap()
}

/// Count, state, function and maker of each row.
fn rows(document: &Value) -> Vec<(i64, String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let row = |row: &Value| {
        (
            row["count"].as_i64().unwrap(),
            text(&row["state"]),
            text(&row["function"]),
            text(&row["made_at"]),
        )
    };
    let mut rows: Vec<_> = document["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(row)
        .collect();
    rows.sort();
    rows
}

#[test]
fn a_list_of_tasks_is_the_same_by_way_of_pprof() {
    let scene = Scene::new();
    let list = document(&scene, &["tasks", "tasks-new.json", "--json"]);
    assert_eq!(list["heapsite"], "tasks");
    assert_eq!((&list["alive"], &list["ended"]), (&11.into(), &40.into()));
    assert_eq!(list["unlisted"], 2);
    for file in ["tasks.pb.gz", "tasks-profile.json"] {
        scene.run(&["convert", "tasks-new.json", "-o", file]).ok();
        let profile = document(&scene, &["tasks", file, "--json"]);
        assert_eq!(profile["alive"], 11, "{file}");
        assert_eq!(profile["ended"], Value::Null, "{file}");
        let waiting = |(count, state, function, made): &(i64, String, String, String)| {
            let told = (*count, state.as_str(), function.as_str(), made.as_str());
            told == (
                6,
                "waiting",
                "shop::refresh::run::{{closure}}",
                "src/api.rs:42:9",
            )
        };
        assert!(rows(&list).iter().any(waiting), "{list}");
        assert!(rows(&profile).iter().any(waiting), "{profile}");
        let by_spawn = |input| {
            let spawn = document(&scene, &["tasks", input, "--by", "spawn", "--json"]);
            let rows = rows(&spawn).into_iter();
            rows.map(|(count, _, _, made)| (count, made))
                .collect::<Vec<_>>()
        };
        assert_eq!(by_spawn(file), by_spawn("tasks-new.json"));
    }
    let piped: Value =
        serde_json::from_str(&scene.pipe(&["tasks", "-", "--json"], "tasks-new.json").ok())
            .unwrap();
    assert_eq!(rows(&piped), rows(&list));
}

#[test]
fn growth_of_tasks_is_exact_and_can_fail_a_check() {
    let scene = Scene::new();
    let args = ["diff", "tasks-base.json", "tasks-new.json"];
    let diff = document(&scene, &[&args[..], &["--json"]].concat());
    assert_eq!(diff["total"]["growth"], 4);
    assert_eq!(diff["total"]["verdict"], "exact");
    assert_eq!(diff["total"]["p"], Value::Null);
    let failed = scene.run(&[&args[..], &["--fail-on-growth"]].concat());
    assert_eq!(failed.code, Some(1));
    // The other way round nothing grew.
    let args = [
        "diff",
        "tasks-new.json",
        "tasks-base.json",
        "--fail-on-growth",
    ];
    assert_eq!(scene.run(&args).code, Some(0));
}

#[test]
fn go_texts_are_counted() {
    let scene = Scene::new();
    let counted = document(&scene, &["tasks", "goroutines-new.txt", "--json"]);
    assert_eq!(counted["alive"], 6);
    let blocks = document(&scene, &["tasks", "goroutines.txt", "--json"]);
    let worker = (
        2,
        "select".to_owned(),
        "main.(*Pool).work".to_owned(),
        "main.(*Pool).start /src/shop/pool.go:9".to_owned(),
    );
    assert!(rows(&blocks).contains(&worker), "{blocks}");
}

#[test]
fn the_threads_of_any_process_by_its_number() {
    let scene = Scene::new();
    let (stop, wait) = std::sync::mpsc::channel::<()>();
    let waits = std::thread::Builder::new()
        .name("census-waits".to_owned())
        .spawn(move || wait.recv())
        .unwrap();
    let pid = std::process::id().to_string();
    // A thread names itself when it starts.
    let threads = loop {
        let threads = document(
            &scene,
            &["threads", &pid, "--by", "name", "-n", "1000", "--json"],
        );
        let rows = threads["rows"].as_array().unwrap();
        if rows.iter().any(|row| row["name"] == "census-waits") {
            break threads;
        }
    };
    assert_eq!(threads["heapsite"], "threads");
    let text = scene.run(&["threads", &pid, "--width", "100"]).ok();
    assert!(
        text.contains("asked from outside, so without stacks"),
        "{text}"
    );
    drop(stop);
    let _ = waits.join().unwrap();
}

/// heapsite's own list first, and where a service does not have it, the profile that Go's has.
#[test]
fn a_service_is_asked_for_what_it_has() {
    let scene = Scene::new();
    let tasks = "tasks-new.json";
    for (command, path, before, file, alive) in [
        ("tasks", "/debug/heapsite/api/tasks", 0, tasks, 11),
        (
            "threads",
            "/debug/heapsite/api/threads",
            0,
            "threads.json",
            4,
        ),
        (
            "tasks",
            "/debug/pprof/goroutine",
            1,
            "goroutines-new.txt",
            6,
        ),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let body = std::fs::read(scene.dir.path().join(file)).unwrap();
        let server = std::thread::spawn(move || {
            let answer = |status: &str, body: &[u8]| {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 1024];
                let length = stream.read(&mut request).unwrap();
                let head = format!(
                    "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n",
                    body.len()
                );
                stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
                String::from_utf8_lossy(&request[..length]).into_owned()
            };
            for _ in 0..before {
                answer("404 Not Found", b"");
            }
            answer("200 OK", &body)
        });
        let list = document(&scene, &[command, &url, "--json"]);
        let request = server.join().unwrap();
        assert!(request.starts_with(&format!("GET {path} ")), "{request}");
        assert_eq!(list["alive"], alive);
    }
}

#[test]
fn what_is_no_list_says_what_it_is() {
    let scene = Scene::new();
    for (args, said) in [
        (
            ["threads", "tasks-new.json"],
            "no threads in it; it has goroutine",
        ),
        (
            ["tasks", "threads.json"],
            "no tasks in it; it has threadcreate",
        ),
        (
            ["threads", "new.json"],
            "no threads in it; it has alloc_objects",
        ),
        // The largest number that Linux gives is 4194304.
        (
            ["threads", "4194305"],
            "cannot list the threads of process 4194305",
        ),
    ] {
        let error = scene.run(&args).refused();
        assert!(error.contains(said), "{error}");
    }
    let text = std::fs::read_to_string(scene.dir.path().join("tasks-new.json")).unwrap();
    std::fs::write(scene.dir.path().join("half.json"), &text[..text.len() / 2]).unwrap();
    let error = scene.run(&["tasks", "half.json"]).refused();
    assert!(
        error.contains("half.json: not a whole list of tasks"),
        "{error}"
    );
}
