//! Where threads were created: feature `threadcreate`.

use std::ffi::{CString, c_void};
use std::process::Command;
use std::sync::mpsc;

use heapsite::thread::{Thread, Threads, dump};

/// Whether a function is on the stack that created a thread.
fn is_from(thread: &Thread, function: &str) -> bool {
    let mut frames = thread.created_from.iter().flat_map(|stack| stack.iter());
    frames.any(|frame| frame.function.contains(function))
}

fn init() -> (tempfile::TempDir, heapsite::Handle) {
    let folder = tempfile::tempdir().unwrap();
    let handle = heapsite::Config::new()
        .no_signal()
        .dir(folder.path())
        .init()
        .unwrap();
    (folder, handle)
}

#[inline(never)]
fn starts_a_thread(gate: mpsc::Receiver<()>) -> std::thread::JoinHandle<()> {
    let thread = std::thread::Builder::new().name("made".to_owned());
    let thread = thread.spawn(move || {
        let _ = gate.recv();
    });
    std::hint::black_box(thread.unwrap())
}

#[inline(never)]
fn starts_a_runtime() -> tokio::runtime::Runtime {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("made-tokio")
        .build();
    std::hint::black_box(runtime.unwrap())
}

fn until(holds: impl Fn(&Threads) -> bool) -> Threads {
    loop {
        let threads = dump();
        if holds(&threads) {
            return threads;
        }
    }
}

#[test]
fn by_std_scopes_and_runtimes() {
    let _turn = crate::turn();
    let _running = init();
    let (open, gate) = mpsc::channel();
    let thread = starts_a_thread(gate);
    let runtime = starts_a_runtime();
    let threads = until(|threads| {
        // A thread has a name, and has been created somewhere, a moment after it is there.
        let count = |name: &str, function: &str| {
            let is = |it: &&Thread| it.name == name && is_from(it, function);
            threads.threads.iter().filter(is).count()
        };
        count("made", "starts_a_thread") == 1 && count("made-tokio", "starts_a_runtime") == 2
    });
    for name in ["made", "made-tokio"] {
        let found = threads.threads.iter().find(|it| it.name == name).unwrap();
        assert!(!is_from(found, "heapsite::"), "{threads}");
    }
    drop((open, runtime));
    thread.join().unwrap();
}

const SOURCE: &str = "
#include <pthread.h>
#include <unistd.h>
static void *waits(void *descriptor) {
    char byte;
    return (void *)read((int)(long)descriptor, &byte, 1);
}
int starts_in_c(pthread_t *thread, int descriptor) {
    int status = pthread_create(thread, 0, waits, (void *)(long)descriptor);
    __asm__ volatile(\"\"); /* no tail call */
    return status;
}
";

/// A library that was loaded later creates a thread.
#[test]
fn by_a_c_library() {
    let _turn = crate::turn();
    let folder = tempfile::tempdir().unwrap();
    let (source, library) = (folder.path().join("c.c"), folder.path().join("c.so"));
    std::fs::write(&source, SOURCE).unwrap();
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-pthread", "-o"])
        .args([&library, &source])
        .status();
    assert!(built.expect("a C compiler").success());
    let _running = init();
    let (reader, writer) = std::io::pipe().unwrap();
    let path = CString::new(library.to_str().unwrap()).unwrap();
    let mut thread: libc::pthread_t = 0;
    // SAFETY: the function has this type; the thread reads from a pipe until that is closed.
    unsafe {
        let library = libc::dlopen(path.as_ptr(), libc::RTLD_NOW);
        assert!(!library.is_null());
        let start = libc::dlsym(library, c"starts_in_c".as_ptr());
        let start: unsafe extern "C" fn(*mut libc::pthread_t, i32) -> i32 =
            std::mem::transmute::<*mut c_void, _>(start);
        let descriptor = std::os::fd::AsRawFd::as_raw_fd(&reader);
        assert_eq!(start(&mut thread, descriptor), 0);
    }
    until(|threads| threads.threads.iter().any(|it| is_from(it, "starts_in_c")));
    drop(writer);
    // SAFETY: created above.
    unsafe { libc::pthread_join(thread, std::ptr::null_mut()) };
}
