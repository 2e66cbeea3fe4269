//! Tracked tasks that do not end. Each test in a process of its own: their runtimes remember where tasks were.

use std::future::pending;
use std::time::Duration;

use heapsite::leak::{LeakCheck, LeakReport, LeakedTasks, Options, assert_no_leaks};
use heapsite::task;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;

use crate::alone::alone;
use crate::hasty;

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

/// Waits for what nobody sends.
#[inline(never)]
async fn serve(mut orders: mpsc::Receiver<Vec<u8>>) {
    let scratch = vec![1u8; 5000];
    while let Some(order) = orders.recv().await {
        std::hint::black_box((&scratch, order));
    }
}

/// The line of the spawn, and the sender that keeps the task waiting.
#[inline(never)]
fn spawn_server(name: &str) -> (u32, mpsc::Sender<Vec<u8>>) {
    let (sender, receiver) = mpsc::channel(1);
    let task = task::Builder::new().name(name).track(serve(receiver));
    tokio::spawn(task);
    (line!() - 2, sender)
}

fn only(report: &LeakReport) -> &LeakedTasks {
    assert_eq!(report.tasks.len(), 1, "{report}");
    &report.tasks[0]
}

/// Who it is, who made it, where it waits, and what it holds.
fn is_told_whole(report: &LeakReport, line: u32) {
    let leaked = only(report);
    assert_eq!((leaked.count, &*leaked.state), (1, "waiting"), "{report}");
    assert_eq!(leaked.names, ["orders"]);
    assert!(leaked.future.contains("leak::tasks::serve"), "{report}");
    let place = format!("tests/leak/tasks.rs:{line}:");
    assert!(leaked.spawned_at.starts_with(&place), "{report}");
    assert_eq!(leaked.stack[0].function, "leak::tasks::spawn_server");
    let waits = &leaked.awaits[0];
    assert!(waits[0].function.contains("tokio::sync::mpsc"), "{report}");
    assert!(waits[0].function.contains("::recv"), "{report}");
    let serve = waits.iter().find(|it| it.function.contains("::serve"));
    assert!(serve.is_some_and(|it| it.line > 0), "{report}");
    // Its cell, its buffer: told with it, and not as further leaks.
    assert!(report.heap.is_empty(), "{report}");
    assert!(leaked.holds_bytes > 5000, "{report}");
    let text = report.to_string();
    assert!(text.starts_with("1 leak: 1 task\n"), "{text}");
    assert!(text.contains("task `orders` spawned at tests/"), "{text}");
    assert!(text.contains("waits at tokio::sync::mpsc"), "{text}");
    let json = serde_json::to_value(report).unwrap();
    assert_eq!(json["tasks"][0]["spawned_at"], *leaked.spawned_at);
    assert!(json["tasks"][0]["awaits"][0][0]["function"].is_string());
}

#[test]
fn a_task_that_does_not_end_is_named() {
    alone("tasks::a_task_that_does_not_end_is_named", || {
        let runtime = runtime();
        let check = hasty().start();
        let (line, sender) = runtime.block_on(async {
            let spawned = spawn_server("orders");
            tokio::task::yield_now().await;
            spawned
        });
        let report = check.find().unwrap_err();
        is_told_whole(&report, line);
        drop(report);
        // And not once it is told to end.
        drop(sender);
        runtime.block_on(async { tokio::task::yield_now().await });
        check.find().unwrap();
    });
}

#[test]
fn tasks_that_end_are_no_leak() {
    alone("tasks::tasks_that_end_are_no_leak", || {
        let runtime = runtime();
        runtime.block_on(async {
            assert_no_leaks!(async {
                let aborted = tokio::spawn(task::track(pending::<()>()));
                tokio::task::yield_now().await;
                aborted.abort();
                drop(tokio::spawn(task::track(async { vec![1u8; 100] })));
                drop(task::track(pending::<()>()));
                let panics = task::track(async { panic!("on purpose") });
                drop(tokio::spawn(panics));
            });
        });
    });
}

#[test]
fn a_task_that_is_about_to_end_is_waited_for() {
    alone("tasks::a_task_that_is_about_to_end_is_waited_for", || {
        assert_no_leaks! {
            let runtime = Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
            runtime.spawn(task::track(async {
                tokio::time::sleep(Duration::from_millis(60)).await;
            }));
            runtime.shutdown_timeout(Duration::ZERO);
        }
    });
}

#[test]
fn never_polled_and_many() {
    alone("tasks::never_polled_and_many", || {
        let check = hasty().start();
        let tasks: Vec<_> = (0..7).map(|_| task::track(pending::<()>())).collect();
        let report = check.find().unwrap_err();
        let leaked = only(&report);
        assert_eq!((leaked.count, &*leaked.state), (7, "never polled"));
        assert_eq!(report.task_count(), 7);
        check.ignore_current();
        check.find().unwrap();
        let one = task::track(pending::<()>());
        assert_eq!(check.find().unwrap_err().task_count(), 1);
        drop((tasks, one));
        check.find().unwrap();
    });
}

#[test]
fn tasks_can_be_ignored_with_what_they_hold() {
    alone("tasks::tasks_can_be_ignored_with_what_they_hold", || {
        let runtime = runtime();
        let ignoring = [
            hasty().ignore_task("ord"),
            hasty().ignore_task("tests/leak/tasks.rs:"),
            hasty().ignore("leak::tasks::serve"),
            hasty().ignore("leak::tasks::spawn_server"),
        ];
        let others = [hasty().ignore_task("mail"), hasty().tasks(false)];
        let ignoring = ignoring.map(Options::start);
        let [other_name, none] = others.map(Options::start);
        let sender = runtime.block_on(async {
            let spawned = spawn_server("orders");
            tokio::task::yield_now().await;
            spawned.1
        });
        // Innermost first: what an inner check sees is the outer one's, too.
        let report = none.find().unwrap_err();
        assert!(
            report.tasks.is_empty() && !report.heap.is_empty(),
            "{report}"
        );
        assert_eq!(other_name.find().unwrap_err().task_count(), 1);
        for check in ignoring.iter().rev() {
            check.find().unwrap();
        }
        drop(sender);
        drop(runtime);
        // Innermost first, as they must end.
        drop((none, other_name));
        ignoring.into_iter().rev().for_each(drop);
    });
}

/// One process, tests side by side, a runtime that all share: whose task it is does not depend on who polls it.
#[test]
fn neighbours_are_not_accused() {
    alone("tasks::neighbours_are_not_accused", || {
        let shared = Builder::new_multi_thread()
            .worker_threads(2)
            .build()
            .unwrap();
        std::thread::scope(|scope| {
            for test in 0..8 {
                let shared = &shared;
                scope.spawn(move || {
                    for _ in 0..20 {
                        one_test(shared, test % 2 == 0);
                    }
                });
            }
        });
    });
}

/// A test that leaves its grandchild behind, or none, on a runtime that is older than its check.
fn one_test(shared: &Runtime, leaves: bool) {
    let check = hasty().start();
    let (told, wait) = std::sync::mpsc::channel();
    let (keep, mut until) = mpsc::channel::<()>(1);
    let child = shared.spawn(task::track(async move {
        // Made on a worker, which is in no check.
        let grandchild = task::Builder::new().name("grandchild");
        let grandchild = tokio::spawn(grandchild.track(async move { until.recv().await }));
        told.send(()).unwrap();
        grandchild.await.unwrap()
    }));
    wait.recv().unwrap();
    if leaves {
        let report = check.find().unwrap_err();
        assert_eq!(report.task_count(), 2, "{report}");
        let names: Vec<_> = report.tasks.iter().flat_map(|it| &it.names).collect();
        assert_eq!(names, ["grandchild"], "{report}");
    }
    drop(keep);
    shared.block_on(child).unwrap();
    // `child` is ready a moment before its future is dropped; so not hasty.
    let start = std::time::Instant::now();
    while check.find().is_err_and(|report| report.task_count() > 0) {
        assert!(start.elapsed().as_secs() < 60, "{:?}", check.find());
    }
}

#[test]
fn alive_at_exit() {
    let this = "tasks::alive_at_exit";
    if !crate::alone::is(this) {
        let output = crate::alone::run_test(this, this);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(101), "{text}");
        assert!(
            text.contains("heapsite: at exit: 1 leak: 1 task\n"),
            "{text}"
        );
        return assert!(text.contains("task `orders` spawned at tests/"), "{text}");
    }
    hasty().verify_at_exit();
    let runtime = runtime();
    // A service that ends without stopping its workers.
    runtime.block_on(async {
        let _kept = spawn_server("orders");
        tokio::task::yield_now().await;
        std::process::exit(0);
    });
}

/// Without tracking there is no task to tell of, and all else is as it was.
#[test]
fn untracked_tasks_are_told_by_their_memory() {
    alone("tasks::untracked_tasks_are_told_by_their_memory", || {
        let runtime = runtime();
        let check = LeakCheck::start();
        runtime.block_on(async {
            tokio::spawn(pending::<()>());
            tokio::task::yield_now().await;
        });
        let report = check.find().unwrap_err();
        assert!(
            report.tasks.is_empty() && report.heap.len() == 1,
            "{report}"
        );
        let cell = report.heap[0].task.as_ref().expect("its cell is known");
        assert_eq!(cell.runtime, "tokio");
        assert!(
            cell.spawned_at.file.ends_with("tests/leak/tasks.rs"),
            "{report}"
        );
        let text = report.to_string();
        assert!(text.contains(": a task of tokio"), "{text}");
        assert!(
            text.contains(", spawned at leak::tasks::untracked"),
            "{text}"
        );
        drop((text, report));
        drop(runtime);
        check.find().unwrap();
    });
}
