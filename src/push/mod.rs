//! Profiles pushed to a continuous-profiling server, Grafana Pyroscope: feature `push`.
//!
//! ```no_run
//! # fn main() -> Result<(), heapsite::Error> {
//! // A thread of its own; dropping the pusher sends what is left and stops it.
//! let pusher = heapsite::push::Options::new("http://pyroscope:4040")
//!     .application("shop")
//!     .label("region", "eu")
//!     .start()?;
//! // … the service …
//! println!("{:?}", pusher.status());
//! # Ok(())
//! # }
//! ```
//!
//! `HEAPSITE=push=http://pyroscope:4040,push_name=shop,push_labels=region=eu` makes [`init`](crate::init) do the same.
//!
//! ```text
//!                    ┌── what the server has been told (ledger), advanced only when it says yes ──┐
//! counters ─▶ allocated since, live now ─▶ names ─▶ fits its limits (body) ─▶ wire ─▶ answer ─▶ accepted
//!                                                                                       ├─▶ not taken: all of it next time
//!                                                                                       └─▶ nobody knows: given up, counted
//! ```
//!
//! [`guide::fleets`](crate::guide::fleets) tells what is sent, and what happens when it cannot be.
#![forbid(unsafe_code)]

mod answer;
mod backoff;
mod body;
mod labels;
mod ledger;
mod names;
mod options;
mod pusher;
mod secret;
mod wire;
mod worker;

pub(crate) use labels::{LABEL_LISTS, label_list};
pub use options::Options;
pub(crate) use options::URLS;
pub use pusher::{Pusher, Status};
