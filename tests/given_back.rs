//! Symbolising reads the debug information of everything that is mapped: what that took is given back at the end, after
//! dumps as well. Alone in its file, because the process's memory is measured. `tests/scenarios` asks the same of other
//! allocators.
#![cfg(all(target_os = "linux", target_env = "gnu"))]

use heapsite::Heapsite;
use heapsite::format::Format;

#[global_allocator]
static HEAP: Heapsite = Heapsite::system().sample_interval(256);

/// What may stay: the profile itself, and code that has run.
const BOUND: u64 = 2 << 20;

/// A `kB` line of a file about this process, bytes.
fn memory(file: &str, key: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/self/{file}")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    let kib = line.and_then(|rest| rest.split_whitespace().next());
    kib.expect(key).parse::<u64>().unwrap() * 1024
}

/// Stacks through much of what this program has: different depths, types and callers.
fn allocate(depth: usize, kept: &mut Vec<Vec<String>>) {
    if depth > 0 {
        allocate(depth - 1, kept);
    }
    kept.push((0..8).map(|n| format!("{depth} {n}")).collect());
    let map: std::collections::BTreeMap<usize, Box<str>> =
        (0..8).map(|n| (n, "text".repeat(n).into())).collect();
    kept.push(map.into_values().map(Into::into).collect());
}

#[test]
fn symbolising_gives_its_memory_back() {
    let mut kept = Vec::new();
    allocate(40, &mut kept);
    let snapshot = heapsite::snapshot();
    let before = memory("smaps_rollup", "Rss:");
    let profile = snapshot.to_profile();
    let after = memory("smaps_rollup", "Rss:");
    let peak = memory("status", "VmHWM:");
    assert!(
        profile.functions.len() > 50,
        "{} functions",
        profile.functions.len()
    );
    println!("{before} before, {after} after, {peak} at most");
    // Otherwise nothing was there to give back, and this tests nothing.
    assert!(peak > before + 4 * BOUND, "{before} before, {peak} at most");
    assert!(
        after <= before + BOUND,
        "{before} before, {after} after, {peak} at most"
    );

    let directory = tempfile::tempdir().unwrap();
    for round in 0..3 {
        heapsite::dump(directory.path(), Format::Pprof).unwrap();
        let after = memory("smaps_rollup", "Rss:");
        println!("{after} after dump {round}");
        assert!(after <= before + BOUND, "{before} before, {after} after");
    }
}
