//! What is kept of one living task: 256 bytes, in memory of heapsite's own that never goes away.
//!
//! All of it can be read by a dump at any time. The one that polls the future writes; nothing is locked.

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::task::Waker;

use atomic_waker::AtomicWaker;

use super::life::{FreeList, Life};
use crate::mem::{Pool, Zeroable};
use crate::record::stack_here::ticks_here;
use crate::sync::primitive::{AtomicU32, AtomicU64, Ordering};

/// Await points kept of one poll: arms of a `select!`, futures of a `join!`.
pub(super) const AWAITS: usize = 8;
/// Bytes of a task's name; longer ones are cut.
pub(super) const NAME_BYTES: usize = 104;
const NAME_WORDS: usize = NAME_BYTES / 8;

/// How far a task has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Phase {
    NeverPolled = 0,
    Running = 1,
    Waiting = 2,
    /// A closure on a thread of its own: it runs until it is over.
    Blocking = 3,
}

/// One task. Its address is a multiple of its size: the low bits of a waker's data pointer have room for a number.
#[repr(C, align(256))]
pub(crate) struct Slot {
    pub(super) life: Life,
    /// Its own.
    number: AtomicU32,
    /// Number of its spawn site.
    spawn_site: AtomicU32,
    /// Number of the stack it was spawned from.
    spawn_stack: AtomicU32,
    phase: AtomicU32,
    /// The kernel's number of the thread that polls or polled it last.
    thread: AtomicU32,
    /// Ticks of the recorder's clock.
    born: AtomicU64,
    polled: AtomicU64,
    polls: AtomicU64,
    /// The leak check that it belongs to: [`scoped_tasks::of_new_task`](crate::record::scoped_tasks::of_new_task).
    scope: AtomicU64,
    /// Where its future lies, which never moves once it has been polled; 0: it has not been.
    place: AtomicU64,
    /// The poll that the await points are of, from 1; 0: there are none yet.
    awaits_of: AtomicU64,
    /// How many were seen in that poll: more than [`AWAITS`] are counted only.
    await_count: AtomicU32,
    name_length: AtomicU32,
    awaits: [AtomicU32; AWAITS],
    name: [AtomicU64; NAME_WORDS],
    /// Whom to wake. Made when the slot is taken for the first time.
    waker: Once<AtomicWaker>,
}

const _: () = assert!(size_of::<Slot>() == 256);

/// A value that is not there in zeroed memory, until the first owner makes it; then it stays.
struct Once<T> {
    made: AtomicU32,
    value: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: all-zero bytes are integers 0, no name, and a waker that is not made; every field is an atomic, or is changed
// under the rules of `Once`; nothing of it needs dropping, since a slot is for ever.
unsafe impl Zeroable for Slot {
    #[cfg(any(loom, test))]
    fn zeroed() -> Self {
        let word = || AtomicU64::new(0);
        let half = || AtomicU32::new(0);
        Slot {
            life: Life::new(),
            number: half(),
            spawn_site: half(),
            spawn_stack: half(),
            phase: half(),
            thread: half(),
            born: word(),
            polled: word(),
            polls: word(),
            scope: word(),
            place: word(),
            awaits_of: word(),
            await_count: half(),
            name_length: half(),
            awaits: std::array::from_fn(|_| half()),
            name: std::array::from_fn(|_| word()),
            waker: Once {
                made: half(),
                value: UnsafeCell::new(MaybeUninit::zeroed()),
            },
        }
    }
}

// SAFETY: the value is written once, before `made` is set, by the only thread that has the slot; from then on it is shared,
// and `T` may be.
unsafe impl<T: Send + Sync> Sync for Once<T> {}

impl<T> Once<T> {
    /// # Safety
    /// Nobody else has the slot: no reference to the value, and no other call of this.
    unsafe fn make(&self, value: T) {
        // Relaxed: the slot came from its last owner by way of the free list, which orders this.
        if self.made.load(Ordering::Relaxed) == 0 {
            // SAFETY: the caller's promise.
            unsafe { (*self.value.get()).write(value) };
            // Release: pairs with `get`.
            self.made.store(1, Ordering::Release);
        }
    }

    fn get(&self) -> Option<&T> {
        // Acquire: who sees it made sees the value.
        let made = self.made.load(Ordering::Acquire) != 0;
        // SAFETY: it was written before `made` was set, and is only shared since.
        made.then(|| unsafe { (*self.value.get()).assume_init_ref() })
    }
}

static SLOTS: Pool<Slot> = Pool::new();
static FREE: FreeList = FreeList::new();

/// What a task is born with.
pub(super) struct Birth<'a> {
    pub(super) spawn_site: u32,
    pub(super) spawn_stack: u32,
    pub(super) scope: u64,
    pub(super) name: &'a str,
    pub(super) phase: Phase,
}

/// A slot for a new task, whose future is its first holder; `None`: no room within the bound of heapsite's own memory.
pub(super) fn take(birth: &Birth<'_>) -> Option<&'static Slot> {
    let number = FREE
        .pop(|number| Some(&SLOTS.get(number)?.life))
        .or_else(|| SLOTS.take())?;
    let slot = SLOTS.get(number)?;
    slot.life.prepare();
    // SAFETY: it came off the free list, or is new: its last holder is gone.
    unsafe { slot.waker.make(AtomicWaker::new()) };
    // Relaxed, all of it: published by `begin`.
    let now = ticks_here();
    slot.number.store(number, Ordering::Relaxed);
    slot.spawn_site.store(birth.spawn_site, Ordering::Relaxed);
    slot.spawn_stack.store(birth.spawn_stack, Ordering::Relaxed);
    slot.phase.store(birth.phase as u32, Ordering::Relaxed);
    slot.born.store(now, Ordering::Relaxed);
    slot.polled.store(now, Ordering::Relaxed);
    slot.polls.store(0, Ordering::Relaxed);
    slot.scope.store(birth.scope, Ordering::Relaxed);
    slot.place.store(0, Ordering::Relaxed);
    slot.awaits_of.store(0, Ordering::Relaxed);
    slot.await_count.store(0, Ordering::Relaxed);
    slot.set_name(birth.name);
    slot.life.begin();
    Some(slot)
}

/// All living tasks, each read at one moment.
pub(super) fn for_each(found: impl FnMut(Seen)) {
    for_each_of(|_| true, found);
}

/// The living tasks whose leak check's word passes; others are not looked at further.
pub(super) fn for_each_of(passes: impl Fn(u64) -> bool, mut found: impl FnMut(Seen)) {
    for number in 0..SLOTS.count() {
        let slot = u32::try_from(number).ok().and_then(|n| SLOTS.get(n));
        let read = slot.and_then(|slot| {
            slot.life
                .read(|generation| passes(slot.scope()).then(|| slot.see(generation)))
        });
        if let Some(seen) = read.flatten() {
            found(seen);
        }
    }
}

/// A task as it was at one moment. Times are ticks of the recorder's clock.
pub(super) struct Seen {
    /// Slot and generation: no two tasks of a process have the same one, unless 2^31 were in one slot.
    pub(super) id: u64,
    pub(super) spawn_site: u32,
    pub(super) spawn_stack: u32,
    pub(super) phase: Phase,
    pub(super) thread: u32,
    pub(super) born: u64,
    pub(super) polled: u64,
    pub(super) polls: u64,
    /// See [`Slot`]'s.
    pub(super) place: u64,
    pub(super) awaits_of: u64,
    pub(super) await_count: u32,
    pub(super) awaits: Vec<u32>,
    pub(super) name: String,
}

impl Slot {
    // All accesses of the fields are Relaxed: one thread at a time polls a future, executors hand it on with what it wrote,
    // and readers ask `life` whether what they read belongs together.

    fn see(&self, generation: u32) -> Seen {
        let number = self.number.load(Ordering::Relaxed);
        let await_count = self.await_count.load(Ordering::Relaxed);
        let kept = (await_count as usize).min(AWAITS);
        let length = self.name_length.load(Ordering::Relaxed) as usize;
        let words = self.name.iter().map(|word| word.load(Ordering::Relaxed));
        let mut name: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
        name.truncate(length);
        Seen {
            id: u64::from(generation / 2) << 32 | u64::from(number),
            spawn_site: self.spawn_site.load(Ordering::Relaxed),
            spawn_stack: self.spawn_stack.load(Ordering::Relaxed),
            phase: match self.phase.load(Ordering::Relaxed) {
                0 => Phase::NeverPolled,
                1 => Phase::Running,
                2 => Phase::Waiting,
                _ => Phase::Blocking,
            },
            thread: self.thread.load(Ordering::Relaxed),
            born: self.born.load(Ordering::Relaxed),
            polled: self.polled.load(Ordering::Relaxed),
            polls: self.polls.load(Ordering::Relaxed),
            place: self.place.load(Ordering::Relaxed),
            awaits_of: self.awaits_of.load(Ordering::Relaxed),
            await_count,
            awaits: self.awaits[..kept]
                .iter()
                .map(|stack| stack.load(Ordering::Relaxed))
                .collect(),
            name: String::from_utf8_lossy(&name).into_owned(),
        }
    }

    fn set_name(&self, name: &str) {
        let end = name.floor_char_boundary(NAME_BYTES);
        let mut bytes = [0; NAME_BYTES];
        bytes[..end].copy_from_slice(&name.as_bytes()[..end]);
        for (word, bytes) in self.name.iter().zip(bytes.as_chunks::<8>().0) {
            word.store(u64::from_le_bytes(*bytes), Ordering::Relaxed);
        }
        self.name_length.store(end as u32, Ordering::Relaxed);
    }

    /// The future is about to be polled, for the caller's waker. Returns the number of this poll, from 1.
    pub(super) fn begin_poll(&self, waker: &Waker, now: u64) -> u64 {
        if let Some(inner) = self.waker.get() {
            inner.register(waker);
        }
        let polls = self.polls.load(Ordering::Relaxed) + 1;
        self.polls.store(polls, Ordering::Relaxed);
        self.polled.store(now, Ordering::Relaxed);
        self.phase.store(Phase::Running as u32, Ordering::Relaxed);
        polls
    }

    /// The poll returned, and the future waits.
    pub(super) fn end_poll(&self) {
        self.phase.store(Phase::Waiting as u32, Ordering::Relaxed);
    }

    /// A closure runs now, until it is over.
    pub(super) fn begin_blocking(&self, now: u64, thread: u32) {
        self.polled.store(now, Ordering::Relaxed);
        self.polls.store(1, Ordering::Relaxed);
        self.thread.store(thread, Ordering::Relaxed);
        self.phase.store(Phase::Blocking as u32, Ordering::Relaxed);
    }

    /// The future is polled for the first time, and lies here from now on.
    pub(super) fn set_place(&self, address: usize) {
        self.place.store(address as u64, Ordering::Relaxed);
    }

    /// The leak check that the task belongs to.
    pub(super) fn scope(&self) -> u64 {
        self.scope.load(Ordering::Relaxed)
    }

    pub(super) fn set_thread(&self, thread: u32) {
        self.thread.store(thread, Ordering::Relaxed);
    }

    /// From now on await points are of this poll.
    pub(super) fn forget_awaits(&self, poll: u64) {
        self.await_count.store(0, Ordering::Relaxed);
        self.awaits_of.store(poll, Ordering::Relaxed);
    }

    /// A waker was registered from this stack.
    pub(super) fn add_await(&self, stack: u32) {
        let count = self.await_count.load(Ordering::Relaxed);
        let kept = &self.awaits[..(count as usize).min(AWAITS)];
        if kept
            .iter()
            .any(|known| known.load(Ordering::Relaxed) == stack)
        {
            return;
        }
        if let Some(place) = self.awaits.get(count as usize) {
            place.store(stack, Ordering::Relaxed);
        }
        self.await_count.store(count + 1, Ordering::Relaxed);
    }

    pub(super) fn wake(&self) {
        if let Some(inner) = self.waker.get() {
            inner.wake();
        }
    }

    /// The task is over: nobody needs waking, and readers see nothing any more. The slot stays the caller's until
    /// [`Slot::let_go`].
    pub(super) fn finish(&self) {
        self.life.finish();
        if let Some(inner) = self.waker.get() {
            drop(inner.take());
        }
    }

    /// One holder less; the last one gives the slot back.
    pub(super) fn let_go(&self) {
        if self.life.let_go() {
            let number = self.number.load(Ordering::Relaxed);
            FREE.push(number, |number| Some(&SLOTS.get(number)?.life));
        }
    }
}
