//! Systems where heapsite allocates and does not profile: the same functions, with nothing behind them.

use std::ptr::NonNull;

pub(crate) fn map_zeroed(_bytes: usize) -> Option<NonNull<u8>> {
    None
}

/// # Safety
/// None: there is nothing to give back.
pub(crate) unsafe fn unmap(_start: NonNull<u8>, _bytes: usize) {}

/// # Safety
/// None: there is nothing to give back.
pub(crate) unsafe fn discard(_start: usize, _bytes: usize) {}

pub(crate) fn limits_address_space() -> bool {
    false
}

pub(crate) fn monotonic_nanos() -> u64 {
    0
}

pub(crate) fn thread_name() -> [u8; 16] {
    [0; 16]
}

pub(crate) fn timer_slack() -> Option<u64> {
    None
}

pub(crate) fn set_timer_slack(_nanos: u64) -> bool {
    false
}

pub(crate) fn thread_id() -> u32 {
    0
}

pub(crate) fn boot_centiseconds() -> u64 {
    0
}

pub(crate) fn entropy() -> u64 {
    0
}

pub(crate) fn process_id() -> u32 {
    std::process::id()
}

pub(crate) fn process_cpu_nanos() -> u64 {
    0
}

pub(crate) fn resident_bytes(_start: usize, _bytes: usize) -> Option<u64> {
    None
}

pub(crate) fn robust_list(_thread: u32) -> Option<u64> {
    None
}

pub(crate) struct ErrnoGuard;

impl ErrnoGuard {
    pub(crate) fn new() -> ErrnoGuard {
        ErrnoGuard
    }
}

pub(crate) fn cycles() -> u64 {
    0
}
