//! Threads of heapsite's own: named, deaf to the program's signals, and not in the program's profile.
#![forbid(unsafe_code)]

use std::io;
use std::thread::{self, JoinHandle};

use crate::record::local::Ignore;
#[cfg(any(feature = "http", feature = "push"))]
pub(crate) use crate::record::scratch::Scratch;
use crate::sys;

/// Symbolising is iterative and keeps its tables on the heap; a debug build needs a few hundred KiB.
const STACK_BYTES: usize = 1 << 20;

/// Starts a thread with a modest stack that receives no signal of the program; what it allocates is counted as
/// [`own_work`]. Names longer than 15 bytes are cut by the kernel.
pub(crate) fn spawn<R: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> R + Send + 'static,
) -> io::Result<JoinHandle<R>> {
    sys::signal::with_signals_blocked(|| {
        thread::Builder::new()
            .name(name.to_owned())
            .stack_size(STACK_BYTES)
            .spawn(|| {
                let _own_work = own_work();
                work()
            })
    })
}

/// While it lives, what this thread allocates is counted as heapsite's own work instead of the program's: the next
/// profile should show neither how this one was written nor what heapsite keeps for itself. Guards nest.
pub(crate) fn own_work() -> Ignore {
    Ignore::new()
}
