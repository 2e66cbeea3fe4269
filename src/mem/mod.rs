//! The recorder's own memory: mapped, zeroed, bounded, never given out twice, never given back.
//!
//! Everything above this module sees `&'static [T]` of atomics and needs no `unsafe`.

mod budget;
pub(crate) mod chunks;
mod pool;
mod published;
mod words;

pub(crate) use budget::{limit_bytes, mapped_bytes, regions, resident_bytes, set_limit_bytes};
pub(crate) use pool::Pool;
pub(crate) use published::Published;
pub(crate) use words::Words;

/// Chunk and offset of a position in chunks that double, the first of them 2^`first_bits` long: the highest bit of the
/// position, counted from the first chunk's length, tells the chunk, and nothing ever moves.
pub(crate) fn place_in_doubling_chunks(position: u64, first_bits: usize) -> (usize, usize) {
    let shifted = position + (1 << first_bits);
    let chunk = shifted.ilog2() as usize - first_bits;
    (chunk, (shifted - (1 << (first_bits + chunk))) as usize)
}

/// Types for which memory of all zero bytes is a valid value, and which are only changed through shared
/// references.
///
/// # Safety
/// All-zero bytes are a valid `Self`; `Self: Sync` holds for real; there is nothing to drop.
pub(crate) unsafe trait Zeroable: Sync + Sized + 'static {
    /// The value that all-zero bytes stand for, where memory is not mapped: in models and tests.
    #[cfg(any(loom, test))]
    fn zeroed() -> Self;
}

// SAFETY: an atomic integer of zero bytes is 0; atomics are Sync and have no Drop.
unsafe impl Zeroable for crate::sync::primitive::AtomicU64 {
    #[cfg(any(loom, test))]
    fn zeroed() -> Self {
        Self::new(0)
    }
}

// SAFETY: an array of zero bytes is an array of elements of zero bytes.
unsafe impl<T: Zeroable, const N: usize> Zeroable for [T; N] {
    #[cfg(any(loom, test))]
    fn zeroed() -> Self {
        std::array::from_fn(|_| T::zeroed())
    }
}
