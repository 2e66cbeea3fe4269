//! Atomics below the wall: `std`'s, or loom's when its scheduler explores the models.
#![forbid(unsafe_code)]

pub(crate) mod float;
pub(crate) mod primitive;
pub(crate) mod sharded;
