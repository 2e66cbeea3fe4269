//! What glibc's `malloc` says of itself.

/// Bytes, by glibc's own count.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Info {
    /// In blocks that are in use, cached ones included (`uordblks`).
    pub(crate) in_use: u64,
    /// In blocks that have a mapping of their own (`hblkhd`).
    pub(crate) mapped: u64,
}

/// What `mallinfo2` says; `None`: the C library lacks it (glibc has it since 2.33). Takes the lock of one arena after
/// another, and holds each while it walks the arena's lists of free blocks.
pub(crate) fn info() -> Option<Info> {
    imp::info()
}

/// Whether [`info`] has an answer.
pub(crate) fn has_info() -> bool {
    imp::find().is_some()
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod imp {
    use super::Info;

    pub(super) type Mallinfo2 = unsafe extern "C" fn() -> libc::mallinfo2;

    /// Looked up by name, so that programs still start with an older C library.
    pub(super) fn find() -> Option<Mallinfo2> {
        // SAFETY: dlsym may be called with any name from anywhere outside of malloc.
        let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"mallinfo2".as_ptr()) };
        // SAFETY: it is either null, which is `None` by the layout guarantee of `Option<fn>`, or glibc's function, whose
        // type this is.
        unsafe { std::mem::transmute::<*mut libc::c_void, Option<Mallinfo2>>(found) }
    }

    pub(super) fn info() -> Option<Info> {
        let call = find()?;
        // SAFETY: it has no preconditions, and this is above the wall: the thread is not inside malloc.
        let info = unsafe { call() };
        Some(Info {
            in_use: info.uordblks as u64,
            mapped: info.hblkhd as u64,
        })
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
mod imp {
    pub(super) fn find() -> Option<()> {
        None
    }

    pub(super) fn info() -> Option<super::Info> {
        None
    }
}
