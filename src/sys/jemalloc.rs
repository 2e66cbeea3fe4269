//! Which memory is jemalloc's, and freed memory back to the system.

/// Whether the address lies in a block of jemalloc's.
pub(crate) fn holds(address: usize) -> bool {
    let mut asked = address as *const libc::c_void;
    let mut arena: libc::c_uint = 0;
    let mut arena_size = size_of_val(&arena);
    // SAFETY: `arenas.lookup` reads a pointer and writes an unsigned, both of which are passed with their sizes; the pointer is
    // looked up in jemalloc's tables and not followed.
    let status = unsafe {
        tikv_jemalloc_sys::mallctl(
            c"arenas.lookup".as_ptr(),
            (&raw mut arena).cast(),
            &mut arena_size,
            (&raw mut asked).cast(),
            size_of_val(&asked),
        )
    };
    status == 0
}

/// Asks jemalloc to give the free pages of all its arenas back now, without the time it lets pass else. `false`: it refused.
/// What threads have in their caches stays.
pub(crate) fn purge() -> bool {
    // `MALLCTL_ARENAS_ALL` in jemalloc's header is 4096.
    let name = c"arena.4096.purge".as_ptr();
    let none = std::ptr::null_mut();
    // SAFETY: `arena.<i>.purge` neither reads nor writes through the pointers, which are null as it wants them; it takes
    // jemalloc's locks itself, and is called above the wall, on a thread that is not inside malloc.
    let status = unsafe { tikv_jemalloc_sys::mallctl(name, none, std::ptr::null_mut(), none, 0) };
    status == 0
}
