//! Which async tasks are alive, who spawned them, and where each of them waits: Go's goroutine profile, for Rust.
//!
//! Feature `task`; without it there are the types only, to read what other programs wrote.
//!
#![cfg_attr(not(feature = "task"), doc = "```ignore")]
#![cfg_attr(feature = "task", doc = "```")]
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! use heapsite::task;
//!
//! let (sender, mut orders) = tokio::sync::mpsc::channel::<u64>(1);
//! let worker = tokio::spawn(task::track(async move { while orders.recv().await.is_some() {} }));
//! tokio::task::yield_now().await;
//!
//! let tasks = task::dump();
//! assert_eq!(tasks.tasks.len(), 1);
//! println!("{tasks}");
//! # drop(sender);
//! # worker.await.unwrap();
//! # });
//! ```
//!
//! `track` goes around any future, on any executor. It keeps the place where it was called, the type of the future, and
//! for each poll that did not finish the stacks from which wakers were cloned: leaves do that where they wait.
//!
//! ```text
//! track ─▶ Tracked ──poll──▶ future ──▶ … ──▶ leaf ──clone──▶ waker ─▶ stack, kept with the task
//!             └── slot: 256 bytes of heapsite's own, for as long as the task lives or a waker is about
//! ```

pub mod cells;
#[cfg(feature = "task")]
mod dump;
mod json;
#[cfg(feature = "task")]
mod life;
#[cfg(feature = "task")]
mod names;
#[cfg(feature = "task")]
mod slot;
#[cfg(feature = "tokio")]
mod spawn;
#[cfg(feature = "task")]
mod spawn_site;
#[cfg(feature = "task")]
mod stacks;
mod text;
mod to_profile;
mod told;
#[cfg(feature = "task")]
mod track;
#[cfg(feature = "task")]
mod tracked;
#[cfg(not(feature = "task"))]
mod untracked;
#[cfg(feature = "task")]
mod waker;

#[cfg(feature = "task")]
pub use dump::dump;
#[cfg(feature = "task")]
#[cfg(feature = "task")]
pub(crate) use dump::{Alive, counts, of_scope};
#[cfg(feature = "tokio")]
pub use spawn::{spawn, spawn_blocking, spawn_local};
pub use told::{SpawnSite, Stack, State, Task, Tasks};
#[cfg(feature = "task")]
pub use track::{Builder, track, track_blocking, watch_await_points};
#[cfg(feature = "task")]
pub use tracked::Tracked;
#[cfg(not(feature = "task"))]
pub(crate) use untracked::{Alive, counts, of_scope};
