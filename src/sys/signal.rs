//! Signals: one byte into a socket, nothing more; and a thread that receives none.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::ptr;

use signal_hook::SigId;
use signal_hook::low_level;

/// From now on `signal` writes `byte` into `wake`, after the handler that was there before has been called. A
/// default action (ending the process, say) and being ignored count as no handler.
///
/// A forked child writes nothing: the socket is its parent's, too, and only the parent has a reader.
pub(crate) fn register(signal: libc::c_int, wake: UnixStream, byte: u8) -> io::Result<SigId> {
    let before = action(signal)?;
    let owner = std::process::id();
    let write = move || {
        // `getpid` and `send` are async-signal-safe. The send neither waits (a full socket wakes its reader
        // anyway) nor raises SIGPIPE; `errno` is restored by signal-hook.
        if std::process::id() == owner {
            // SAFETY: one readable byte; the descriptor is open because the closure owns `wake`.
            unsafe {
                let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
                libc::send(wake.as_raw_fd(), ptr::from_ref(&byte).cast(), 1, flags);
            }
        }
    };
    // SAFETY: the closure is async-signal-safe: see above. It allocates and locks nothing and cannot panic.
    let id = unsafe { low_level::register(signal, write)? };
    keep_manners(signal, &before)?;
    Ok(id)
}

/// Takes back [`register`]. The signal stays caught, without effect: giving it back its default action would
/// let a late one end the process.
pub(crate) fn unregister(id: SigId) {
    low_level::unregister(id);
}

/// Nobody handles or ignores `signal`.
pub(crate) fn is_default(signal: libc::c_int) -> io::Result<bool> {
    Ok(action(signal)?.sa_sigaction == libc::SIG_DFL)
}

/// Lets the new handler be called as the old one was: same stack, same mask, interrupting system calls or not.
/// signal-hook restarts system calls and stays on the thread's stack, which would change the program that
/// installed the old one.
///
/// Where there was no handler ours runs on the alternate stack if the thread has one: coroutines have small
/// stacks, and a chain of one-byte writes needs little.
fn keep_manners(signal: libc::c_int, before: &libc::sigaction) -> io::Result<()> {
    let mut now = action(signal)?;
    if now.sa_sigaction == before.sa_sigaction {
        return Ok(()); // signal-hook was there already, with manners chosen before
    }
    if before.sa_sigaction == libc::SIG_DFL || before.sa_sigaction == libc::SIG_IGN {
        now.sa_flags |= libc::SA_ONSTACK;
    } else {
        let kept = libc::SA_ONSTACK | libc::SA_RESTART | libc::SA_NODEFER;
        now.sa_flags = (now.sa_flags & !kept) | (before.sa_flags & kept);
        now.sa_mask = before.sa_mask;
    }
    // SAFETY: `now` is what the kernel itself said, with other flags; the handler in it stays valid.
    match unsafe { libc::sigaction(signal, &now, ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn action(signal: libc::c_int) -> io::Result<libc::sigaction> {
    let mut now = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: a null new action only asks; `now` has room for the answer.
    if unsafe { libc::sigaction(signal, ptr::null(), now.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded, so it has been filled in.
    Ok(unsafe { now.assume_init() })
}

/// Runs `f` with all signals blocked on this thread, so that a thread which `f` starts never gets any of the
/// program's. The faults stay open: the kernel kills a process without a word that faults with its fault
/// blocked, and a crash reporter would see nothing.
pub(crate) fn with_signals_blocked<R>(f: impl FnOnce() -> R) -> R {
    let mut blocked = MaybeUninit::<libc::sigset_t>::zeroed();
    let mut restore = Restore(MaybeUninit::zeroed());
    let faults = [
        libc::SIGSEGV,
        libc::SIGBUS,
        libc::SIGFPE,
        libc::SIGILL,
        libc::SIGTRAP,
        libc::SIGSYS,
        libc::SIGABRT,
    ];
    // SAFETY: both sets are local and have room; the signal numbers are valid, so no call here can fail.
    unsafe {
        libc::sigfillset(blocked.as_mut_ptr());
        for fault in faults {
            libc::sigdelset(blocked.as_mut_ptr(), fault);
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, blocked.as_ptr(), restore.0.as_mut_ptr());
    }
    f()
}

/// Puts the thread's signal mask back.
struct Restore(MaybeUninit<libc::sigset_t>);

impl Drop for Restore {
    fn drop(&mut self) {
        // SAFETY: filled in by `pthread_sigmask` right after it was made.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, self.0.as_ptr(), ptr::null_mut()) };
    }
}
