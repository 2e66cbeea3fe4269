//! Slots of tasks: readers, holders, and the list of free ones.

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

use crate::check;
use crate::sync::primitive::{AtomicU64, Ordering};
use crate::task::life::{FreeList, Life};

/// A slot with two words that belong together.
struct Slot {
    life: Life,
    words: [AtomicU64; 2],
}

impl Slot {
    fn new() -> Slot {
        Slot { life: Life::new(), words: [0, 0].map(AtomicU64::new) }
    }

    /// Task number `number` lives here.
    fn begin(&self, number: u64) {
        self.life.prepare();
        for word in &self.words {
            word.store(number, Ordering::Relaxed);
        }
        self.life.begin();
    }
}

/// A reader sees one task whole, or none, while tasks follow one another in a slot.
#[test]
fn a_reader_sees_one_task() {
    check(|| {
        let slot = Arc::new(Slot::new());
        slot.begin(1);
        let owner = {
            let slot = slot.clone();
            thread::spawn(move || {
                slot.life.finish();
                slot.begin(2);
            })
        };
        let seen = slot.life.read(|generation| {
            let words = [0, 1].map(|at: usize| slot.words[at].load(Ordering::Relaxed));
            (generation, words)
        });
        if let Some((generation, words)) = seen {
            let number = u64::from(generation / 2) + 1;
            assert_eq!(words, [number, number]);
        }
        owner.join().unwrap();
    });
}

/// Of two holders that let go, one is the last, and what the other one did lies before.
#[test]
fn one_holder_is_last() {
    struct Held {
        life: Life,
        memory: [UnsafeCell<u32>; 2],
    }
    impl Held {
        fn touch(&self, part: usize) {
            // SAFETY: loom checks that nobody else does at the same time.
            self.memory[part].with_mut(|memory| unsafe { *memory += 1 });
        }

        fn let_go(&self, part: usize) -> bool {
            self.touch(part);
            let last = self.life.let_go();
            if last {
                self.touch(0);
                self.touch(1);
            }
            last
        }
    }
    check(|| {
        let held = Arc::new(Held { life: Life::new(), memory: [0, 0].map(UnsafeCell::new) });
        held.life.prepare();
        held.life.hold();
        let other = {
            let held = held.clone();
            thread::spawn(move || held.let_go(1))
        };
        assert!(held.let_go(0) ^ other.join().unwrap());
    });
}

/// Two threads take slots, one of them takes both and gives the first back, and nobody has one that another has.
#[test]
fn a_slot_is_given_out_once() {
    struct Pool {
        free: FreeList,
        slots: [(Life, UnsafeCell<u32>); 2],
    }
    impl Pool {
        fn life(&self, number: u32) -> Option<&Life> {
            self.slots.get(number as usize).map(|slot| &slot.0)
        }

        fn pop(&self) -> Option<u32> {
            let taken = self.free.pop(|number| self.life(number));
            if let Some(number) = taken {
                // SAFETY: loom checks that nobody else has it.
                self.slots[number as usize].1.with_mut(|memory| unsafe { *memory += 1 });
            }
            taken
        }

        fn push(&self, number: u32) {
            self.free.push(number, |number| self.life(number));
        }
    }
    check(|| {
        let pool = Arc::new(Pool {
            free: FreeList::new(),
            slots: [0, 0].map(|zero| (Life::new(), UnsafeCell::new(zero))),
        });
        pool.push(0);
        pool.push(1);
        let other = {
            let pool = pool.clone();
            thread::spawn(move || {
                let first = pool.pop();
                let second = pool.pop();
                // Comes back as the head that another thread may have seen before, with another one behind it.
                first.into_iter().for_each(|first| pool.push(first));
                second
            })
        };
        let mine = pool.pop();
        let theirs = other.join().unwrap();
        let left: Vec<u32> = std::iter::from_fn(|| pool.pop()).collect();
        let mut all: Vec<u32> = mine.into_iter().chain(theirs).chain(left).collect();
        all.sort_unstable();
        assert_eq!(all, [0, 1]);
    });
}
