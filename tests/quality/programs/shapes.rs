//! Leaks in time: slow, fast, late, by day, in bursts, and below or beside much that is freed.

use std::collections::HashMap;
use std::f64::consts::TAU;

use crate::world::{WINDOW, World};

const SIZE: usize = 2048;

pub(crate) fn slow(world: &mut World) {
    let mut all: Vec<Vec<u8>> = Vec::with_capacity(1 << 14);
    world.run(|_, _| all.push(vec![1; SIZE])); // LINE: slow
}

pub(crate) fn fast(world: &mut World) {
    let mut all: Vec<Vec<u8>> = Vec::with_capacity(1 << 16);
    world.run(|_, _| {
        for _ in 0..4 {
            all.push(Vec::with_capacity(16 << 10)); // LINE: fast
        }
    });
}

pub(crate) fn many_sizes(world: &mut World) {
    let mut all: Vec<Vec<u8>> = Vec::with_capacity(1 << 17);
    world.run(|_, random| {
        for _ in 0..12 {
            all.push(Vec::with_capacity(64 << random.below(8))); // LINE: many_sizes
        }
    });
}

/// Ten seconds in every quarter of an hour.
pub(crate) fn bursts(world: &mut World) {
    let mut all: Vec<Vec<u8>> = Vec::with_capacity(1 << 17);
    world.run(|now, _| {
        let count = if now % 900 < 10 { 1000 } else { 0 };
        for _ in 0..count {
            all.push(vec![1; SIZE]); // LINE: bursts
        }
    });
}

/// A buffer that is flushed every ten minutes, but for every twentieth item.
pub(crate) fn below_a_sawtooth(world: &mut World) {
    let mut pending: Vec<Vec<u8>> = Vec::with_capacity(1 << 17);
    let mut forgotten: Vec<Vec<u8>> = Vec::with_capacity(1 << 17);
    world.run(|now, _| {
        for _ in 0..200 {
            pending.push(vec![1; SIZE]); // LINE: below_a_sawtooth
        }
        if now % 600 == 599 {
            for (at, item) in pending.drain(..).enumerate() {
                if at % 20 == 0 {
                    forgotten.push(item);
                }
            }
        }
    });
}

/// One of a hundred is kept, from the same line.
pub(crate) fn below_churn(world: &mut World) {
    let mut kept: Vec<Vec<u8>> = Vec::with_capacity(1 << 17);
    world.run(|now, _| {
        for i in 0..500 {
            let buffer = vec![1u8; 2 * SIZE]; // LINE: below_churn
            if (now + i) % 100 == 0 {
                kept.push(buffer);
            }
        }
    });
}

/// A leak beside a hundred times as much that comes and goes at other lines.
pub(crate) fn beside_churn(world: &mut World) {
    let mut kept: Vec<Vec<u8>> = Vec::with_capacity(1 << 17);
    world.run(|now, _| {
        for i in 0..500u64 {
            let request = vec![1u8; 2 * SIZE];
            let answer = request
                .iter()
                .rev()
                .step_by(64)
                .copied()
                .collect::<Vec<u8>>();
            if (now + i) % 100 == 0 {
                kept.push(vec![answer[0]; 2 * SIZE]); // LINE: beside_churn
            }
        }
    });
}

/// The line fills a cache at the start, 30 MiB of it, and leaks from then on.
pub(crate) fn after_a_start(world: &mut World) {
    let mut map = HashMap::with_capacity(1 << 18);
    let mut key = 0u64;
    world.run(|now, _| {
        let count = if now < 30 { 512 } else { 10 };
        for _ in 0..count {
            key += 1;
            map.insert(key, vec![1u8; SIZE]); // LINE: after_a_start
        }
    });
}

pub(crate) fn late(world: &mut World) {
    let mut all: Vec<Vec<u8>> = Vec::with_capacity(1 << 18);
    world.run(|now, _| {
        let count = if now > 7 * WINDOW { 16 } else { 0 };
        for _ in 0..count {
            all.push(vec![1; SIZE]); // LINE: late
        }
    });
}

/// With the day's traffic, which here is forty minutes long.
pub(crate) fn by_day(world: &mut World) {
    let mut all: Vec<Vec<u8>> = Vec::with_capacity(1 << 18);
    world.run(|now, random| {
        let traffic = 12.0 * (1.0 + (now as f64 / 2400.0 * TAU).sin());
        for _ in 0..24 {
            if (random.below(2400) as f64) < traffic * 100.0 {
                all.push(vec![1; SIZE]); // LINE: by_day
            }
        }
    });
}

/// A megabyte every minute.
pub(crate) fn large_blocks(world: &mut World) {
    let mut all: Vec<Vec<u8>> = Vec::with_capacity(1 << 10);
    world.run(|now, _| {
        if now % 60 == 7 {
            all.push(Vec::with_capacity(1 << 20)); // LINE: large_blocks
        }
    });
}
