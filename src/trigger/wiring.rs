//! What triggers ask of the recorder's side; nothing else in this module reaches below the wall.
#![forbid(unsafe_code)]

pub(super) use crate::helper::own_work;

/// Mean bytes between sampled allocations, from now on.
pub(super) fn set_sample_interval(bytes: u64) {
    crate::set_sample_interval(bytes);
}

/// Bound of the recorder's own memory, bytes of address space.
pub(super) fn set_memory_limit(bytes: u64) {
    crate::record::set_memory_limit(bytes);
}

/// Why nothing will be recorded, and what to do about it; `None`: the recorder works.
pub(super) fn records_nothing() -> Option<&'static str> {
    if !crate::sys::CAN_RECORD {
        return Some(
            "nothing is recorded on this platform, and dumps will be empty: heapsite records on x86-64 Linux",
        );
    }
    // `init` itself has allocated by now.
    (!crate::record::is_installed()).then_some(
        "nothing is recorded, and dumps will be empty: no heapsite allocator is installed; the program needs \
         `#[global_allocator] static HEAP: heapsite::Heapsite = heapsite::Heapsite::system();`",
    )
}

/// Work that the recorder leaves to a thread that may allocate and wait. Called about every
/// [`HOUSEKEEPING`](super::schedule::HOUSEKEEPING) on the helper thread, and before each dump on the thread that makes
/// it, so two calls may overlap.
pub(super) fn housekeeping() {
    crate::record::note_loaded_code();
}

/// While it lives, what this thread allocates is the recorder's own work, in memory that is apart from the program's heap
/// and goes back to the system as a whole. Inside an outer one it does nothing.
pub(super) fn scratch() -> crate::record::scratch::Scratch {
    crate::record::scratch::Scratch::new()
}
