//! Stack capture inside malloc: no heap, no lock, no waiting, no panic, no libgcc, no loader calls.
//!
//! Frames are found by the call frame information that compilers write (`.eh_frame`), read at an address's first visit
//! and kept as a 31-bit rule; after that a frame costs one table look-up and one or two loads. Frame pointers are not
//! needed, and not trusted where the rules say otherwise. Every read of stack memory is checked first, so wrong
//! unwind information, or a rule that has outlived its code, gives a cut or wrong stack but never a fault.

#[cfg(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu"))]
mod x86_64;
#[cfg(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu"))]
pub(crate) use x86_64::StackCache;

pub(crate) mod last;
pub(crate) mod stack_hash;

use crate::profile::Cut;
use last::LastCapture;
use std::cell::Cell;

/// What [`capture`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code)] // read by the recorder
pub(crate) struct Captured {
    /// How many of the buffer's cells were set, leaf first.
    pub(crate) len: usize,
    /// Why the walk stopped early; `None`: it reached the end of the stack.
    pub(crate) cut: Option<Cut>,
}

/// Writes the calling thread's stack into `frames`, leaf first, as *lookup addresses*: return address − 1 for a caller,
/// the exact pc for a frame that a signal interrupted. Both lie inside the instruction that was being executed.
///
/// The first address lies in the function that calls this (it is inlined there, in debug builds too): the recorder
/// knows how many frames of its own it has on top of that, and this module adds none. The buffer's length is the depth
/// limit; it belongs into thread-local or static memory, because the stack may be a signal handler's 8 KiB.
/// `stack` is the calling thread's own and must not be shared with another thread.
///
/// With `last`, a walk that comes upon a part of the last capture stops there, and is whole: the frames are then in
/// `last`, which is brought up to date in any case.
#[inline(always)]
#[allow(dead_code)] // called by the recorder
pub(crate) fn capture(
    frames: &[Cell<u64>],
    stack: &StackCache,
    last: Option<&LastCapture>,
) -> Captured {
    #[cfg(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu"))]
    return x86_64::capture(frames, stack, last);
    #[cfg(not(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu")))]
    {
        let _ = (frames, stack, last);
        Captured {
            len: 0,
            cut: Some(Cut::NoUnwindInfo),
        }
    }
}

/// A cut in few bits, as captures and sites keep it; 0: the stack is whole.
pub(crate) fn code_of_cut(cut: Option<Cut>) -> u8 {
    match cut {
        None => 0,
        Some(Cut::Depth) => 1,
        Some(Cut::NoUnwindInfo) => 2,
        Some(Cut::UnknownRule) => 3,
        Some(Cut::BadStack) => 4,
    }
}

/// The cut that a code stands for.
pub(crate) fn cut_from_code(code: u8) -> Option<Cut> {
    match code {
        1 => Some(Cut::Depth),
        2 => Some(Cut::NoUnwindInfo),
        3 => Some(Cut::UnknownRule),
        4 => Some(Cut::BadStack),
        _ => None,
    }
}

/// Forgets all rules; they are found again as they are needed.
///
/// Due when an object was unloaded ([`crate::sys::objects::unload_count`] has grown), because other code may be loaded at
/// its addresses. Not to be called inside malloc only because it is slow (128 KiB of stores).
#[allow(dead_code)] // called by the helper thread
pub(crate) fn forget_rules() {
    #[cfg(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu"))]
    x86_64::forget();
    // After the rules: a capture that sees this sees them gone.
    last::forget();
}

/// Where the rules lie and how long their table is, bytes.
pub(crate) fn place_of_rules() -> (usize, usize) {
    #[cfg(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu"))]
    return x86_64::place_of_rules();
    #[cfg(not(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu")))]
    (0, 0)
}

/// Per-thread memory of [`capture`]; nothing to remember here.
#[cfg(not(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu")))]
#[derive(Default)]
pub(crate) struct StackCache;

#[cfg(not(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu")))]
impl StackCache {
    pub(crate) const fn new() -> StackCache {
        StackCache
    }
}

/// Doors for the tests; also a list of what they need to see.
#[cfg(feature = "internals")]
#[allow(missing_docs)]
pub mod internals {
    use super::{Cut, StackCache};
    use std::cell::Cell;

    thread_local! {
        static STACK: Stack = const { Stack::new() };
    }

    /// `capture` into `frames`. In a debug build the thread-local's closure and `with` come before the caller.
    #[inline(always)]
    pub fn capture(frames: &[Cell<u64>]) -> (usize, Option<Cut>) {
        STACK.with(|stack| stack.capture(frames))
    }

    /// `capture`, going on from the last capture of the thread with this number.
    #[inline(always)]
    pub fn capture_again(frames: &[Cell<u64>], number: u32) -> (usize, Option<Cut>) {
        STACK.with(|stack| stack.capture_again(frames, number))
    }

    /// The memory of one thread, for callers that keep it themselves.
    #[derive(Default)]
    #[expect(missing_debug_implementations, reason = "a door for tests")]
    pub struct Stack(StackCache);

    impl Stack {
        pub const fn new() -> Stack {
            Stack(StackCache::new())
        }

        /// [`super::capture`]: the first frame is the caller's.
        #[inline(always)]
        pub fn capture(&self, frames: &[Cell<u64>]) -> (usize, Option<Cut>) {
            let c = super::capture(frames, &self.0, None);
            (c.len, c.cut)
        }

        /// The same, going on from the last capture of the thread with this number; its frames go to `frames` as well.
        #[inline(always)]
        pub fn capture_again(&self, frames: &[Cell<u64>], number: u32) -> (usize, Option<Cut>) {
            let lane = crate::sync::lane::Lane::from_number(number);
            let Some(last) = super::last::LastCapture::claim(lane) else {
                return self.capture(frames);
            };
            let c = super::capture(frames, &self.0, Some(&last));
            copy(&last, c.len, frames).map_or((c.len, c.cut), |len| (len, c.cut))
        }
    }

    /// The kept stack into `frames`; `None`: it was not kept, and what was captured stands.
    #[inline(never)]
    fn copy(last: &super::last::LastCapture, fresh: usize, frames: &[Cell<u64>]) -> Option<usize> {
        let (stack, hash) = last.stack()?;
        let len = stack.len();
        assert_eq!(hash, super::stack_hash::of(stack.clone()));
        RESUMED.fetch_add((len - fresh) as u64, std::sync::atomic::Ordering::Relaxed);
        for (frame, pc) in frames.iter().zip(stack) {
            frame.set(pc);
        }
        Some(len.min(frames.len()))
    }

    /// Frames that were not walked again.
    pub static RESUMED: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

    pub fn forget_rules() {
        super::forget_rules();
    }

    /// From now on as with a C library that has no `_dl_find_object`; rules are forgotten.
    pub fn pretend_old_c_library() {
        crate::sys::objects::internals::OLD_C_LIBRARY
            .store(true, std::sync::atomic::Ordering::Relaxed);
        crate::sys::objects::note_loaded();
        forget_rules();
    }

    pub fn unload_count() -> u64 {
        crate::sys::objects::unload_count()
    }

    #[cfg(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu"))]
    pub use super::x86_64::testing::*;
}
