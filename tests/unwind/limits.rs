//! What a capture may not do: allocate, wait, use much stack, fault, or pass off a wrong stack as right.

use super::asm::*;
use super::compare::*;
use super::scenarios::{Random, step};
use super::{alone, report};
use heapsite::internals::unwind;
use heapsite::profile::Cut;
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

thread_local!(static BUFFER: [Cell<u64>; 128] = const { [const { Cell::new(0) }; 128] });

fn capture() -> (usize, Option<Cut>) {
    BUFFER.with(|b| unwind::capture(b))
}

#[test]
fn a_wrong_rule_is_noticed() {
    if !alone("limits::a_wrong_rule_is_noticed") {
        return;
    }
    QUIET.store(true, SeqCst);
    let (n, _) = capture();
    compare();
    assert_eq!(DIFFERENT.load(SeqCst), 0);
    // The same call again, now with a wrong rule for one of the frames that both walks have.
    let pc = BUFFER.with(|b| b[n / 2].get());
    assert!(unwind::corrupt(pc), "a plain rule is kept for {pc:x}");
    compare();
    report("with a wrong rule");
    assert_eq!(DIFFERENT.load(SeqCst), 1);
    unwind::forget_rules();
    compare();
    assert_eq!(DIFFERENT.load(SeqCst), 1, "forgetting mends it");
}

#[test]
fn garbage_rules_do_not_fault() {
    if !alone("limits::garbage_rules_do_not_fault") {
        return;
    }
    let mut r = Random(0x1234_5678_9abc_def1);
    let mut cuts = 0;
    for _ in 0..20_000 {
        let (n, _) = capture();
        let pc = BUFFER.with(|b| b[r.below(n.max(1) as u64) as usize].get());
        unwind::plant(pc, r.0);
        step(&mut Random(1), 0);
        let (_, cut) = capture();
        cuts += u32::from(cut.is_some());
        if r.below(8) == 0 {
            unwind::forget_rules();
        }
    }
    println!("{cuts} of 20000 captures were cut");
    assert!(cuts > 1_000);
}

#[test]
fn a_lost_frame_pointer_does_not_fault() {
    extern "C" fn here() {
        let (n, cut) = capture();
        assert_eq!(cut, Some(Cut::BadStack), "{n} frames");
    }
    // SAFETY: the function does what its text says, and calls `here` once.
    unsafe { t_drap_lost(here) };
}

#[test]
fn first_frame_is_the_callers() {
    #[inline(never)]
    fn caller() -> [Cell<u64>; 2] {
        let frames = [const { Cell::new(0) }; 2];
        let stack = unwind::Stack::new();
        assert_eq!(stack.capture(&frames), (2, Some(Cut::Depth)));
        frames
    }
    let [own, above] = caller().map(|f| f.get());
    // The function is a few hundred bytes even unoptimised; its caller is another one.
    let start = caller as *const () as u64;
    assert!((start..start + 2048).contains(&own), "{own:x} {start:x}");
    assert_ne!(own, above);
}

#[test]
fn allocates_nothing() {
    unwind::forget_rules();
    let before = allocations();
    capture();
    unwind::forget_rules();
    capture();
    assert_eq!(allocations(), before);
}

#[test]
fn depth_limit_and_missing_information() {
    #[inline(never)]
    fn deep(n: u32) -> (usize, Option<Cut>) {
        let r = if n == 0 { capture() } else { deep(n - 1) };
        std::hint::black_box(r)
    }
    assert_eq!(deep(300), (128, Some(Cut::Depth)));
    static SEEN: AtomicUsize = AtomicUsize::new(0);
    extern "C" fn seen() {
        let (n, cut) = capture();
        assert_eq!(cut, Some(Cut::NoUnwindInfo));
        SEEN.store(n, SeqCst);
    }
    // SAFETY: calls `seen`, which does not unwind.
    unsafe { t_bare(seen) };
    assert!(
        SEEN.load(SeqCst) >= 2,
        "up to and including the frame without information"
    );
}

#[test]
fn waits_for_no_loader_lock() {
    if !alone("limits::waits_for_no_loader_lock") {
        return;
    }
    use std::sync::mpsc;
    struct Pair(mpsc::Sender<()>, mpsc::Receiver<()>);
    unsafe extern "C" fn hold(
        _: *mut libc::dl_phdr_info,
        _: usize,
        pair: *mut libc::c_void,
    ) -> libc::c_int {
        // SAFETY: the pair below outlives the call.
        let pair = unsafe { &*pair.cast::<Pair>() };
        pair.0.send(()).unwrap();
        pair.1.recv().unwrap();
        1
    }
    let (in_callback, entered) = mpsc::channel();
    let (release, released) = mpsc::channel();
    let holder = std::thread::spawn(move || {
        let pair = Pair(in_callback, released);
        // SAFETY: the callback fits, and gets a pair that outlives the call.
        unsafe { libc::dl_iterate_phdr(Some(hold), (&raw const pair).cast_mut().cast()) };
    });
    entered.recv().unwrap();
    unwind::forget_rules();
    // The lock is held now, and released only after the captures: if one waited for it, the watchdog would end this.
    assert_eq!(capture().1, None);
    assert_eq!(capture().1, None);
    release.send(()).unwrap();
    holder.join().unwrap();
}

/// Bytes of stack that `f` touched below the top of a painted one.
fn painted(f: extern "C" fn(), run: unsafe extern "C" fn(extern "C" fn(), usize)) -> usize {
    let mut stack = Stack::new(64 << 10);
    stack.usable().fill(0xa5);
    // SAFETY: `f` does not unwind, and the stack outlives the call.
    unsafe { run(f, stack.top()) };
    let usable = stack.usable();
    usable.len() - usable.iter().position(|&b| b != 0xa5).unwrap()
}

#[test]
fn uses_little_stack() {
    if !alone("limits::uses_little_stack") {
        return;
    }
    thread_local!(static STACK: unwind::Stack = const { unwind::Stack::new() });
    // The same closures in both, so that the difference is the capture's.
    extern "C" fn nothing() {
        STACK.with(|stack| BUFFER.with(|b| _ = std::hint::black_box((stack, b))));
    }
    extern "C" fn first() {
        STACK.with(|stack| BUFFER.with(|b| _ = std::hint::black_box(stack.capture(b))));
    }
    painted(first, t_bottom); // rules, and the thread-local's first use
    let use_of = |run| painted(first, run) - painted(nothing, run);
    let known = use_of(t_bottom);
    unwind::forget_rules();
    let missing = use_of(t_bottom);
    // t_switch needs the full tier, which evaluates its expression.
    let full = use_of(t_switch);
    println!("stack: {known} bytes with rules known, {missing} without, {full} with an expression");
    // std's alternate signal stack has 8 KiB, of which the kernel's frame takes 1.8 to 3.6. Unoptimised code needs three
    // times what production has.
    let (walk, most) = match cfg!(debug_assertions) {
        true => (2304, 4608),
        false => (1024, 2048),
    };
    assert!(known < walk && missing < most && full < most);
}
