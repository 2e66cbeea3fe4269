//! Tracked tasks on Tokio: feature `tokio`.
#![forbid(unsafe_code)]

use tokio::task::{AbortHandle, JoinHandle, JoinSet};

use super::track::Builder;

/// This file, as debug information names it.
pub(super) const FILE: &str = file!();

/// Spawns a tracked task on the current Tokio runtime, as `tokio::spawn` does. The line that calls this is its spawn site.
///
/// # Panics
/// Outside of a Tokio runtime, as `tokio::spawn` does.
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    Builder::new().spawn(future)
}

/// Spawns a tracked task that need not be [`Send`] on the current `LocalSet`, as `tokio::task::spawn_local` does.
///
/// # Panics
/// Outside of a `LocalSet`, as `tokio::task::spawn_local` does.
#[track_caller]
pub fn spawn_local<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    Builder::new().spawn_local(future)
}

/// Runs a tracked closure on a thread where blocking is acceptable, as `tokio::task::spawn_blocking` does.
///
/// # Panics
/// Outside of a Tokio runtime, as `tokio::task::spawn_blocking` does.
#[track_caller]
pub fn spawn_blocking<W, R>(work: W) -> JoinHandle<R>
where
    W: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    Builder::new().spawn_blocking(work)
}

impl Builder {
    /// As [`spawn`].
    #[track_caller]
    pub fn spawn<F>(self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        tokio::spawn(self.track(future))
    }

    /// As [`spawn_local`].
    #[track_caller]
    pub fn spawn_local<F>(self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        tokio::task::spawn_local(self.track(future))
    }

    /// As [`spawn_blocking`].
    #[track_caller]
    pub fn spawn_blocking<W, R>(self, work: W) -> JoinHandle<R>
    where
        W: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        tokio::task::spawn_blocking(self.track_blocking(work))
    }

    /// Spawns a tracked task into a set, as [`JoinSet::spawn`] does.
    ///
    /// # Panics
    /// Outside of a Tokio runtime, as `JoinSet::spawn` does.
    #[track_caller]
    pub fn spawn_into<F>(self, set: &mut JoinSet<F::Output>, future: F) -> AbortHandle
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        set.spawn(self.track(future))
    }
}
