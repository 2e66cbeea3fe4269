//! A program that calls heapsite and has no heapsite allocator: nothing may claim that something was recorded.
#![forbid(unsafe_code)]

use std::process::Command;

use heapsite::format::{Format, pprof};

/// Set: this test is the program that is looked at.
const PROGRAM: &str = "HEAPSITE_TEST_PROGRAM";

#[test]
fn init_says_so_once() {
    if std::env::var_os(PROGRAM).is_some() {
        drop(heapsite::init().unwrap());
        return;
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "init_says_so_once", "--nocapture"])
        .env(PROGRAM, "1")
        .env("HEAPSITE", "interval=1,signal=none")
        .output()
        .unwrap();
    assert!(output.status.success());
    let stderr = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<&str> = stderr.lines().collect();
    assert_eq!(lines.len(), 1, "{stderr}");
    assert!(
        lines[0].starts_with("heapsite: nothing is recorded")
            && lines[0].contains("#[global_allocator]"),
        "{stderr}"
    );
}

#[test]
fn an_interval_that_nobody_uses_is_none() {
    heapsite::set_sample_interval(1);
    heapsite::resume();
    assert_eq!(heapsite::sample_interval(), 0);
    let snapshot = heapsite::snapshot();
    assert!(snapshot.sites.is_empty());
    assert_eq!((snapshot.facts.interval, snapshot.facts.exact), (0, false));
    assert_eq!(snapshot.facts.process.forked_from, None);
    let mut bytes = Vec::new();
    Format::Pprof
        .write(&snapshot.to_address_profile(), &mut bytes)
        .unwrap();
    let comments = pprof::read(&bytes).unwrap().comments;
    let told = "heapsite: nothing was recorded: no heapsite allocator is installed in this program";
    assert!(comments.iter().any(|line| line == told), "{comments:?}");
}

#[test]
fn a_leak_check_says_so_instead_of_passing() {
    let check = heapsite::leak::LeakCheck::start();
    let report = check.find().unwrap_err();
    let text = report.to_string();
    assert!(
        text.starts_with("nothing was checked for leaks: no heapsite allocator is installed")
            && text.contains("#[global_allocator]"),
        "{text}"
    );
    std::panic::catch_unwind(|| heapsite::leak::LeakCheck::start().assert()).unwrap_err();
    std::panic::catch_unwind(|| drop(heapsite::leak::LeakCheck::start())).unwrap_err();
    std::panic::catch_unwind(|| heapsite::leak::assert_no_leaks! { 1 }).unwrap_err();
    std::panic::catch_unwind(|| heapsite::leak::assert_allocs!(<= 3, { 1 })).unwrap_err();
}
