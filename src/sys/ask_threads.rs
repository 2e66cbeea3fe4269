//! A signal of heapsite's own to a thread of this process, with a number; and waiting for what comes of it.

use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use super::ErrnoGuard;

/// What tells heapsite's signals from others with the same number: the kernel lets a process choose any negative code for
/// signals to itself.
const CODE: libc::c_int = -0x4853;

/// What to do in the handler: the number that was sent, and where the thread was.
pub(crate) type Answer = fn(number: u64, interrupted: u64);

/// Set before the handler is installed.
static ANSWER: AtomicUsize = AtomicUsize::new(0);

/// The handler that was there before, and its flags, by signal.
static BEFORE: [(AtomicUsize, AtomicU32); 65] =
    [const { (AtomicUsize::new(0), AtomicU32::new(0)) }; 65];

/// The highest real-time signal that nobody handles or ignores, looking from the top: programs count from the bottom.
pub(crate) fn unclaimed_signal() -> Option<libc::c_int> {
    let numbers = libc::SIGRTMIN() + 1..=libc::SIGRTMAX() - 1;
    numbers
        .rev()
        .find(|&signal| action(signal).is_ok_and(|action| action.sa_sigaction == libc::SIG_DFL))
}

/// Whether heapsite's handler is the one that `signal` calls.
pub(crate) fn is_installed(signal: libc::c_int) -> bool {
    action(signal).is_ok_and(|action| action.sa_sigaction == handler_address())
}

/// Answers this signal from now on; other signals of this number go on to the handler that was there before.
///
/// It stays: a signal that arrives after its handler has gone would end the process.
pub(crate) fn install(signal: libc::c_int, answer: Answer) -> io::Result<()> {
    let before = action(signal)?;
    if before.sa_sigaction == handler_address() {
        return Ok(());
    }
    // Relaxed: the system call below comes after it for every thread.
    ANSWER.store(answer as usize, Ordering::Relaxed);
    if let Some((handler, flags)) = BEFORE.get(signal as usize) {
        flags.store(before.sa_flags as u32, Ordering::Relaxed);
        handler.store(before.sa_sigaction, Ordering::Relaxed);
    }
    let mut now = before;
    now.sa_sigaction = handler_address();
    // On the alternate stack where the thread has one: coroutines have small stacks. Nobody's system call is to fail if it
    // can be gone on with.
    now.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART | libc::SA_ONSTACK;
    // SAFETY: `now` is what the kernel itself said, with a handler of the right type for these flags.
    match unsafe { libc::sigaction(signal, &now, ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn handler_address() -> usize {
    handler as extern "C" fn(_, _, _) as usize
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

/// `siginfo_t` as `rt_tgsigqueueinfo` takes it (signal.h of Linux, 64 bits): three numbers, then a union.
#[repr(C)]
struct Info {
    signal: libc::c_int,
    errno: libc::c_int,
    code: libc::c_int,
    padding: libc::c_int,
    pid: libc::pid_t,
    uid: libc::uid_t,
    value: u64,
    rest: [u64; 12],
}

const _: () =
    assert!(size_of::<Info>() == 128 && size_of::<Info>() == size_of::<libc::siginfo_t>());

/// Sends `number` to a thread of this process.
///
/// # Errors
/// The thread has ended (`ESRCH`), or too many signals wait already (`EAGAIN`).
pub(crate) fn send(thread: u32, signal: libc::c_int, number: u64) -> io::Result<()> {
    let process = std::process::id();
    let info = Info {
        signal,
        errno: 0,
        code: CODE,
        padding: 0,
        pid: process as libc::pid_t,
        uid: 0,
        value: number,
        rest: [0; 12],
    };
    // SAFETY: the kernel reads 128 bytes of `info`.
    let sent = unsafe {
        libc::syscall(
            libc::SYS_rt_tgsigqueueinfo,
            process as libc::c_long,
            libc::c_long::from(thread as i32),
            libc::c_long::from(signal),
            ptr::from_ref(&info),
        )
    };
    match sent {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Async-signal-safe: reads what it was given, answers, or calls the handler that was there before.
extern "C" fn handler(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let _errno = ErrnoGuard::new();
    // SAFETY: the kernel gave the handler a `siginfo_t`, which is laid out as `Info` is.
    let told = unsafe { &*info.cast::<Info>() };
    if told.code != CODE || told.pid as u32 != std::process::id() {
        return pass_on(signal, info, context);
    }
    let answer = ANSWER.load(Ordering::Relaxed);
    if answer == 0 {
        return;
    }
    // SAFETY: only `install` stores here, an `Answer`.
    let answer = unsafe { std::mem::transmute::<usize, Answer>(answer) };
    answer(told.value, interrupted_at(context));
}

/// Where the thread was.
fn interrupted_at(context: *mut libc::c_void) -> u64 {
    #[cfg(target_arch = "x86_64")]
    {
        // SAFETY: the kernel gave the handler a `ucontext_t`, since SA_SIGINFO is set.
        let context = unsafe { &*context.cast::<libc::ucontext_t>() };
        context.uc_mcontext.gregs[libc::REG_RIP as usize] as u64
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        let _ = context;
        0
    }
}

fn pass_on(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let Some((handler, flags)) = BEFORE.get(signal as usize) else {
        return;
    };
    let handler = handler.load(Ordering::Relaxed);
    if handler == libc::SIG_DFL || handler == libc::SIG_IGN {
        return;
    }
    let with_info = flags.load(Ordering::Relaxed) & libc::SA_SIGINFO as u32 != 0;
    // SAFETY: the address of a handler that was installed with these flags, which tell its type.
    unsafe {
        if with_info {
            type Long = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);
            std::mem::transmute::<usize, Long>(handler)(signal, info, context);
        } else {
            std::mem::transmute::<usize, extern "C" fn(libc::c_int)>(handler)(signal);
        }
    }
}

/// Sleeps until `word` is no longer `seen`, until somebody calls [`wake`], or for as long; may return early.
pub(crate) fn wait(word: &AtomicU32, seen: u32, at_most: Duration) {
    let at_most = libc::timespec {
        tv_sec: at_most.as_secs() as libc::time_t,
        tv_nsec: libc::c_long::from(at_most.subsec_nanos() as i32),
    };
    // SAFETY: `word` and `at_most` live as long as the call.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG,
            seen,
            ptr::from_ref(&at_most),
        )
    };
}

/// Wakes who waits on `word`. Async-signal-safe, but for `errno`.
pub(crate) fn wake(word: &AtomicU32) {
    // SAFETY: `word` lives as long as the call; the kernel only compares its address.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG,
            i32::MAX,
        )
    };
}
