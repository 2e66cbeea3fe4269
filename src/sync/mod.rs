//! Atomics below the wall: `std`'s, or loom's when its scheduler explores the models.

pub(crate) mod float;
pub(crate) mod lane;
pub(crate) mod own;
pub(crate) mod primitive;
// Not modelled: a static of its own kind.
#[cfg(not(loom))]
pub(crate) mod sharded;
