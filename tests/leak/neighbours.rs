//! Many checks at once: nobody is blamed for what a neighbour does.

use std::hint::black_box;
use std::sync::Barrier;
use std::thread;

use crate::hasty;

/// 64 guarded tests in parallel, half of which leak something of a size of their own, through threads of their own: each
/// finds exactly its own.
#[test]
fn sixty_four_do_not_disturb_one_another() {
    const TESTS: usize = 64;
    let barrier = Barrier::new(TESTS);
    let complaints: Vec<String> = thread::scope(|scope| {
        let barrier = &barrier;
        let tests: Vec<_> = (0..TESTS)
            .map(|number| {
                scope.spawn(move || {
                    let rounds = (0..4).map(|round| one_test(number, round, barrier));
                    // All of them, whatever comes out: the others wait at the barrier.
                    rounds.collect::<Vec<_>>().into_iter().flatten().collect()
                })
            })
            .collect();
        tests
            .into_iter()
            .flat_map(|test| -> Vec<String> { test.join().unwrap() })
            .collect()
    });
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// What went wrong, if anything.
fn one_test(number: usize, round: usize, barrier: &Barrier) -> Option<String> {
    barrier.wait();
    let leaks = (number + round).is_multiple_of(2);
    // Also what statics seem to hold: among so many threads an old word may hold a leak now and then (one in some 60 runs
    // of this test), and this is about whose it is.
    let check = hasty().statics(true).start();
    let own: Vec<String> = (0..50).map(|n| format!("{number} {n}")).collect();
    let helper = thread::spawn(move || {
        let list = black_box(vec![1u8; 1000 + number]);
        if leaks {
            std::mem::forget(list);
        }
    });
    helper.join().unwrap();
    barrier.wait();
    drop(black_box(own));
    match check.find() {
        Ok(()) => leaks.then(|| format!("test {number} missed its own leak")),
        Err(report) => {
            let is_own = leaks
                && report.heap_total() == (1, 1000 + number as u64)
                && report.threads.is_empty();
            (!is_own).then(|| format!("test {number}: {report}"))
        }
    }
}
