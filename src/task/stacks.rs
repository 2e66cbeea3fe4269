//! Stacks of tasks, each kept once: where they were spawned and where they wait.
#![forbid(unsafe_code)]

use std::sync::atomic::Ordering;

use crate::profile::Cut;
use crate::record::site_table::{OVERFLOW, SiteTable};
use crate::record::stack_here::stack_here;
use crate::unwind::cut_from_code;

/// Of its own, apart from the program's allocations; its memory is bounded with theirs.
static STACKS: SiteTable = SiteTable::new();

/// The number of the calling thread's stack; `None`: it could not be taken now. [`OVERFLOW`]: no room for a new one.
pub(super) fn here() -> Option<u32> {
    stack_here(&STACKS)
}

/// No stack: there was no room, or nobody asked.
pub(super) const NONE: u32 = OVERFLOW;

/// The addresses of a stack, leaf first, and why it ends early; [`NONE`] has none.
pub(super) fn addresses(number: u32) -> (Vec<u64>, Option<Cut>) {
    if number == NONE {
        return (Vec::new(), None);
    }
    // Relaxed: published with the number, which came by way of a task that lives.
    let read = |(frames, cut): (&[std::sync::atomic::AtomicU64], u8)| {
        let frames = frames.iter().map(|frame| frame.load(Ordering::Relaxed));
        (frames.collect(), cut_from_code(cut))
    };
    STACKS.stack(number).map_or((Vec::new(), None), read)
}
