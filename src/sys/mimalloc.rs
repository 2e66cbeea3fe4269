//! Which memory is mimalloc's.

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
