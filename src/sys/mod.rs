//! Everything heapsite asks of an operating system, on one page; each system answers in one file.
//!
//! Below the wall (may run inside `malloc`: no heap, no lock, no waiting, `errno` as it was before):
//! - [`map_zeroed`], [`discard`], [`unmap`]: address space that costs nothing until it is touched
//! - [`monotonic_nanos`]: a clock for lifetimes
//! - [`thread_name`], [`thread_id`]: the calling thread's
//! - [`timer_slack`], [`set_timer_slack`]: a number that a thread hands on to those it makes
//! - [`boot_centiseconds`]: the clock by which the kernel says when a thread began
//! - [`objects`]: which loaded object holds an address, and whether memory can be read
//! - [`entropy`]: a number that differs between processes
//! - [`ErrnoGuard`]: puts `errno` back
//!
//! Above it: [`process_id`], [`process_cpu_nanos`], [`resident_bytes`], [`limits_address_space`], [`exit`] (a last call),
//! `fork` (what a child must not keep), [`signal`] (handlers that chain), [`stderr`] (a line that never waits), [`roots`]
//! (where a program keeps what lives as long as it does), [`malloc`], [`mimalloc`] and `jemalloc` (what allocators say of
//! themselves), [`static_data`], [`robust_list`] (whose memory is whose), [`trim`] (freed memory back to the system); for the
//! command `send` (a signal) and `terminal` (its width).

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub(crate) use linux::*;

#[cfg(not(target_os = "linux"))]
mod fallback;
#[cfg(not(target_os = "linux"))]
pub(crate) use fallback::*;

#[cfg(target_os = "linux")]
pub(crate) mod ask_threads;
pub(crate) mod exit;
#[cfg(feature = "http")]
pub(crate) mod fork;
#[cfg(feature = "jemalloc")]
pub(crate) mod jemalloc;
pub(crate) mod malloc;
pub(crate) mod mimalloc;
pub(crate) mod objects;
pub(crate) mod roots;
#[cfg(feature = "cli")]
pub(crate) mod send;
pub(crate) mod signal;
mod static_data;
pub(crate) mod stderr;
#[cfg(feature = "cli")]
pub(crate) mod terminal;
pub(crate) mod trim;
pub(crate) use static_data::static_data;

/// Whether this build records anything: the unwinder needs x86-64 Linux with glibc. Elsewhere the allocator passes
/// every call on, and `init()` says that it does not profile.
pub(crate) const CAN_RECORD: bool = cfg!(all(
    target_os = "linux",
    target_env = "gnu",
    target_arch = "x86_64",
    target_pointer_width = "64"
));
