//! Who was created where: one slot of 32 bytes per living thread that `pthread_create` started.
//!
//! A slot is taken by the creator, gets the new thread's id when that begins, and is given back at its end. Threads that
//! leave by `pthread_exit` or are cancelled give nothing back; their slots are taken once their ids are gone.
#![forbid(unsafe_code)]

use std::collections::{HashMap, HashSet};

use super::super::Raw;
use crate::mem::Pool;
use crate::record::site_table::{OVERFLOW, SiteTable};
use crate::record::stack_here::stack_here;
use crate::sync::primitive::{AtomicU64, Ordering};
use crate::sys;
use crate::unwind::cut_from_code;

/// A slot's words.
const TAKEN: usize = 0;
/// Id of the thread above, number of the stack below; 0: it has not begun, or has ended.
const WHO: usize = 1;
const START: usize = 2;
const ARGUMENT: usize = 3;

type Slot = [AtomicU64; 4];

static SLOTS: Pool<Slot> = Pool::new();
/// Stacks that threads were created from, each once.
static STACKS: SiteTable = SiteTable::new();
/// A slot that may be free.
static HINT: AtomicU64 = AtomicU64::new(0);
static LOST: AtomicU64 = AtomicU64::new(0);

/// Slots looked at before a new one is made.
const WINDOW: u64 = 32;
/// Slots of which it is asked whether their thread still lives, before a new one is made.
const ASKED: u64 = 2;

/// A slot for a thread about to be created by the caller, which will run `start(argument)`; `None`: no room, counted.
#[inline(never)]
pub(super) fn take(start: u64, argument: u64) -> Option<u32> {
    let stack = stack_here(&STACKS).unwrap_or(OVERFLOW);
    let taken = free().or_else(made);
    let slot = taken.and_then(|number| Some((number, SLOTS.get(number)?)));
    let Some((number, slot)) = slot else {
        // Relaxed: a number to show.
        LOST.fetch_add(1, Ordering::Relaxed);
        return None;
    };
    if stack == OVERFLOW {
        LOST.fetch_add(1, Ordering::Relaxed);
    }
    // Relaxed, here and in `begin`: `pthread_create` orders what creator and thread do.
    slot[START].store(start, Ordering::Relaxed);
    slot[ARGUMENT].store(argument, Ordering::Relaxed);
    slot[WHO].store(u64::from(stack), Ordering::Relaxed);
    Some(number)
}

/// One of those that there are.
fn free() -> Option<u32> {
    let count = SLOTS.count();
    let first = HINT.load(Ordering::Relaxed);
    let numbers = (0..WINDOW.min(count)).map(|step| ((first + step) % count) as u32);
    let found = numbers.clone().find(|&number| claim(number));
    found.or_else(|| {
        let gone = |&number: &u32| give_back_if(number, |thread| !sys::is_thread(thread));
        let mut asked = numbers.take(ASKED as usize);
        let found = asked.find(|number| gone(number) && claim(*number));
        // Next time others are asked.
        HINT.store(first + ASKED, Ordering::Relaxed);
        found
    })
}

fn made() -> Option<u32> {
    let number = SLOTS.take()?;
    // Somebody who looks for a free one may have been faster.
    if claim(number) {
        Some(number)
    } else {
        made_again()
    }
}

fn made_again() -> Option<u32> {
    SLOTS.take().filter(|&number| claim(number))
}

fn claim(number: u32) -> bool {
    let Some(slot) = SLOTS.get(number) else {
        return false;
    };
    // Relaxed first: most slots are taken. Acquire: what the last one did with the slot lies before.
    slot[TAKEN].load(Ordering::Relaxed) == 0
        && slot[TAKEN]
            .compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
}

/// What the new thread is to run; from now on it is known where it was created.
pub(super) fn begin(number: u32) -> Option<(u64, u64)> {
    let slot = SLOTS.get(number)?;
    let stack = slot[WHO].load(Ordering::Relaxed) & 0xffff_ffff;
    let run = (
        slot[START].load(Ordering::Relaxed),
        slot[ARGUMENT].load(Ordering::Relaxed),
    );
    // Release: whoever sees the id sees the stack's number with it, in one word; the stack itself was published before.
    slot[WHO].store(u64::from(sys::thread_id()) << 32 | stack, Ordering::Release);
    Some(run)
}

/// The calling thread, which had the slot, is about to end.
pub(super) fn end(number: u32) {
    let own = sys::thread_id();
    give_back_if(number, |thread| thread == own);
}

/// There was no thread after all.
pub(super) fn never_began(number: u32) {
    if let Some(slot) = SLOTS.get(number) {
        slot[WHO].store(0, Ordering::Relaxed);
        slot[TAKEN].store(0, Ordering::Release);
    }
}

/// Gives a slot back whose thread is one that has ended. Only one of those that want to succeeds.
fn give_back_if(number: u32, ended: impl FnOnce(u32) -> bool) -> bool {
    let Some(slot) = SLOTS.get(number) else {
        return false;
    };
    let who = slot[WHO].load(Ordering::Acquire);
    let thread = (who >> 32) as u32;
    if thread == 0 || !ended(thread) {
        return false;
    }
    // Relaxed: the release below orders it.
    let mine = slot[WHO].compare_exchange(who, 0, Ordering::Relaxed, Ordering::Relaxed);
    if mine.is_ok() {
        // Release: pairs with `claim`.
        slot[TAKEN].store(0, Ordering::Release);
        HINT.store(u64::from(number), Ordering::Relaxed);
    }
    mine.is_ok()
}

/// Where the threads among `ids` were created, by id. `ids` was made after `before`.
pub(super) fn of(before: &Before, ids: &[u32]) -> HashMap<u32, Raw> {
    let alive: HashSet<u32> = ids.iter().copied().collect();
    let mut created = HashMap::new();
    for &(number, who) in &before.0 {
        let thread = (who >> 32) as u32;
        if alive.contains(&thread) {
            created.insert(thread, addresses(who as u32));
        } else {
            give_back_if(number, |now| now == thread && !sys::is_thread(thread));
        }
    }
    created.retain(|_, (addresses, _)| !addresses.is_empty());
    created
}

/// Slots with a thread, at one moment.
pub(super) struct Before(Vec<(u32, u64)>);

pub(super) fn look() -> Before {
    let count = u32::try_from(SLOTS.count()).unwrap_or(u32::MAX);
    let who = |number: u32| {
        // Acquire: pairs with `begin`.
        let who = SLOTS.get(number)?[WHO].load(Ordering::Acquire);
        (who >> 32 != 0).then_some((number, who))
    };
    Before((0..count).filter_map(who).collect())
}

/// Threads whose place of creation found no room.
pub(super) fn lost() -> u64 {
    LOST.load(Ordering::Relaxed)
}

fn addresses(stack: u32) -> Raw {
    if stack == OVERFLOW {
        return (Vec::new(), None);
    }
    let read = |(frames, cut): (&[AtomicU64], u8)| {
        // Relaxed: published with the stack's number.
        let frames = frames.iter().map(|frame| frame.load(Ordering::Relaxed));
        (frames.collect(), cut_from_code(cut))
    };
    STACKS.stack(stack).map_or_else(|| (Vec::new(), None), read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_used_again() {
        let before = SLOTS.count();
        for round in 0..1000u64 {
            let number = take(round, round + 1).unwrap();
            assert_eq!(begin(number), Some((round, round + 1)));
            let own = sys::thread_id();
            let created = of(&look(), &[own]);
            assert!(!created[&own].0.is_empty());
            match round % 3 {
                0 => never_began(number),
                1 => end(number),
                // As one that was cancelled: its id is gone.
                _ => {
                    let slot = SLOTS.get(number).unwrap();
                    slot[WHO].store(u64::from(u32::MAX >> 1) << 32 | 1, Ordering::Relaxed);
                }
            }
        }
        assert!(SLOTS.count() < before + 64, "{}", SLOTS.count());
        assert_eq!(lost(), 0);
    }
}
