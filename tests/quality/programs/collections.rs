//! Collections that are never trimmed.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use crate::world::World;

/// Some 22 KiB a second: 160 MiB in two hours.
const PER_SECOND: u64 = 11;
const SIZE: usize = 2048;

pub(crate) fn map_values(world: &mut World) {
    let mut map = HashMap::with_capacity(1 << 17);
    world.run(|now, _| {
        for i in 0..PER_SECOND {
            map.insert((now, i), "v".repeat(SIZE)); // LINE: map_values
        }
    });
}

pub(crate) fn map_keys(world: &mut World) {
    let mut seen: HashMap<String, u64> = HashMap::with_capacity(1 << 18);
    world.run(|now, _| {
        for i in 0..2 * PER_SECOND {
            let key = format!("{now:0>800}/{i:0>200}"); // LINE: map_keys
            *seen.entry(key).or_default() += 1;
        }
    });
}

pub(crate) fn vec_of_boxes(world: &mut World) {
    let mut all = Vec::with_capacity(1 << 17);
    world.run(|now, _| {
        for _ in 0..PER_SECOND {
            all.push(Box::new([now; SIZE / 8])); // LINE: vec_of_boxes
        }
    });
}

/// One block that doubles: there is never more than one live sample.
pub(crate) fn vec_of_plain(world: &mut World) {
    let mut all: Vec<[u64; 16]> = Vec::new();
    world.run(|now, _| {
        for _ in 0..16 * PER_SECOND {
            all.push([now; 16]); // LINE: vec_of_plain
        }
    });
}

pub(crate) fn static_registry(world: &mut World) {
    static REGISTRY: Mutex<Vec<String>> = Mutex::new(Vec::new());
    REGISTRY.lock().unwrap().reserve(1 << 17);
    world.run(|now, _| {
        for _ in 0..PER_SECOND {
            let name = format!("{now:0>2048}"); // LINE: static_registry
            REGISTRY.lock().unwrap().push(name);
        }
    });
}

pub(crate) fn thread_local(world: &mut World) {
    thread_local!(static SCRATCH: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) });
    SCRATCH.with_borrow_mut(|kept| kept.reserve(1 << 17));
    world.run(|_, _| {
        for _ in 0..PER_SECOND {
            SCRATCH.with_borrow_mut(|kept| kept.push(vec![1; SIZE])); // LINE: thread_local
        }
    });
}

/// Tables that were filled once and keep their room: one for each of many connections.
pub(crate) fn map_capacity(world: &mut World) {
    let mut connections: Vec<HashMap<u64, [u64; 4]>> = Vec::with_capacity(1 << 14);
    world.run(|now, _| {
        let mut headers = HashMap::new();
        for i in 0..400 {
            headers.insert(i, [now; 4]); // LINE: map_capacity
        }
        headers.clear();
        connections.push(headers);
    });
}

pub(crate) fn interner(world: &mut World) {
    let mut names: HashMap<&'static str, u32> = HashMap::with_capacity(1 << 18);
    world.run(|_, random| {
        for _ in 0..2 * PER_SECOND {
            let name = format!("user-{:0>1000}", random.below(1 << 60));
            if !names.contains_key(name.as_str()) {
                let number = names.len() as u32;
                names.insert(Box::leak(name.as_str().into()), number); // LINE: interner
            }
        }
    });
}

/// A metric whose label is the request's id.
pub(crate) fn label_explosion(world: &mut World) {
    let mut counters: BTreeMap<Vec<(String, String)>, u64> = BTreeMap::new();
    world.run(|now, _| {
        for i in 0..PER_SECOND {
            let id = format!("{now}-{i:0>2000}"); // LINE: label_explosion
            let labels = vec![("request".to_owned(), id)]; // ALSO: label_explosion
            *counters.entry(labels).or_default() += 1; // ALSO: label_explosion
        }
    });
}

pub(crate) fn log_lines(world: &mut World) {
    let mut ring = Vec::with_capacity(1 << 19);
    world.run(|now, random| {
        for _ in 0..6 * PER_SECOND {
            let width = random.below(600) as usize + 50;
            ring.push(format!("{now} request done {:>width$}", "ok")); // LINE: log_lines
        }
    });
}
