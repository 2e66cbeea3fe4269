//! Asks threads for their stacks: each walks its own, in the handler of a real-time signal.
//!
//! The asker sends a batch of questions, then collects what has been answered, until all have or its patience is over.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use super::ask::{Ask, Ticket};
use super::told::NoStack;
use crate::profile::Cut;
use crate::sys::ask_threads as signals;
use crate::unwind::{self, StackCache};

/// Deepest stack; deeper ones are cut and say so.
const MOST_FRAMES: usize = 256;
/// Threads that are asked at once: on two processors more do not answer sooner.
const PLACES: usize = 128;

/// Where one thread writes its stack.
struct Place {
    ask: Ask,
    answer: Answer,
}

/// Written between [`Ask::begin`] and [`Ask::finish`] by the thread that was asked; read by the asker when it is
/// answered.
struct Answer {
    frames: [Cell<u64>; MOST_FRAMES],
    length: Cell<usize>,
    cut: Cell<Option<Cut>>,
    interrupted: Cell<u64>,
}

// SAFETY: `Ask` lets one thread at a time touch the cells: see there.
unsafe impl Sync for Answer {}

static ANSWERS: [Place; PLACES] = [const {
    Place {
        ask: Ask::new(),
        answer: Answer {
            frames: [const { Cell::new(0) }; MOST_FRAMES],
            length: Cell::new(0),
            cut: Cell::new(None),
            interrupted: Cell::new(0),
        },
    }
}; PLACES];

/// Counts answers, for the asker to sleep on.
static COUNT: AtomicU32 = AtomicU32::new(0);
/// The signal; 0: none has been chosen.
static SIGNAL: AtomicI32 = AtomicI32::new(0);
/// Chosen by the program.
static ASKED_FOR: AtomicI32 = AtomicI32::new(0);
/// The process that asked last.
static ASKER: AtomicU32 = AtomicU32::new(0);
/// One asker at a time.
static TURN: Mutex<()> = Mutex::new(());

/// Uses this signal from the next question on; the program's own handler for it is called for all signals but heapsite's.
pub(crate) fn use_signal(signal: libc::c_int) {
    // Relaxed: a setting.
    ASKED_FOR.store(signal, Ordering::Relaxed);
}

/// A stack: addresses, leaf first, and why it ends early.
pub(super) type Found = Result<(Vec<u64>, Option<Cut>), NoStack>;

/// The stacks of these threads of this process. Waits no longer than `patience` for those that do not answer.
pub(super) fn of(threads: &[u32], patience: Duration) -> HashMap<u32, Found> {
    let all = |why: NoStack| threads.iter().map(|&thread| (thread, Err(why))).collect();
    if !crate::sys::CAN_RECORD {
        return all(NoStack::NotSupported);
    }
    let deadline = Instant::now() + patience;
    let Some(_turn) = turn(deadline) else {
        return all(NoStack::Busy);
    };
    let process = std::process::id();
    // Relaxed: under the lock.
    if ASKER.swap(process, Ordering::Relaxed) != process {
        // A child: who was answering its parent is not here.
        ANSWERS.iter().for_each(|place| place.ask.forget());
    }
    let Some(signal) = signal() else {
        return all(NoStack::NoSignal);
    };
    let mut found = HashMap::with_capacity(threads.len());
    let mut left = threads.iter().copied();
    loop {
        let asked = ask(&mut left, signal, &mut found);
        if asked.is_empty() {
            break;
        }
        collect(asked, deadline, &mut found);
    }
    // No place was free: all of them are being written by answers that come too late.
    found.extend(left.map(|thread| (thread, Err(NoStack::Busy))));
    found
}

/// The right to ask. Waits for whoever asks now, but not for somebody who stayed behind at a fork.
fn turn(deadline: Instant) -> Option<MutexGuard<'static, ()>> {
    loop {
        match TURN.try_lock() {
            Ok(turn) => return Some(turn),
            // Nothing under it is left half changed.
            Err(TryLockError::Poisoned(poisoned)) => {
                return Some(PoisonError::into_inner(poisoned));
            }
            Err(TryLockError::WouldBlock) if Instant::now() >= deadline => return None,
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

/// The signal, with the handler installed: the one that was chosen, or one that nobody uses.
fn signal() -> Option<libc::c_int> {
    let chosen = ASKED_FOR.load(Ordering::Relaxed);
    let known = SIGNAL.load(Ordering::Relaxed);
    let signal = match (chosen, known) {
        (1.., _) => chosen,
        // The program has taken it meanwhile: another one is as good.
        (_, 1..) if signals::is_installed(known) => known,
        _ => signals::unclaimed_signal()?,
    };
    signals::install(signal, answer).ok()?;
    SIGNAL.store(signal, Ordering::Relaxed);
    Some(signal)
}

struct Asked {
    thread: u32,
    place: usize,
    ticket: Ticket,
}

/// Asks as many as there are places.
fn ask(
    threads: &mut impl Iterator<Item = u32>,
    signal: libc::c_int,
    found: &mut HashMap<u32, Found>,
) -> Vec<Asked> {
    let mut asked = Vec::with_capacity(PLACES);
    for (place, there) in ANSWERS.iter().enumerate() {
        let Some(ticket) = there.ask.ask() else {
            continue;
        };
        loop {
            let Some(thread) = threads.next() else {
                there.ask.give_up(ticket);
                return asked;
            };
            if let Err(why) = super::proc::will_answer(thread, signal) {
                found.insert(thread, Err(why));
                continue;
            }
            let number = ticket.0 << 8 | place as u64;
            match signals::send(thread, signal, number) {
                Ok(()) => {
                    asked.push(Asked {
                        thread,
                        place,
                        ticket,
                    });
                    break;
                }
                Err(error) => {
                    let why = match error.raw_os_error() {
                        Some(libc::EAGAIN) => NoStack::TooManySignals,
                        _ => NoStack::Ended,
                    };
                    found.insert(thread, Err(why));
                }
            }
        }
    }
    asked
}

/// In the handler: walks the stack into its place.
fn answer(number: u64, interrupted: u64) {
    let (place, ticket) = ((number & 0xff) as usize, Ticket(number >> 8));
    let Some(there) = ANSWERS.get(place) else {
        return;
    };
    if !there.ask.begin(ticket) {
        return; // too late: the place is another question's
    }
    // Its own, not the thread's: no thread-local memory, which a thread of a loaded library may have to allocate first.
    let cache = StackCache::new();
    let captured = unwind::capture(&there.answer.frames, &cache, None);
    there.answer.length.set(captured.len.min(MOST_FRAMES));
    there.answer.cut.set(captured.cut);
    there.answer.interrupted.set(interrupted);
    there.ask.finish(ticket);
    // Relaxed: `finish` publishes; this only wakes.
    COUNT.fetch_add(1, Ordering::Relaxed);
    signals::wake(&COUNT);
}

fn collect(mut asked: Vec<Asked>, deadline: Instant, found: &mut HashMap<u32, Found>) {
    // A thread that ends, or that blocks the signal, never answers: looked into when there is nothing else to do.
    let mut looked = false;
    loop {
        let seen = COUNT.load(Ordering::Relaxed);
        asked.retain(|one| {
            let there = &ANSWERS[one.place];
            let answered = there.ask.is_answered(one.ticket);
            if answered {
                found.insert(one.thread, Ok(read(&there.answer)));
            }
            !answered
        });
        if asked.is_empty() {
            return;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let patience = match looked {
            true => left,
            false => left.min(FIRST),
        };
        if left.is_zero() {
            break;
        }
        signals::wait(&COUNT, seen, patience);
        if COUNT.load(Ordering::Relaxed) == seen && !looked {
            looked = true;
            let signal = SIGNAL.load(Ordering::Relaxed);
            asked.retain(|one| match super::proc::will_answer(one.thread, signal) {
                Ok(()) => true,
                // An answer that was on its way is better than the reason why there should be none.
                Err(why) => {
                    let gone = ANSWERS[one.place].ask.give_up(one.ticket);
                    if gone {
                        found.insert(one.thread, Err(why));
                    }
                    !gone
                }
            });
        }
    }
    for one in asked {
        let there = &ANSWERS[one.place];
        // What is being written now will be free for the next question when it is done.
        let answer = match !there.ask.give_up(one.ticket) && there.ask.is_answered(one.ticket) {
            true => Ok(read(&there.answer)),
            false => Err(NoStack::NoAnswer),
        };
        found.insert(one.thread, answer);
    }
}

/// How long nobody answers before it is asked why: threads that run do so within a scheduler's turn.
const FIRST: Duration = Duration::from_millis(20);

/// The stack of what was interrupted, without the handler's own frames.
fn read(answer: &Answer) -> (Vec<u64>, Option<Cut>) {
    let frames = answer.frames.iter().take(answer.length.get());
    let frames: Vec<u64> = frames.map(Cell::get).collect();
    let interrupted = answer.interrupted.get();
    let start = frames.iter().position(|&pc| pc == interrupted);
    match start {
        Some(start) => (frames[start..].to_vec(), answer.cut.get()),
        // The walk did not get out of the handler: where the thread was is known all the same.
        None => (vec![interrupted], answer.cut.get().or(Some(Cut::BadStack))),
    }
}
