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
    /// Somebody waits for a turn.
    is_awaited: bool,
    /// When the window that is open ends.
    window: Option<Instant>,
}

/// Not now: seconds after which another try is worth it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Busy(pub(super) u64);

impl Jobs {
    /// The right to do something expensive, once whoever does so now is done; or not now, because somebody waits already.
    pub(super) fn next(self: &Arc<Jobs>) -> Result<Next, Busy> {
        let mut state = self.lock();
        match std::mem::replace(&mut state.is_awaited, true) {
            true => Err(Busy(1)),
            false => Ok(Next(Arc::clone(self))),
        }
    }

    /// The same, after waiting for it: for a job that has begun and must be finished.
    fn turn(self: &Arc<Jobs>) -> Turn {
        let state = self.lock();
        let mut state = self
            .freed
            .wait_while(state, |state| state.is_busy)
            .unwrap_or_else(PoisonError::into_inner);
        state.is_busy = true;
        Turn(Arc::clone(self))
    }

    /// The right to look at two moments that lie so far apart; or not now.
    pub(super) fn try_window(self: &Arc<Jobs>, length: Duration) -> Result<Window, Busy> {
        let now = Instant::now();
        let mut state = self.lock();
        if let Some(end) = state.window {
            return Err(Busy(end.saturating_duration_since(now).as_secs() + 1));
        }
        if state.is_busy {
            return Err(Busy(1));
        }
        state.is_busy = true;
        state.window = Some(now + length);
        Ok(Window {
            first: Some(Turn(Arc::clone(self))),
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
pub(super) struct Turn(Arc<Jobs>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.lock().is_busy = false;
        self.0.freed.notify_all();
    }
}

/// The right to be next.
pub(super) struct Next(Arc<Jobs>);

impl Next {
    /// Blocks until it is this one's turn.
    pub(super) fn turn(self) -> Turn {
        self.0.turn()
    }
}

impl Drop for Next {
    fn drop(&mut self) {
        self.0.lock().is_awaited = false;
    }
}

/// The right to look at two moments. It starts with a turn, for the first of them.
pub(super) struct Window {
    first: Option<Turn>,
    jobs: Arc<Jobs>,
    length: Duration,
}

impl Window {
    /// Lets others work until the window ends, then waits for a turn again. `None`: the caller has gone.
    pub(super) fn pass(&mut self, caller: &Caller) -> Option<Turn> {
        self.first = None;
        caller.is_there_after(self.length).then(|| self.jobs.turn())
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
    fn one_works_one_waits_and_one_window() {
        let jobs = Arc::new(Jobs::default());
        let turn = jobs.next().ok().unwrap().turn();
        let next = jobs.next().ok().unwrap();
        assert_eq!(jobs.next().err(), Some(Busy(1)));
        assert_eq!(jobs.try_window(LONG).err(), Some(Busy(1)));
        let second = std::thread::spawn(move || drop(next.turn()));
        drop(turn);
        second.join().unwrap();
        let window = jobs.try_window(LONG).ok().unwrap();
        let Busy(seconds) = jobs.try_window(LONG).err().unwrap();
        assert!((3599..=3601).contains(&seconds), "{seconds}");
        drop(window);
        drop(jobs.next().ok().unwrap().turn());
    }

    #[test]
    fn others_work_while_a_window_is_open() {
        let jobs = Arc::new(Jobs::default());
        let (here, caller) = mpsc::channel::<Infallible>();
        let mut window = jobs.try_window(Duration::from_millis(1)).ok().unwrap();
        let turn = window.pass(&Caller(caller)).unwrap();
        drop(turn);
        drop(jobs.next().ok().unwrap().turn());
        drop((window, here));
    }

    /// Would take an hour if it waited.
    #[test]
    fn a_window_ends_when_its_caller_goes() {
        let jobs = Arc::new(Jobs::default());
        let mut window = jobs.try_window(LONG).ok().unwrap();
        let (here, caller) = mpsc::channel::<Infallible>();
        drop(here);
        assert!(window.pass(&Caller(caller)).is_none());
        drop(window);
        jobs.try_window(LONG).ok().unwrap();
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
