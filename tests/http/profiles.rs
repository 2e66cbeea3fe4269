//! What the profiles say.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};

use heapsite::Profile;
use heapsite::http::serve;

use crate::backends::{check_file, check_snapshot};
use crate::client::{get, get_patiently};

#[inline(never)]
fn planted_before(bytes: usize) -> Vec<u8> {
    black_box(vec![1; bytes])
}

#[inline(never)]
fn planted_meanwhile(bytes: usize) -> Vec<u8> {
    black_box(vec![1; bytes])
}

/// Sums of the values of samples with a function that has `part` in its name, called in the test `within`.
fn values_within(profile: &Profile, within: &str, part: &str) -> Vec<i64> {
    let has = |sample: &heapsite::profile::Sample, part: &str| {
        sample.locations.iter().any(|id| {
            let lines = &profile.locations[id.0 as usize].lines;
            let name =
                |line: &heapsite::profile::Line| &profile.functions[line.function.0 as usize].name;
            lines.iter().any(|line| name(line).contains(part))
        })
    };
    let mut sums = vec![0; profile.sample_types.len()];
    for sample in &profile.samples {
        if has(sample, part) && has(sample, within) {
            for (sum, value) in sums.iter_mut().zip(&sample.values) {
                *sum += value;
            }
        }
    }
    sums
}

fn values(profile: &Profile, part: &str) -> Vec<i64> {
    values_within(profile, "", part)
}

#[test]
fn heap_and_allocs_are_one_profile() {
    let server = serve("127.0.0.1:0").unwrap();
    let kept = planted_before(123_456);
    drop(planted_before(1_000));
    for (name, first) in [("heap", "inuse_space"), ("allocs", "alloc_space")] {
        let answer = get(server.address(), &format!("/debug/pprof/{name}?gc=1"));
        check_snapshot(&answer.body);
        let profile = answer.profile();
        assert_eq!(profile.default_sample_type, first);
        assert_eq!(
            values_within(
                &profile,
                "heap_and_allocs_are_one_profile",
                "planted_before"
            ),
            [2, 124_456, 1, 123_456]
        );
        // Neither the server's thread nor the one that made this profile is in it. An app that mounts the routes has them on
        // its own: the test of that may run beside this one.
        for own in [
            "http::server::run",
            "http::jobs",
            "hyper::",
            "heapsite::symbolize",
        ] {
            let mounted = values_within(&profile, "a_router_in_an_app", own);
            assert_eq!(values(&profile, own), mounted, "{own}");
        }
    }
    drop(kept);
}

/// Threads leak and churn all the while; the window has what happened in it and nothing else.
#[test]
fn a_delta_is_of_its_window() {
    let server = serve("127.0.0.1:0").unwrap();
    let kept = planted_before(1 << 20);
    let freed = planted_meanwhile(777_777);
    let done = AtomicBool::new(false);
    let (delta, leaked) = std::thread::scope(|scope| {
        // Also if the request fails: the scope waits for its threads.
        let stop = Stop(&done);
        let leaking = scope.spawn(|| {
            let mut leaked = Vec::new();
            while !done.load(Ordering::Relaxed) {
                leaked.push(planted_meanwhile(100));
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            leaked.len() as i64
        });
        let answer = get(server.address(), "/debug/pprof/heap?seconds=1");
        drop(stop);
        check_file(&answer.body);
        (answer.profile(), leaking.join().unwrap())
    });
    let [allocs, bytes, live, live_bytes] = values(&delta, "planted_meanwhile")[..] else {
        panic!("four values")
    };
    assert!((1..=leaked).contains(&live), "{live} of {leaked}");
    assert_eq!((allocs, bytes, live_bytes), (live, 100 * live, 100 * live));
    assert_eq!(
        values_within(&delta, "a_delta_is_of_its_window", "planted_before"),
        [0; 4]
    );
    assert!(
        delta.duration_nanos >= 1_000_000_000,
        "{}",
        delta.duration_nanos
    );
    assert!(
        delta
            .comments
            .iter()
            .any(|line| line.contains("the difference over"))
    );
    assert!(
        delta
            .samples
            .iter()
            .all(|sample| sample.values.iter().any(|value| *value != 0))
    );
    drop((kept, freed));
}

struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What Grafana Alloy's delta relies on: a stack keeps its addresses, and what was ever allocated there never falls.
#[test]
fn totals_never_fall_from_scrape_to_scrape() {
    let server = serve("127.0.0.1:0").unwrap();
    let scrape = || {
        let answer = get_patiently(server.address(), "/debug/pprof/allocs");
        check_snapshot(&answer.body);
        let profile = answer.profile();
        let stack = |sample: &heapsite::profile::Sample| -> Vec<u64> {
            let address =
                |id: &heapsite::profile::LocationId| profile.locations[id.0 as usize].address;
            sample.locations.iter().map(address).collect()
        };
        let totals = profile
            .samples
            .iter()
            .map(|sample| (stack(sample), sample.values[..2].to_vec()));
        totals.collect::<HashMap<_, _>>()
    };
    let first = scrape();
    drop(planted_before(10));
    let second = scrape();
    assert!(first.len() > 20, "{}", first.len());
    for (stack, totals) in &first {
        let later = second
            .get(stack)
            .unwrap_or_else(|| panic!("{stack:x?} is gone"));
        assert!(
            later
                .iter()
                .zip(totals)
                .all(|(later, total)| later >= total)
        );
    }
}

#[test]
fn the_text_says_the_same() {
    let server = serve("127.0.0.1:0").unwrap();
    let kept: Vec<Vec<u8>> = (1..50).map(|n| planted_before(n * 1000)).collect();
    let text = get(server.address(), "/debug/pprof/heap?debug=1");
    assert!(text.text().starts_with("heap profile: "), "{}", text.text());
    assert!(text.text().contains("] @ heap_v2/1\n"));
    assert!(text.text().contains("\nMAPPED_LIBRARIES:\n"));
    let whole = get(server.address(), "/debug/pprof/heap").profile();
    let read = text.profile();
    for profile in [&read, &whole] {
        let planted = values_within(profile, "the_text_says_the_same", "planted_before");
        assert_eq!(planted, [49, 1_225_000, 49, 1_225_000]);
    }
    drop(kept);
}
