//! Heapsite's own large jobs take nothing from the program's heap that stays.

use std::alloc::Layout;
use std::hint::black_box;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use heapsite::internals::{in_scratch, may_be_sampled, scratch_memory};

use crate::checks::{
    Numbers, assert_all_settled, join_all, memory_line, resident_bytes, start, warm_up,
};
use crate::inner;
use crate::stress::{Block, any_layout};

/// More than this must not stay; code that runs for the first time is in it.
const MOST_KEPT: u64 = 2 << 20;

/// Bytes that say whose they are, all of them.
struct Held {
    bytes: Vec<u8>,
    tag: u8,
}

impl Held {
    fn new(size: usize, tag: u8) -> Held {
        Held {
            bytes: vec![tag; size],
            tag,
        }
    }

    /// Grows or shrinks, by `realloc`.
    fn resize(&mut self, size: usize) {
        self.bytes.resize(size, self.tag);
        self.bytes.shrink_to_fit();
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let wrong = self.bytes.iter().filter(|byte| **byte != self.tag).count();
        // A second panic would end the process all the same, and say less.
        assert!(
            wrong == 0 || thread::panicking(),
            "{wrong} bytes are another's"
        );
    }
}

/// Mostly small, sometimes up to 2 MiB: single chunks and runs of them.
fn any_size(numbers: &mut Numbers) -> usize {
    match numbers.below(40) {
        0 => numbers.below(2 << 20) as usize + 1,
        _ => numbers.size(),
    }
}

/// Allocates, resizes and frees; returns what is left.
fn some_work(numbers: &mut Numbers, steps: usize) -> Vec<Held> {
    let mut held: Vec<Held> = Vec::new();
    for _ in 0..steps {
        let some = numbers.below(held.len().max(1) as u64) as usize;
        match (numbers.below(4), held.get_mut(some)) {
            (0, Some(one)) => one.resize(any_size(numbers)),
            (1, Some(_)) => drop(held.swap_remove(some)),
            _ => held.push(Held::new(any_size(numbers), numbers.below(256) as u8)),
        }
        let layout = any_layout(numbers);
        let mut block = Block::new(layout, numbers.below(2) == 0);
        block.resize(numbers.size());
        assert!((block.address as usize).is_multiple_of(layout.align()));
    }
    held
}

/// The next job finds nothing left of the ones before, and leaves nothing.
fn assert_no_scratch_left() {
    let addresses: [usize; 64] = in_scratch(|| {
        let blocks = [(); 64].map(|()| vec![1u8; 4 << 10]);
        blocks.each_ref().map(|block| block.as_ptr() as usize)
    });
    assert_eq!(scratch_memory(), (0, 0));
    assert_unmarked(&addresses);
}

/// Samples mark some pages, but marks that arenas left would be on all of these.
fn assert_unmarked(addresses: &[usize]) {
    let marked = addresses.iter().filter(|a| may_be_sampled(**a)).count();
    assert!(marked < addresses.len() / 2, "{marked} still marked");
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

/// Symbolising this very program, with the profile still there, and the program's own free memory left alone.
pub(crate) fn symbolising(interval: u64) {
    start(interval);
    let mut kept = Vec::new();
    allocate(40, &mut kept);
    // Free memory of the program's, in pages that are resident: it may want them again.
    let mut own: Vec<Vec<u8>> = (0..40_000).map(|_| vec![1; 200]).collect();
    let mut number = 0;
    own.retain(|_| {
        number += 1;
        number % 40 == 0
    });
    let snapshot = heapsite::snapshot();
    let before = resident_bytes();
    let profile = snapshot.to_profile();
    let after = resident_bytes();
    let peak = memory_line("status", "VmHWM:");
    println!(
        "{before} before, {after} after, {peak} at most, {} functions",
        profile.functions.len()
    );
    assert!(profile.functions.len() > 50);
    // Otherwise nothing was there to give back, and this tests nothing.
    assert!(peak > before + 4 * MOST_KEPT);
    assert!(after <= before + MOST_KEPT, "{} kept", after - before);
    assert!(
        after + MOST_KEPT >= before,
        "{} of the program's own",
        before - after
    );
    assert_eq!(scratch_memory(), (0, 0));
    // What it names can be freed by anybody.
    thread::spawn(move || drop((profile, snapshot)))
        .join()
        .unwrap();
    drop((kept, own));
    assert_all_settled();
}

/// Blocks of an arena, used inside and after the job, by its thread and by others.
pub(crate) fn scratch(interval: u64) {
    start(interval);
    let granted = inner::granted();
    let mut left = in_scratch(|| some_work(&mut Numbers(7), 1_000));
    assert_eq!(
        inner::granted(),
        granted,
        "the program's allocator was asked"
    );
    let addresses: Vec<usize> = left.iter().map(|one| one.bytes.as_ptr() as usize).collect();
    assert!(addresses.len() > 100);
    assert!(addresses.iter().all(|address| may_be_sampled(*address)));
    let (mapped, resident) = scratch_memory();
    assert!(mapped >= resident && resident > 0);
    // They grow into the program's heap from here, on this thread and on another.
    let half = left.split_off(left.len() / 2);
    let resize = |mut held: Vec<Held>| {
        for (n, one) in held.iter_mut().enumerate() {
            let size = one.bytes.len();
            one.resize(if n % 2 == 0 { size / 2 + 1 } else { size * 2 });
        }
        held
    };
    let half = thread::spawn(move || resize(half)).join().unwrap();
    let left = resize(left);
    drop(half);
    thread::spawn(move || drop(left)).join().unwrap();
    assert_eq!(scratch_memory(), (mapped, 0));
    assert_unmarked(&addresses);
    assert_no_scratch_left();
    drop(addresses);
    assert_all_settled();
}

/// A block that ends where its chunk of 64 KiB ends, before an empty current chunk: what that one has is not its to grow
/// into, and what the block shrinks by is not a place for the next one.
pub(crate) fn scratch_edges(interval: u64) {
    start(interval);
    let quarter = 16 << 10;
    let full = |tag| [(); 4].map(|()| Held::new(quarter, tag));
    for size in [quarter / 2 + 16, quarter - 16, quarter / 4, 16] {
        in_scratch(|| {
            let _first = [(); 3].map(|()| Held::new(quarter, 1));
            let _more = Held::new(quarter / 2, 2);
            let mut last = Held::new(quarter / 2, 3);
            // The second chunk becomes the current one, and is empty again.
            drop(Held::new(quarter, 4));
            last.resize(size);
            let _between = (size < quarter / 2).then(|| Held::new(quarter, 5));
            // The second chunk is filled, left behind, and used again while the others are still there.
            let second = full(6);
            let _third = full(7);
            drop(second);
            let _again = (full(8), full(9));
        });
    }
    assert_no_scratch_left();
    assert_all_settled();
}

/// More jobs at a time than there are arenas, and blocks that change hands.
pub(crate) fn scratch_threads(interval: u64) {
    start(interval);
    let shared: [Mutex<Vec<Held>>; 8] = [const { Mutex::new(Vec::new()) }; 8];
    thread::scope(|scope| {
        let threads = (0..8).map(|seed| {
            let shared = &shared;
            scope.spawn(move || {
                let mut numbers = Numbers(seed);
                for _ in 0..12 {
                    in_scratch(|| {
                        let mut made = some_work(&mut numbers, 100);
                        let place = &shared[numbers.below(8) as usize];
                        std::mem::swap(&mut made, &mut place.lock().unwrap());
                        drop(made);
                    });
                    let place = &shared[numbers.below(8) as usize];
                    let taken = std::mem::take(&mut *place.lock().unwrap());
                    drop(taken);
                }
            })
        });
        join_all(threads.collect::<Vec<_>>());
    });
    drop(shared);
    // The address space goes with the next job.
    let (mapped, resident) = scratch_memory();
    assert_eq!(resident, 0, "of {mapped}");
    assert_all_settled();
}

/// Children of a process whose other threads are in the middle of a job.
pub(crate) fn scratch_fork(interval: u64) {
    start(interval);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let threads = [0, 1, 2].map(|seed| {
            let stop = &stop;
            scope.spawn(move || {
                let mut numbers = Numbers(seed);
                while !stop.load(Ordering::Relaxed) {
                    in_scratch(|| drop(some_work(&mut numbers, 50)));
                }
            })
        });
        let mut bad = Vec::new();
        for round in 0..30 {
            let left = in_scratch(|| some_work(&mut Numbers(round), 50));
            // SAFETY: the child allocates, frees and exits.
            match unsafe { libc::fork() } {
                0 => {
                    // SAFETY: no preconditions. A child that hangs is killed, which the parent sees.
                    unsafe { libc::alarm(30) };
                    let done = std::panic::catch_unwind(|| {
                        drop(left);
                        drop(in_scratch(|| some_work(&mut Numbers(round), 50)));
                    });
                    // SAFETY: ends the child without running the parent's handlers.
                    unsafe { libc::_exit(i32::from(done.is_err())) }
                }
                child => {
                    let mut status = 0;
                    // SAFETY: our child, and a place for its status.
                    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
                    if status != 0 {
                        bad.push(status);
                    }
                }
            }
        }
        stop.store(true, Ordering::Relaxed);
        join_all(threads);
        assert!(bad.is_empty(), "wait statuses of failed children: {bad:?}");
    });
    assert_all_settled();
}

/// What an arena cannot serve comes from the program's allocator; without address space, everything does.
pub(crate) fn scratch_refused(interval: u64) {
    start(interval);
    let large = 600 << 20;
    let aligned = Layout::from_size_align(100, 1 << 16).unwrap();
    in_scratch(|| {
        let before = inner::granted().0;
        drop(black_box(Vec::<u8>::with_capacity(large)));
        drop(Block::new(aligned, true));
        assert_eq!(inner::granted().0 - before, 2);
        // Runs until the arena is full, and then some.
        let runs: Vec<_> = (0..700)
            .map(|_| Vec::<u8>::with_capacity(1 << 20))
            .collect();
        assert!(inner::granted().0 - before > 100);
        drop(black_box(runs));
        drop(some_work(&mut Numbers(1), 300));
    });
    assert_no_scratch_left();
    let now = memory_line("status", "VmSize:");
    let limit = libc::rlimit {
        rlim_cur: now + (6 << 20),
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: a valid limit for this process.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &limit) }, 0);
    let before = inner::granted().0;
    let text = in_scratch(|| (0..100).map(|n| n.to_string()).collect::<Vec<_>>());
    assert!(inner::granted().0 - before > 100);
    drop(text);
    assert_all_settled();
}

/// A program that never records: what an arena gave is known to it all the same.
pub(crate) fn scratch_off(_: u64) {
    warm_up();
    let left = in_scratch(|| some_work(&mut Numbers(3), 500));
    thread::spawn(move || drop(left)).join().unwrap();
    assert_no_scratch_left();
}
