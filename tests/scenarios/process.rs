//! Processes that fork, load and unload code, unwind, and end.

use std::ffi::CString;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::checks::{Numbers, assert_all_settled, join_all, start};
use crate::stress::{Block, any_layout};

/// Allocates and frees until told to stop.
fn churn(seed: u64, stop: &AtomicBool) {
    let mut numbers = Numbers(seed);
    let mut own: [Option<Block>; 50] = [const { None }; 50];
    while !stop.load(Ordering::Relaxed) {
        let slot = &mut own[numbers.below(50) as usize];
        match slot {
            Some(block) if numbers.below(2) == 0 => block.resize(numbers.size()),
            _ => *slot = Some(Block::new(any_layout(&mut numbers), false)),
        }
    }
}

/// What a forked child does; its exit code.
fn in_child(parent: u32) -> i32 {
    // SAFETY: no preconditions. A child that hangs is killed, which the parent sees.
    unsafe { libc::alarm(30) };
    let before = heapsite::snapshot().facts;
    let kept: Vec<Vec<u8>> = (1..200).map(|size| vec![1; size * 20]).collect();
    let after = heapsite::snapshot().facts;
    drop(black_box(kept));
    let freed = heapsite::snapshot().facts;
    match () {
        () if after.process.forked_from != Some(parent) => 2,
        () if after.process.pid != std::process::id() => 3,
        // 398 kB: missed altogether at 4 KiB with probability exp(-97).
        () if after.live.bytes <= before.live.bytes => 4,
        () if freed.live.bytes != before.live.bytes => 5,
        () => 0,
    }
}

/// 200 children of a process whose other threads are allocating: each goes on by itself.
pub(crate) fn fork(interval: u64) {
    start(interval);
    assert_eq!(heapsite::snapshot().facts.process.forked_from, None);
    let parent = std::process::id();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let threads = [0, 1, 2].map(|seed| {
            let stop = &stop;
            scope.spawn(move || churn(seed, stop))
        });
        let mut bad = Vec::new();
        for _ in 0..200 {
            // SAFETY: the child only allocates, reads files and exits.
            match unsafe { libc::fork() } {
                // SAFETY: ends the child without running the parent's handlers.
                0 => unsafe { libc::_exit(in_child(parent)) },
                child => {
                    let mut status = 0;
                    // SAFETY: our child, and a place for its status.
                    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
                    if status != 0 {
                        bad.push(status);
                    }
                }
            }
        }
        stop.store(true, Ordering::Relaxed);
        join_all(threads);
        assert!(bad.is_empty(), "wait statuses of failed children: {bad:?}");
    });
    assert_all_settled();
}

type Call = unsafe extern "C" fn(extern "C" fn(*mut libc::c_void), *mut libc::c_void);

extern "C" fn allocate_from_plugin(count: *mut libc::c_void) {
    // SAFETY: the counter that was handed to the plug-in.
    let count = unsafe { &mut *count.cast::<u64>() };
    let mut list = vec![1u8; 100];
    list.resize(5_000, 2);
    *count += black_box(list).len() as u64;
}

/// A shared object with one function that calls back, with `pad` bytes of stack. `None`: no C compiler.
fn compile(directory: &std::path::Path, pad: usize) -> Option<CString> {
    let source = directory.join(format!("plugin{pad}.c"));
    let object = directory.join(format!("plugin{pad}.so"));
    let text = format!(
        "void call(void (*f)(void *), void *p) {{ volatile char pad[{pad}]; pad[0] = 1; f(p); pad[1] = pad[0]; }}"
    );
    std::fs::write(&source, text).ok()?;
    let status = std::process::Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .args([&object, &source])
        .status()
        .ok()?;
    status
        .success()
        .then(|| CString::new(object.into_os_string().into_encoded_bytes()).unwrap())
}

/// Code that comes and goes, other code at the same addresses next time, while threads capture stacks.
pub(crate) fn dlopen(interval: u64) {
    let directory = tempfile::tempdir().unwrap();
    let plugins: Vec<CString> = [16, 3_000, 160]
        .iter()
        .filter_map(|pad| compile(directory.path(), *pad))
        .collect();
    start(interval);
    let stop = AtomicBool::new(false);
    let mut count = 0u64;
    thread::scope(|scope| {
        let threads = [0, 1].map(|seed| {
            let stop = &stop;
            scope.spawn(move || churn(seed, stop))
        });
        for round in 0..300 {
            // Without a compiler: the system's mathematics, which is loaded and unloaded all the same.
            let name = plugins
                .get(round % plugins.len().max(1))
                .map_or(c"libm.so.6", |name| name);
            // SAFETY: plug-ins without constructors; closed once; not called after that.
            unsafe {
                let handle = libc::dlopen(name.as_ptr(), libc::RTLD_NOW);
                assert!(!handle.is_null(), "{name:?}");
                if !plugins.is_empty() {
                    let call = libc::dlsym(handle, c"call".as_ptr());
                    assert!(!call.is_null());
                    let call: Call = std::mem::transmute(call);
                    call(allocate_from_plugin, (&raw mut count).cast());
                }
                assert_eq!(libc::dlclose(handle), 0);
            }
        }
        stop.store(true, Ordering::Relaxed);
        join_all(threads);
    });
    assert_eq!(count, if plugins.is_empty() { 0 } else { 300 * 5_000 });
    drop((plugins, directory));
    assert_all_settled();
}

/// Panics that unwind through frames which hold memory, here and in threads.
pub(crate) fn unwinding(interval: u64) {
    std::panic::set_hook(Box::new(|_| {}));
    // The first panic of a process sets things up that stay.
    let _ = std::panic::catch_unwind(|| fall(3));
    let _ = thread::spawn(|| fall(3)).join();
    start(interval);
    for depth in 0..300 {
        assert!(std::panic::catch_unwind(|| fall(depth % 40)).is_err());
        if depth % 10 == 0 {
            assert!(thread::spawn(move || fall(depth % 40)).join().is_err());
        }
    }
    assert_all_settled();
}

fn fall(depth: u32) -> Vec<String> {
    let mut held = vec![format!("frame {depth}")];
    if depth == 0 {
        std::panic::panic_any(format!("{} at the bottom", held.len()));
    }
    held.extend(fall(depth - 1));
    held
}

extern "C" fn allocate_at_exit() {
    let list: Vec<String> = (0..100).map(|number| number.to_string()).collect();
    assert_eq!(list.len(), 100);
    assert!(!heapsite::snapshot().sites.is_empty());
}

static NEVER: AtomicBool = AtomicBool::new(false);

fn busy(interval: u64) {
    start(interval);
    for seed in 0..3 {
        thread::spawn(move || churn(seed, &NEVER));
    }
    while heapsite::snapshot().facts.alloc.objects < 10 {
        thread::yield_now();
    }
    // SAFETY: a function that takes nothing.
    assert_eq!(unsafe { libc::atexit(allocate_at_exit) }, 0);
}

/// `exit` runs handlers, which allocate and snapshot, while other threads go on.
pub(crate) fn exit(interval: u64) {
    busy(interval);
    std::process::exit(7);
}

/// `_exit` while other threads are in the middle of it.
pub(crate) fn underscore_exit(interval: u64) {
    busy(interval);
    // SAFETY: ends the process at once.
    unsafe { libc::_exit(8) };
}

/// `abort` while other threads are in the middle of it.
pub(crate) fn abort(interval: u64) {
    busy(interval);
    std::process::abort();
}
