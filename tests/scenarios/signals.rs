//! Signals that arrive in the middle of an allocation.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::checks::{
    Numbers, assert_adds_up, assert_all_settled, assert_settled_but_for, join_all, lost, start,
};
use crate::inner;
use crate::stress::{Block, any_layout};

static HANDLED: AtomicU64 = AtomicU64::new(0);

fn install(signal: i32, handler: extern "C" fn(i32), flags: i32) {
    // SAFETY: a zeroed sigaction with a handler, a mask and flags is complete.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as *const () as usize;
        action.sa_flags = flags | libc::SA_RESTART;
        libc::sigemptyset(&mut action.sa_mask);
        assert_eq!(libc::sigaction(signal, &action, std::ptr::null_mut()), 0);
    }
}

extern "C" fn only_count(_: i32) {
    HANDLED.fetch_add(1, Ordering::Relaxed);
}

/// A timer and a thread that sends real-time signals, at threads that allocate all the time.
pub(crate) fn in_malloc(interval: u64) {
    start(interval);
    install(libc::SIGALRM, only_count, 0);
    install(libc::SIGRTMIN(), only_count, 0);
    let every = libc::timeval {
        tv_sec: 0,
        tv_usec: 200,
    };
    // SAFETY: a timer of the process's own, and its settings.
    unsafe {
        let timer = libc::itimerval {
            it_interval: every,
            it_value: every,
        };
        assert_eq!(
            libc::setitimer(libc::ITIMER_REAL, &timer, std::ptr::null_mut()),
            0
        );
    }
    let stop = AtomicBool::new(false);
    let targets = [const { AtomicU64::new(0) }; 3];
    let before = inner::granted();
    thread::scope(|scope| {
        let workers = std::array::from_fn::<_, 3, _>(|number| {
            let (stop, targets) = (&stop, &targets);
            scope.spawn(move || {
                // SAFETY: no preconditions.
                targets[number].store(unsafe { libc::pthread_self() }, Ordering::Release);
                let mut numbers = Numbers(number as u64);
                let mut own: [Option<Block>; 100] = [const { None }; 100];
                while !stop.load(Ordering::Relaxed) {
                    let slot = &mut own[numbers.below(100) as usize];
                    match slot {
                        Some(block) if numbers.below(2) == 0 => block.resize(numbers.size()),
                        _ => *slot = Some(Block::new(any_layout(&mut numbers), false)),
                    }
                }
                drop(own);
                // Nobody signals this thread any more once this is 0 again.
                while targets[number].load(Ordering::Acquire) != 0 {
                    thread::yield_now();
                }
            })
        });
        let end = Instant::now() + Duration::from_millis(500);
        while Instant::now() < end || HANDLED.load(Ordering::Relaxed) < 1_000 {
            for target in &targets {
                let thread = target.load(Ordering::Acquire);
                if thread != 0 {
                    // SAFETY: the thread waits for us to clear its entry before it ends.
                    unsafe { libc::pthread_kill(thread, libc::SIGRTMIN()) };
                }
            }
        }
        stop.store(true, Ordering::Relaxed);
        targets
            .iter()
            .for_each(|target| target.store(0, Ordering::Release));
        join_all(workers);
    });
    // SAFETY: as above; all zero disarms it.
    unsafe { libc::setitimer(libc::ITIMER_REAL, &std::mem::zeroed(), std::ptr::null_mut()) };
    if interval == 1 {
        assert_adds_up(before, &[]);
    }
    assert_all_settled();
}

extern "C" fn allocate(_: i32) {
    HANDLED.fetch_add(1, Ordering::Relaxed);
    let mut list = vec![1u8; 100];
    list.extend_from_slice(&[2; 300]);
    drop(black_box(list));
}

/// A handler that allocates, over an allocator for which that is legal, interrupts the recorder itself:
/// what it requests then is counted as lost, nothing else is, and nobody waits for anybody.
pub(crate) fn in_recorder(interval: u64) {
    start(interval);
    install(libc::SIGRTMIN(), allocate, 0);
    // SAFETY: no preconditions.
    let target = unsafe { libc::pthread_self() };
    let stop = AtomicBool::new(false);
    let before = inner::granted();
    thread::scope(|scope| {
        let stop = &stop;
        let sender = scope.spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let seen = HANDLED.load(Ordering::Relaxed);
                // SAFETY: the main thread outlives this one.
                unsafe { libc::pthread_kill(target, libc::SIGRTMIN()) };
                // The target has to get on between two signals.
                while HANDLED.load(Ordering::Relaxed) == seen && !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
                for _ in 0..2_000 {
                    std::hint::spin_loop();
                }
            }
        });
        let end = Instant::now() + Duration::from_secs(20);
        // At larger intervals the recorder is seldom at work; interrupted it is all the same now and then.
        let enough = if interval == 1 { 100 } else { 0 };
        let mut numbers = Numbers(1);
        let handled = || HANDLED.load(Ordering::Relaxed);
        let mut steps = 0;
        while (steps < 40_000 || handled() < 200 || lost("reentrant") < enough)
            && Instant::now() < end
        {
            let mut list = Vec::<u8>::with_capacity(1 + numbers.below(900) as usize);
            list.extend_from_slice(&[3; 1_000]);
            drop(black_box(list));
            steps += 1;
        }
        stop.store(true, Ordering::Relaxed);
        join_all([sender]);
        println!(
            "{} signals, {} inside the recorder",
            HANDLED.load(Ordering::Relaxed),
            lost("reentrant")
        );
        assert!(lost("reentrant") >= enough, "the recorder was interrupted");
    });
    if interval == 1 {
        assert_adds_up(before, &["reentrant"]);
    }
    assert!(HANDLED.load(Ordering::Relaxed) >= 200);
    assert_settled_but_for(&["reentrant"]);
}

/// Several times what is needed, so that the use can be measured.
const ROOM: usize = 32 << 10;
const PAINT: u8 = 0xc3;

static ALTERNATE: AtomicUsize = AtomicUsize::new(0);

extern "C" fn allocate_on_the_alternate_stack(_: i32) {
    let here = 0u8;
    let base = ALTERNATE.load(Ordering::Relaxed);
    assert!(
        (base..base + ROOM).contains(&(&raw const here as usize)),
        "on the alternate stack"
    );
    allocate(0);
}

/// Bytes of the alternate stack that 100 signals, each sent outside the allocator, use at most.
fn stack_use() -> usize {
    let base = ALTERNATE.load(Ordering::Relaxed) as *mut u8;
    // SAFETY: our own mapping, on which nothing runs now.
    unsafe { base.write_bytes(PAINT, ROOM) };
    for _ in 0..100 {
        // SAFETY: the handler is installed.
        unsafe { libc::raise(libc::SIGRTMIN()) };
    }
    // SAFETY: as above.
    let stack = unsafe { std::slice::from_raw_parts(base, ROOM) };
    ROOM - stack.iter().take_while(|byte| **byte == PAINT).count()
}

/// Recording on a signal handler's stack, the rules of all its frames still to be found: at most 4 KiB on
/// top of what the same handler needs anyway. std's alternate stacks have 8 KiB, of which the kernel takes
/// up to 3.4.
pub(crate) fn alternate_stack(interval: u64) {
    const PAGE: usize = 4096;
    // SAFETY: a mapping of our own, its lowest page made inaccessible, the rest given as signal stack.
    unsafe {
        let start = libc::mmap(
            std::ptr::null_mut(),
            PAGE + ROOM,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        );
        assert_ne!(start, libc::MAP_FAILED);
        assert_eq!(libc::mprotect(start, PAGE, libc::PROT_NONE), 0);
        let base = start as usize + PAGE;
        ALTERNATE.store(base, Ordering::Relaxed);
        let stack = libc::stack_t {
            ss_sp: base as *mut _,
            ss_flags: 0,
            ss_size: ROOM,
        };
        assert_eq!(libc::sigaltstack(&stack, std::ptr::null_mut()), 0);
    }
    install(
        libc::SIGRTMIN(),
        allocate_on_the_alternate_stack,
        libc::SA_ONSTACK,
    );
    let bare = stack_use();
    start(interval);
    let before = inner::granted();
    let recording = stack_use();
    println!("{bare} bytes of stack used when off, {recording} when recording");
    assert!(recording <= bare + 4096);
    assert_eq!(HANDLED.load(Ordering::Relaxed), 200);
    assert_adds_up(before, &[]);
    assert_eq!(heapsite::snapshot().facts.alloc.objects, 200);
    assert_all_settled();
}
