//! What the service holds: asks, reads the counters, and stops it by dropping it.
#![forbid(unsafe_code)]

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::answer::Outcome;
use super::options::Options;
use super::worker::Worker;
use crate::error::{Error, Result};
use crate::helper;
use crate::sys;
use crate::trigger::report;

/// How long a drop waits for the last push. An orchestrator kills a process about 30 seconds after it has asked it to end.
const DROP_PATIENCE: Duration = Duration::from_secs(10);

/// Pushes until it is dropped. Dropping it pushes once more and ends its thread; should that take longer than 10 seconds,
/// the drop returns without it and stderr says so. The same happens when the process exits, unless it is killed.
///
/// In a forked child it is a memory only: the pushes go on in the parent, and dropping it does nothing.
#[must_use = "dropping the pusher stops it: keep it until the end of `main`"]
pub struct Pusher {
    pid: u32,
    url: String,
    shared: Arc<Shared>,
    /// `None` only while dropping.
    thread: Option<JoinHandle<()>>,
}

/// What has become of the pushes so far; exact.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// Pushes that the server took.
    pub accepted: u64,
    /// Pushes that it did not take: not there, or it said no. What they told goes with the next one.
    pub failed: u64,
    /// Pushes of which nobody knows: sent whole, and no answer. What they told of allocations is not sent again, so as
    /// much may be missing at the server.
    pub unknown: u64,
    /// Failed and unknown ones since the last accepted one.
    pub failures_in_a_row: u64,
    /// Why the last one failed; `None`: it did not.
    pub last_error: Option<String>,
    /// Bodies of accepted pushes, bytes, compressed.
    pub sent_bytes: u64,
    /// Stacks of accepted pushes that were merged into `[other…]`, to stay within the server's limits.
    pub merged_stacks: u64,
}

impl Pusher {
    pub(super) fn start(options: Options) -> Result<Pusher> {
        let _own_work = helper::own_work();
        options.validate()?;
        let pid = std::process::id();
        let shared = Arc::new(Shared::default());
        let url = options.url.as_str().to_owned();
        let worker = Worker::new(options, Arc::clone(&shared))?;
        let thread = helper::spawn("heapsite-push", move || worker.run())
            .map_err(|error| Error::io("cannot start the thread that pushes", error))?;
        remember(pid, &shared);
        Ok(Pusher {
            pid,
            url,
            shared,
            thread: Some(thread),
        })
    }

    /// Pushes now and waits for what comes of it: mostly moments, and as long as the time-outs of a push that is under way
    /// and of this one, where the server is slow. The first of the regular pushes that follow comes
    /// an interval later.
    ///
    /// # Errors
    /// The server did not take it, or nobody knows whether it did (the pushes go on); or this is a forked child, whose
    /// parent pushes.
    pub fn flush(&self) -> Result<()> {
        let _own_work = helper::own_work();
        match self.is_of_parent() {
            true => Err(Error::unsupported(
                "no push: this process was forked, and its parent pushes",
            )),
            false => self.shared.ask(),
        }
    }

    /// The counters. All zero in a forked child.
    pub fn status(&self) -> Status {
        let _own_work = helper::own_work();
        match self.is_of_parent() {
            // A lock that was held at the fork would never open.
            true => Status::default(),
            false => self.shared.lock().status.clone(),
        }
    }

    /// The server's address, as it was given.
    pub fn url(&self) -> &str {
        &self.url
    }

    fn is_of_parent(&self) -> bool {
        std::process::id() != self.pid
    }
}

impl fmt::Debug for Pusher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pusher")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl Drop for Pusher {
    fn drop(&mut self) {
        let _own_work = helper::own_work();
        let Some(thread) = self.thread.take() else {
            return;
        };
        if self.is_of_parent() {
            // Even to detach a thread that does not exist here would touch memory that may be gone.
            return std::mem::forget(thread);
        }
        if self.shared.stop() {
            // An error is a panic, which the hook has told.
            let _ = thread.join();
        }
    }
}

/// What the thread and the others have in common. The lock is held for moments.
#[derive(Default)]
pub(super) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    stop: bool,
    /// How often somebody has asked for a push.
    asked: u64,
    /// Which of these pushes have been tried.
    done: u64,
    /// What came of the last one.
    last: Option<Outcome>,
    /// The thread has ended, whatever ended it.
    closed: bool,
    status: Status,
}

/// Why the thread wakes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wake {
    Due,
    Asked,
    Stop,
}

impl Shared {
    /// Asks for a push that begins now, and waits for it.
    fn ask(&self) -> Result<()> {
        let mut state = self.lock();
        state.asked += 1;
        let ticket = state.asked;
        self.changed.notify_all();
        while state.done < ticket {
            if state.closed {
                return Err(Error::unsupported("no push: heapsite's thread has ended"));
            }
            state = self.wait_for_change(state);
        }
        match &state.last {
            Some(Outcome::NotTaken { why, .. }) => Err(not_done("the push was not taken", why)),
            Some(Outcome::Unknown { why }) => {
                Err(not_done("nobody knows whether the push was taken", why))
            }
            Some(Outcome::Accepted) | None => Ok(()),
        }
    }

    /// Asks the thread to push once more and to end, and waits for it; `false`: it takes too long.
    fn stop(&self) -> bool {
        let deadline = Instant::now() + DROP_PATIENCE;
        let mut state = self.lock();
        state.stop = true;
        self.changed.notify_all();
        while !state.closed {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                drop(state);
                report::line(format_args!(
                    "a push was still under way after {DROP_PATIENCE:?} and may be lost"
                ));
                return false;
            }
            state = match self.changed.wait_timeout(state, left) {
                Ok((state, _)) => state,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
        true
    }

    /// The thread's side: sleeps until `due`, or until somebody wants something. Together with the number of asks that a
    /// push which begins now will answer.
    pub(super) fn wait(&self, due: Instant) -> (Wake, u64) {
        let mut state = self.lock();
        loop {
            let left = due.saturating_duration_since(Instant::now());
            let wake = match (state.stop, state.asked > state.done) {
                (true, _) => Wake::Stop,
                (_, true) => Wake::Asked,
                _ if left.is_zero() => Wake::Due,
                _ => {
                    state = match self.changed.wait_timeout(state, left) {
                        Ok((state, _)) => state,
                        Err(poisoned) => poisoned.into_inner().0,
                    };
                    continue;
                }
            };
            return (wake, state.asked);
        }
    }

    /// The thread's side: what has come of the push that answers the asks up to `ticket`.
    pub(super) fn settle(&self, ticket: u64, outcome: Outcome, count: impl FnOnce(&mut Status)) {
        let mut state = self.lock();
        count(&mut state.status);
        state.done = ticket;
        state.last = Some(outcome);
        self.changed.notify_all();
    }

    /// The thread's side: it ends, and nobody shall wait any longer.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    fn wait_for_change<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed
            .wait(state)
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing under the lock leaves the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn not_done(what: &str, why: &str) -> Error {
    Error::io(what, io::Error::other(why.to_owned()))
}

/// Every pusher, and the process it is of: a pusher that nobody drops pushes once more when the process exits.
static ALL: Mutex<Vec<(u32, Weak<Shared>)>> = Mutex::new(Vec::new());

fn remember(pid: u32, shared: &Arc<Shared>) {
    // In a child that was forked while its parent started one, nobody will ever open the lock; only the push at exit is
    // lost.
    let Ok(mut all) = ALL.try_lock() else { return };
    all.retain(|(_, shared)| shared.strong_count() > 0);
    all.push((pid, Arc::downgrade(shared)));
    // Relaxed: changed under the lock.
    static REGISTERED: AtomicBool = AtomicBool::new(false);
    if !REGISTERED.swap(true, Ordering::Relaxed) && !sys::exit::at_exit(at_exit) {
        report::line(format_args!(
            "no last push by `exit`: the C library has no room to remember it"
        ));
    }
}

extern "C" fn at_exit() {
    let _own_work = helper::own_work();
    let Ok(all) = ALL.try_lock() else { return };
    let pid = std::process::id();
    let mine = all.iter().filter(|(owner, _)| *owner == pid);
    for shared in mine.filter_map(|(_, shared)| shared.upgrade()) {
        shared.stop();
    }
}
