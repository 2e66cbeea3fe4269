//! One expensive job at a time, on a thread of heapsite's own.
//!
//! Reading debug information takes tens of megabytes for a moment: two at once would take twice that. A window of
//! `?seconds=` keeps a copy of the counters for as long as it lasts, so there is one window at a time, too; but it is
//! idle in between, and other jobs run meanwhile. One job may wait for the one before it: pprof fetches a profile and its
//! base at the same time.
#![forbid(unsafe_code)]

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::helper;

/// The gate that expensive work passes. One per router: a forked child that makes a router of its own finds it open.
#[derive(Default)]
pub(super) struct Jobs {
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Default)]
struct State {
    is_busy: bool,
    /// How many work or are going to, besides a window.
    admitted: usize,
    /// When the window that is open ends.
    window: Option<Instant>,
}

/// One that works and one that waits.
const PLACES: usize = 2;

/// Not now: seconds after which another try is worth it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Busy(pub(super) u64);

impl Jobs {
    /// The right to do something expensive, once whoever does so now is done; or not now, because somebody waits already.
    pub(super) fn next(self: &Arc<Jobs>) -> Result<Next, Busy> {
        let mut state = self.lock();
        // Counted here and not when the work begins: two requests may come before the first one's thread runs.
        if state.admitted == PLACES {
            return Err(Busy(1));
        }
        state.admitted += 1;
        Ok(Next(Arc::clone(self)))
    }

    /// Blocks until nobody else works.
    fn turn(self: &Arc<Jobs>, place: Option<Next>) -> Turn {
        let state = self.lock();
        let mut state = self
            .freed
            .wait_while(state, |state| state.is_busy)
            .unwrap_or_else(PoisonError::into_inner);
        state.is_busy = true;
        Turn {
            jobs: Arc::clone(self),
            _place: place,
        }
    }

    /// The right to look at two moments that lie so far apart; or not now.
    pub(super) fn window(self: &Arc<Jobs>, length: Duration) -> Result<Window, Busy> {
        let now = Instant::now();
        let mut state = self.lock();
        if let Some(end) = state.window {
            return Err(Busy(end.saturating_duration_since(now).as_secs() + 1));
        }
        state.window = Some(now + length);
        Ok(Window {
            jobs: Arc::clone(self),
            length,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing under the lock leaves the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to do something expensive.
pub(super) struct Turn {
    jobs: Arc<Jobs>,
    /// Given back after the turn. Windows have none.
    _place: Option<Next>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.jobs.lock().is_busy = false;
        self.jobs.freed.notify_all();
    }
}

/// A place among those who work and wait.
pub(super) struct Next(Arc<Jobs>);

impl Next {
    /// Blocks until it is this one's turn.
    pub(super) fn turn(self) -> Turn {
        let jobs = Arc::clone(&self.0);
        jobs.turn(Some(self))
    }
}

impl Drop for Next {
    fn drop(&mut self) {
        self.0.lock().admitted -= 1;
    }
}

/// The right to look at two moments.
pub(super) struct Window {
    jobs: Arc<Jobs>,
    length: Duration,
}

impl Window {
    /// Blocks until it is this one's turn, for the first look. Not for long: whoever works now and whoever waits are all
    /// that can be in front of it.
    pub(super) fn first_look(&self) -> Turn {
        self.jobs.turn(None)
    }

    /// Lets the time pass, then waits for a turn again. `None`: the caller has gone.
    pub(super) fn second_look(&self, caller: &Caller) -> Option<Turn> {
        caller
            .is_there_after(self.length)
            .then(|| self.jobs.turn(None))
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        self.jobs.lock().window = None;
    }
}

/// Whoever waits for a job's result.
pub(super) struct Caller(Receiver<Infallible>);

impl Caller {
    /// Waits; `false`, and at once: it has gone.
    fn is_there_after(&self, wait: Duration) -> bool {
        matches!(self.0.recv_timeout(wait), Err(RecvTimeoutError::Timeout))
    }
}

/// Runs `work` on a thread of its own and waits for its result without blocking this one. The work goes on when
/// nobody waits any more, unless it asks the [`Caller`].
///
/// # Errors
/// There is no thread to be had, or the work panicked; in words for the answer.
pub(super) async fn run<R: Send + 'static>(
    work: impl FnOnce(Caller) -> R + Send + 'static,
) -> Result<R, &'static str> {
    let (tell, told) = oneshot::channel();
    // Never sent anything: it is dropped with this future, and that is what the other end hears.
    let (_here, caller) = mpsc::channel();
    helper::spawn("heapsite-job", move || {
        // The panic hook has told of it; the program goes on.
        if let Ok(result) = catch_unwind(AssertUnwindSafe(|| work(Caller(caller)))) {
            let _nobody_waits = tell.send(result);
        }
    })
    .map_err(|_| "no profile: the system has no thread for it")?;
    told.await
        .map_err(|_| "no profile: heapsite panicked while it made it; please report this")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    fn wait<F: Future>(future: F) -> F::Output {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(future)
    }

    #[test]
    fn one_works_and_one_waits() {
        let jobs = Arc::new(Jobs::default());
        // Both before either of them begins.
        let (one, other) = (jobs.next().ok().unwrap(), jobs.next().ok().unwrap());
        assert_eq!(jobs.next().err(), Some(Busy(1)));
        let turn = one.turn();
        let second = std::thread::spawn(move || drop(other.turn()));
        drop(turn);
        second.join().unwrap();
        // One that never begins, since its caller has gone, keeps no place.
        drop(jobs.next().ok().unwrap());
        let (_one, _other) = (jobs.next().ok().unwrap(), jobs.next().ok().unwrap());
    }

    #[test]
    fn one_window_and_others_work_meanwhile() {
        let jobs = Arc::new(Jobs::default());
        let (here, caller) = mpsc::channel::<Infallible>();
        let window = jobs.window(Duration::from_millis(1)).ok().unwrap();
        assert_eq!(jobs.window(LONG).err(), Some(Busy(1)));
        drop(window.first_look());
        drop(jobs.next().ok().unwrap().turn());
        drop(window.second_look(&Caller(caller)).unwrap());
        drop((window, here));
        let _other = jobs.window(LONG).ok().unwrap();
        let Busy(seconds) = jobs.window(LONG).err().unwrap();
        assert!((3599..=3601).contains(&seconds), "{seconds}");
    }

    /// Would take an hour if it waited.
    #[test]
    fn a_window_ends_when_its_caller_goes() {
        let jobs = Arc::new(Jobs::default());
        let window = jobs.window(LONG).ok().unwrap();
        let (here, caller) = mpsc::channel::<Infallible>();
        drop(here);
        assert!(window.second_look(&Caller(caller)).is_none());
        drop(window);
        jobs.window(LONG).ok().unwrap();
    }

    #[test]
    fn a_panic_is_an_answer_and_gives_the_turn_back() {
        let jobs = Arc::new(Jobs::default());
        let turn = jobs.next().ok().unwrap().turn();
        let outcome = wait(run(move |_| {
            let _turn = turn;
            if !std::thread::panicking() {
                panic!("on purpose");
            }
        }));
        assert!(outcome.unwrap_err().contains("panicked"));
        drop(jobs.next().ok().unwrap().turn());
        assert_eq!(wait(run(|_| 7)), Ok(7));
    }
}
