//! Leaks, in tests and in profiles.
//!
//! A guard for tests fails the test that leaves memory, threads, tasks or file descriptors behind, and names who made them:
//! [`LeakCheck`], [`assert_no_leaks`], [`assert_allocs`].
//!
//! Functions over [`Profile`](crate::Profile)s say which lines to accuse, and how likely chance alone would have done the
//! same: [`accuse`] (what goes on growing?), [`churn`] (what is allocated for a moment, over and over?),
//! [`held_at_peak`] (what made the high-water mark?).
//!
//! ```
//! # #[global_allocator]
//! # static HEAP: heapsite::Heapsite = heapsite::Heapsite::system();
//! use heapsite::leak::{LeakCheck, assert_allocs, assert_no_leaks};
//!
//! assert_no_leaks! {
//!     let worker = std::thread::spawn(|| vec![1, 2, 3].len());
//!     worker.join().unwrap();
//! }
//! assert_allocs!(<= 1, { Box::new(7) });
//!
//! let check = LeakCheck::start();
//! std::mem::forget(Box::new([0u8; 64]));
//! println!("{}", check.find().unwrap_err());
//! ```
//!
//! [`Watch`] does it in production: it looks at the running process again and again, and calls back when a leak begins and ends.
//!
//! The test binary needs a [`Heapsite`](crate::Heapsite) as its global allocator; without one a check fails and says so.
//! What belongs to a check, what escapes it, and what is no leak is told in the [guide](crate::guide::leak_checks).
//!
//! ```text
//! check ──▶ judge ──┬─▶ reach    held by a static? (sys::roots, /proc/self/mem)
//!   │               ├─▶ threads, tasks, fds
//!   │               ├─▶ stacks, noise
//!   │               └─▶ report
//!   └─ scope ──▶ record::scopes     who allocated what
//! ```
#![forbid(unsafe_code)]

mod accuse;
mod before;
mod budget;
mod check;
mod churn;
mod evidence;
mod exit;
mod fds;
mod judge;
mod macros;
mod noise;
mod options;
mod peak;
mod reach;
mod report;
mod save;
mod scope;
mod stacks;
mod statics;
mod tasks;
#[cfg(test)]
mod testing;
mod threads;
mod watch;

#[doc(inline)]
pub use crate::{__assert_allocs as assert_allocs, __assert_no_leaks as assert_no_leaks};
pub use accuse::{Accused, accuse};
pub use budget::{Counting, Used};
#[doc(hidden)]
pub use budget::{Limit, check as check_limits};
pub use check::LeakCheck;
pub use churn::{Churn, churn};
pub use exit::verify_at_exit;
pub use options::Options;
pub use peak::{Held, held_at_peak};
pub use report::{
    LeakReport, LeakedCell, LeakedFd, LeakedSite, LeakedTasks, LeakedThread, Place, SavedPair,
};
pub use watch::{Change, Kind, Watch, WatchHandle};
