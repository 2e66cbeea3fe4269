//! An allocator that captures each allocation's stack twice, with our unwinder and with libgcc's, and compares.

use heapsite::internals::unwind;
use heapsite::profile::Cut;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst};

/// SeqCst throughout: these are tests, and speed does not matter.
pub(super) static ON: AtomicBool = AtomicBool::new(false);
pub(super) static STACKS: AtomicU64 = AtomicU64::new(0);
pub(super) static FRAMES: AtomicU64 = AtomicU64::new(0);
pub(super) static DIFFERENT: AtomicU64 = AtomicU64::new(0);
pub(super) static DEPTH: AtomicU64 = AtomicU64::new(0);
/// Cuts other than the depth limit.
pub(super) static CUT: AtomicU64 = AtomicU64::new(0);
/// Stacks with a frame that a signal interrupted.
pub(super) static SIGNALS: AtomicU64 = AtomicU64::new(0);
/// Whether captures go on from the thread's last one, as in exact mode.
pub(super) static AGAIN: AtomicBool = AtomicBool::new(false);
pub(super) static QUIET: AtomicBool = AtomicBool::new(false);

const OURS: usize = 256;
const THEIRS: usize = 300;

thread_local! {
    static BUSY: Cell<bool> = const { Cell::new(false) };
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static MINE: [Cell<u64>; OURS] = const { [const { Cell::new(0) }; OURS] };
    static ORACLE: [Cell<u64>; THEIRS] = const { [const { Cell::new(0) }; THEIRS] };
}

pub(super) struct Comparing;

// SAFETY: everything is handed to `System` unchanged.
unsafe impl GlobalAlloc for Comparing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|n| n.set(n.get() + 1));
        if ON.load(SeqCst) {
            compare();
        }
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(ptr, layout) }
    }
}

/// Allocations of this thread so far.
pub(super) fn allocations() -> u64 {
    ALLOCATIONS.with(Cell::get)
}

unsafe extern "C" {
    fn _Unwind_Backtrace(
        f: extern "C" fn(*mut c_void, *mut c_void) -> c_int,
        arg: *mut c_void,
    ) -> c_int;
    fn _Unwind_GetIPInfo(context: *mut c_void, exact: *mut c_int) -> usize;
}

struct Sink<'a> {
    frames: &'a [Cell<u64>],
    len: usize,
    signal: bool,
}

extern "C" fn take(context: *mut c_void, arg: *mut c_void) -> c_int {
    let mut exact = 0;
    // SAFETY: libgcc passes its context and our argument back.
    let (ip, sink) = unsafe {
        (
            _Unwind_GetIPInfo(context, &mut exact),
            &mut *arg.cast::<Sink<'_>>(),
        )
    };
    if ip == 0 || sink.len == sink.frames.len() {
        return 5; // _URC_END_OF_STACK: stop here
    }
    sink.signal |= exact != 0;
    sink.frames[sink.len].set(ip as u64 - u64::from(exact == 0));
    sink.len += 1;
    0
}

/// Lookup addresses by libgcc, and whether a signal frame is among them.
pub(super) fn oracle(frames: &[Cell<u64>]) -> (usize, bool) {
    let mut sink = Sink {
        frames,
        len: 0,
        signal: false,
    };
    // SAFETY: `take` fits the type and gets a sink that outlives the call.
    unsafe { _Unwind_Backtrace(take, (&raw mut sink).cast()) };
    (sink.len, sink.signal)
}

/// A number of the calling thread's own.
fn number() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    thread_local!(static NUMBER: Cell<u32> = const { Cell::new(0) });
    if NUMBER.get() == 0 {
        NUMBER.set(NEXT.fetch_add(1, SeqCst));
    }
    NUMBER.get()
}

#[inline(never)]
pub(super) fn compare() {
    if BUSY.replace(true) {
        return;
    }
    MINE.with(|mine| {
        ORACLE.with(|theirs| {
            let (n, cut) = if AGAIN.load(SeqCst) {
                unwind::capture_again(mine, number())
            } else {
                unwind::capture(mine)
            };
            let (m, signal) = oracle(theirs);
            judge(&mine[..n], cut, &theirs[..m], signal);
        });
    });
    BUSY.set(false);
}

fn judge(mine: &[Cell<u64>], cut: Option<Cut>, theirs: &[Cell<u64>], signal: bool) {
    STACKS.fetch_add(1, SeqCst);
    FRAMES.fetch_add(mine.len() as u64, SeqCst);
    SIGNALS.fetch_add(signal.into(), SeqCst);
    match cut {
        None => {}
        Some(Cut::Depth) => drop(DEPTH.fetch_add(1, SeqCst)),
        Some(_) => drop(CUT.fetch_add(1, SeqCst)),
    }
    // The two were called from different places in the same function: they agree from its caller on. Below it there are
    // only the closures above, at most 12 frames in a debug build.
    let common = mine
        .iter()
        .enumerate()
        .take(12)
        .find_map(|(i, f)| theirs.iter().take(16).position(|t| t == f).map(|j| (i, j)));
    let same = common.is_some_and(|(i, j)| {
        let (a, b) = (&mine[i..], &theirs[j..]);
        // Both reach the end or, for want of unwind information, stop at the same frame. At the depth limit ours is a
        // prefix: the oracle's buffer holds more.
        if cut == Some(Cut::Depth) {
            b.starts_with(a)
        } else {
            a == b
        }
    });
    if !same && DIFFERENT.fetch_add(1, SeqCst) < 3 && !QUIET.load(SeqCst) {
        eprintln!("different, {cut:?}, common from {common:?}:");
        for k in 0..mine.len().max(theirs.len()).min(60) {
            eprintln!(
                "  {:x?} {:x?}",
                mine.get(k).map(Cell::get),
                theirs.get(k).map(Cell::get)
            );
        }
    }
}
