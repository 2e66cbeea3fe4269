//! Where the static data of loaded objects lies that has no place in their files.

/// The part of each loaded object's writable segment that goes beyond its file (`.bss`). Asks the loader, so from outside
/// of malloc only.
pub(crate) fn static_data() -> Vec<(u64, u64)> {
    let mut found = Vec::new();
    #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
    // SAFETY: the callback fits the signature, and the vector outlives the call.
    unsafe {
        libc::dl_iterate_phdr(Some(note), (&raw mut found).cast());
    }
    found
}

/// Appends an object's part to the `Vec` behind `data`.
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
unsafe extern "C" fn note(
    info: *mut libc::dl_phdr_info,
    _size: libc::size_t,
    data: *mut libc::c_void,
) -> libc::c_int {
    // SAFETY: `info` and the headers it counts are valid for the call; `data` is the vector of `static_data`.
    let (info, found, headers) = unsafe {
        let info = &*info;
        let headers = match info.dlpi_phdr.is_null() {
            true => &[],
            false => std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)),
        };
        (info, &mut *data.cast::<Vec<(u64, u64)>>(), headers)
    };
    let base = info.dlpi_addr;
    for load in headers.iter().filter(|h| h.p_type == libc::PT_LOAD) {
        let start = base.wrapping_add(load.p_vaddr);
        let (in_file, in_memory) = (load.p_filesz, load.p_memsz);
        if in_memory > in_file {
            // The last page of the file is the file's, whatever follows in it.
            let from = start.wrapping_add(in_file).next_multiple_of(4096);
            found.push((from, start.wrapping_add(in_memory)));
        }
    }
    0
}
