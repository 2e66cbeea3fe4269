//! The calling thread's stack for somebody outside of malloc, in a table of its own.
#![forbid(unsafe_code)]

use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::compiler_fence;

use super::local::{self, MAX_FRAMES};
use super::site_table::SiteTable;
use crate::sys::ErrnoGuard;
use crate::unwind::{self, stack_hash};

/// The number of the calling thread's stack in `table`; [`OVERFLOW`](super::site_table::OVERFLOW): no room there.
/// `None`: this is a signal handler in the middle of a recording, whose buffers are in use.
///
/// Allocates nothing and waits for nobody. What a signal handler allocates meanwhile is a loss, counted as such.
#[inline(never)]
pub(crate) fn stack_here(table: &SiteTable) -> Option<u32> {
    local::with(|local| {
        if local.recording.replace(true) {
            return None;
        }
        // As around every recording: whoever interrupts this finds the mark set while the buffers are in use.
        compiler_fence(SeqCst);
        let errno = ErrnoGuard::new();
        let captured = unwind::capture(&local.frames, &local.stack, None);
        let end = captured.len.min(MAX_FRAMES);
        let frames = local.frames[..end].iter().map(|frame| frame.get());
        let hash = stack_hash::of(frames.clone());
        let number = table.intern(hash, frames, unwind::code_of_cut(captured.cut));
        drop(errno);
        compiler_fence(SeqCst);
        local.recording.set(false);
        Some(number)
    })
}

#[cfg(feature = "task")]
/// Ticks of the recorder's clock, up to a few microseconds late.
pub(crate) fn ticks_here() -> u64 {
    local::with(|local| local.clock.ticks())
}
