//! How a program puts its tasks into the list.
#![forbid(unsafe_code)]

use std::panic::Location;
use std::sync::atomic::Ordering;

use super::slot::Phase;
use super::tracked::{self, Entry, Tracked};

/// This file, as debug information names it.
pub(super) const FILE: &str = file!();

/// Puts a future into the list of living tasks, until it is over or dropped. The line that calls this is its spawn site.
///
/// For every executor: `tokio::spawn(track(future))`, `set.spawn(track(future))`, `executor.spawn(track(future))`.
#[track_caller]
pub fn track<F: Future>(future: F) -> Tracked<F> {
    Builder::new().track(future)
}

/// Puts a closure that blocks into the list of living tasks while it runs and while it waits to be run:
/// `tokio::task::spawn_blocking(track_blocking(|| …))`.
#[track_caller]
pub fn track_blocking<R>(work: impl FnOnce() -> R) -> impl FnOnce() -> R {
    Builder::new().track_blocking(work)
}

/// Takes await points down in one poll of so many; 1 (the default): in each, 0: in none.
///
/// Each costs some 200 ns: a walk up the stack. In between tasks show where they waited at the last poll that was looked
/// at. Takes effect at each task's next poll.
pub fn watch_await_points(one_poll_in: u64) {
    tracked::AWAITS_EVERY.store(one_poll_in, Ordering::Relaxed);
}

/// What else is to be known of a task.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    name: String,
}

impl Builder {
    /// A task without a name.
    pub fn new() -> Builder {
        Builder::default()
    }

    /// What it is called in dumps, up to 104 bytes of it; need not be unique.
    pub fn name(mut self, name: impl Into<String>) -> Builder {
        self.name = name.into();
        self
    }

    /// As [`track`](fn@track).
    #[track_caller]
    pub fn track<F: Future>(self, future: F) -> Tracked<F> {
        let future_type = std::any::type_name::<F>();
        let entry = Entry::new(
            Location::caller(),
            future_type,
            &self.name,
            Phase::NeverPolled,
        );
        Tracked::new(entry, future)
    }

    /// As [`track_blocking`](fn@track_blocking).
    #[track_caller]
    pub fn track_blocking<W: FnOnce() -> R, R>(self, work: W) -> impl FnOnce() -> R + use<W, R> {
        let work_type = std::any::type_name::<W>();
        let entry = Entry::new(
            Location::caller(),
            work_type,
            &self.name,
            Phase::NeverPolled,
        );
        move || entry.run(work)
    }
}
