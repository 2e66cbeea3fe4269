//! The desk between the helper thread and everybody who wants something from it.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::format::Format;

/// What the signal handler writes.
pub(super) const SIGNAL: u8 = b's';
/// What everybody else writes.
const ASKED: u8 = b'a';

/// The outside of the desk: ask, and wait for the answer.
pub(super) struct Desk {
    state: Mutex<State>,
    answered: Condvar,
    /// Never waits. At most a few bytes of ours lie in it, since only the first order on an empty desk writes
    /// one; so a signal's byte finds room, or finds another signal's byte there, which is as good.
    pub(super) wake: UnixStream,
}

#[derive(Default)]
struct State {
    orders: VecDeque<(u64, Order)>,
    answers: Vec<(u64, Result<PathBuf>)>,
    last_ticket: u64,
    stop: bool,
    /// The helper thread runs, under its name.
    begun: bool,
    /// The helper thread has ended, whatever ended it.
    closed: bool,
}

/// A dump that somebody waits for.
#[derive(Clone)]
pub(super) enum Order {
    /// As the settings say.
    Default,
    /// To some other place.
    To(PathBuf, Format),
}

impl Desk {
    /// A desk, and the end of it that wakes the helper thread.
    pub(super) fn new() -> io::Result<(Desk, Bell)> {
        let (wake, bell) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        let desk = Desk {
            state: Mutex::default(),
            answered: Condvar::new(),
            wake,
        };
        Ok((desk, Bell(bell)))
    }

    /// Orders a dump and waits for it.
    pub(super) fn ask(&self, order: Order) -> Result<PathBuf> {
        let mut state = self.lock();
        if state.stop || state.closed {
            return Err(Error::unsupported(
                "no dump: heapsite's helper thread has stopped",
            ));
        }
        state.last_ticket += 1;
        let ticket = state.last_ticket;
        state.orders.push_back((ticket, order));
        if state.orders.len() == 1 {
            self.ring();
        }
        loop {
            if let Some(at) = state.answers.iter().position(|(of, _)| *of == ticket) {
                return state.answers.swap_remove(at).1;
            }
            if state.closed {
                return Err(Error::unsupported(
                    "no dump: heapsite's helper thread ended before it",
                ));
            }
            state = self
                .answered
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Has the helper thread finish what it was asked for, take the final dump if there is to be one, and end.
    pub(super) fn ask_to_stop(&self) {
        self.lock().stop = true;
        self.ring();
    }

    /// Waits until the helper thread runs; `false`: it takes longer than `patience`.
    pub(super) fn wait_until_begun(&self, patience: Duration) -> bool {
        self.wait_until(patience, |state| state.begun || state.closed)
    }

    /// Waits until the helper thread has ended; `false`: it takes longer than `patience`.
    pub(super) fn wait_until_closed(&self, patience: Duration) -> bool {
        self.wait_until(patience, |state| state.closed)
    }

    fn wait_until(&self, patience: Duration, is_so: fn(&State) -> bool) -> bool {
        let deadline = Instant::now() + patience;
        let mut state = self.lock();
        while !is_so(&state) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self
                .answered
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        true
    }

    /// The helper's side: it runs.
    pub(super) fn begin(&self) {
        self.lock().begun = true;
        self.answered.notify_all();
    }

    /// The helper's side: the next order.
    pub(super) fn next_order(&self) -> Option<(u64, Order)> {
        self.lock().orders.pop_front()
    }

    /// The helper's side: the outcome of an order.
    pub(super) fn answer(&self, ticket: u64, outcome: Result<PathBuf>) {
        self.lock().answers.push((ticket, outcome));
        self.answered.notify_all();
    }

    /// The helper's side: it was asked to end, and nobody waits for a dump any more.
    pub(super) fn may_stop(&self) -> bool {
        let state = self.lock();
        state.stop && state.orders.is_empty()
    }

    /// The helper's side: it ends; nobody shall wait any longer.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.answered.notify_all();
    }

    fn ring(&self) {
        // Full means that bytes lie there which nobody has read yet: awake all the same.
        let _ = (&self.wake).write(&[ASKED]);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing under the lock leaves the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The helper's side of the wake-up socket.
pub(super) struct Bell(UnixStream);

impl Bell {
    /// Sleeps until woken or until `at_most` has passed; `true`: at least one signal came.
    ///
    /// Whatever has been written by now is read at once, so a burst of signals is one wake-up; a signal that
    /// comes later leaves a byte for the next one.
    pub(super) fn wait(&mut self, at_most: Duration) -> io::Result<bool> {
        // A whole socket buffer of one-byte writes is a few hundred bytes.
        let mut bytes = [0; 4096];
        // Zero would mean "for ever".
        self.0
            .set_read_timeout(Some(at_most.max(Duration::from_millis(1))))?;
        match self.0.read(&mut bytes) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()), // the other end is in `Desk`: it was closed behind us
            Ok(read) => Ok(bytes[..read].contains(&SIGNAL)),
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => Ok(false),
                _ => Err(error),
            },
        }
    }
}
