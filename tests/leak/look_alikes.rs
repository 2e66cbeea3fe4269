//! Memory that stays and is no leak.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hint::black_box;
use std::sync::{LazyLock, Mutex, OnceLock};

use heapsite::leak::{LeakCheck, assert_no_leaks};

use crate::hasty;

static CACHE: LazyLock<Mutex<HashMap<u64, String>>> = LazyLock::new(Mutex::default);

#[test]
fn a_warm_cache() {
    for round in 0..3 {
        assert_no_leaks! {
            let mut cache = CACHE.lock().unwrap();
            for key in 0..50 {
                cache.insert(round * 50 + key, format!("value {key}"));
            }
        }
    }
}

static POOL: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

#[test]
fn a_pool_that_grows_lazily() {
    for _ in 0..3 {
        assert_no_leaks! {
            let taken: Vec<_> = (0..20).map(|_| POOL.lock().unwrap().pop().unwrap_or_else(|| vec![0; 512])).collect();
            POOL.lock().unwrap().extend(taken);
        }
    }
}

static ONCE: OnceLock<Vec<String>> = OnceLock::new();

#[test]
fn a_once_lock() {
    assert_no_leaks! {
        ONCE.get_or_init(|| (0..10).map(|n| n.to_string()).collect());
    }
}

thread_local!(static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) });

#[test]
fn a_thread_local_buffer() {
    assert_no_leaks! {
        BUFFER.with(|buffer| buffer.borrow_mut().extend_from_slice(&[1; 5000]));
    }
}

#[test]
fn standard_output() {
    assert_no_leaks! {
        for line in 0..500 {
            println!("line {line}");
        }
        eprintln!("and one more");
    }
}

#[test]
fn a_caught_panic() {
    assert_no_leaks! {
        let caught = std::panic::catch_unwind(|| panic!("on purpose {}", black_box(1)));
        drop(caught.unwrap_err());
    }
}

static UNBOUNDED: Mutex<Vec<Vec<u64>>> = Mutex::new(Vec::new());

/// Asked to, a check counts what statics hold, and names them.
#[test]
fn a_static_counts_if_asked() {
    let check = hasty().statics(true).start();
    for number in 0..5 {
        UNBOUNDED.lock().unwrap().push(vec![number]);
    }
    let report = check.find().unwrap_err();
    // Five lists and the list of them.
    assert_eq!(report.heap_total().0, 6, "{report}");
    let holder = report.heap[0].held_by.as_deref().unwrap();
    assert!(holder.ends_with("look_alikes::UNBOUNDED"), "{report}");
}

static BESIDE: OnceLock<Box<[u8; 100]>> = OnceLock::new();

/// What a static holds is told beside what leaked.
#[test]
fn statics_are_told_beside_leaks() {
    let check = hasty().start();
    BESIDE.get_or_init(|| Box::new([1; 100]));
    std::mem::forget(Box::new([1u8; 64]));
    let report = check.find().unwrap_err();
    assert_eq!(report.heap_total(), (1, 64), "{report}");
    let is_told = |note: &String| note.contains("look_alikes::BESIDE: 1 object, 100 bytes");
    assert!(report.notes.iter().any(is_told), "{report}");
}

/// 10,000 repetitions of a clean test. Nothing in it is left to chance: any alarm is a false one.
#[test]
fn no_false_alarm_in_many_repetitions() {
    for round in 0..10_000u64 {
        let check = LeakCheck::start();
        let mut map: HashMap<u64, Vec<u8>> = HashMap::new();
        for key in 0..4 {
            map.insert(key, vec![1; (round % 50 + key) as usize]);
        }
        if round % 100 == 0 {
            let inner = std::thread::spawn(move || map.len());
            assert_eq!(inner.join().unwrap(), 4);
        } else {
            drop(black_box(map));
        }
        check.assert();
    }
}
