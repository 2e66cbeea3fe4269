//! Innocent: what comes and goes.

use std::collections::{HashMap, VecDeque};
use std::hint::black_box;

use crate::world::{WINDOW, World};

const SIZE: usize = 2048;

pub(crate) fn ring_buffer(world: &mut World) {
    let mut ring = VecDeque::with_capacity(20_001);
    world.run(|now, _| {
        for _ in 0..40 {
            ring.push_back(format!("{now:0>2048}")); // LINE: ring_buffer
            if ring.len() > 20_000 {
                ring.pop_front();
            }
        }
    });
}

pub(crate) fn string_building(world: &mut World) {
    world.run(|now, _| {
        for i in 0..6 {
            let mut page = String::new();
            for row in 0..60 {
                page += &format!("<tr><td>{now}</td><td>{i}</td><td>{row:>200}</td></tr>"); // LINE: string_building
            }
            black_box(page);
        }
    });
}

pub(crate) fn sort_buffers(world: &mut World) {
    world.run(|now, random| {
        if now % 30 == 0 {
            let mut rows: Vec<(u64, u64)> =
                (0..20_000).map(|i| (random.below(1 << 40), i)).collect(); // LINE: sort_buffers
            rows.sort();
            black_box(rows);
        }
    });
}

pub(crate) fn hot_line(world: &mut World) {
    world.run(|now, _| {
        for _ in 0..1500 {
            black_box(Box::new([now; 128])); // LINE: hot_line
        }
    });
}

/// A hundred lines, each with a few blocks that live for a while.
pub(crate) fn tiny_lines(world: &mut World) {
    let mut alive: VecDeque<Vec<u8>> = VecDeque::with_capacity(3001);
    macro_rules! lines {
        ($now:expr; $($each:tt)*) => {
            $(if $now % 10 == $each % 10 {
                alive.push_back(
                    vec![$each; 200 + $each],
                );
            })*
        };
    }
    let mut hold = Vec::with_capacity(3001);
    world.run(|now, _| {
        lines!(now; 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19);
        for _ in 0..30 {
            hold.push(vec![1u8; SIZE]); // LINE: tiny_lines
        }
        if hold.len() > 3000 {
            hold.clear();
        }
        while alive.len() > 3000 {
            alive.pop_front();
        }
    });
}

pub(crate) fn arena_reset(world: &mut World) {
    let mut arena: Vec<Box<[u8; SIZE]>> = Vec::with_capacity(1 << 15);
    world.run(|now, _| {
        if now % 400 == 0 {
            arena.clear();
        }
        for _ in 0..60 {
            arena.push(Box::new([1; SIZE])); // LINE: arena_reset
        }
    });
}

/// Half of what was made is freed, every other one, and the rest a little later.
pub(crate) fn fragmentation(world: &mut World) {
    let mut blocks: VecDeque<Option<Vec<u8>>> = VecDeque::with_capacity(1 << 15);
    world.run(|_, random| {
        for _ in 0..60 {
            let size = 64 << random.below(7);
            blocks.push_back(Some(vec![1; size])); // LINE: fragmentation
        }
        let length = blocks.len();
        for at in (length.saturating_sub(60)..length).step_by(2) {
            blocks[at] = None;
        }
        while blocks.len() > 20_000 {
            blocks.pop_front();
        }
    });
}

/// A minute of work every ten minutes, of which nothing is left.
pub(crate) fn batch_jobs(world: &mut World) {
    let mut rows: Vec<Vec<u8>> = Vec::with_capacity(1 << 16);
    world.run(|now, _| match now % 600 {
        0..60 => {
            for _ in 0..500 {
                rows.push(vec![1; SIZE]); // LINE: batch_jobs
            }
        }
        60 => rows.clear(),
        _ => {}
    });
}

/// Read anew every window; the old one goes.
pub(crate) fn config_reload(world: &mut World) {
    let mut config: HashMap<u64, Vec<u8>> = HashMap::new();
    world.run(|now, _| {
        if now % WINDOW == 100 {
            config = (0..10_000).map(|key| (key, vec![1; SIZE])).collect(); // LINE: config_reload
        }
    });
    black_box(config.len());
}

/// The last three reports are kept.
pub(crate) fn last_reports(world: &mut World) {
    let mut reports: VecDeque<Vec<Vec<u8>>> = VecDeque::new();
    world.run(|now, _| {
        if now % 900 == 30 {
            reports.push_back((0..8000).map(|_| vec![1; SIZE]).collect()); // LINE: last_reports
            if reports.len() > 3 {
                reports.pop_front();
            }
        }
    });
}

pub(crate) fn one_burst(world: &mut World) {
    let mut found: Vec<Vec<u8>> = Vec::with_capacity(1 << 16);
    world.run(|now, _| {
        let count = if (2800..2830).contains(&now) { 1000 } else { 0 };
        for _ in 0..count {
            found.push(vec![1; SIZE]); // LINE: one_burst
        }
    });
}
