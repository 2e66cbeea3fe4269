//! Threads that are somewhere known.

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Barrier, Condvar, Mutex};
use std::time::Duration;

use heapsite::thread::{State, Thread, dump};

/// Waits until the thread of this name is in a function of this name, and returns how it was.
fn until_in(name: &str, function: &str) -> Thread {
    loop {
        let threads = dump();
        let found = threads
            .threads
            .into_iter()
            .find(|thread| thread.name == name);
        // One that is just starting has no name yet, and blocks all signals.
        let Some(found) = found else { continue };
        let stack = found.stack.as_deref().unwrap_or_default();
        if stack.iter().any(|frame| frame.function.contains(function)) {
            return found;
        }
    }
}

/// The chain is whole: from the leaf to where threads begin, with this test's own function in between.
fn check(thread: &Thread, own: &str) {
    let stack = thread.stack.as_ref().unwrap();
    let at = |part: &str| stack.iter().position(|frame| frame.function.contains(part));
    assert!(at(own).is_some(), "{own} is not in {stack:#?}");
    assert!(!thread.is_cut, "{stack:#?}");
    let last = stack.last().unwrap();
    assert!(
        last.function.contains("clone"),
        "{last:?} is no beginning: {stack:#?}"
    );
    for foreign in ["ask_threads::handler", "restore_rt", "heapsite::"] {
        assert_eq!(at(foreign), None, "{stack:#?}");
    }
}

fn start(name: &str, body: impl FnOnce() + Send + 'static) -> std::thread::JoinHandle<()> {
    let thread = std::thread::Builder::new().name(name.to_owned());
    thread.spawn(body).unwrap()
}

#[inline(never)]
fn waits_for_a_message(receiver: &Receiver<()>) {
    let _ = std::hint::black_box(receiver.recv());
}

#[inline(never)]
fn waits_for_a_lock(lock: &Mutex<()>) {
    drop(std::hint::black_box(lock.lock().unwrap()));
}

#[inline(never)]
fn waits_for_a_word(pair: &(Mutex<bool>, Condvar)) {
    let said = pair.0.lock().unwrap();
    drop(std::hint::black_box(
        pair.1.wait_while(said, |said| !*said).unwrap(),
    ));
}

#[inline(never)]
fn sleeps(over: &std::sync::atomic::AtomicBool) {
    while !over.load(std::sync::atomic::Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[inline(never)]
fn reads(mut stream: std::net::TcpStream) {
    use std::io::Read;
    let _ = std::hint::black_box(stream.read(&mut [0; 8]));
}

#[inline(never)]
fn runs(over: &std::sync::atomic::AtomicBool) {
    while !std::hint::black_box(over).load(std::sync::atomic::Ordering::Relaxed) {
        std::hint::spin_loop();
    }
}

#[test]
fn each_is_where_it_is() {
    let _turn = crate::turn();
    let over = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (sender, receiver) = channel();
    let lock = Arc::new(Mutex::new(()));
    let pair = Arc::new((Mutex::new(false), Condvar::new()));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (peer, _) = listener.accept().unwrap();

    let held = lock.lock().unwrap();
    let threads = [
        start("receives", move || waits_for_a_message(&receiver)),
        start("locks", {
            let lock = Arc::clone(&lock);
            move || waits_for_a_lock(&lock)
        }),
        start("waits", {
            let pair = Arc::clone(&pair);
            move || waits_for_a_word(&pair)
        }),
        start("sleeps", {
            let over = Arc::clone(&over);
            move || sleeps(&over)
        }),
        start("reads", move || reads(stream)),
        start("runs", {
            let over = Arc::clone(&over);
            move || runs(&over)
        }),
    ];
    for (name, own, state) in [
        ("receives", "waits_for_a_message", State::Sleeping),
        ("locks", "waits_for_a_lock", State::Sleeping),
        ("waits", "waits_for_a_word", State::Sleeping),
        ("sleeps", "places::sleeps", State::Sleeping),
        ("reads", "places::reads", State::Sleeping),
        ("runs", "places::runs", State::Running),
    ] {
        let mut found = until_in(name, own);
        check(&found, own);
        // A thread that has just been asked may still be awake.
        while found.state != state {
            found = until_in(name, own);
        }
        assert!(!found.is_own);
    }
    let all = dump().threads;
    assert!(all.is_sorted_by(|a, b| a.age >= b.age), "the oldest first");
    over.store(true, std::sync::atomic::Ordering::Relaxed);
    drop((sender, held, peer));
    *pair.0.lock().unwrap() = true;
    pair.1.notify_all();
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
}

/// Twice as many as can be asked at once, and all of them in one group.
#[test]
fn a_thousand_threads_answer() {
    const THREADS: usize = 1000;
    let _turn = crate::turn();
    let gate = Arc::new(Barrier::new(THREADS + 1));
    let threads: Vec<_> = (0..THREADS)
        .map(|number| {
            let gate = Arc::clone(&gate);
            let thread = std::thread::Builder::new()
                .name(format!("many-{number}"))
                .stack_size(64 << 10);
            thread
                .spawn(move || {
                    gate.wait();
                })
                .unwrap()
        })
        .collect();
    // All at the gate: none runs on its way there any more.
    let found = loop {
        let all = dump();
        let many: Vec<Thread> = all
            .threads
            .into_iter()
            .filter(|thread| thread.name.starts_with("many-"))
            .collect();
        assert!(many.len() <= THREADS);
        let waits = |thread: &Thread| {
            // One that is just starting still blocks all signals.
            let stack = thread.stack.as_deref().unwrap_or_default();
            stack
                .iter()
                .any(|frame| frame.function.contains("Barrier>::wait"))
        };
        if many.len() == THREADS && many.iter().all(waits) {
            break many;
        }
    };
    assert!(found.iter().all(|thread| !thread.is_cut));
    gate.wait();
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
}
