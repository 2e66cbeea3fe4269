//! Layouts of every kind: over-aligned, zeroed, of size zero, and at random against a model.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::hint::black_box;
use std::sync::Barrier;
use std::thread;

use crate::checks::{Numbers, assert_adds_up, assert_all_settled, join_all, resident_bytes, start};
use crate::inner;
use crate::stress::{Block, any_layout};

/// Alignments from 64 bytes to 1 MiB, allocated, zeroed and resized.
pub(crate) fn over_aligned(interval: u64) {
    start(interval);
    let before = inner::granted();
    for bits in 6..=20 {
        for size in [1, 100, 5_000, 300_000] {
            let layout = Layout::from_size_align(size, 1 << bits).unwrap();
            let mut block = Block::new(layout, false);
            for new_size in [size * 2, size, 1] {
                block.resize(new_size);
                assert!((block.address as usize).is_multiple_of(layout.align()));
            }
            drop(Block::new(layout, true));
        }
    }
    if interval == 1 {
        assert_adds_up(before, &[]);
    }
    assert_all_settled();
}

/// Zeroed memory is zero, also where it was used before, and what is large stays untouched.
pub(crate) fn zeroed(interval: u64) {
    const LARGE: usize = 256 << 20;
    start(interval);
    for size in [1usize, 24, 1_000, 40_000, 500_000] {
        for _ in 0..50 {
            let mut used = vec![0xffu8; size];
            used[size - 1] = 1;
            drop(black_box(used));
            assert!(
                black_box(vec![0u8; size]).iter().all(|byte| *byte == 0),
                "{size}"
            );
        }
    }
    let layout = Layout::from_size_align(LARGE, 16).unwrap();
    let resident = resident_bytes();
    // SAFETY: a layout with a size.
    let block = black_box(unsafe { alloc_zeroed(layout) });
    assert!(!block.is_null());
    let growth = resident_bytes().saturating_sub(resident);
    // All three are lazy when memory comes fresh from the kernel.
    assert!(
        growth < 16 << 20,
        "{growth} bytes became resident before anything was touched"
    );
    // At these intervals a block of 256 MiB escapes with probability exp(-512) at most.
    assert_eq!(heapsite::snapshot().facts.live.bytes, LARGE as u64);
    // SAFETY: inside the block; then freed the way it came.
    unsafe {
        assert_eq!(
            (*block, *block.add(LARGE / 2), *block.add(LARGE - 1)),
            (0, 0, 0)
        );
        dealloc(block, layout);
    }
    assert_all_settled();
}

/// What has no size never reaches an allocator, and an empty string has none.
pub(crate) fn zero_sizes(interval: u64) {
    start(interval);
    let before = inner::granted();
    let mut units = Vec::new();
    for _ in 0..1_000 {
        units.push(());
        black_box(Box::new(()));
        black_box(Vec::<u64>::with_capacity(0));
        black_box(String::new());
        black_box(Vec::<u8>::new().into_boxed_slice());
    }
    drop(black_box(units));
    assert_eq!(inner::granted(), before);
    let mut shrunk = black_box(vec![1u8; 100]);
    shrunk.clear();
    shrunk.shrink_to_fit();
    assert_eq!(black_box(shrunk).capacity(), 0);
    assert_adds_up(before, &[]);
    assert_eq!(heapsite::snapshot().facts.alloc.objects, 1);
    assert_all_settled();
}

/// Random requests of four threads: at every pause the snapshot equals what the threads hold, to the byte.
pub(crate) fn model(interval: u64) {
    const THREADS: usize = 4;
    const ROUNDS: usize = 12;
    let barrier = Barrier::new(THREADS + 1);
    let held = [const { std::sync::Mutex::new((0u64, 0u64)) }; THREADS];
    thread::scope(|scope| {
        let threads = std::array::from_fn::<_, THREADS, _>(|number| {
            let (barrier, held) = (&barrier, &held);
            scope.spawn(move || {
                let mut numbers = Numbers(number as u64 + 77);
                let mut blocks: [Option<Block>; 200] = [const { None }; 200];
                barrier.wait();
                for _ in 0..ROUNDS {
                    for _ in 0..400 {
                        let slot = &mut blocks[numbers.below(200) as usize];
                        match (numbers.below(3), slot.as_mut()) {
                            (0, Some(block)) => block.resize(numbers.size()),
                            (1, _) => *slot = None,
                            _ => {
                                *slot = Some(Block::new(
                                    any_layout(&mut numbers),
                                    numbers.below(2) == 0,
                                ))
                            }
                        }
                    }
                    *held[number].lock().unwrap() = blocks
                        .iter()
                        .flatten()
                        .fold((0, 0), |(count, bytes), block| {
                            (count + 1, bytes + block.layout.size() as u64)
                        });
                    barrier.wait();
                    barrier.wait();
                }
            })
        });
        // The threads' own handles are there already, and are not recorded.
        start(interval);
        let before = inner::granted();
        barrier.wait();
        for round in 0..ROUNDS {
            barrier.wait();
            let expected = held.iter().fold((0, 0), |(count, bytes), own| {
                let own = own.lock().unwrap();
                (count + own.0, bytes + own.1)
            });
            let snapshot = heapsite::snapshot();
            let live = snapshot.facts.live;
            assert_eq!((live.objects, live.bytes), expected, "round {round}");
            assert_eq!(
                (live.objects_estimate, live.bytes_estimate),
                (expected.0 as f64, expected.1 as f64)
            );
            assert_eq!(live.objects_variance, 0.0);
            let in_cohorts: u64 = snapshot
                .sites
                .iter()
                .flat_map(|site| &site.detail.cohorts)
                .map(|c| c.live.bytes)
                .sum();
            assert_eq!(
                in_cohorts, expected.1,
                "the live map agrees with the counters"
            );
            if round == 0 {
                // Later the snapshots' own requests are among what was granted.
                assert!(inner::granted().0 > before.0);
            }
            barrier.wait();
        }
        join_all(threads);
    });
    assert_all_settled();
}
