//! Being called when the process exits.

/// Has `f` called when the process exits: after a return from `main`, and by [`std::process::exit`] or C's
/// `exit` on any thread. Not after `abort`, `_exit`, `quick_exit` or death by a signal. `false`: the C library
/// had no room to remember it.
///
/// `f` runs on the thread that exits, while all other threads still run; destructors of that thread's locals
/// may already have run. It must not unwind.
pub(crate) fn at_exit(f: extern "C" fn()) -> bool {
    // SAFETY: `atexit` only stores the pointer. `f` is a plain function of this very object, so it cannot be
    // unloaded before it is called: the C library calls the functions of a shared object when it unloads it.
    unsafe { libc::atexit(f) == 0 }
}

/// Has the process exit with another code, from within a function of [`at_exit`]: those that are left are called as
/// before.
pub(crate) fn exit_with(code: i32) -> ! {
    // SAFETY: POSIX leaves a second call of exit open; the C libraries of Linux go on with the functions that are left
    // (atexit(3)). std's own guard against two threads that exit is not asked: this is the thread that exits.
    unsafe { libc::exit(code) }
}
