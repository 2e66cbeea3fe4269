//! The check itself: a scope, what was there before it, and the patience to wait.
#![forbid(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::Location;
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use super::before::Before;
use super::judge::{Findings, Question};
use super::options::Options;
use super::report::LeakReport;
use super::save;
use super::scope::{Blind, Scope};
use crate::record::local::Ignore;

/// Watches what the calling thread, and the threads that it starts, allocate, start and open, until it is asked.
///
/// ```
/// # #[global_allocator]
/// # static HEAP: heapsite::Heapsite = heapsite::Heapsite::system();
/// use heapsite::leak::LeakCheck;
///
/// let check = LeakCheck::start();
/// let orders = vec![String::from("tea")];
/// drop(orders);
/// check.assert();
///
/// let check = LeakCheck::start();
/// std::mem::forget(vec![0u8; 4096]);
/// let report = check.find().unwrap_err();
/// assert_eq!(report.heap_total(), (1, 4096));
/// ```
///
/// A check that is dropped without having been asked panics if something leaked, unless the thread is panicking
/// already. The [guide](crate::guide::leak_checks) tells what belongs to a check and what escapes it.
#[must_use = "a check that is dropped at once has nothing to check"]
pub struct LeakCheck {
    scope: Result<Scope, Blind>,
    options: Options,
    before: RefCell<Before>,
    started: &'static Location<'static>,
    is_asked: Cell<bool>,
}

/// The first wait; each one is twice the last.
const FIRST_WAIT: Duration = Duration::from_micros(200);
const LONGEST_WAIT: Duration = Duration::from_millis(50);
/// When to look closely for the first time: what a static holds will not go away by waiting.
const FIRST_LOOK: Duration = Duration::from_millis(20);

impl LeakCheck {
    /// Starts a check with the default [`Options`].
    #[track_caller]
    pub fn start() -> LeakCheck {
        LeakCheck::with(Options::new())
    }

    #[track_caller]
    pub(super) fn with(options: Options) -> LeakCheck {
        let started = Location::caller();
        let own_work = Ignore::new();
        let before = Before::now(options.fds != Some(false));
        drop(own_work);
        LeakCheck {
            before: RefCell::new(before),
            options,
            started,
            is_asked: Cell::new(false),
            // Last: whatever is allocated before is not the test's.
            scope: Scope::open(),
        }
    }

    /// What the check has seen so far is no leak: memory that is live, threads and descriptors.
    pub fn ignore_current(&self) {
        let _own_work = Ignore::new();
        if let Ok(scope) = &self.scope {
            let with_fds = self.options.fds != Some(false);
            self.before.borrow_mut().forgive(scope.ticket, with_fds);
        }
    }

    /// Waits until nothing is left, or for as long as [`Options::patience`] allows, and tells what is left then. The
    /// check goes on, and may be asked again. Blocks the thread; inside a runtime see [`LeakCheck::settle`].
    ///
    /// Saves no snapshots unless [`Options::save`] says so.
    ///
    /// # Errors
    /// Something leaked, or nothing could be checked (no heapsite allocator is installed, another platform).
    pub fn find(&self) -> Result<(), LeakReport> {
        self.look(self.options.save.unwrap_or(false))
    }

    /// [`LeakCheck::find`] for whoever panics afterwards.
    fn find_at_last(&self) -> Result<(), LeakReport> {
        self.look(self.options.save.unwrap_or(true))
    }

    fn look(&self, saves: bool) -> Result<(), LeakReport> {
        let _own_work = Ignore::new();
        self.is_asked.set(true);
        let before = self.before.borrow();
        let question = self.question(&before)?;
        let mut patience = Patience::new(self.options.patience);
        while !patience.is_over(&question) {
            thread::sleep(patience.wait());
        }
        if question.is_clean() {
            return Ok(());
        }
        let Findings { mut report, leaked } = question.judge();
        if report.is_clean() {
            return Ok(());
        }
        if saves {
            save::add_pair(&mut report, &self.options, leaked);
        }
        Err(report)
    }

    /// Panics with the report if something leaked, or if nothing could be checked.
    #[track_caller]
    pub fn assert(self) {
        if let Err(report) = self.find_at_last() {
            self.fail(&report);
        }
    }

    /// Lets other tasks of the runtime run until nothing is left, or for as long as [`Options::patience`] allows. For
    /// async code on a runtime of the calling thread, before [`LeakCheck::find`] or [`LeakCheck::assert`], which block: a
    /// task that has been told to stop, but has not been polled since, still has its memory.
    pub async fn settle(&self) {
        let mut patience = Patience::new(self.options.patience);
        std::future::poll_fn(|context| {
            let _own_work = Ignore::new();
            let before = self.before.borrow();
            match self.question(&before) {
                Ok(question) if !patience.is_over(&question) => {}
                _ => return Poll::Ready(()),
            }
            // A yield, and no timer: this knows no runtime. Not all of the processor's time, either.
            thread::sleep(FIRST_WAIT);
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    fn question<'a>(&'a self, before: &'a Before) -> Result<Question<'a>, LeakReport> {
        let scope = match &self.scope {
            Ok(scope) => scope,
            Err(blind) => return Err(LeakReport::not_checked(blind.why())),
        };
        Ok(Question {
            scope: scope.ticket,
            is_followed: scope.is_followed,
            before,
            options: &self.options,
            at_exit: None,
        })
    }

    #[track_caller]
    fn fail(&self, report: &LeakReport) -> ! {
        panic!("{report}\n  (check started at {})", self.started)
    }
}

impl Drop for LeakCheck {
    fn drop(&mut self) {
        if self.is_asked.get() || thread::panicking() {
            return;
        }
        if let Err(report) = self.find_at_last() {
            self.fail(&report);
        }
    }
}

impl fmt::Debug for LeakCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeakCheck")
            .field("started", &self.started)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

/// How long to wait, and when to look.
pub(super) struct Patience {
    start: Instant,
    at_most: Duration,
    next: Duration,
    has_looked: bool,
}

impl Patience {
    pub(super) fn new(at_most: Duration) -> Patience {
        Patience {
            start: Instant::now(),
            at_most,
            next: FIRST_WAIT,
            has_looked: false,
        }
    }

    /// Nothing is left that waiting would help with, or there is no time left.
    pub(super) fn is_over(&mut self, question: &Question<'_>) -> bool {
        let elapsed = self.start.elapsed();
        if elapsed >= self.at_most || question.is_clean() {
            return true;
        }
        if self.has_looked || elapsed < FIRST_LOOK {
            return false;
        }
        self.has_looked = true;
        question.judge().report.is_clean()
    }

    /// The next wait.
    pub(super) fn wait(&mut self) -> Duration {
        let left = self.at_most.saturating_sub(self.start.elapsed());
        let wait = self.next.min(left);
        self.next = (self.next * 2).min(LONGEST_WAIT);
        wait
    }
}
