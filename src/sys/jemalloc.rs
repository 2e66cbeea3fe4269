//! Which memory is jemalloc's.

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
