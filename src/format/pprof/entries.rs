//! What the entries of a profile will take in memory, before any of it is taken.
#![forbid(unsafe_code)]

use std::mem::size_of;

use super::{proto, scan};
use crate::error::Result;
use crate::format::budget::Budget;
use crate::profile;

/// The message and what becomes of it are in memory together.
const fn both<A, B>() -> usize {
    size_of::<A>() + size_of::<B>()
}

/// Takes the room for field `number` of the profile with these contents; its texts, which are copied later, are
/// not in it.
pub(super) fn take(number: u64, contents: &[u8], budget: &Budget) -> Result<()> {
    const INDEXED: usize = size_of::<(u64, u32)>();
    match number {
        1 => budget.take(1, both::<proto::ValueType, profile::ValueType>()),
        2 => {
            budget.take(1, size_of::<profile::Sample>())?;
            inside(contents, |number, contents| match number {
                1 => budget.take(numbers(contents), size_of::<profile::LocationId>()),
                2 => budget.take(numbers(contents), size_of::<i64>()),
                3 => budget.take(1, both::<proto::Label, profile::Label>()),
                _ => Ok(()),
            })
        }
        3 => budget.take(1, both::<proto::Mapping, profile::Mapping>() + INDEXED),
        4 => {
            budget.take(1, size_of::<(u64, profile::Location)>() + INDEXED)?;
            inside(contents, |number, _| match number {
                4 => budget.take(1, both::<proto::Line, profile::Line>()),
                _ => Ok(()),
            })
        }
        5 => budget.take(1, both::<proto::Function, profile::Function>() + INDEXED),
        6 => budget.take(1, size_of::<u32>() + contents.len()),
        13 => budget.take(numbers(contents), both::<i64, String>()),
        _ => Ok(()),
    }
}

/// Visits the fields of a message. Where it is damaged the visit ends: the decoder says what is wrong.
fn inside(mut message: &[u8], mut visit: impl FnMut(u64, &[u8]) -> Result<()>) -> Result<()> {
    while let Some((number, contents)) = scan::any_field(&mut message) {
        visit(number, contents)?;
    }
    Ok(())
}

/// How many numbers there are in a packed field, or in a field that is one number.
fn numbers(contents: &[u8]) -> usize {
    // Sums of bytes, sixteen at a time where the processor can; 255 of them fit into a byte.
    let ends = |bytes: &[u8]| bytes.iter().map(|&byte| u8::from(byte < 0x80)).sum::<u8>();
    contents
        .chunks(255)
        .map(|bytes| usize::from(ends(bytes)))
        .sum()
}
