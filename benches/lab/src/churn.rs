//! Random replacement in a live set of 100,000 objects of 16 bytes to 128 KiB, each allocated at the end of one of 256
//! call chains.

use std::hint::black_box;
use std::sync::atomic::{AtomicPtr, Ordering};

use crate::{Random, Time, in_parts};

const OBJECTS: usize = 100_000;

/// Each thread replaces in a live set of its own.
pub(crate) fn own(operations: u64, depth: u32, threads: usize) -> Time {
    let mut sets: Vec<(Random, Vec<Vec<u8>>)> = (0..threads)
        .map(|thread| {
            let mut random = Random::new(thread as u64 + 1);
            let set = (0..OBJECTS).map(|_| make(&mut random, depth)).collect();
            (random, set)
        })
        .collect();
    let replace = |(random, set): &mut (Random, Vec<Vec<u8>>), operations: u64| {
        for _ in 0..operations {
            let place = random.next() as usize % OBJECTS;
            set[place] = make(random, depth);
        }
    };
    if let [set] = &mut sets[..] {
        return in_parts(operations, |operations| replace(set, operations));
    }
    in_parts(operations, |operations| {
        std::thread::scope(|scope| {
            for set in &mut sets {
                scope.spawn(move || replace(set, operations));
            }
        });
    })
}

/// Two threads replace in one live set: half of what each frees was allocated by the other.
pub(crate) fn shared(operations: u64, depth: u32) -> Time {
    let mut random = Random::new(1);
    let set: Vec<AtomicPtr<Vec<u8>>> = (0..OBJECTS)
        .map(|_| AtomicPtr::new(Box::into_raw(Box::new(make(&mut random, depth)))))
        .collect();
    let mut randoms = [Random::new(2), Random::new(3)];
    in_parts(operations, |operations| {
        std::thread::scope(|scope| {
            for random in &mut randoms {
                scope.spawn(|| {
                    for _ in 0..operations {
                        let place = random.next() as usize % OBJECTS;
                        let new = Box::into_raw(Box::new(make(random, depth)));
                        let old = set[place].swap(new, Ordering::AcqRel);
                        // SAFETY: a pointer from `into_raw`, and the swap gave it to this thread alone.
                        drop(unsafe { Box::from_raw(old) });
                    }
                });
            }
        });
    })
}

/// An object of a random size from one of 256 stacks: eight levels of `left` or `right`, then plain recursion.
fn make(random: &mut Random, depth: u32) -> Vec<u8> {
    let draw = random.next();
    // 16 B · 2^k with probability 2^-(k+1), and up to 2.5 times that again: mean about 255 B, at most 128 KiB.
    let base = 16usize << (draw as u32 | 1 << 11).trailing_zeros().min(11);
    let size = base + (draw >> 16) as usize % (base * 5 / 2);
    let path = (draw >> 40) as u8;
    if path & 1 == 0 {
        left(depth, path, size)
    } else {
        right(depth, path, size)
    }
}

#[inline(never)]
fn left(depth: u32, path: u8, size: usize) -> Vec<u8> {
    let object = deeper(depth, path, size);
    black_box(depth);
    object
}

#[inline(never)]
fn right(depth: u32, path: u8, size: usize) -> Vec<u8> {
    let object = deeper(depth, path, size);
    black_box(size);
    object
}

#[inline(always)]
fn deeper(depth: u32, path: u8, size: usize) -> Vec<u8> {
    if depth == 0 {
        let mut object = Vec::with_capacity(size);
        object.push(path);
        return black_box(object);
    }
    // A path of eight bits, over and over: two depths down it has moved by one.
    let path = path.rotate_right(1);
    if path & 1 == 0 {
        left(depth - 1, path, size)
    } else {
        right(depth - 1, path, size)
    }
}
