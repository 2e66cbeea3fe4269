//! Threads of heapsite's own: named, deaf to the program's signals, and not in the program's profile.
#![forbid(unsafe_code)]

use std::io;
use std::sync::{Mutex, TryLockError};
use std::thread::{self, JoinHandle};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::record;
use crate::record::local::Ignore;
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
    spawn_for_the_program(name, || {
        let _own_work = own_work();
        work()
    })
}

/// The same for a thread that calls the program back: what it allocates is the program's, but for what it does under
/// [`own_work`].
pub(crate) fn spawn_for_the_program<R: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> R + Send + 'static,
) -> io::Result<JoinHandle<R>> {
    sys::signal::with_signals_blocked(|| {
        thread::Builder::new()
            .name(name.to_owned())
            .stack_size(STACK_BYTES)
            .spawn(work)
    })
}

/// While it lives, what this thread allocates is counted as heapsite's own work instead of the program's: the next
/// profile should show neither how this one was written nor what heapsite keeps for itself. Guards nest.
pub(crate) fn own_work() -> Ignore {
    Ignore::new()
}

/// The time of day, nanoseconds since the Unix epoch; 0: the clock is before it.
pub(crate) fn now_nanos() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos().min(i64::MAX as u128) as i64)
}

/// What is worth remembering from one call to the next, for the whole process.
pub(crate) struct Remembered<T>(Mutex<Option<T>>);

impl<T: Default> Remembered<T> {
    pub(crate) const fn new() -> Remembered<T> {
        Remembered(Mutex::new(None))
    }

    /// Works with it, one caller after the other.
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        let held = match self.0.try_lock() {
            // Whoever is at it may be a thread that stayed behind at the fork, so nobody waits for it.
            Err(TryLockError::WouldBlock) if record::forked_from().is_some() => {
                return work(&mut T::default());
            }
            // Waiting takes no longer than finding out once more would, and no memory.
            Err(TryLockError::WouldBlock) => self.0.lock(),
            Err(TryLockError::Poisoned(poisoned)) => Err(poisoned),
            Ok(held) => Ok(held),
        };
        // A panic in the middle: what was remembered may be half of something.
        let mut held = held.unwrap_or_else(|poisoned| {
            let mut held = poisoned.into_inner();
            self.0.clear_poison();
            held.take();
            held
        });
        work(held.get_or_insert_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_panic_leaves_is_forgotten() {
        let memory: Remembered<Vec<u32>> = Remembered::new();
        memory.with(|numbers| numbers.push(1));
        assert_eq!(memory.with(|numbers| numbers.clone()), [1]);
        let work = || {
            memory.with(|numbers| {
                numbers.push(2);
                panic!("on purpose");
            })
        };
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_err());
        assert!(memory.with(|numbers| numbers.is_empty()));
        assert!(memory.with(|numbers| numbers.is_empty()));
    }
}
