//! What the process held, every few seconds, since somebody began to serve it: small, bounded, with the newest last.
//!
//! ```text
//! thread "heapsite-moment" ──every 10 s──▶ Moment ──▶ Ring (360 moments, 2 MiB) ──▶ Change between any two
//! ```
//!
//! There is one history per process, and its thread runs while a server or a router lives. A forked child has neither: it
//! is another process, and begins its own when it serves.
#![forbid(unsafe_code)]

mod change;
mod moment;
mod ring;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use crate::helper;
use crate::profile::resources::Resources;
use crate::record;

pub(crate) use change::{Bound, Change, LineChange};
pub(crate) use moment::{Moment, Process};
pub(crate) use ring::{LIMIT_BYTES, MOST_LINES, MOST_MOMENTS, Ring};

/// Time between two moments, unless told otherwise.
pub(crate) const EVERY: Duration = Duration::from_secs(10);

/// Moments cost at most this part of one processor's time, naming aside: where they are expensive the next comes later.
const SHARE: u32 = 20;

/// Working memory of heapsite's that does not matter, bytes.
const QUIET_BYTES: u64 = 1 << 20;
/// A moment waits for so long, so many times.
const WAIT: Duration = Duration::from_millis(100);
const WAITS: u32 = 30;

/// Keeps the history going: the thread ends when the last clone is dropped.
#[derive(Clone)]
pub(crate) struct Keeper {
    inner: Arc<Inner>,
}

impl Keeper {
    /// The process's history, which begins now if there is none. Where there is one its own pace stays.
    pub(crate) fn new(every: Duration) -> Keeper {
        static CURRENT: Mutex<Weak<Inner>> = Mutex::new(Weak::new());
        let _own_work = helper::own_work();
        // Not to be had: another thread is at it, or was when this process was forked. Then this one is not shared.
        let Ok(mut current) = CURRENT.try_lock() else {
            return Keeper::start(every);
        };
        match current.upgrade() {
            Some(inner) if inner.history.is_of_this_process() => Keeper { inner },
            _ => {
                let keeper = Keeper::start(every);
                *current = Arc::downgrade(&keeper.inner);
                keeper
            }
        }
    }

    fn start(every: Duration) -> Keeper {
        let history = Arc::new(History {
            pid: std::process::id(),
            every,
            state: Mutex::default(),
            ended: Condvar::new(),
        });
        if !every.is_zero() {
            let of_thread = Arc::clone(&history);
            if helper::spawn("heapsite-moment", move || of_thread.run()).is_err() {
                history.lock().no_thread = true;
            }
        }
        let inner = Arc::new(Inner { history });
        Keeper { inner }
    }

    pub(crate) fn history(&self) -> &History {
        &self.inner.history
    }
}

struct Inner {
    history: Arc<History>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // In a forked child the thread is not there, and the lock may have been somebody's.
        if self.history.is_of_this_process() {
            self.history.lock().is_over = true;
            self.history.ended.notify_all();
        }
    }
}

/// The moments of this process.
pub(crate) struct History {
    pid: u32,
    every: Duration,
    state: Mutex<State>,
    ended: Condvar,
}

/// Everything that changes.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) ring: Ring,
    /// All that is known of the newest moment's process; the ring keeps numbers only.
    pub(crate) latest: Option<Arc<Resources>>,
    /// Moments that could not be taken.
    pub(crate) failed: u64,
    /// The system had no thread for it.
    pub(crate) no_thread: bool,
    /// What taking all of them took, nanoseconds.
    pub(crate) took_nanos: u64,
    is_over: bool,
}

impl History {
    /// `false` in a forked child: there the history is the parent's, and must not be locked.
    pub(crate) fn is_of_this_process(&self) -> bool {
        std::process::id() == self.pid
    }

    /// Time between moments, if they are cheap; zero: none are taken.
    pub(crate) fn every(&self) -> Duration {
        self.every
    }

    /// For a short look: the next moment waits meanwhile.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing under the lock leaves the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread's whole life.
    fn run(&self) {
        let mut last = [Duration::ZERO; 3];
        loop {
            if self.wait_for_quiet() {
                return;
            }
            let begin = Instant::now();
            // The panic hook has told of it; the program goes on, and so does this.
            let taken = catch_unwind(AssertUnwindSafe(moment::take));
            let took = begin.elapsed();
            let mut state = self.lock();
            let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
            state.took_nanos = state.took_nanos.saturating_add(nanos);
            match taken {
                Ok((mut moment, resources)) => {
                    moment.took_nanos = nanos;
                    state.ring.push(moment);
                    state.latest = resources.map(Arc::new);
                }
                Err(_) => state.failed += 1,
            }
            // The cheapest of four: the first times, and seldom later, stacks are named on the way.
            let cost = last.into_iter().fold(took, Duration::min);
            last = [last[1], last[2], took];
            let pause = self.every.max(cost.saturating_mul(SHARE));
            let (state, _) = self
                .ended
                .wait_timeout_while(state, pause, |state| !state.is_over)
                .unwrap_or_else(PoisonError::into_inner);
            if state.is_over {
                return;
            }
        }
    }
}

impl History {
    /// A profile that is being made takes tens of MiB for a moment, which would pass for growth: waits until it is done,
    /// but not for long. `true`: the history is over.
    fn wait_for_quiet(&self) -> bool {
        let mut state = self.lock();
        for _ in 0..WAITS {
            if state.is_over || record::working_memory() <= QUIET_BYTES {
                break;
            }
            let waited = self.ended.wait_timeout(state, WAIT);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.is_over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Waits for a thread, as long as it takes.
    fn until(is_so: impl Fn() -> bool) {
        while !is_so() {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn there_is_one_and_it_ends_with_the_last_keeper() {
        let first = Keeper::new(Duration::from_millis(1));
        // Another pace does not matter: one thread is enough.
        let second = Keeper::new(EVERY);
        assert!(Arc::ptr_eq(&first.inner, &second.inner));
        until(|| first.history().lock().ring.moments().len() >= 2);
        let history = Arc::clone(&first.inner.history);
        drop(first);
        assert!(!history.lock().is_over);
        drop(second);
        assert!(history.lock().is_over);
        // The thread holds the only other reference.
        until(|| Arc::strong_count(&history) == 1);
        assert_eq!(history.lock().failed, 0);
    }

    #[test]
    fn none_are_taken_where_nobody_wants_them() {
        let keeper = Keeper::start(Duration::ZERO);
        assert_eq!(Arc::strong_count(&keeper.inner.history), 1);
        assert!(keeper.history().lock().ring.moments().is_empty());
    }
}
