//! Which memory is mimalloc's, and freed memory back to the system.

/// Whether the address lies in memory that mimalloc manages; `None`: the feature `mimalloc` is off.
pub(crate) fn holds(address: usize) -> Option<bool> {
    #[cfg(feature = "mimalloc")]
    // SAFETY: it looks the address up in mimalloc's own tables and does not follow it.
    return Some(unsafe { libmimalloc_sys::mi_is_in_heap_region(address as *const _) });
    #[cfg(not(feature = "mimalloc"))]
    {
        let _ = address;
        None
    }
}

/// Asks mimalloc to give free memory back now: the calling thread's, that of threads that have ended, and what lies free in
/// its arenas. Pages that other threads keep for themselves stay. `false`: the feature `mimalloc` is off.
pub(crate) fn collect() -> bool {
    #[cfg(feature = "mimalloc")]
    // SAFETY: it has no precondition; it is called above the wall, on a thread that is not inside malloc.
    unsafe {
        libmimalloc_sys::mi_collect(true);
    }
    cfg!(feature = "mimalloc")
}
