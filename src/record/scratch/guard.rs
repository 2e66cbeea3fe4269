//! Which part of a thread's work uses an arena.
#![forbid(unsafe_code)]

use std::marker::PhantomData;

use super::{NONE, claim, end};
use crate::record::local::{self, Ignore};
use crate::record::restart;

/// While it lives, the calling thread's memory comes from an arena, which is given back at the end; and nothing of it is
/// recorded, as under [`Ignore`]. For large jobs of heapsite's own.
///
/// What such a job leaves behind is made [`outside`](Scratch::outside), or keeps its part of the arena. A guard under
/// another one changes nothing: the outer one knows what is left behind.
pub(crate) struct Scratch {
    /// The arena's; [`NONE`]: there was none to have, or an outer guard has one.
    number: u8,
    _ignore: Ignore,
}

impl Scratch {
    pub(crate) fn new() -> Scratch {
        let _ignore = Ignore::new();
        let number = match local::with(|local| local.scratch.get()) {
            NONE => claim(),
            _ => NONE,
        };
        if number != NONE {
            local::with(|local| local.scratch.set(number));
        }
        Scratch { number, _ignore }
    }

    /// Until it is dropped, memory comes from the program's allocator again, for what is left behind.
    pub(crate) fn outside(&self) -> Switched {
        match self.number {
            NONE => Switched::to(local::with(|local| local.scratch.get())),
            _ => Switched::to(NONE),
        }
    }

    /// A copy of what was made in the arena, for the program to keep.
    pub(crate) fn keep<T: Clone>(&self, made: T) -> T {
        if self.number == NONE {
            return made;
        }
        let outside = self.outside();
        let kept = made.clone();
        drop(outside);
        kept
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.number != NONE {
            local::with(|local| local.scratch.set(NONE));
            end(self.number);
        }
    }
}

/// While it lives, the calling thread's memory comes from elsewhere; afterwards as before.
pub(crate) struct Switched {
    before: u8,
    _stays_on_its_thread: PhantomData<*const ()>,
}

impl Switched {
    fn to(now: u8) -> Switched {
        let before = local::with(|local| {
            // So that the next request looks up.
            restart(local);
            local.scratch.replace(now)
        });
        Switched {
            before,
            _stays_on_its_thread: PhantomData,
        }
    }

    /// Until it is dropped, memory comes from where it came from before this guard.
    pub(crate) fn back(&self) -> Switched {
        Switched::to(self.before)
    }
}

/// Until it is dropped, the calling thread's memory comes from the program's allocator, whatever guards it holds.
pub(crate) fn outside_of_all() -> Switched {
    Switched::to(NONE)
}

impl Drop for Switched {
    fn drop(&mut self) {
        local::with(|local| {
            restart(local);
            local.scratch.set(self.before);
        });
    }
}
