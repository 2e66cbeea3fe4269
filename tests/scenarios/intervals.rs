//! The interval changes while the program runs.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::checks::{Numbers, assert_all_settled, join_all, start};
use crate::stress::{Block, any_layout};

/// Off, exact, dense, default, paused, while four threads allocate: each sample settles with its own weight.
pub(crate) fn switched_under_load(interval: u64) {
    start(interval);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let threads = std::array::from_fn::<_, 4, _>(|seed| {
            let stop = &stop;
            scope.spawn(move || {
                let mut numbers = Numbers(seed as u64);
                let mut own: [Option<Block>; 300] = [const { None }; 300];
                while !stop.load(Ordering::Relaxed) {
                    let slot = &mut own[numbers.below(300) as usize];
                    match slot {
                        Some(block) if numbers.below(2) == 0 => block.resize(numbers.size()),
                        _ => *slot = Some(Block::new(any_layout(&mut numbers), false)),
                    }
                }
            })
        });
        let end = Instant::now() + Duration::from_millis(600);
        let mut numbers = Numbers(9);
        let mut samples = [0u64; 4];
        while Instant::now() < end {
            let which = numbers.below(4) as usize;
            heapsite::set_sample_interval([0, 1, 4096, 512 << 10][which]);
            if numbers.below(3) == 0 {
                heapsite::pause();
                thread::yield_now();
                heapsite::resume();
            }
            thread::sleep(Duration::from_micros(300));
            samples[which] += 1;
        }
        stop.store(true, Ordering::Relaxed);
        join_all(threads);
        assert!(
            samples.iter().all(|count| *count > 0),
            "each interval was in force"
        );
    });
    assert!(heapsite::snapshot().facts.alloc.objects > 1_000);
    assert_all_settled();
}

/// Setting the interval that is set, or pausing and resuming, forgets nothing that was requested.
///
/// 40,000 blocks of 1,000 bytes at 4 KiB: their estimated number has a standard error of 381, so 6 of them
/// (2e-9) are 2,286.
pub(crate) fn set_again(interval: u64) {
    const SIZE: usize = 1_000;
    const COUNT: f64 = 40_000.0;
    for what in [
        |_| {},
        heapsite::set_sample_interval,
        |_| {
            heapsite::pause();
            heapsite::resume();
        },
    ] as [fn(u64); 3]
    {
        start(interval);
        let before = heapsite::snapshot().facts.alloc.objects_estimate;
        for _ in 0..COUNT as u64 / 10 {
            what(interval);
            for _ in 0..10 {
                drop(black_box(Vec::<u8>::with_capacity(SIZE)));
            }
        }
        let estimate = heapsite::snapshot().facts.alloc.objects_estimate - before;
        let p = 1.0 - (-(SIZE as f64) / interval as f64).exp();
        let standard_error = (COUNT * (1.0 - p) / p).sqrt();
        assert!(
            (estimate - COUNT).abs() < 6.0 * standard_error,
            "{estimate} of {COUNT}"
        );
    }
    assert_all_settled();
}

/// The period covers everything live, and a comment tells of larger intervals; once something was not recorded,
/// recording everything is not exact.
pub(crate) fn mixed(interval: u64) {
    start(1 << 20);
    // The chance that none of them is sampled is exp(-64).
    let old: Vec<Vec<u8>> = (0..64).map(|_| black_box(vec![1u8; 1 << 20])).collect();
    heapsite::set_sample_interval(interval);
    let new = black_box(vec![1u8; 5_000]);
    let both = heapsite::snapshot().to_address_profile();
    assert_eq!(both.period, 1 << 20);
    drop(old);
    let one = heapsite::snapshot().to_address_profile();
    assert_eq!(one.period, interval as i64);
    let told = "heapsite: intervals of up to 1048576 bytes were in force earlier";
    assert!(
        one.comments.iter().any(|line| line == told),
        "{:?}",
        one.comments
    );
    let mut bytes = Vec::new();
    heapsite::format::pprof::write(&one, &mut bytes).unwrap();
    let read = heapsite::format::pprof::read(&bytes).unwrap();
    for kind in ["inuse_space", "alloc_space"] {
        let value = heapsite::view::Value::find(&read, Some(kind)).unwrap();
        assert_ne!(value.quality, heapsite::view::Quality::Exact, "{kind}");
    }
    drop((new, both, one, bytes, read));
    assert_all_settled();
}

/// Paused: nothing new is recorded, what is freed is settled. Resumed: as before.
pub(crate) fn pause_and_resume(interval: u64) {
    start(interval);
    let early = black_box(vec![1u8; 1_000]);
    let kept = black_box(vec![1u8; 2_000]);
    heapsite::pause();
    assert_eq!(heapsite::sample_interval(), 0);
    heapsite::pause();
    let unseen = black_box(vec![1u8; 3_000]);
    drop(early);
    let paused = heapsite::snapshot();
    assert_eq!(paused.facts.live.bytes, 2_000);
    // What is live was sampled at this interval, and its error bars are made of it.
    assert_eq!(paused.facts.interval, interval);
    assert_eq!(paused.to_address_profile().period, interval as i64);
    heapsite::resume();
    heapsite::resume();
    assert_eq!(heapsite::sample_interval(), interval);
    let late = black_box(vec![1u8; 4_000]);
    assert_eq!(heapsite::snapshot().facts.live.bytes, 6_000);
    drop((kept, unseen, late));
    heapsite::pause();
    heapsite::set_sample_interval(interval);
    drop(black_box(vec![1u8; 5]));
    assert_eq!(
        heapsite::snapshot().facts.alloc.objects,
        4,
        "an interval set while paused is in force"
    );
    assert_all_settled();
}
