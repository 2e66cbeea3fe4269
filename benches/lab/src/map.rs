//! A map of a million entries, built, half emptied, and read.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::hint::black_box;

use crate::{Time, in_parts};

const ENTRIES: u64 = 1_000_000;

pub(crate) fn run(operations: u64) -> Time {
    in_parts(operations, |operations| {
        for _ in 0..operations {
            // A fixed hasher: the same layout in every run.
            let mut map: HashMap<String, Vec<u8>, BuildHasherDefault<DefaultHasher>> =
                HashMap::default();
            for n in 0..ENTRIES {
                map.insert(format!("key {n}"), vec![n as u8; 16 + (n % 48) as usize]);
            }
            for n in (0..ENTRIES).step_by(2) {
                map.remove(&format!("key {n}"));
            }
            black_box(map.values().map(|value| value.len()).sum::<usize>());
        }
    })
}
