//! `goroutine` and `threadcreate`: tasks and threads, in Go's forms and in ours.

use std::time::Duration;

use heapsite::Profile;
use heapsite::http::serve;
use heapsite::thread::Threads;

use crate::client::{Answer, get};

fn profile(answer: &Answer) -> Profile {
    assert_eq!(answer.status, 200, "{}", answer.text());
    heapsite::format::read(&answer.body).unwrap()
}

/// How many a profile has in a function.
fn in_function(profile: &Profile, function: &str) -> i64 {
    let is_there = |sample: &&heapsite::profile::Sample| {
        let locations = sample.locations.iter();
        let mut lines = locations.flat_map(|id| &profile.locations[id.0 as usize].lines);
        lines.any(|line| {
            profile.functions[line.function.0 as usize]
                .name
                .contains(function)
        })
    };
    let samples = profile.samples.iter().filter(is_there);
    samples.map(|sample| sample.values[0]).sum()
}

#[inline(never)]
fn waits_at_the_gate(gate: &std::sync::mpsc::Receiver<()>) {
    let _ = std::hint::black_box(gate.recv());
}

#[test]
fn threads_in_every_form() {
    let (open, gate) = std::sync::mpsc::channel::<()>();
    let waits = std::thread::Builder::new().name("gate-1".to_owned());
    let waits = waits.spawn(move || waits_at_the_gate(&gate)).unwrap();
    let server = serve("127.0.0.1:0").unwrap();
    let ask = |path: &str| get(server.address(), path);
    // A moment until it is there.
    let found = loop {
        let answer = ask("/debug/pprof/threadcreate");
        assert_eq!(
            answer.header("content-disposition"),
            "attachment; filename=\"threadcreate\""
        );
        let profile = profile(&answer);
        if in_function(&profile, "waits_at_the_gate") == 1 {
            break profile;
        }
    };
    assert_eq!(found.sample_types[0].kind, "threadcreate");
    assert_eq!((found.period, found.sample_types.len()), (1, 1));

    let text = ask("/debug/pprof/threadcreate?debug=1").text().to_owned();
    assert!(text.starts_with("threadcreate profile: total "), "{text}");
    assert!(text.contains("waits_at_the_gate+0x0\t"), "{text}");
    assert!(text.contains("\"thread\":\"gate\""), "{text}");
    let text = ask("/debug/pprof/threadcreate?debug=2").text().to_owned();
    assert!(text.contains("named gate-1\n"), "{text}");

    let json = ask("/debug/heapsite/api/threads");
    assert_eq!(json.header("content-type"), "application/json");
    let threads = Threads::read_json(&json.body).unwrap();
    assert_eq!(threads.pid, std::process::id());
    assert!(threads.threads.iter().any(|thread| thread.name == "gate-1"));

    // What ends during a window is below zero.
    let ends = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(500));
        drop(open);
        waits.join().unwrap();
    });
    let delta = ask("/debug/pprof/threadcreate?seconds=5");
    assert_eq!(
        delta.header("content-disposition"),
        "attachment; filename=\"threadcreate-delta\""
    );
    ends.join().unwrap();
    assert!(in_function(&profile(&delta), "waits_at_the_gate") <= 0);
    assert_eq!(
        ask("/debug/pprof/threadcreate?seconds=1&debug=1").status,
        400
    );
}

#[cfg(feature = "task")]
#[test]
fn tasks_in_every_form() {
    use heapsite::task::{Builder, Tasks};

    async fn waits_for_ever() {
        std::future::poll_fn(|context| {
            // As a leaf does that means to wake its task.
            drop(context.waker().clone());
            std::task::Poll::<()>::Pending
        })
        .await;
    }

    let mut tasks: Vec<_> = (0..7)
        .map(|number| {
            let name = format!("census {number}");
            Box::pin(Builder::new().name(name).track(waits_for_ever()))
        })
        .collect();
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    for task in &mut tasks {
        assert!(task.as_mut().poll(&mut context).is_pending());
    }
    let server = serve("127.0.0.1:0").unwrap();
    let ask = |path: &str| get(server.address(), path);
    let found = profile(&ask("/debug/pprof/goroutine"));
    assert_eq!(found.sample_types[0].kind, "goroutine");
    assert_eq!(in_function(&found, "waits_for_ever"), 7);
    let text = ask("/debug/pprof/goroutine?debug=1").text().to_owned();
    assert!(text.starts_with("goroutine profile: total "), "{text}");
    assert!(text.contains("\n7 @ 0x"), "{text}");
    let text = ask("/debug/pprof/goroutine?debug=2").text().to_owned();
    assert!(text.contains("7 tasks waiting, alive for "), "{text}");
    let all = Tasks::read_json(&ask("/debug/heapsite/api/tasks").body).unwrap();
    let mine = all
        .tasks
        .iter()
        .filter(|task| task.name.starts_with("census "));
    assert_eq!(mine.count(), 7);
    let index = ask("/debug/pprof/").text().to_owned();
    assert!(index.contains("by where each waits. 7 now."), "{index}");
    assert!(
        index.contains("<a href=\"goroutine?debug=2\">as text</a>"),
        "{index}"
    );
}

#[cfg(not(feature = "task"))]
#[test]
fn without_the_feature_tasks_are_none() {
    let server = serve("127.0.0.1:0").unwrap();
    let answer = get(server.address(), "/debug/pprof/goroutine");
    assert!(profile(&answer).samples.is_empty());
}
