//! What `heapsite::stats()` says.
#![forbid(unsafe_code)]

use std::hint::black_box;
use std::time::Instant;

use crate::checks::{start, warm_up};

fn blocks(count: usize, size: usize) -> Vec<Vec<u8>> {
    let mut blocks = Vec::with_capacity(count);
    blocks.resize_with(count, || black_box(Vec::with_capacity(size)));
    blocks
}

/// Interval 1: what was made, to the byte.
pub(crate) fn exact(interval: u64) {
    start(interval);
    let before = heapsite::stats();
    let kept = blocks(300, 100);
    let gone = blocks(200, 7);
    let between = heapsite::stats();
    drop(gone);
    let after = heapsite::stats();
    heapsite::set_sample_interval(0);
    let table = size_of::<Vec<u8>>();
    let made = (502.0, (300 * 100 + 200 * 7 + 500 * table) as f64);
    let ended = (201.0, (200 * 7 + 200 * table) as f64);
    let more = |later: heapsite::stats::Amount, earlier: heapsite::stats::Amount| {
        assert_eq!((later.objects_error, later.bytes_error), (0.0, 0.0));
        assert_eq!(later.sampled_objects as f64, later.objects);
        assert_eq!(later.sampled_bytes as f64, later.bytes);
        (later.objects - earlier.objects, later.bytes - earlier.bytes)
    };
    assert_eq!(more(between.allocated, before.allocated), made);
    assert_eq!(more(between.live, before.live), made);
    assert_eq!(more(after.freed, before.freed), ended);
    assert_eq!(
        more(after.live, before.live),
        (made.0 - ended.0, made.1 - ended.1)
    );
    // Exact once threads have looked up, which in exact mode is at each request.
    let requested = between.requested_bytes - before.requested_bytes;
    assert!(requested as f64 >= made.1, "{requested}");
    assert_eq!(after.footprint.live_samples, after.live.sampled_objects);
    assert!(after.footprint.resident_bytes > 0 && after.footprint.sites >= 2);
    drop(kept);
}

/// Estimates agree with a snapshot's; 10,000 blocks of 1,000 bytes at 4 KiB are within 6 standard errors (2e-9).
pub(crate) fn estimated(interval: u64) {
    start(interval);
    let before = heapsite::stats().live;
    let kept = blocks(10_000, 1_000);
    let live = heapsite::stats().live;
    let facts = heapsite::snapshot().facts;
    let error = live.objects_error.hypot(before.objects_error);
    let off = live.objects - before.objects - 10_001.0;
    assert!(error > 0.0 && off.abs() < 6.0 * error, "{off} ± {error}");
    assert_eq!(live.bytes, facts.live.bytes_estimate);
    // Nothing has been freed at these stacks, so the site's error is that of its live samples.
    let (told, kept_error) = (live.bytes_error, facts.live.bytes_variance.sqrt());
    assert!(
        (told / kept_error - 1.0).abs() < 0.01,
        "{told} {kept_error}"
    );
    drop(kept);
}

/// The recorder's time is some of the time there was, and a paused recorder takes none.
///
/// Of 200,000 events one in 256 is timed, or more: that none is has odds of exp(-780).
pub(crate) fn cost(interval: u64) {
    warm_up();
    let off = heapsite::stats().cost;
    assert_eq!((off.timed_events, off.sampled_nanos), (0, 0));
    start(interval);
    let began = Instant::now();
    let work = || {
        for _ in 0..100_000 {
            drop(black_box(Vec::<u8>::with_capacity(4096)));
        }
    };
    work();
    let (on, wall) = (heapsite::stats().cost, began.elapsed());
    assert!(on.timed_events > 0 && on.sampled_nanos > 0, "{on:?}");
    assert!(on.look_ups > 1_000, "{on:?}");
    // One thread; it cannot have spent more than there was, but for the error of an estimate.
    let most = wall.as_nanos() as f64 + 6.0 * on.sampled_nanos_error as f64;
    assert!((on.sampled_nanos as f64) < most, "{on:?} in {wall:?}");
    assert!(
        on.share_of_cpu() > 0.0 && on.process_cpu_nanos > 0,
        "{on:?}"
    );
    heapsite::pause();
    let paused = heapsite::stats().cost;
    work();
    let later = heapsite::stats().cost;
    assert_eq!(later.timed_events, paused.timed_events);
    assert_eq!(later.interrupted_events, paused.interrupted_events);
    heapsite::resume();
}
