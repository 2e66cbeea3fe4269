#![doc = include_str!("../README.md")]
#![doc = ""]
#![doc = "The [`guide`] has the long texts: architecture and laws, the maths of sampling, formats, triggers, the command."]
#![warn(missing_debug_implementations)] // users put our types into theirs

pub mod config;
pub mod error;
pub mod find;
pub mod format;
pub mod guide;
#[cfg(feature = "http")]
mod history;
#[cfg(feature = "http")]
pub mod http;
pub mod leak;
#[cfg(feature = "metrics")]
pub mod metrics;
pub mod profile;
#[cfg(feature = "push")]
pub mod push;
pub mod snapshot;
pub mod stats;
pub mod symbolize;
pub mod task;
pub mod thread;
pub mod trigger;
pub mod verdict;
pub mod view;

#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;

mod alloc;
mod helper;

// Below the wall: no heap, no lock, no waiting, no panic, no symbols. The types that would break this are
// listed in .clippy.toml and may not be named there.
#[cfg_attr(not(test), deny(clippy::disallowed_types))]
mod mem;
#[cfg_attr(not(test), deny(clippy::disallowed_types))]
mod record;
#[cfg_attr(not(test), deny(clippy::disallowed_types))]
mod sync;
mod sys;
#[cfg_attr(not(test), deny(clippy::disallowed_types))]
mod unwind;

pub use alloc::Heapsite;
pub use config::{Config, Signal};
pub use error::{Error, Result};
pub use profile::Profile;
pub use record::{pause, resume, sample_interval, set_sample_interval};
pub use snapshot::{Snapshot, snapshot};
pub use stats::{Stats, stats};
pub use trigger::{Handle, dump, init};

/// Doors into the recorder for heapsite's own tests and benches; not covered by semver.
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals {
    #[cfg(feature = "cli")]
    pub use crate::cli::read_answer;
    #[cfg(feature = "http")]
    pub use crate::http::read_query;
    pub use crate::record::internals::*;
    pub use crate::unwind::internals as unwind;
}
