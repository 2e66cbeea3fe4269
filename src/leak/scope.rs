//! A scope as a value: open while it lives.
#![forbid(unsafe_code)]

use std::marker::PhantomData;

use crate::record::{self, scopes};
use crate::sys;

/// Why nothing can be checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blind {
    Platform,
    NotInstalled,
    TooMany,
}

impl Blind {
    pub(super) fn why(self) -> &'static str {
        match self {
            Blind::Platform => {
                "this platform is not one that heapsite records on (x86-64 Linux with glibc is)"
            }
            Blind::NotInstalled => {
                "no heapsite allocator is installed; the test binary needs \
                 `#[global_allocator] static HEAP: heapsite::Heapsite = heapsite::Heapsite::system();`"
            }
            Blind::TooMany => {
                "more than 12,288 checks are open at once, or more than 32 within one another"
            }
        }
    }
}

/// An open scope of the calling thread; ends when dropped, on the same thread.
#[derive(Debug)]
pub(super) struct Scope {
    pub(super) ticket: scopes::Ticket,
    /// New threads inherit it.
    pub(super) is_followed: bool,
    _this_thread: PhantomData<*const ()>,
}

impl Scope {
    pub(super) fn open() -> Result<Scope, Blind> {
        if !sys::CAN_RECORD {
            return Err(Blind::Platform);
        }
        if !record::is_installed() {
            return Err(Blind::NotInstalled);
        }
        let (ticket, is_followed) = scopes::open().ok_or(Blind::TooMany)?;
        Ok(Scope {
            ticket,
            is_followed,
            _this_thread: PhantomData,
        })
    }

    pub(super) fn counts(&self) -> scopes::Counts {
        scopes::counts(self.ticket)
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        scopes::close(self.ticket);
    }
}
