//! Pushes from the outside: to a server of our own that applies Pyroscope's rules.
#![forbid(unsafe_code)]

#[path = "../formats/backends.rs"]
#[allow(dead_code, reason = "what only the tests of formats call")]
mod backends;
#[macro_use]
mod planted;
mod delivery;
mod failures;
mod limits;
mod rules;
mod rules_hold;
mod server;
#[cfg(feature = "push-tls")]
mod tls;
#[path = "../formats/walker.rs"]
#[allow(dead_code, reason = "what only the tests of formats call")]
mod walker;

/// Everything is recorded, so that what the server should have been told is known to the byte.
#[global_allocator]
static HEAP: heapsite::Heapsite = heapsite::Heapsite::system().sample_interval(1);
