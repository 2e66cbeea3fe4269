//! Innocent: sessions, pools and traffic that changes; what lives long, but not for good.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::f64::consts::TAU;
use std::thread;

use crate::world::{Random, World};

const SIZE: usize = 2048;

/// What ends at a time of its own.
#[derive(Default)]
struct Alive(
    BinaryHeap<Reverse<(u64, usize)>>,
    Vec<Option<Vec<u8>>>,
    Vec<usize>,
);

impl Alive {
    fn add(&mut self, end: u64, value: Vec<u8>) {
        let at = self.2.pop().unwrap_or(self.1.len());
        match self.1.get_mut(at) {
            Some(slot) => *slot = Some(value),
            None => self.1.push(Some(value)),
        }
        self.0.push(Reverse((end, at)));
    }

    fn end(&mut self, now: u64) {
        while let Some(&Reverse((end, at))) = self.0.peek()
            && end <= now
        {
            self.0.pop();
            self.1[at] = None;
            self.2.push(at);
        }
    }
}

pub(crate) fn requests(world: &mut World) {
    let mut alive = Alive::default();
    world.run(|now, random| {
        alive.end(now);
        for _ in 0..50 {
            alive.add(now + random.lifetime(3.0), vec![1; SIZE]); // LINE: requests
        }
    });
}

pub(crate) fn sessions(world: &mut World) {
    let mut alive = Alive::default();
    world.run(|now, random| {
        alive.end(now);
        for _ in 0..15 {
            alive.add(now + random.lifetime(300.0), vec![1; SIZE]); // LINE: sessions
        }
    });
}

/// Twenty minutes on average, some for hours.
pub(crate) fn long_sessions(world: &mut World) {
    let mut alive = Alive::default();
    world.run(|now, random| {
        alive.end(now);
        for _ in 0..12 {
            alive.add(now + random.lifetime(1200.0), vec![1; SIZE]); // LINE: long_sessions
        }
    });
}

/// Everyone leaves within the hour, nobody early.
pub(crate) fn shifts(world: &mut World) {
    let mut alive = Alive::default();
    world.run(|now, random| {
        alive.end(now);
        for _ in 0..11 {
            alive.add(now + 2400 + random.below(1200), vec![1; SIZE]); // LINE: shifts
        }
    });
}

/// Most are short, one in ten stays for up to an hour.
pub(crate) fn short_and_long(world: &mut World) {
    let mut alive = Alive::default();
    world.run(|now, random| {
        alive.end(now);
        for _ in 0..60 {
            let life = if random.below(10) == 0 {
                600 + random.below(3000)
            } else {
                2
            };
            alive.add(now + life, vec![1; SIZE]); // LINE: short_and_long
        }
    });
}

/// A session lives for three hours on average.
pub(crate) fn endless_sessions(world: &mut World) {
    let mut alive = Alive::default();
    world.run(|now, random| {
        alive.end(now);
        for _ in 0..11 {
            alive.add(now + random.lifetime(10_800.0), vec![1; SIZE]); // LINE: endless_sessions
        }
    });
}

fn with_traffic(world: &mut World, line: fn() -> Vec<u8>, traffic: impl Fn(f64) -> f64) {
    let mut alive = Alive::default();
    world.run(|now, random| {
        alive.end(now);
        for _ in 0..(traffic(now as f64 / 7200.0) + random.below(100) as f64 / 100.0) as u64 {
            alive.add(now + random.lifetime(60.0), line());
        }
    });
}

/// Two days in two hours.
pub(crate) fn daily_requests(world: &mut World) {
    fn request() -> Vec<u8> {
        vec![1; SIZE] // LINE: daily_requests
    }
    with_traffic(world, request, |part| {
        40.0 * (1.0 + (part * 2.0 * TAU).sin())
    });
}

pub(crate) fn growing_traffic(world: &mut World) {
    fn request() -> Vec<u8> {
        vec![1; SIZE] // LINE: growing_traffic
    }
    with_traffic(world, request, |part| 80.0 * part);
}

pub(crate) fn late_start(world: &mut World) {
    fn request() -> Vec<u8> {
        vec![1; SIZE] // LINE: late_start
    }
    with_traffic(world, request, |part| if part > 0.5 { 40.0 } else { 0.0 });
}

/// As many connections as were ever needed at once; the peaks become rarer.
pub(crate) fn pool(world: &mut World) {
    let mut pool: Vec<Vec<u8>> = Vec::with_capacity(1 << 15);
    world.run(|_, random| {
        let needed = (0..12).map(|_| random.lifetime(900.0)).sum::<u64>() as usize;
        while pool.len() < needed.min(24_000) {
            pool.push(vec![1; SIZE]); // LINE: pool
        }
    });
}

/// Scratch space of worker threads, which end with their jobs.
pub(crate) fn worker_threads(world: &mut World) {
    let work = |random: &mut Random| {
        let size = 1000 + random.below(1000) as usize;
        let sum = move || {
            let scratch = vec![1u8; size * 256]; // LINE: worker_threads
            scratch
                .iter()
                .step_by(4096)
                .map(|&byte| u64::from(byte))
                .sum::<u64>()
        };
        thread::spawn(sum).join().unwrap()
    };
    world.run(|now, random| {
        if now % 4 == 0 {
            work(random);
        }
    });
}
