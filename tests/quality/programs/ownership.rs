//! Values that nobody can free any more, or that something small keeps.

use std::cell::RefCell;
use std::collections::HashMap;
use std::mem;
use std::rc::Rc;
use std::sync::{Arc, Mutex, Weak, mpsc};

use bytes::Bytes;

use crate::world::World;

const PER_SECOND: u64 = 11;
const SIZE: usize = 2048;

struct Node {
    next: RefCell<Option<Rc<Node>>>,
    _body: [u8; SIZE],
}

pub(crate) fn rc_cycle(world: &mut World) {
    world.run(|_, _| {
        for _ in 0..PER_SECOND {
            let (next, _body) = (RefCell::default(), [1; SIZE]);
            let node = Rc::new(Node { next, _body }); // LINE: rc_cycle
            *node.next.borrow_mut() = Some(node.clone());
        }
    });
}

struct Peer {
    others: Mutex<Vec<Arc<Peer>>>,
    _body: [u8; SIZE],
}

pub(crate) fn arc_cycle(world: &mut World) {
    world.run(|_, _| {
        for _ in 0..PER_SECOND / 2 {
            let peer = || Peer {
                others: Mutex::default(),
                _body: [1; SIZE],
            };
            let pair = [0; 2].map(|_| Arc::new(peer())); // LINE: arc_cycle
            pair[0].others.lock().unwrap().push(pair[1].clone()); // ALSO: arc_cycle
            pair[1].others.lock().unwrap().push(pair[0].clone()); // ALSO: arc_cycle
        }
    });
}

/// The value is dropped, its block is not: a `Weak` keeps it.
pub(crate) fn weak_registry(world: &mut World) {
    let mut listeners: Vec<Weak<[u8; SIZE]>> = Vec::with_capacity(1 << 17);
    world.run(|_, _| {
        for _ in 0..PER_SECOND {
            let listener = Arc::new([1; SIZE]); // LINE: weak_registry
            listeners.push(Arc::downgrade(&listener));
        }
    });
}

pub(crate) fn mem_forget(world: &mut World) {
    world.run(|_, _| {
        for _ in 0..PER_SECOND {
            let buffer = vec![1u8; SIZE]; // LINE: mem_forget
            mem::forget(buffer);
        }
    });
}

pub(crate) fn box_leak(world: &mut World) {
    world.run(|now, _| {
        for _ in 0..PER_SECOND {
            let config: &'static mut [u64; SIZE / 8] = Box::leak(Box::new([now; SIZE / 8])); // LINE: box_leak
            config[0] += 1;
        }
    });
}

/// Sixteen bytes of a line keep the line.
pub(crate) fn pinned_buffer(world: &mut World) {
    let mut ids: HashMap<u64, Bytes> = HashMap::with_capacity(1 << 14);
    world.run(|now, _| {
        let line = Bytes::from(vec![b'x'; 24 << 10]); // LINE: pinned_buffer
        ids.insert(now, line.slice(..16));
    });
}

type Callback = Box<dyn Fn(u64) -> u64>;

pub(crate) fn callbacks(world: &mut World) {
    let mut callbacks: Vec<Callback> = Vec::with_capacity(1 << 17);
    world.run(|now, _| {
        for _ in 0..PER_SECOND {
            let state = [now; SIZE / 8];
            callbacks.push(Box::new(move |i| state[i as usize % state.len()])); // LINE: callbacks
        }
    });
}

/// The consumer takes nine of ten.
pub(crate) fn std_channel(world: &mut World) {
    let (sender, receiver) = mpsc::channel();
    world.run(|_, _| {
        for i in 0..10 * PER_SECOND {
            sender.send(vec![1u8; SIZE]).unwrap(); // LINE: std_channel
            if i % 10 != 0 {
                receiver.recv().unwrap();
            }
        }
    });
}

/// Removed when a peer says goodbye, which three of ten do not.
pub(crate) fn connection_state(world: &mut World) {
    let mut open: HashMap<u64, Vec<u8>> = HashMap::with_capacity(1 << 18);
    let mut number = 0;
    world.run(|_, random| {
        for _ in 0..3 * PER_SECOND {
            number += 1;
            open.insert(number, vec![1; SIZE]); // LINE: connection_state
            if random.below(10) >= 3 {
                open.remove(&number.saturating_sub(20));
            }
        }
    });
}
