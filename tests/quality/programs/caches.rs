//! Innocent: what fills, and is full within the hour.

use std::collections::{HashMap, VecDeque};
use std::num::NonZeroUsize;

use lru::LruCache;

use crate::world::{WINDOW, World};

const SIZE: usize = 2048;

pub(crate) fn start_up_cache(world: &mut World) {
    let mut tables: Vec<Vec<u8>> = Vec::with_capacity(1 << 15);
    world.run(|now, _| {
        let count = if now < 20 { 1000 } else { 0 };
        for _ in 0..count {
            tables.push(vec![1; SIZE]); // LINE: start_up_cache
        }
    });
}

/// New keys at a steady rate, up to 40,000 of them after 48 minutes; then a random one goes for each.
pub(crate) fn random_eviction(world: &mut World) {
    let mut cache: Vec<Vec<u8>> = Vec::with_capacity(40_000);
    world.run(|_, random| {
        for _ in 0..14 {
            let value = vec![1u8; SIZE]; // LINE: random_eviction
            match cache.len() < 40_000 {
                true => cache.push(value),
                false => cache[random.below(40_000) as usize] = value,
            }
        }
    });
}

/// Full after 54 minutes, and closed: what does not fit is not cached.
pub(crate) fn closed_when_full(world: &mut World) {
    let mut cache: Vec<Vec<u8>> = Vec::with_capacity(40_000);
    world.run(|_, _| {
        for _ in 0..12 {
            if cache.len() < 39_000 {
                cache.push(vec![1; SIZE]); // LINE: closed_when_full
            }
        }
    });
}

pub(crate) fn lru_with_churn(world: &mut World) {
    let mut cache = LruCache::new(NonZeroUsize::new(30_000).unwrap());
    world.run(|_, random| {
        for _ in 0..40 {
            let key = random.below(200_000);
            if cache.get(&key).is_none() {
                cache.put(key, vec![1u8; SIZE]); // LINE: lru_with_churn
            }
        }
    });
}

/// As many entries as there are keys: new ones become rare.
pub(crate) fn finite_keys(world: &mut World) {
    let mut cache: HashMap<u64, Vec<u8>> = HashMap::with_capacity(1 << 16);
    world.run(|_, random| {
        for _ in 0..30 {
            let key = random.below(30_000);
            cache.entry(key).or_insert_with(|| vec![1; SIZE]); // LINE: finite_keys
        }
    });
}

/// The key is made for each look-up, and kept if it is new: survivors of every age beside much that is freed at once.
pub(crate) fn keys_of_look_ups(world: &mut World) {
    let mut cache: HashMap<String, u64> = HashMap::with_capacity(1 << 16);
    let mut new = 0;
    world.run(|_, random| {
        for i in 0..40 {
            let is_new = i % 4 == 0 && new < 36_000;
            new += u64::from(is_new);
            let number = if is_new {
                new
            } else {
                random.below(new.max(1))
            };
            let key = format!("{number:0>2048}"); // LINE: keys_of_look_ups
            *cache.entry(key).or_default() += 1;
        }
    });
}

/// Everything is thrown out after half an hour.
pub(crate) fn ttl(world: &mut World) {
    let mut cache: VecDeque<(u64, Vec<u8>)> = VecDeque::with_capacity(1 << 17);
    world.run(|now, _| {
        while cache.front().is_some_and(|entry| entry.0 + 1800 < now) {
            cache.pop_front();
        }
        for _ in 0..25 {
            cache.push_back((now, vec![1; SIZE])); // LINE: ttl
        }
    });
}

/// Two generations: every twenty minutes the older one goes.
pub(crate) fn generations(world: &mut World) {
    let mut young: Vec<Vec<u8>> = Vec::with_capacity(1 << 16);
    let mut old: Vec<Vec<u8>> = Vec::with_capacity(1 << 16);
    world.run(|now, _| {
        if now % 1200 == 0 {
            std::mem::swap(&mut young, &mut old);
            young.clear();
        }
        for _ in 0..30 {
            young.push(vec![1; SIZE]); // LINE: generations
        }
    });
}

/// What is asked for often stays for good, what is not makes room.
pub(crate) fn hot_and_cold(world: &mut World) {
    let mut hot: HashMap<u64, Vec<u8>> = HashMap::with_capacity(1 << 15);
    let mut cold: VecDeque<Vec<u8>> = VecDeque::with_capacity(1 << 15);
    world.run(|_, random| {
        for _ in 0..40 {
            let key = random.below(100_000);
            if hot.contains_key(&key) {
                continue;
            }
            let value = vec![1u8; SIZE]; // LINE: hot_and_cold
            if key < 12_000 {
                hot.insert(key, value);
                continue;
            }
            cold.push_back(value);
            if cold.len() > 20_000 {
                cold.pop_front();
            }
        }
    });
}

/// Traffic starts late, and fills it from the eighth to the fourteenth window.
pub(crate) fn late_cache(world: &mut World) {
    let mut cache: Vec<Vec<u8>> = Vec::with_capacity(1 << 16);
    world.run(|now, _| {
        let fills = (8 * WINDOW..14 * WINDOW).contains(&now);
        for _ in 0..if fills { 20 } else { 0 } {
            cache.push(vec![1; SIZE]); // LINE: late_cache
        }
    });
}

/// Tables made when a feature is first used, eight of them in the first half hour.
pub(crate) fn lazy_tables(world: &mut World) {
    let mut tables: Vec<Vec<u8>> = Vec::with_capacity(1 << 16);
    world.run(|now, _| {
        let is_first = [3, 50, 170, 420, 600, 930, 1200, 1700].contains(&now);
        for _ in 0..if is_first { 3000 } else { 0 } {
            tables.push(vec![1; SIZE]); // LINE: lazy_tables
        }
    });
}

/// Three hours until it is full.
pub(crate) fn huge_cache(world: &mut World) {
    let mut cache: Vec<Vec<u8>> = Vec::with_capacity(1 << 17);
    world.run(|_, _| {
        for _ in 0..11 {
            if cache.len() < 118_800 {
                cache.push(vec![1; SIZE]); // LINE: huge_cache
            }
        }
    });
}
