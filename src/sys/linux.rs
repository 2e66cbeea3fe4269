//! Linux, by libc's thin wrappers.

use std::ptr::NonNull;

/// Maps `bytes` of zeroed memory that is not backed until touched and not counted against overcommit.
pub(crate) fn map_zeroed(bytes: usize) -> Option<NonNull<u8>> {
    // SAFETY: an anonymous mapping at an address of the kernel's choice touches nothing that exists.
    let start = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            bytes,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
            -1,
            0,
        )
    };
    if start == libc::MAP_FAILED {
        None
    } else {
        NonNull::new(start.cast())
    }
}

/// Gives back what [`map_zeroed`] returned.
///
/// # Safety
/// - `start` and `bytes` are those of one `map_zeroed` call.
/// - Nothing refers to the memory any more.
pub(crate) unsafe fn unmap(start: NonNull<u8>, bytes: usize) {
    // SAFETY: the caller hands over a whole mapping that nobody uses.
    unsafe { libc::munmap(start.as_ptr().cast(), bytes) };
}

/// Gives the pages of a part of a mapping back; they read as zero afterwards (locked ones stay as they are).
///
/// # Safety
/// - Whole pages within one [`map_zeroed`] mapping.
/// - Nothing refers to the memory any more.
pub(crate) unsafe fn discard(start: usize, bytes: usize) {
    // SAFETY: the caller's own pages, which nobody uses.
    unsafe {
        libc::madvise(
            std::ptr::with_exposed_provenance_mut(start),
            bytes,
            libc::MADV_DONTNEED,
        )
    };
}

/// Whether the process may have only so much address space (`ulimit -v`).
pub(crate) fn limits_address_space() -> bool {
    let mut limit = libc::rlimit {
        rlim_cur: libc::RLIM_INFINITY,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: `limit` is a valid place for the answer.
    unsafe { libc::getrlimit(libc::RLIMIT_AS, &mut limit) };
    limit.rlim_cur != libc::RLIM_INFINITY
}

/// Nanoseconds of `CLOCK_MONOTONIC`: read through the vDSO, without a system call on usual machines.
#[inline]
pub(crate) fn monotonic_nanos() -> u64 {
    nanos_of(libc::CLOCK_MONOTONIC)
}

/// Processor time of all the process's threads, ended ones included, nanoseconds.
pub(crate) fn process_cpu_nanos() -> u64 {
    nanos_of(libc::CLOCK_PROCESS_CPUTIME_ID)
}

/// `clock` is one that always exists.
#[inline]
fn nanos_of(clock: libc::clockid_t) -> u64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `now` is a valid place for the answer.
    unsafe { libc::clock_gettime(clock, &mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// A counter that runs on while this processor does, for noticing that hardly any time has passed: cycles of the
/// time-stamp counter where there is one that programs may read, nanoseconds elsewhere.
#[inline]
pub(crate) fn cycles() -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 processor has the instruction, and Linux lets programs use it.
    return unsafe { std::arch::x86_64::_rdtsc() };
    #[cfg(not(target_arch = "x86_64"))]
    monotonic_nanos()
}

/// The calling thread's name as the kernel keeps it: at most 15 bytes, padded with zeros.
pub(crate) fn thread_name() -> [u8; 16] {
    let mut name = [0u8; 16];
    // SAFETY: PR_GET_NAME writes at most 16 bytes to the buffer given.
    unsafe { libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr()) };
    name
}

/// The calling thread's timer slack, nanoseconds; `None`: the kernel does not say.
pub(crate) fn timer_slack() -> Option<u64> {
    // SAFETY: PR_GET_TIMERSLACK takes nothing and answers with a number.
    let slack = unsafe { libc::prctl(libc::PR_GET_TIMERSLACK) };
    u64::try_from(slack).ok()
}

/// Sets it. 0, which would mean "the default", is left alone: that is the slack that the thread was born with.
pub(crate) fn set_timer_slack(nanos: u64) -> bool {
    // SAFETY: PR_SET_TIMERSLACK takes a number.
    nanos != 0 && unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, nanos) } == 0
}

/// The calling thread's id in the kernel, as `/proc/self/task` lists it.
pub(crate) fn thread_id() -> u32 {
    // SAFETY: gettid has no preconditions. By number: glibc has a function for it since 2.30 only.
    unsafe { libc::syscall(libc::SYS_gettid) as u32 }
}

/// Whether a thread of this process has this id.
#[cfg(feature = "threadcreate")]
pub(crate) fn is_thread(id: u32) -> bool {
    // SAFETY: three numbers; signal 0 is only looked at.
    let status = unsafe { libc::syscall(libc::SYS_tgkill, process_id(), id as libc::pid_t, 0) };
    status == 0
}

/// Time since boot, suspension included, in 1/100 s: the clock of `/proc/PID/stat` (proc(5): 22).
pub(crate) fn boot_centiseconds() -> u64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `now` is a valid place for the answer; the clock exists since Linux 2.6.39.
    unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &mut now) };
    now.tv_sec as u64 * 100 + now.tv_nsec as u64 / 10_000_000
}

/// A number that differs from process to process and from call to call.
pub(crate) fn entropy() -> u64 {
    let here = 0u8;
    // Clock, process and (by address-space randomisation) stack address: enough to tell processes apart,
    // which is all a sampler's seed is for. getrandom(2) could wait at boot.
    monotonic_nanos() ^ u64::from(process_id()) << 40 ^ (&raw const here as u64) << 17
}

/// The process's id.
pub(crate) fn process_id() -> u32 {
    // SAFETY: getpid has no preconditions.
    unsafe { libc::getpid() as u32 }
}

/// How many bytes of a mapping are resident; `None` where the kernel does not say.
pub(crate) fn resident_bytes(start: usize, bytes: usize) -> Option<u64> {
    const PAGE: usize = 4096;
    const BATCH: usize = 1024;
    let mut pages = [0u8; BATCH];
    let mut resident = 0u64;
    let mut at = 0;
    while at < bytes {
        let part = (bytes - at).min(BATCH * PAGE);
        // SAFETY: mincore writes one byte per page of `part`, at most BATCH of them; an address that is
        // not mapped is answered with an error.
        let status =
            unsafe { libc::mincore((start + at) as *mut libc::c_void, part, pages.as_mut_ptr()) };
        if status != 0 {
            return None;
        }
        let seen = part.div_ceil(PAGE);
        resident += pages[..seen].iter().filter(|page| **page & 1 == 1).count() as u64;
        at += part;
    }
    Some(resident * PAGE as u64)
}

/// Where the list of a thread's robust mutexes begins; `None`: it has ended, or has no such list.
pub(crate) fn robust_list(thread: u32) -> Option<u64> {
    let mut head = std::ptr::null_mut::<libc::c_void>();
    let mut size: libc::size_t = 0;
    // SAFETY: the kernel writes an address and a size to the places given.
    let status = unsafe {
        libc::syscall(
            libc::SYS_get_robust_list,
            thread as libc::pid_t,
            &raw mut head,
            &raw mut size,
        )
    };
    (status == 0 && !head.is_null()).then_some(head as u64)
}

/// Puts `errno` back when dropped: the program's own error must survive an allocation.
pub(crate) struct ErrnoGuard(libc::c_int);

impl ErrnoGuard {
    /// Remembers the calling thread's `errno`.
    pub(crate) fn new() -> ErrnoGuard {
        // SAFETY: the C library always returns a valid thread-local place.
        ErrnoGuard(unsafe { *libc::__errno_location() })
    }
}

impl Drop for ErrnoGuard {
    fn drop(&mut self) {
        // SAFETY: as in `new`.
        unsafe { *libc::__errno_location() = self.0 };
    }
}
