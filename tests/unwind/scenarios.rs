//! Stacks of every shape, each with allocations at its leaves.

use super::asm::*;
use super::compare::{AGAIN, ON, compare};
use std::hint::black_box;
use std::sync::atomic::Ordering::SeqCst;

/// xorshift: repeatable shapes.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

trait Shape {
    fn go(&self, r: &mut Random, depth: u32) -> u64;
}
struct Plain;
struct Wide([u64; 40]);

impl Shape for Plain {
    #[inline(never)]
    fn go(&self, r: &mut Random, depth: u32) -> u64 {
        step(r, depth) + black_box(1)
    }
}

impl Shape for Wide {
    #[inline(never)]
    fn go(&self, r: &mut Random, depth: u32) -> u64 {
        let mut local = black_box(self.0);
        local[r.below(40) as usize] += 1;
        step(r, depth) + black_box(local)[3]
    }
}

#[inline(never)]
fn generic<T: Default + Copy + std::fmt::Debug, const N: usize>(r: &mut Random, depth: u32) -> u64 {
    let local = black_box([T::default(); N]);
    let n = step(r, depth);
    black_box(&local);
    n + N as u64
}

/// One random call deeper, or an allocation.
#[inline(never)]
pub(super) fn step(r: &mut Random, depth: u32) -> u64 {
    if depth == 0 {
        return *black_box(Box::new(r.0)) & 1;
    }
    let d = depth - 1;
    match r.below(10) {
        0 => (Box::new(Plain) as Box<dyn Shape>).go(r, d),
        1 => black_box(&Wide([7; 40]) as &dyn Shape).go(r, d),
        2 => generic::<u8, 3>(r, d),
        3 => generic::<u64, 100>(r, d),
        4 => {
            let f: Box<dyn Fn(&mut Random) -> u64> = Box::new(move |r| step(r, d) + 1);
            black_box(f)(r)
        }
        5 => (0..2).map(|_| step(r, d / 2)).sum(),
        6 => sorted(r, d),
        7 => through_asm(r, d),
        8 => format!("{:?}", black_box(vec![d; 3])).len() as u64 + step(r, d),
        _ => step(r, d) + 1,
    }
}

/// `qsort` with a comparison that goes on: C frames in between.
fn sorted(r: &mut Random, depth: u32) -> u64 {
    thread_local!(static PENDING: std::cell::Cell<(u64, u32)> = const { std::cell::Cell::new((1, 0)) });
    extern "C" fn cmp(a: *const libc::c_void, b: *const libc::c_void) -> libc::c_int {
        let (seed, depth) = PENDING.get();
        PENDING.set((seed, 0));
        step(&mut Random(seed), depth);
        // SAFETY: qsort passes pointers to elements of the array below.
        unsafe { *a.cast::<i32>() - *b.cast::<i32>() }
    }
    PENDING.set((r.0 | 1, depth.min(20)));
    let mut v = [3, 1, 2];
    // SAFETY: three elements of four bytes, and a comparison over them.
    unsafe { libc::qsort(v.as_mut_ptr().cast(), 3, 4, Some(cmp)) };
    v[0] as u64
}

thread_local!(static NEXT: std::cell::Cell<(u64, u32)> = const { std::cell::Cell::new((1, 0)) });

extern "C" fn go_on() {
    let (seed, depth) = NEXT.get();
    step(&mut Random(seed), depth);
}

/// Through one of the hand-written frames, sometimes onto another stack.
fn through_asm(r: &mut Random, depth: u32) -> u64 {
    NEXT.set((r.0 | 1, depth.min(12)));
    // SAFETY: each calls `go_on` and returns with its stack as it was; the mapped stack outlives the call.
    unsafe {
        match r.below(26) {
            0..6 => t_alloca(go_on, 16 + r.below(5000) as usize),
            6..12 => t_drap(go_on),
            12..17 => t_rbx(go_on),
            17..22 => t_r12(go_on),
            n => {
                let stack = Stack::new(256 << 10);
                match n {
                    22 => t_switch(go_on, stack.top()),
                    23 => t_switch_s(go_on, stack.top()),
                    _ => t_switch_rbp(go_on, stack.top()),
                }
            }
        }
    }
    1
}

#[inline(never)]
fn big<const N: usize>(depth: u32) -> usize {
    let local = black_box([depth as u8; N]);
    let below = if depth == 0 {
        *black_box(Box::new(N))
    } else {
        big::<N>(depth - 1)
    };
    black_box(local[N / 2]) as usize + below
}

pub(super) fn big_frames() {
    let run = || {
        for _ in 0..20 {
            black_box(big::<600_000>(4) + big::<2_000_000>(3));
        }
    };
    std::thread::Builder::new()
        .stack_size(64 << 20)
        .spawn(run)
        .unwrap()
        .join()
        .unwrap();
}

pub(super) fn panics(rounds: u32) {
    struct Noisy(u32);
    impl Drop for Noisy {
        fn drop(&mut self) {
            step(&mut Random(u64::from(self.0) + 1), 3);
        }
    }
    #[inline(never)]
    fn deeper(n: u32) -> u32 {
        let noisy = Noisy(n);
        if n == 0 {
            panic!("on purpose {}", noisy.0);
        }
        deeper(n - 1) + noisy.0
    }
    std::panic::set_hook(Box::new(|info| drop(black_box(info.to_string()))));
    for i in 0..rounds {
        assert!(std::panic::catch_unwind(|| deeper(i % 12)).is_err());
    }
    drop(std::panic::take_hook());
}

pub(super) fn loader(rounds: u32) {
    unsafe extern "C" fn visit(
        _: *mut libc::dl_phdr_info,
        _: usize,
        seed: *mut libc::c_void,
    ) -> libc::c_int {
        step(&mut Random(seed as u64 | 1), 5);
        0
    }
    for i in 0..rounds {
        // SAFETY: the callback fits and reads nothing it is given.
        unsafe { libc::dl_iterate_phdr(Some(visit), (i as usize * 977 + 3) as *mut _) };
    }
}

pub(super) fn regexes(rounds: u32) {
    for i in 0..rounds {
        let re =
            regex::Regex::new(&format!(r"(?i)(a|b{i})+[x-z]{{2,5}}(\w+)\s+foo(bar)?")).unwrap();
        black_box(re.captures("xx ababxyz hello  foobar").is_some());
        black_box(re.replace_all("abxyzw foo", "$1").len());
    }
}

pub(super) fn tokio_tasks(rounds: u64) {
    async fn leaf(r: u64, depth: u32) -> u64 {
        tokio::task::yield_now().await;
        step(&mut Random(r | 1), depth)
    }
    async fn middle(r: u64, tx: tokio::sync::mpsc::Sender<u64>) {
        let v = Box::pin(leaf(r, 6)).await;
        tx.send(v).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_micros(r % 50)).await;
    }
    let rt = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    rt.block_on(async {
        let (tx, mut rx) = tokio::sync::mpsc::channel(4);
        let mut set = tokio::task::JoinSet::new();
        for i in 0..rounds {
            set.spawn(middle(i * 7919, tx.clone()));
        }
        drop(tx);
        while let Some(v) = rx.recv().await {
            black_box(v);
        }
        while set.join_next().await.is_some() {}
    });
}

/// Handlers that allocate, raised from the middle of a stack; with `SA_ONSTACK` on std's own alternate stack.
pub(super) fn signals(rounds: u64) {
    extern "C" fn handler(_: libc::c_int) {
        drop(black_box(Box::new(1)));
    }
    // Going on from the last capture takes 1.5 KiB of stack, but 5 KiB where nothing is optimised: with the kernel's
    // own frame that is too much for std's 8 KiB.
    let small = !(cfg!(debug_assertions) && AGAIN.load(SeqCst));
    for flags in [Some(0), small.then_some(libc::SA_ONSTACK)]
        .into_iter()
        .flatten()
    {
        install(libc::SIGUSR1, handler, flags);
        let run = move || {
            #[inline(never)]
            fn deep(r: &mut Random, n: u64) -> u64 {
                if n == 0 {
                    // SAFETY: the handler is installed; raised by ourselves, so malloc is not being interrupted.
                    unsafe { libc::raise(libc::SIGUSR1) };
                    return r.below(9);
                }
                deep(r, n - 1) + 1
            }
            for i in 0..rounds {
                black_box(deep(&mut Random(i | 1), i % 30));
            }
        };
        run();
        std::thread::spawn(run).join().unwrap();
    }
}

fn install(signal: libc::c_int, handler: extern "C" fn(libc::c_int), flags: libc::c_int) {
    // SAFETY: a zeroed sigaction is valid, and the handler has the right type for one without SA_SIGINFO.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as usize;
        action.sa_flags = flags | libc::SA_RESTART;
        assert_eq!(libc::sigaction(signal, &action, std::ptr::null_mut()), 0);
    }
}

/// A timer that interrupts anywhere: prologues, system calls, the allocator, procedure linkage.
pub(super) fn timer(interrupts: u64) {
    extern "C" fn handler(_: libc::c_int) {
        compare();
    }
    install(libc::SIGPROF, handler, 0);
    let every = |us| {
        let t = libc::timeval {
            tv_sec: 0,
            tv_usec: us,
        };
        let timer = libc::itimerval {
            it_interval: t,
            it_value: t,
        };
        // SAFETY: a valid timer value; the old one is not asked for.
        let ret = unsafe { libc::setitimer(libc::ITIMER_PROF, &timer, std::ptr::null_mut()) };
        assert_eq!(ret, 0);
    };
    ON.store(false, SeqCst); // only the timer captures here
    let before = super::compare::STACKS.load(SeqCst);
    every(200);
    let mut i = 1;
    while super::compare::STACKS.load(SeqCst) < before + interrupts {
        step(&mut Random(i), 12);
        regexes(1);
        i += 2;
    }
    every(0);
}

pub(super) fn all() {
    for i in 0..1500 {
        step(&mut Random(i * 2 + 1), 4 + (i % 60) as u32);
    }
    step(&mut Random(5), 4);
    let threads: Vec<_> = (0..4u64)
        .map(|t| {
            std::thread::spawn(move || {
                for i in 0..600 {
                    step(&mut Random(t * 1000 + i + 1), 25);
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|t| t.join().unwrap());
    big_frames();
    panics(300);
    loader(100);
    regexes(25);
    tokio_tasks(1500);
    signals(300);
}
