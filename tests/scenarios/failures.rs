//! Allocators that refuse or call back, requests nobody can grant, and tables without room.

use std::alloc::{Layout, alloc, alloc_zeroed, dealloc, realloc};
use std::hint::black_box;
use std::sync::atomic::Ordering;

use heapsite::internals;

use crate::checks::{
    Numbers, assert_adds_up, assert_all_settled, assert_settled_but_for, lost, start,
};
use crate::inner::{self, CAME_BACK, CHECKS_SETTLED, REFUSED_SIZE, UNSETTLED, USES_HEAP};

/// A null is recorded nowhere; a realloc that fails leaves its block as live as it was, once.
pub(crate) fn refused(interval: u64) {
    const ODD: usize = 54_321;
    start(interval);
    REFUSED_SIZE.store(ODD, Ordering::Relaxed);
    let odd = Layout::from_size_align(ODD, 8).unwrap();
    let small = Layout::from_size_align(1_000, 8).unwrap();
    // SAFETY: layouts with a size; blocks are freed once with the layout they have.
    unsafe {
        assert!(black_box(alloc(odd)).is_null());
        assert!(black_box(alloc_zeroed(odd)).is_null());
        assert_eq!(heapsite::snapshot().facts.alloc.objects, 0);
        assert_eq!(internals::live_samples(), 0);

        let block = black_box(alloc(small));
        let its_site = || {
            let mut sites = heapsite::snapshot()
                .sites
                .into_iter()
                .map(|site| site.detail);
            sites
                .find(|detail| detail.alloc.bytes == 1_000)
                .expect("the block's site")
        };
        let born = its_site();
        assert_eq!((born.live.objects, born.live.bytes), (1, 1_000));
        for _ in 0..3 {
            assert!(black_box(realloc(block, small, ODD)).is_null());
            let after = its_site();
            assert_eq!((after.live, after.free.objects), (born.live, 0));
            assert_eq!(
                after.cohorts[0].from_nanos, born.cohorts[0].from_nanos,
                "its birth"
            );
        }
        assert_eq!(internals::live_samples(), 1);
        let moved = black_box(realloc(block, small, 2_000));
        assert_eq!(heapsite::snapshot().facts.live.bytes, 2_000);
        dealloc(moved, Layout::from_size_align(2_000, 8).unwrap());
    }
    let facts = heapsite::snapshot().facts;
    assert_eq!((facts.alloc.objects, facts.free.objects), (2, 2));
    assert_all_settled();
}

/// Requests that no machine can grant are refused like any other, and spoil no sum.
pub(crate) fn impossible(interval: u64) {
    start(interval);
    let before = heapsite::snapshot().facts.requested_bytes;
    for size in [
        isize::MAX as usize,
        isize::MAX as usize - 4096,
        1 << 62,
        1 << 57,
        1 << 50,
    ] {
        for filler in [1usize, 3_000, 40_000] {
            assert!(Vec::<u8>::new().try_reserve_exact(black_box(size)).is_err());
            drop(black_box(vec![1u8; filler]));
            let mut grown = vec![1u8; filler];
            assert!(grown.try_reserve_exact(black_box(size - filler)).is_err());
            drop(black_box(grown));
        }
    }
    let requested = heapsite::snapshot()
        .facts
        .requested_bytes
        .saturating_sub(before);
    // 2 × 5 × 43,001 bytes, the buffers of the snapshots, and what is not yet counted.
    assert!(
        (400_000..4_000_000).contains(&requested),
        "{requested} bytes requested"
    );
    assert_all_settled();
}

/// An inner allocator that itself allocates from the watched heap: both are recorded, both settle.
pub(crate) fn inner_uses_heap(interval: u64) {
    start(interval);
    let before = inner::granted();
    USES_HEAP.store(true, Ordering::Relaxed);
    for size in 1..2_000 {
        let mut list = vec![1u8; size];
        list.resize(size * 3, 2);
        drop(black_box(list));
    }
    USES_HEAP.store(false, Ordering::Relaxed);
    if interval == 1 {
        assert_adds_up(before, &[]);
        // A block, a resize, and one inside each call: alloc, realloc, free.
        assert_eq!(heapsite::snapshot().facts.alloc.objects, 5 * 1_999);
    }
    assert_all_settled();
}

/// A block is known before the program has it, and forgotten before the inner allocator gets it back: from
/// then on its address may be another thread's.
pub(crate) fn settled_before_given_back(interval: u64) {
    start(interval);
    CHECKS_SETTLED.store(true, Ordering::Relaxed);
    for size in 1..200 {
        let mut list = black_box(vec![1u8; size]);
        assert!(internals::is_live(list.as_ptr() as usize));
        list.reserve_exact(size * 50);
        assert!(internals::is_live(list.as_ptr() as usize));
        drop(black_box(list));
    }
    CHECKS_SETTLED.store(false, Ordering::Relaxed);
    assert_eq!(CAME_BACK.load(Ordering::Relaxed), 2 * 199);
    assert_eq!(
        UNSETTLED.load(Ordering::Relaxed),
        0,
        "still live when given back"
    );
    assert_all_settled();
}

/// Allocates from one of 2^levels stacks.
#[inline(never)]
fn from_stack(path: u64, levels: u32, size: usize) -> Vec<u8> {
    let made = match (levels, path & 1) {
        (0, _) => Vec::with_capacity(size),
        (_, 0) => from_stack(path >> 1, levels - 1, size),
        _ => black_box(from_stack(path >> 1, levels - 1, black_box(size))),
    };
    black_box(made)
}

/// Both tables full: stacks go to the overflow site, samples are dropped, and every one of them is counted.
pub(crate) fn tables_full(interval: u64) {
    let count = if interval == 1 { 20_000 } else { 120_000 };
    let mut kept: Vec<Vec<u8>> = Vec::with_capacity(count);
    start(interval);
    // One recorded allocation takes the first part of every table; no further part is granted.
    let before = inner::granted();
    while internals::sites() == 0 {
        drop(from_stack(0, 1, 4_000));
    }
    internals::set_memory_limit(1);
    let mut numbers = Numbers(3);
    for number in 0..count {
        kept.push(from_stack(
            number as u64,
            11,
            1 + numbers.below(2_000) as usize,
        ));
    }
    if interval == 1 {
        assert_adds_up(before, &["live-map-full"]);
    }
    let granted = inner::granted().1 - before.1;
    let snapshot = heapsite::snapshot();
    let overflow = snapshot
        .sites
        .iter()
        .find(|site| site.is_overflow)
        .expect("the overflow site");
    assert!(snapshot.stack(overflow).is_empty());
    let loss = |name: &str| {
        snapshot
            .facts
            .losses
            .iter()
            .find(|loss| loss.reason == name)
            .cloned()
            .expect("counted")
    };
    let (site_loss, map_loss) = (loss("site-table-full"), loss("live-map-full"));
    assert!(overflow.detail.alloc.objects > 0 && overflow.detail.alloc.objects <= site_loss.count);
    // 256 sites, two buckets of eight on each of 512: as much room as the first parts have.
    assert!(
        (200..=256).contains(&internals::sites()),
        "{} sites",
        internals::sites()
    );
    let live = internals::live_samples();
    assert!((3_000..=4_096).contains(&live), "{live} live samples");
    assert_eq!(snapshot.facts.live.objects, live as u64);
    if interval > 1 {
        // Recorded and lost together estimate what was granted. Per block the variance is at most
        // size²(1-p)/p < size·interval: 6 standard errors are exceeded with probability 2e-9.
        let estimate = snapshot.facts.alloc.bytes_estimate + map_loss.bytes_estimate;
        let standard_error = (granted as f64 * interval as f64).sqrt();
        assert!(
            (estimate - granted as f64).abs() < 6.0 * standard_error,
            "{estimate} of {granted}"
        );
    }
    drop(snapshot);
    for block in &mut kept {
        *block = Vec::new();
    }
    drop(kept);
    // Room again for samples, not for sites.
    let losses = lost("live-map-full");
    drop(from_stack(5, 11, 1 << 20));
    assert_eq!(lost("live-map-full"), losses);
    assert_settled_but_for(&["live-map-full", "site-table-full"]);
}

/// Without any memory of its own the recorder records nothing and says so; the program goes on.
pub(crate) fn no_memory_at_all(interval: u64) {
    internals::set_memory_limit(0);
    start(interval);
    let before = inner::granted();
    let kept: Vec<String> = (0..1_000).map(|number| number.to_string()).collect();
    drop(black_box(kept));
    assert_adds_up(before, &["live-map-full"]);
    let facts = heapsite::snapshot().facts;
    assert_eq!(facts.alloc.objects, 0);
    assert!(!facts.exact, "what misses allocations is not exact");
    // The static tables alone: filter, unwind rules, last captures, thread names, scopes of leak checks.
    let mapped = facts.footprint.mapped_bytes;
    assert!((3 << 20..7 << 19).contains(&mapped), "{mapped}");
    assert_settled_but_for(&["live-map-full", "site-table-full"]);
}
