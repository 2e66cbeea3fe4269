//! The future around a task's future.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::fmt;
use std::panic::Location;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::slot::{self, Birth, Phase, Slot};
use super::spawn_site;
use super::stacks;
use super::waker::{self, Watch};
use crate::record::scoped_tasks;
use crate::record::stack_here::ticks_here;
use crate::sys;

pin_project! {
    /// A future that is in the list of living tasks until it is over or dropped; made by [`track`](super::track).
    ///
    /// Its output, its wake-ups and its panics are those of the future inside. Polling it costs some tens of nanoseconds
    /// more, and each await point that is taken down (see [`watch_await_points`](super::watch_await_points)) some 200.
    #[must_use = "futures do nothing unless they are polled"]
    pub struct Tracked<F> {
        // Dropped before its entry: what takes long to drop is still listed.
        #[pin]
        future: F,
        entry: Entry,
    }
}

/// Await points are taken down in one poll of so many; 0: in none.
pub(super) static AWAITS_EVERY: AtomicU64 = AtomicU64::new(1);

/// A task's place in the books: ends it as cancelled unless it ended before.
pub(super) struct Entry {
    site: u32,
    /// `None`: not listed, since there was no room, or over.
    slot: Option<&'static Slot>,
    over: bool,
}

#[derive(Clone, Copy)]
enum End {
    Completed,
    Panicked,
    Cancelled,
}

impl Entry {
    /// A new task. Not inlined: the spawn stack is what called this (see [`super::names`]).
    #[inline(never)]
    pub(super) fn new(
        location: &'static Location<'static>,
        future: &'static str,
        name: &str,
        phase: Phase,
    ) -> Entry {
        let site = spawn_site::number(location, future);
        let counts = spawn_site::get(site);
        // Relaxed: counts, here and below.
        counts.started.fetch_add(1, Ordering::Relaxed);
        let slot = slot::take(&Birth {
            spawn_site: site,
            spawn_stack: stacks::here().unwrap_or(stacks::NONE),
            // A task belongs to the leak check of the one that makes it.
            scope: scoped_tasks::of_new_task(waker::polled_here().map_or(0, Slot::scope)),
            name,
            phase,
        });
        if slot.is_none() {
            counts.unlisted.fetch_add(1, Ordering::Relaxed);
        }
        Entry {
            site,
            slot,
            over: false,
        }
    }

    fn end(&mut self, how: End) {
        if std::mem::replace(&mut self.over, true) {
            return;
        }
        let counts = spawn_site::get(self.site);
        let count = match how {
            End::Completed => &counts.completed,
            End::Panicked => &counts.panicked,
            End::Cancelled => &counts.cancelled,
        };
        count.fetch_add(1, Ordering::Relaxed);
        if let Some(slot) = self.slot.take() {
            slot.finish();
            slot.let_go();
        } else {
            counts.unlisted.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Runs the whole of a blocking task.
    pub(super) fn run<R>(mut self, work: impl FnOnce() -> R) -> R {
        let mut ending = Ending(&mut self, End::Panicked);
        let _watch = ending.0.slot.map(|slot| Watch::begin(slot, false));
        if let Some(slot) = ending.0.slot {
            slot.begin_blocking(ticks_here(), thread_here());
        }
        let result = work();
        ending.1 = End::Completed;
        result
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.end(End::Cancelled);
    }
}

/// Ends a task in this way when it is dropped, which a panic does as well.
struct Ending<'a>(&'a mut Entry, End);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.end(self.1);
    }
}

impl<F> Tracked<F> {
    pub(super) fn new(entry: Entry, future: F) -> Tracked<F> {
        Tracked { future, entry }
    }
}

impl<F: Future> Future for Tracked<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let place = std::ptr::from_ref(&*self).addr();
        let this = self.project();
        let Some(slot) = this.entry.slot else {
            // Not listed: it is counted, nothing more.
            return end_with(this.entry, || this.future.poll(context));
        };
        let poll = slot.begin_poll(context.waker(), ticks_here());
        if poll == 1 {
            slot.set_place(place);
        }
        slot.set_thread(thread_here());
        // Relaxed: a setting.
        let every = AWAITS_EVERY.load(Ordering::Relaxed);
        let watched = every > 0 && (poll == 1 || poll.is_multiple_of(every));
        if watched {
            slot.forget_awaits(poll);
        }
        // Polls that are not watched look like the last one that was: their leaves need not clone anew.
        let identity = poll.checked_div(every).unwrap_or(0);
        let waker = waker::borrowed(slot, identity);
        let mut context = Context::from_waker(&waker);
        let result = end_with(this.entry, || {
            let _watch = Watch::begin(slot, watched);
            poll_future(this.future, &mut context)
        });
        if result.is_pending() {
            slot.end_poll();
        }
        result
    }
}

/// Where a task's own frames end, on the way to the root: a function of its own in release builds as well, so that it has
/// its name there (see [`super::names`]).
#[inline(never)]
fn poll_future<F: Future>(future: Pin<&mut F>, context: &mut Context<'_>) -> Poll<F::Output> {
    let result = future.poll(context);
    // Something to do after it: a call in last place would be a jump, and leave no frame.
    std::hint::black_box(());
    result
}

/// Polls, and notes the end if this was it.
fn end_with<T>(entry: &mut Entry, poll: impl FnOnce() -> Poll<T>) -> Poll<T> {
    let ending = Ending(entry, End::Panicked);
    let result = poll();
    match result {
        Poll::Pending => std::mem::forget(ending),
        Poll::Ready(_) => {
            let mut ending = ending;
            ending.1 = End::Completed;
        }
    }
    result
}

impl<F> fmt::Debug for Tracked<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracked").finish_non_exhaustive()
    }
}

/// The kernel's number of this thread, asked for once: in a forked child, that of the parent's thread.
fn thread_here() -> u32 {
    thread_local! {
        static THREAD: Cell<u32> = const { Cell::new(0) };
    }
    match THREAD.get() {
        0 => {
            THREAD.set(sys::thread_id());
            THREAD.get()
        }
        known => known,
    }
}
