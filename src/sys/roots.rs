//! Where a program keeps what lives as long as it does: the writable data of what is loaded, and a thread's locals.
//! Above the wall: walks the loader's list.

/// A stretch of memory that is looked through for pointers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Root {
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) kind: RootKind,
}

/// What a [`Root`] is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RootKind {
    /// Data of the program (an empty path) or a library, loaded at `base`.
    Data {
        /// The file's path; empty for the program.
        file: String,
        /// What is added to the file's addresses.
        base: u64,
    },
    /// The thread-locals of the thread that asked.
    Locals,
    /// A thread's stack, with its thread-locals above it.
    Stack(u32),
    /// A pointer to the future of the task with this number.
    Task(u64),
}

#[cfg(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64"))]
mod imp {
    use std::ffi::{CStr, c_int, c_void};

    use super::{Root, RootKind};

    /// The writable data of what is loaded, and the calling thread's locals. The C library's own is left out: glibc's
    /// lists of free memory point at the blocks beside it.
    pub(crate) fn roots() -> Vec<Root> {
        let mut roots: Vec<Root> = Vec::new();
        // SAFETY: `visit` gets back the vector, which nobody else touches meanwhile, and does not unwind.
        unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut roots).cast()) };
        let thread: u64;
        // SAFETY: on x86-64 the first word of the thread's control block, at fs:0, is its own address (ELF TLS ABI).
        unsafe {
            std::arch::asm!("mov {}, fs:0", out(reg) thread, options(nostack, readonly, preserves_flags));
        }
        // glibc's control block holds the values of pthread_setspecific; it has 2,304 bytes.
        roots.push(Root {
            start: thread,
            end: thread + 2304,
            kind: RootKind::Locals,
        });
        roots
    }

    unsafe extern "C" fn visit(
        info: *mut libc::dl_phdr_info,
        size: usize,
        roots: *mut c_void,
    ) -> c_int {
        // SAFETY: the loader hands over a valid description, and `roots` is what was given to it.
        let (info, roots) = unsafe { (&*info, &mut *roots.cast::<Vec<Root>>()) };
        let name = if info.dlpi_name.is_null() {
            ""
        } else {
            // SAFETY: a C string that lives as long as the object is loaded, which it is during this call.
            unsafe { CStr::from_ptr(info.dlpi_name) }
                .to_str()
                .unwrap_or("?")
        };
        let file_name = name.rsplit('/').next().unwrap_or(name);
        if ["libc.so", "libc-2", "ld-linux", "libpthread"]
            .iter()
            .any(|part| file_name.starts_with(part))
        {
            return 0;
        }
        // SAFETY: the loader's own description of the object's headers.
        let headers =
            unsafe { std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)) };
        for header in headers {
            let start = info.dlpi_addr.wrapping_add(header.p_vaddr);
            if header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_W != 0 {
                roots.push(Root {
                    start,
                    end: start + header.p_memsz,
                    kind: RootKind::Data {
                        file: name.to_owned(),
                        base: info.dlpi_addr,
                    },
                });
            }
            if header.p_type == libc::PT_TLS
                && size >= size_of::<libc::dl_phdr_info>()
                && !info.dlpi_tls_data.is_null()
            {
                let start = info.dlpi_tls_data as u64;
                roots.push(Root {
                    start,
                    end: start + header.p_memsz,
                    kind: RootKind::Locals,
                });
            }
        }
        0
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64")))]
mod imp {
    use super::Root;

    pub(crate) fn roots() -> Vec<Root> {
        Vec::new()
    }
}

pub(crate) use imp::roots;

#[cfg(all(
    test,
    target_os = "linux",
    target_env = "gnu",
    target_arch = "x86_64",
    not(miri)
))]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::sync::atomic::{AtomicU64, Ordering};

    static DATA: AtomicU64 = AtomicU64::new(7);
    thread_local!(static LOCAL: Cell<u64> = const { Cell::new(9) });

    #[test]
    fn statics_and_locals_lie_in_roots() {
        let roots = roots();
        let kind_of = |address: u64| {
            roots
                .iter()
                .find(|root| (root.start..root.end).contains(&address))
                .map(|root| root.kind == RootKind::Locals)
        };
        DATA.store(8, Ordering::Relaxed);
        assert_eq!(kind_of(DATA.as_ptr() as u64), Some(false));
        LOCAL.with(|local| assert_eq!(kind_of(local.as_ptr() as u64), Some(true)));
        let on_stack = 0u64;
        assert_eq!(kind_of(&raw const on_stack as u64), None);
    }
}
