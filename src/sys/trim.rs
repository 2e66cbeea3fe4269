//! Giving freed heap memory back to the operating system.

/// Asks the C library to return free heap pages to the kernel. `false`: it has no such call.
///
/// Only glibc's own heap is concerned: under another global allocator this finds nothing to do.
pub(crate) fn trim() -> bool {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: malloc_trim has no precondition; it takes the arenas' locks itself, and this is only called
    // above the wall, on a thread that is not inside malloc.
    unsafe {
        libc::malloc_trim(0);
    }
    cfg!(all(target_os = "linux", target_env = "gnu"))
}
