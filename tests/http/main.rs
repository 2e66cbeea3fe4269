//! `/debug/pprof/` from the outside: a server in this process, and a client that sends bytes.
#![forbid(unsafe_code)]

mod access;
#[path = "../formats/backends.rs"]
mod backends;
mod bounds;
mod census;
mod client;
mod manners;
#[cfg(feature = "metrics")]
mod metrics;
mod profiles;
#[path = "../formats/walker.rs"]
#[allow(dead_code, reason = "what only the tests of formats call")]
mod walker;

/// Everything is recorded, so that what a profile should say is known to the byte.
#[global_allocator]
static HEAP: heapsite::Heapsite = heapsite::Heapsite::system().sample_interval(1);
