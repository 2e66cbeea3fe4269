//! A hash of a stack that can go on from a part of it: from the root to the leaf, multiply and rotate, 1 ns a frame. The
//! bits are not spread evenly yet; the site table does that.
#![forbid(unsafe_code)]

/// The hash of no frames.
pub(crate) const START: u64 = 0x51_7c_c1_b7_27_22_0a_95;

/// The hash of a stack with `hash`, and one more frame at its leaf end.
#[inline]
pub(crate) fn step(hash: u64, pc: u64) -> u64 {
    (hash.rotate_left(23) ^ pc).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// The hash of a stack.
pub(crate) fn of(leaf_first: impl DoubleEndedIterator<Item = u64>) -> u64 {
    leaf_first.rev().fold(START, step)
}
