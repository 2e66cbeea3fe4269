//! The switch between `std`'s atomics and those of the loom models (`tests/loom`); the tables name neither
//! directly.
#![forbid(unsafe_code)]

#[cfg(loom)]
pub(crate) use crate::stepping::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};
