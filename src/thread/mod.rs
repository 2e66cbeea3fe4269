//! Which threads there are, what each does and where: a thread dump for Rust programs.
//!
//! ```
//! # #[cfg(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64"))] {
//! let threads = heapsite::thread::dump();
//! assert!(!threads.threads.is_empty());
//! println!("{threads}");
//! # }
//! ```
//!
//! ```text
//! dump ──signal, number──▶ each thread: walks its own stack into a place ──▶ collected, named, grouped
//!   └── /proc/self/task: name, state, processor time, age
//! ```

mod ask;
#[cfg(all(
    feature = "threadcreate",
    target_os = "linux",
    target_env = "gnu",
    not(target_feature = "crt-static")
))]
mod created;
#[cfg(not(all(
    feature = "threadcreate",
    target_os = "linux",
    target_env = "gnu",
    not(target_feature = "crt-static")
)))]
#[path = "uncreated.rs"]
mod created;
mod dump;
mod json;
mod proc;
mod stacks;
mod text;
mod to_profile;
mod told;

pub(crate) use created::watch;
pub use dump::{dump, dump_with, of_process};

/// Asks threads by this signal from now on, instead of by one that nobody handles or ignores.
///
/// A handler that is there is called for all signals of this number but heapsite's. Default: the highest real-time signal
/// that is free. Setting `thread_signal=SIGRTMIN+3`.
pub fn use_signal(signal: crate::Signal) {
    stacks::use_signal(signal.number());
}
#[cfg(feature = "cli")]
pub(crate) use to_profile::creator;
pub use told::{NoStack, Stack, State, Thread, Threads};

/// A stack's addresses, leaf first, and why it ends early.
type Raw = (Vec<u64>, Option<crate::profile::Cut>);
