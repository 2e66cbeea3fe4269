//! Numbers about the process, from the operating system.
#![forbid(unsafe_code)]

pub(crate) mod process;
