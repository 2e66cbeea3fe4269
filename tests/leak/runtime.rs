//! Tokio: around `block_on`, and within `#[tokio::test]`.

use std::hint::black_box;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use heapsite::leak::{LeakCheck, assert_no_leaks};

use crate::alone::alone;
use crate::hasty;

/// The first runtime of a process makes Tokio's table of signals and a socket pair.
fn work(runtime: &tokio::runtime::Runtime) {
    runtime.block_on(async {
        let tasks: Vec<_> = (0..20)
            .map(|n| tokio::spawn(async move { vec![1u8; n * 10].len() }))
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        tokio::task::spawn_blocking(|| drop(black_box(vec![1u8; 100])))
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
    });
}

#[test]
fn a_runtime_inside_leaves_nothing() {
    for _ in 0..3 {
        assert_no_leaks! {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            work(&runtime);
        }
        assert_no_leaks! {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            work(&runtime);
        }
    }
}

#[test]
fn a_leak_in_a_task_on_another_thread_is_found() {
    let check = hasty().start();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        tokio::spawn(async { std::mem::forget(black_box(vec![1u8; 4321])) })
            .await
            .unwrap();
    });
    drop(runtime);
    let report = check.find().unwrap_err();
    assert_eq!(report.heap_total(), (1, 4321), "{report}");
}

#[test]
fn a_forgotten_runtime_is_found_with_its_threads() {
    alone(
        "runtime::a_forgotten_runtime_is_found_with_its_threads",
        || {
            let check = hasty().start();
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .unwrap();
            // A thread is known from its first event on: both have one, since each waits for the other in its task.
            let both = Arc::new(Barrier::new(2));
            let tasks = [(); 2].map(|()| {
                let both = Arc::clone(&both);
                runtime.spawn(async move {
                    both.wait();
                    drop(black_box(vec![1u8; 100]));
                    both.wait();
                })
            });
            runtime.block_on(async {
                for task in tasks {
                    task.await.unwrap();
                }
            });
            std::mem::forget(runtime);
            let report = check.find().unwrap_err();
            assert_eq!(report.threads.len(), 2, "{report}");
            let held: u64 = report
                .threads
                .iter()
                .map(|thread| thread.holds_objects)
                .sum();
            assert!(held + report.heap_total().0 > 0, "{report}");
        },
    );
}

static RUNTIME: std::sync::OnceLock<tokio::runtime::Runtime> = std::sync::OnceLock::new();

#[test]
fn a_runtime_in_a_static_is_no_leak() {
    alone("runtime::a_runtime_in_a_static_is_no_leak", || {
        assert_no_leaks! {
            let runtime = RUNTIME.get_or_init(|| {
                tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
            });
            work(runtime);
        }
        assert_no_leaks! { work(RUNTIME.get().unwrap()); }
    });
}

#[tokio::test]
async fn within_a_test_on_one_thread() {
    assert_no_leaks!(async {
        let (sender, mut receiver) = tokio::sync::mpsc::channel::<String>(4);
        // Ends only once it is polled again, after the sender is gone.
        tokio::spawn(async move { while receiver.recv().await.is_some() {} });
        sender.send("one".to_owned()).await.unwrap();
    });
}

#[test]
fn a_task_that_does_not_end_is_found() {
    alone("runtime::a_task_that_does_not_end_is_found", || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().build().unwrap().block_on(async {
            let check = LeakCheck::start();
            let (sender, mut receiver) = tokio::sync::mpsc::channel::<String>(4);
            let task = tokio::spawn(async move { while receiver.recv().await.is_some() {} });
            tokio::task::yield_now().await;
            let report = check.find().unwrap_err();
            assert!(report.heap_total().0 > 0, "{report}");
            drop(sender);
            task.await.unwrap();
            check.settle().await;
            check.assert();
        });
    });
}

/// The workers are older than the check: it says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn older_workers_are_told() {
    let check = hasty().start();
    std::mem::forget(black_box(vec![1u8; 10]));
    let report = check.find().unwrap_err();
    let is_told = |note: &String| note.contains("put the check around the runtime");
    assert!(report.notes.iter().any(is_told), "{report}");
}
