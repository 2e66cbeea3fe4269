//! The thread that looks, and the handle that ends it.
//!
//! ```text
//!            start                    drop, or the process ends
//!   (none) ────────▶ running ───────────────────────────────────▶ (none)
//!              │        └──detach──▶ running until the process ends
//!              └─ fork: the child has memory of a handle, but no thread, and is (none)
//! ```
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::Callback;
use super::engine::Engine;
use super::names::Namer;
use crate::error::{Error, Result};
use crate::helper::{self, Remembered, own_work};
use crate::stats::{LeakWatch, leaks};
use crate::{snapshot, symbolize};

/// Looks take at most this part of one processor's time, naming aside: where they are expensive the next comes later.
const SHARE: u32 = 100;

/// So long a drop waits for a look, or a callback, that is under way. It ends by itself later.
const PATIENCE: Duration = Duration::from_secs(1);

thread_local! {
    /// A plain cell: it can be asked while the thread's other locals are being destroyed.
    static IS_WATCHER: Cell<bool> = const { Cell::new(false) };
}

/// A running watch; dropping it ends it. Where a look or a call of the callback is under way, the drop waits for a second at
/// most; that is then the last one, and ends by itself.
///
/// In a forked child it is a memory only: the watch goes on in the parent, dropping it does nothing, and the child may start
/// its own.
#[must_use = "dropping the handle ends the watch: keep it, or `detach` it"]
pub struct WatchHandle {
    shared: Arc<Shared>,
}

struct Shared {
    pid: u32,
    every: Duration,
    engine: Mutex<Engine>,
    callback: Mutex<Option<Callback>>,
    /// Orderings: each is a number of its own and guards nothing, so Relaxed.
    failed_looks: AtomicU64,
    callback_panics: AtomicU64,
    took_nanos: AtomicU64,
    life: Mutex<Life>,
    changed: Condvar,
}

#[derive(Default)]
struct Life {
    is_over: bool,
    /// The thread has ended.
    has_ended: bool,
}

/// The watch of this process, if it runs. In a forked child it is the parent's, whose locks may be held for ever.
static RUNNING: Remembered<Weak<Shared>> = Remembered::new();

impl WatchHandle {
    pub(super) fn start(
        engine: Engine,
        every: Duration,
        callback: Option<Callback>,
    ) -> Result<WatchHandle> {
        let _own_work = own_work();
        let shared = Arc::new(Shared {
            pid: std::process::id(),
            every,
            engine: Mutex::new(engine),
            callback: Mutex::new(callback),
            failed_looks: AtomicU64::new(0),
            callback_panics: AtomicU64::new(0),
            took_nanos: AtomicU64::new(0),
            life: Mutex::default(),
            changed: Condvar::new(),
        });
        RUNNING.with(|running| {
            let other = running.upgrade().filter(|other| other.pid == shared.pid);
            if other.is_some_and(|other| !other.life().is_over) {
                return Err(Error::config(
                    "a leak watch is running in this process already: accepted is one at a time; drop the first \
                     `WatchHandle` before the next `start`",
                ));
            }
            *running = Arc::downgrade(&shared);
            Ok(())
        })?;
        let handle = WatchHandle { shared };
        handle.shared.publish();
        let of_thread = Arc::clone(&handle.shared);
        match helper::spawn_for_the_program("heapsite-leaks", move || of_thread.run()) {
            Ok(_) => Ok(handle),
            Err(error) => {
                handle.shared.life().has_ended = true;
                Err(Error::io("cannot start the leak watch's thread", error))
            }
        }
    }

    /// Watches until the process ends.
    pub fn detach(self) {
        std::mem::forget(self);
    }

    /// What has been found so far, as in [`stats()`](crate::stats()). Waits for no look.
    pub fn status(&self) -> LeakWatch {
        leaks::current().unwrap_or_default()
    }

    /// A look on this thread, the callback as well. For tests, which must not wait for a clock: the history takes it to be
    /// `now_nanos` after the recorder's start.
    #[doc(hidden)]
    pub fn look_now(&self, now_nanos: u64) {
        self.shared.look(Some(now_nanos), &symbolize::in_process);
    }
}

impl Drop for WatchHandle {
    fn drop(&mut self) {
        let _own_work = own_work();
        let shared = &self.shared;
        if shared.pid != std::process::id() {
            return;
        }
        let mut life = shared.life();
        life.is_over = true;
        leaks::publish(None);
        shared.changed.notify_all();
        if IS_WATCHER.get() {
            return; // by the callback: it cannot wait for itself
        }
        let _ended = shared
            .changed
            .wait_timeout_while(life, PATIENCE, |life| !life.has_ended)
            .unwrap_or_else(PoisonError::into_inner);
    }
}

impl fmt::Debug for WatchHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchHandle")
            .field("every", &self.shared.every)
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// The thread's whole life.
    fn run(&self) {
        IS_WATCHER.set(true);
        let mut pause = self.every;
        let mut last = [Duration::ZERO; 3];
        while !self.wait(pause) {
            let begin = Instant::now();
            self.look(None, &symbolize::in_process);
            let took = begin.elapsed();
            // The cheapest of four: at first, and seldom later, stacks are named on the way.
            let cost = last.into_iter().fold(took, Duration::min);
            last = [last[1], last[2], took];
            pause = self.every.max(cost.saturating_mul(SHARE));
        }
        self.life().has_ended = true;
        self.changed.notify_all();
    }

    /// `true`: it is over.
    fn wait(&self, pause: Duration) -> bool {
        let waited = self
            .changed
            .wait_timeout_while(self.life(), pause, |life| !life.is_over);
        waited.unwrap_or_else(PoisonError::into_inner).0.is_over
    }

    /// Looks, and tells.
    fn look(&self, now: Option<u64>, namer: &Namer<'_>) {
        let changes = {
            let _own_work = own_work();
            let begin = Instant::now();
            // The panic hook has told of a panic; the program goes on, and so does the watch.
            let looked = catch_unwind(AssertUnwindSafe(|| {
                self.engine().look(snapshot::of_counters, now, namer)
            }));
            let changes = looked.ok().and_then(Result::ok);
            if changes.is_none() {
                self.failed_looks.fetch_add(1, Ordering::Relaxed);
            }
            let took = u64::try_from(begin.elapsed().as_nanos()).unwrap_or(u64::MAX);
            self.took_nanos.fetch_add(took, Ordering::Relaxed);
            self.publish();
            changes.unwrap_or_default()
        };
        let mut callback = locked(&self.callback);
        if let Some(callback) = &mut *callback {
            for change in &changes {
                if self.life().is_over {
                    break;
                }
                if catch_unwind(AssertUnwindSafe(|| callback(change))).is_err() {
                    self.callback_panics.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        drop(callback);
        let _own_work = own_work();
        if !changes.is_empty() {
            self.publish(); // a panic counts at once
        }
        drop(changes);
    }

    /// Lets everybody see how things stand.
    fn publish(&self) {
        let status = LeakWatch {
            failed_looks: self.failed_looks.load(Ordering::Relaxed),
            callback_panics: self.callback_panics.load(Ordering::Relaxed),
            took_nanos: self.took_nanos.load(Ordering::Relaxed),
            last_look_nanos: helper::now_nanos(),
            ..self.engine().status()
        };
        let life = self.life();
        // By now another watch may have begun.
        if !life.is_over {
            leaks::publish(Some(status));
        }
    }

    fn engine(&self) -> MutexGuard<'_, Engine> {
        // After a panic in the middle of a look the next one begins anew with what there is.
        locked(&self.engine)
    }

    fn life(&self) -> MutexGuard<'_, Life> {
        locked(&self.life)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::super::Watch;
    use super::*;

    #[test]
    fn a_look_that_hangs_stalls_nobody() {
        let engine = Engine::new(Watch::new().settings);
        let handle = WatchHandle::start(engine, Duration::from_nanos(1), None).unwrap();
        let shared = Arc::clone(&handle.shared);
        // A look holds this all the time. The thread's next one waits for it, so it is as if the symboliser hung.
        let hangs = shared.engine();
        assert_eq!(handle.status().suspects, []);
        assert!(crate::stats::heap().leak_watch.is_some());
        drop(handle);
        assert_eq!(leaks::current(), None);
        drop(hangs);
        let ended = shared
            .changed
            .wait_while(shared.life(), |life| !life.has_ended);
        drop(ended);
        assert_eq!(leaks::current(), None, "its last look is nobody's");
    }
}
