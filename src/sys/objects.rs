//! Loaded objects, the running thread's stack, and "can this be read?": asked without allocating, locking or waiting.
//!
//! Everything but [`unload_count`] and [`note_loaded`] may be called inside malloc. The two foreign symbols are weak
//! references through the global offset table: the dynamic loader fills them in before any code of the object runs, so
//! nothing is looked up at run time, and with a C library that lacks them they are null.

/// An object with unwind information, as mapped.
#[derive(Clone, Copy, Debug)]
#[allow(dead_code)] // not every target has an unwinder
pub(crate) struct Object {
    /// First byte of its mapping.
    pub(crate) start: u64,
    /// One past its last byte.
    pub(crate) end: u64,
    /// Address of its `.eh_frame_hdr`.
    pub(crate) eh_frame_hdr: u64,
}

#[cfg(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu"))]
mod listed;
#[cfg(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu"))]
pub(crate) use imp::{find, readable, stack_top};

#[cfg(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu"))]
mod imp {
    use super::Object;
    use std::arch::asm;
    use std::mem::MaybeUninit;

    /// glibc's `struct dl_find_object` on x86-64 (`<dlfcn.h>`, since 2.35).
    #[repr(C)]
    struct DlFindObject {
        flags: u64,
        map_start: u64,
        map_end: u64,
        link_map: u64,
        eh_frame: u64,
        reserved: [u64; 7],
    }

    /// The object whose mapping holds `pc`; `None` for objects without `.eh_frame_hdr`, and with a glibc older than 2.35
    /// for those loaded since [`super::note_loaded`].
    pub(crate) fn find(pc: u64) -> Option<Object> {
        match find_object() {
            Some(asked) => ask(asked, pc),
            None => super::listed::find(pc),
        }
    }

    type FindObject = unsafe extern "C" fn(u64, *mut DlFindObject) -> libc::c_int;

    /// glibc's look-up, which it promises to be lock-free and async-signal-safe; `None` before 2.35.
    fn find_object() -> Option<FindObject> {
        #[cfg(feature = "internals")]
        if super::internals::OLD_C_LIBRARY.load(std::sync::atomic::Ordering::Relaxed) {
            return None;
        }
        let f: *const ();
        // SAFETY: loads one word of the global offset table.
        unsafe {
            asm!(
                ".weak _dl_find_object",
                "mov {f}, qword ptr [rip + _dl_find_object@GOTPCREL]",
                f = out(reg) f,
                options(pure, readonly, nostack, preserves_flags),
            );
        }
        // SAFETY: it is either null, which is `None` by the layout guarantee of `Option<fn>`, or the address of glibc's
        // function, whose type this is.
        unsafe { std::mem::transmute::<*const (), Option<FindObject>>(f) }
    }

    /// Whether [`find`] depends on the list.
    pub(super) fn needs_list() -> bool {
        find_object().is_none()
    }

    fn ask(find_object: FindObject, pc: u64) -> Option<Object> {
        let mut out = MaybeUninit::<DlFindObject>::zeroed();
        // SAFETY: `out` is writable and of the size glibc expects; any address may be asked for.
        if unsafe { find_object(pc, out.as_mut_ptr()) } != 0 {
            return None;
        }
        // SAFETY: zeroed integers are initialised, whatever glibc wrote on top.
        let out = unsafe { out.assume_init() };
        let hdr = out.eh_frame;
        let (start, end) = match (out.map_start..out.map_end).contains(&hdr) {
            true => (out.map_start, out.map_end),
            // glibc told one segment of a program with a gap between its segments: linkers leave one where a
            // segment happens to end with its page. (A library's gaps are mapped, and it is told whole.)
            false => whole_program(out.link_map, pc)
                .filter(|(start, end)| (*start..*end).contains(&hdr))?,
        };
        (hdr != 0).then_some(Object {
            start,
            end,
            eh_frame_hdr: hdr,
        })
    }

    /// Where the program is, gaps and all, if `pc` is in it and `link_map` its entry in the loader's list.
    #[cold]
    fn whole_program(link_map: u64, pc: u64) -> Option<(u64, u64)> {
        if link_map == 0 {
            return None;
        }
        // SAFETY: `getauxval` only reads what the kernel passed to the program.
        let [at, count] =
            [libc::AT_PHDR, libc::AT_PHNUM].map(|what| unsafe { libc::getauxval(what) });
        if at == 0 {
            return None;
        }
        // SAFETY: the kernel says where the headers are and how many; they are never written or unmapped.
        let headers =
            unsafe { std::slice::from_raw_parts(at as *const libc::Elf64_Phdr, count as usize) };
        // SAFETY: `struct link_map` (<link.h>) begins with the load address, and pc's object stays loaded meanwhile.
        let base = unsafe { (link_map as *const u64).read() };
        span(headers, base).filter(|(start, end)| (*start..*end).contains(&pc))
    }

    /// From the first loaded byte to one past the last.
    fn span(headers: &[libc::Elf64_Phdr], base: u64) -> Option<(u64, u64)> {
        let mut span: Option<(u64, u64)> = None;
        for header in headers {
            if header.p_type == libc::PT_LOAD {
                let start = base.wrapping_add(header.p_vaddr);
                let end = start.checked_add(header.p_memsz)?;
                let (first, last) = span.unwrap_or((start, end));
                span = Some((first.min(start), last.max(end)));
            }
        }
        span
    }

    /// One past the highest stack address that the calling thread can own.
    ///
    /// glibc puts a thread's control block, which `fs` points to, on top of its stack. The main thread's stack comes
    /// from the kernel: the loader keeps where it began, and everything above it in that page (arguments, environment)
    /// is mapped as well. 0: not known.
    pub(crate) fn stack_top() -> u64 {
        // SAFETY: both calls take no arguments and cannot fail.
        let main = unsafe { libc::syscall(libc::SYS_gettid) == libc::syscall(libc::SYS_getpid) };
        if !main {
            let tp: u64;
            // SAFETY: the x86-64 TLS ABI keeps the thread pointer itself at `fs:0`.
            unsafe {
                asm!("mov {tp}, fs:[0]", tp = out(reg) tp, options(pure, readonly, nostack, preserves_flags))
            };
            return tp;
        }
        let end: *const u64;
        // SAFETY: loads one word of the global offset table: null, or the address of the loader's variable.
        unsafe {
            asm!(
                ".weak __libc_stack_end",
                "mov {end}, qword ptr [rip + __libc_stack_end@GOTPCREL]",
                end = out(reg) end,
                options(pure, readonly, nostack, preserves_flags),
            );
        }
        if end.is_null() {
            return 0;
        }
        // SAFETY: the loader set the variable before the program started and never writes it again.
        unsafe { end.read() }.wrapping_add(4096) & !4095
    }

    /// Whether the 8 bytes at `addr` can be read.
    ///
    /// `rt_sigprocmask` copies the new mask in first (EFAULT if it cannot) and only then finds that `how` makes no sense
    /// (EINVAL): it answers without any effect. The system call is made directly, so `errno` stays as it is.
    pub(crate) fn readable(addr: u64) -> bool {
        let how = -1i64;
        let ret: i64;
        // SAFETY: the kernel checks every address it is given; `syscall` clobbers rcx and r11 only.
        unsafe {
            asm!(
                "syscall",
                inlateout("rax") libc::SYS_rt_sigprocmask => ret,
                in("rdi") how,
                in("rsi") addr,
                in("rdx") 0u64,
                in("r10") 8u64,
                lateout("rcx") _,
                lateout("r11") _,
                options(nostack, readonly),
            );
        }
        ret == -i64::from(libc::EINVAL)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        /// What the linker made of a program whose read-only segment ended 4 bytes before its page did.
        #[test]
        fn a_gap_belongs_to_the_program() {
            let load = |p_vaddr, p_memsz| libc::Elf64_Phdr {
                p_type: libc::PT_LOAD,
                p_flags: 0,
                p_offset: 0,
                p_vaddr,
                p_paddr: 0,
                p_filesz: 0,
                p_memsz,
                p_align: 4096,
            };
            let tls = libc::Elf64_Phdr {
                p_type: libc::PT_TLS,
                ..load(0, u64::MAX)
            };
            let headers = [
                tls,
                load(0, 0x28_6ffc),
                load(0x28_8000, 0x68_ecc0),
                load(0x91_7cc0, 0x6_d340),
            ];
            assert_eq!(
                span(&headers, 0x5555_0000_0000),
                Some((0x5555_0000_0000, 0x5555_0098_5000))
            );
            assert_eq!(span(&headers[..1], 0), None);
            assert_eq!(span(&[load(1, u64::MAX)], 1), None);
        }

        #[test]
        fn this_program_has_unwind_information_inside_of_it() {
            let here = this_program_has_unwind_information_inside_of_it as fn() as usize as u64;
            let object = find(here).expect("this program was linked with .eh_frame_hdr");
            assert!((object.start..object.end).contains(&here));
            assert!((object.start..object.end).contains(&object.eh_frame_hdr));
            let mut out = MaybeUninit::<DlFindObject>::zeroed();
            // SAFETY: as in `find`; glibc was just seen to have the function.
            let link_map = unsafe {
                unsafe extern "C" {
                    fn _dl_find_object(pc: u64, out: *mut DlFindObject) -> libc::c_int;
                }
                assert_eq!(_dl_find_object(here, out.as_mut_ptr()), 0);
                out.assume_init().link_map
            };
            let (start, end) = whole_program(link_map, here).expect("the program's headers");
            assert!(start <= object.start && end >= here);
            assert_eq!(whole_program(link_map, 0x10), None);
        }
    }
}

/// Brings the list up to date that stands in for glibc's look-up where that is missing; nothing elsewhere.
///
/// Takes the loader's lock: never inside malloc.
pub(crate) fn note_loaded() {
    #[cfg(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu"))]
    if imp::needs_list() {
        listed::refresh();
    }
}

/// Doors for the tests.
#[cfg(feature = "internals")]
pub(crate) mod internals {
    /// Set: as if the C library were older than glibc 2.35.
    pub(crate) static OLD_C_LIBRARY: std::sync::atomic::AtomicBool =
        std::sync::atomic::AtomicBool::new(false);
}

/// How many objects were unloaded since the process started (`dlpi_subs`): when it grows, addresses may have changed
/// hands and [`crate::unwind::forget_rules`] is due.
///
/// Takes the loader's lock: for the helper thread only, never inside malloc. 0 where the platform does not count.
#[allow(dead_code)] // called by the helper thread
pub(crate) fn unload_count() -> u64 {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        unsafe extern "C" fn first(
            info: *mut libc::dl_phdr_info,
            _size: libc::size_t,
            data: *mut libc::c_void,
        ) -> libc::c_int {
            // SAFETY: `info` is valid for the call, and `data` is the `u64` below; glibc has had `dlpi_subs` since 2.4.
            unsafe { *data.cast::<u64>() = (*info).dlpi_subs };
            1
        }
        let mut subs = 0u64;
        // SAFETY: the callback fits the signature and writes only `subs`, which outlives the call.
        unsafe { libc::dl_iterate_phdr(Some(first), (&raw mut subs).cast()) };
        subs
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    0
}
