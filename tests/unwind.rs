//! The unwinder against libgcc's, frame by frame, and against gimli's, row by row; and what it may not do.
//!
//! Anything that could end a process or depends on process-wide state runs in a process of its own.
#![cfg(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu"))]

#[path = "unwind/asm.rs"]
mod asm;
#[path = "unwind/compare.rs"]
mod compare;
#[path = "unwind/limits.rs"]
mod limits;
#[path = "unwind/scenarios.rs"]
mod scenarios;
#[path = "unwind/tables.rs"]
mod tables;

use compare::*;
use std::sync::atomic::Ordering::SeqCst;

#[global_allocator]
static HEAP: Comparing = Comparing;

/// True in a fresh process that runs only the test `name`; elsewhere starts that process and passes its verdict on.
fn alone(name: &str) -> bool {
    const KEY: &str = "HEAPSITE_TEST_ALONE";
    if std::env::var_os(KEY).is_some() {
        // SAFETY: alarm has no preconditions. A generous watchdog: hanging fails instead of blocking CI.
        unsafe { libc::alarm(600) };
        return true;
    }
    let exe = std::env::current_exe().unwrap();
    let out = std::process::Command::new(exe)
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(KEY, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stdout) + String::from_utf8_lossy(&out.stderr);
    println!("{text}");
    assert!(
        out.status.success() && text.contains("1 passed"),
        "{name}: {}",
        out.status
    );
    false
}

fn report(what: &str) {
    println!(
        "{what}: {} stacks, {} frames, {} with a signal frame, {} at the depth limit, {} cut otherwise, {} different",
        STACKS.load(SeqCst),
        FRAMES.load(SeqCst),
        SIGNALS.load(SeqCst),
        DEPTH.load(SeqCst),
        CUT.load(SeqCst),
        DIFFERENT.load(SeqCst),
    );
}

#[test]
fn identical_to_libgcc() {
    if !alone("identical_to_libgcc") {
        return;
    }
    ON.store(true, SeqCst);
    while STACKS.load(SeqCst) < 210_000 {
        scenarios::all();
    }
    ON.store(false, SeqCst);
    report("at allocations");
    assert!(STACKS.load(SeqCst) >= 200_000);
    assert!(SIGNALS.load(SeqCst) >= 1_000 && DEPTH.load(SeqCst) * 10 < STACKS.load(SeqCst));
    assert_eq!((DIFFERENT.load(SeqCst), CUT.load(SeqCst)), (0, 0));
}

/// Captures that go on from the thread's last one: the same frames, of which most were not walked again.
#[test]
fn identical_when_going_on_from_the_last() {
    if !alone("identical_when_going_on_from_the_last") {
        return;
    }
    AGAIN.store(true, SeqCst);
    ON.store(true, SeqCst);
    while STACKS.load(SeqCst) < 210_000 {
        scenarios::all();
    }
    ON.store(false, SeqCst);
    scenarios::timer(1_000);
    report("going on from the last");
    let (frames, again) = (
        FRAMES.load(SeqCst),
        heapsite::internals::unwind::RESUMED.load(SeqCst),
    );
    println!("{again} of {frames} frames were not walked again");
    assert!(SIGNALS.load(SeqCst) >= 1_000 && again > frames / 3);
    assert_eq!(DIFFERENT.load(SeqCst), 0);
}

/// The list of our own that stands in for `_dl_find_object` before glibc 2.35.
#[test]
fn identical_with_an_older_c_library() {
    if !alone("identical_with_an_older_c_library") {
        return;
    }
    heapsite::internals::unwind::pretend_old_c_library();
    ON.store(true, SeqCst);
    while STACKS.load(SeqCst) < 20_000 {
        scenarios::all();
    }
    ON.store(false, SeqCst);
    report("with our own list of objects");
    assert_eq!((DIFFERENT.load(SeqCst), CUT.load(SeqCst)), (0, 0));
}

#[test]
fn identical_at_any_instruction() {
    if !alone("identical_at_any_instruction") {
        return;
    }
    scenarios::timer(3_000);
    report("at timer interrupts");
    assert!(SIGNALS.load(SeqCst) >= 3_000);
    assert_eq!(DIFFERENT.load(SeqCst), 0);
}
