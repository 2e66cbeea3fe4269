//! What a forked child must not keep: sockets that its parent listens on.
//!
//! A child that inherits one keeps the address taken after its parent has gone, so that the next server cannot have it, and
//! whoever connects waits for an answer from nobody. `FD_CLOEXEC` is for `exec` only.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

/// While it lives, children forked by `fork` close the socket before their own code runs. Those of `vfork`, `posix_spawn` and
/// a bare `clone` are not told; the first two are about to call `exec`.
pub(crate) struct ClosedInChildren(&'static Slot);

struct Slot {
    /// [`FREE`], or a descriptor. Released after `inode` is there, acquired before that is read.
    fd: AtomicI32,
    /// Relaxed: ordered by `fd`.
    inode: AtomicU64,
}

const FREE: RawFd = -1;
const TAKEN: RawFd = -2;

/// More servers than a process has.
static SLOTS: [Slot; 8] = [const {
    Slot {
        fd: AtomicI32::new(FREE),
        inode: AtomicU64::new(0),
    }
}; 8];

/// `None`: the system does not tell of forks, or there are eight already.
pub(crate) fn close_in_children(socket: &impl AsFd) -> Option<ClosedInChildren> {
    static TOLD: OnceLock<bool> = OnceLock::new();
    let fd = socket.as_fd().as_raw_fd();
    let inode = inode(fd).ok()?;
    // SAFETY: the handler is async-signal-safe, as a child of a threaded program needs: see `in_child`.
    let told =
        TOLD.get_or_init(|| unsafe { libc::pthread_atfork(None, None, Some(in_child)) } == 0);
    if !told {
        return None;
    }
    let slot = SLOTS.iter().find(|slot| {
        // Acquire: what follows is not moved before it.
        let taken = slot
            .fd
            .compare_exchange(FREE, TAKEN, Ordering::Acquire, Ordering::Relaxed);
        taken.is_ok()
    })?;
    slot.inode.store(inode, Ordering::Relaxed);
    slot.fd.store(fd, Ordering::Release);
    Some(ClosedInChildren(slot))
}

impl Drop for ClosedInChildren {
    fn drop(&mut self) {
        // Release: the next one to take the slot acquires it.
        self.0.fd.store(FREE, Ordering::Release);
    }
}

/// Loads, `fstat` and `close`, all of them async-signal-safe.
unsafe extern "C" fn in_child() {
    let _errno = super::ErrnoGuard::new();
    for slot in &SLOTS {
        let fd = slot.fd.load(Ordering::Acquire);
        // The parent's other threads run on while it forks: by now the number may be another file's.
        if fd >= 0 && inode(fd).ok() == Some(slot.inode.load(Ordering::Relaxed)) {
            // SAFETY: it is the socket that was registered, and the child has no thread that would use it: the server's
            // stayed behind.
            unsafe { libc::close(fd) };
            slot.fd.store(FREE, Ordering::Release);
        }
    }
}

/// Sockets have inodes of their own, which are not used again while one is open.
fn inode(fd: RawFd) -> io::Result<u64> {
    let mut stat = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: `stat` is room for what is written; any number may be asked about.
    match unsafe { libc::fstat(fd, stat.as_mut_ptr()) } {
        // SAFETY: the call succeeded, so it has filled it in.
        0 => Ok(unsafe { stat.assume_init() }.st_ino),
        _ => Err(io::Error::last_os_error()),
    }
}
