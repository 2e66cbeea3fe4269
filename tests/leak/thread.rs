//! Threads that do not end, and what threads allocate.

use std::hint::black_box;
use std::sync::mpsc;
use std::thread;

use heapsite::leak::{LeakCheck, LeakReport, assert_no_leaks};

use crate::{blamed, hasty};

#[inline(never)]
fn start_worker() -> mpsc::Sender<()> {
    let (sender, receiver) = mpsc::channel();
    thread::Builder::new()
        .name("stuck-worker".to_owned())
        .spawn(move || {
            let scratch = black_box(vec![1u8; 333]);
            let _ = receiver.recv();
            drop(scratch);
        })
        .unwrap();
    sender
}

#[test]
fn a_thread_that_does_not_end_is_named_with_its_start() {
    let check = hasty().start();
    let sender = start_worker();
    // It is there from the moment it was made, and known from its first event on.
    thread::sleep(std::time::Duration::from_millis(100));
    let report = check.find().unwrap_err();
    assert_eq!(report.threads.len(), 1, "{report}");
    let worker = &report.threads[0];
    assert_eq!(worker.name, "stuck-worker");
    let started = worker.started.as_ref().expect("std tells where");
    assert_eq!(started.function, "leak::thread::start_worker", "{report}");
    drop(sender);
    LeakCheck::start().assert();
    let end = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while check.find().is_err() {
        assert!(std::time::Instant::now() < end, "it has been told to end");
    }
}

#[test]
fn a_thread_can_be_ignored_with_what_it_holds() {
    let check = hasty().ignore_thread("stuck-").start();
    let sender = start_worker();
    thread::sleep(std::time::Duration::from_millis(100));
    // The channel, which the sender is an end of, is held by the thread that waits for it.
    check.find().unwrap();
    drop(sender);
}

#[test]
fn a_thread_that_is_about_to_end_is_waited_for() {
    assert_no_leaks! {
        thread::spawn(|| thread::sleep(std::time::Duration::from_millis(60)));
    }
}

/// The report once no thread is left: `thread::scope` waits for what its threads do, not for their very end.
fn without_threads(check: &LeakCheck) -> LeakReport {
    let start = std::time::Instant::now();
    loop {
        let report = check.find().unwrap_err();
        if report.threads.is_empty() {
            return report;
        }
        assert!(start.elapsed().as_secs() < 60, "{report}");
    }
}

#[inline(never)]
fn forget_one(bytes: usize) {
    std::mem::forget(black_box(vec![1u8; bytes]));
}

/// Threads inherit the check, and so do threads of threads, scoped threads and threads that C makes.
#[test]
fn all_descendants_belong_to_the_check() {
    let check = hasty().start();
    thread::spawn(|| {
        forget_one(100);
        thread::spawn(|| forget_one(200)).join().unwrap();
    })
    .join()
    .unwrap();
    thread::scope(|scope| {
        scope.spawn(|| forget_one(300));
    });
    extern "C" fn in_c(_: *mut libc::c_void) -> *mut libc::c_void {
        forget_one(400);
        std::ptr::null_mut()
    }
    // SAFETY: a thread that is joined, and a function that takes nothing.
    unsafe {
        let mut thread = std::mem::zeroed();
        let status =
            libc::pthread_create(&mut thread, std::ptr::null(), in_c, std::ptr::null_mut());
        assert_eq!(status, 0);
        assert_eq!(libc::pthread_join(thread, std::ptr::null_mut()), 0);
    }
    let report = without_threads(&check);
    assert_eq!(report.heap_total(), (4, 1000), "{report}");
    assert!(
        blamed(&report)
            .iter()
            .all(|(name, ..)| *name == "leak::thread::forget_one"),
        "{report}"
    );
}

/// Checks within checks: the inner one's leaks are the outer one's, too, and a thread that outlives the inner one is
/// still the outer one's.
#[test]
fn checks_nest() {
    let outer = hasty().start();
    forget_one(10);
    let inner = hasty().start();
    forget_one(20);
    let report = inner.find().unwrap_err();
    assert_eq!(report.heap_total(), (1, 20), "{report}");
    let (go, wait) = mpsc::channel::<()>();
    let straggler = thread::spawn(move || {
        let _ = wait.recv();
        forget_one(30);
    });
    drop(inner);
    drop(go);
    straggler.join().unwrap();
    let report = without_threads(&outer);
    assert_eq!(report.heap_total(), (3, 60), "{report}");
}
