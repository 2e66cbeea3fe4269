//! Counts, bytes and peaks of a piece of code.

use std::hint::black_box;

use heapsite::leak::{Counting, LeakCheck, assert_allocs};

#[test]
fn counts_are_exact() {
    let counting = Counting::start();
    let mut list: Vec<u8> = black_box(Vec::with_capacity(100));
    list.reserve_exact(900);
    let second = black_box(Box::new([0u8; 50]));
    drop(list);
    let used = counting.read();
    assert_eq!(used.allocations, 3);
    assert_eq!(used.bytes, 100 + 900 + 50);
    assert_eq!((used.live_allocations, used.live_bytes), (1, 50));
    assert_eq!(used.peak_bytes, 950);
    drop(second);
    assert_eq!(counting.read().live_bytes, 0);
}

#[test]
fn limits_hold() {
    let mut line = String::with_capacity(64);
    assert_allocs!(== 0, { line.push_str("fits") });
    let list = assert_allocs!(
        count <= 1,
        bytes <= 100,
        peak < 101,
        live == 1,
        live_bytes == 100,
        { black_box(vec![1u8; 100]) }
    );
    assert_eq!(list.len(), 100);
    assert_allocs!(count >= 1, { drop(black_box(Box::new(1))) });
}

#[test]
#[should_panic = "count is 2, which is not <= 1"]
fn too_many() {
    assert_allocs!(<= 1, {
        drop(black_box(Box::new(1)));
        drop(black_box(Box::new(2)));
    });
}

#[test]
#[should_panic = "peak is 2000, which is not < 2000"]
fn too_much_at_once() {
    assert_allocs!(peak < 2000, { drop(black_box(vec![1u8; 2000])) });
}

#[test]
fn threads_count() {
    let counting = Counting::start();
    let before = counting.read();
    std::thread::spawn(|| drop(black_box(vec![1u8; 7777])))
        .join()
        .unwrap();
    let used = counting.read();
    assert!(used.bytes - before.bytes >= 7777, "{used}");
    assert!(used.peak_bytes >= 7777, "{used}");
}

/// A budget within a check is part of it, in any number.
#[test]
fn budgets_within_a_check() {
    let check = LeakCheck::start();
    for _ in 0..20_000 {
        assert_allocs!(== 1, { drop(black_box(Box::new(1))) });
    }
    let kept = assert_allocs!(== 1, { black_box(Box::new(1)) });
    drop(kept);
    check.assert();
}
