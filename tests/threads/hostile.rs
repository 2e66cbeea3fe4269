//! Threads that do not want to answer, end, or are in the middle of something.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use heapsite::thread::{NoStack, dump, dump_with};

/// A watchdog: these tests fail by hanging. One at a time: all threads of the process are asked.
fn without_hanging(work: impl FnOnce() + Send + 'static) {
    let _turn = crate::turn();
    let (done, finished) = channel();
    let thread = std::thread::spawn(move || {
        work();
        done.send(()).unwrap();
    });
    match finished.recv_timeout(Duration::from_secs(300)) {
        Ok(()) => thread.join().unwrap(),
        Err(error) => panic!("{error}: it hangs, or failed"),
    }
}

#[test]
fn who_blocks_the_signal_is_told_apart() {
    without_hanging(|| {
        let (ready, started) = channel();
        let (over, end) = channel::<()>();
        let deaf = std::thread::Builder::new().name("deaf".to_owned());
        let deaf = deaf
            .spawn(move || {
                // SAFETY: a local set with room; blocks all signals of this thread only.
                unsafe {
                    let mut all = std::mem::zeroed();
                    libc::sigfillset(&mut all);
                    libc::pthread_sigmask(libc::SIG_SETMASK, &all, std::ptr::null_mut());
                }
                ready.send(()).unwrap();
                let _ = end.recv();
                // Nothing was sent: it would arrive now, one for each question.
                // SAFETY: `pending` has room for the answer.
                let waits = unsafe {
                    let mut pending: libc::sigset_t = std::mem::zeroed();
                    libc::sigpending(&mut pending);
                    (1..=libc::SIGRTMAX()).any(|signal| libc::sigismember(&pending, signal) == 1)
                };
                assert!(!waits, "a signal waits");
            })
            .unwrap();
        started.recv().unwrap();
        for _ in 0..150 {
            // More often than there are places: each is free again, though nobody answered.
            let threads = dump_with(Duration::from_secs(10)).threads;
            let found = threads.iter().find(|thread| thread.name == "deaf").unwrap();
            assert_eq!(found.stack, Err(NoStack::SignalBlocked));
        }
        drop(over);
        deaf.join().unwrap();
        assert!(dump().threads.iter().any(|thread| thread.stack.is_ok()));
    });
}

#[test]
fn threads_may_come_and_go() {
    without_hanging(|| {
        let over = Arc::new(AtomicBool::new(false));
        let dumps = Arc::new(AtomicUsize::new(0));
        let mut others: Vec<_> = (0..2)
            .map(|_| {
                let over = Arc::clone(&over);
                std::thread::spawn(move || {
                    while !over.load(Ordering::Relaxed) {
                        std::thread::spawn(|| drop(vec![1_u8; 100])).join().unwrap();
                    }
                })
            })
            .collect();
        // In the middle of malloc most of the time, with everything recorded.
        heapsite::set_sample_interval(1);
        others.extend((0..2).map(|_| {
            let over = Arc::clone(&over);
            std::thread::spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    drop((0..100).map(|number| vec![number; 64]).collect::<Vec<_>>());
                }
            })
        }));
        // Two that ask at once.
        others.extend((0..2).map(|_| {
            let (over, dumps) = (Arc::clone(&over), Arc::clone(&dumps));
            std::thread::spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    let threads = dump_with(Duration::from_secs(30)).threads;
                    let busy =
                        |thread: &heapsite::thread::Thread| thread.stack == Err(NoStack::Busy);
                    assert!(!threads.iter().any(busy));
                    dumps.fetch_add(1, Ordering::Relaxed);
                }
            })
        }));
        while dumps.load(Ordering::Relaxed) < 20 {
            std::thread::sleep(Duration::from_millis(1));
        }
        over.store(true, Ordering::Relaxed);
        others.into_iter().for_each(|thread| thread.join().unwrap());
        heapsite::set_sample_interval(512 << 10);
    });
}

/// A thread that waits for signals takes none of heapsite's for one of them.
#[test]
fn who_waits_for_signals_is_left_alone() {
    without_hanging(|| {
        let waits = std::thread::Builder::new().name("sigwait".to_owned());
        let waits = waits
            .spawn(|| {
                // SAFETY: a local set with room; blocks signals of this thread only, and waits for one of them.
                unsafe {
                    let mut all = std::mem::zeroed();
                    libc::sigfillset(&mut all);
                    libc::pthread_sigmask(libc::SIG_SETMASK, &all, std::ptr::null_mut());
                    let mut signal = 0;
                    assert_eq!(libc::sigwait(&all, &mut signal), 0);
                    signal
                }
            })
            .unwrap();
        let pid = std::process::id();
        let stat = |id: u32| std::fs::read_to_string(format!("/proc/{pid}/task/{id}/syscall"));
        loop {
            let threads = dump().threads;
            let found = threads.iter().find(|thread| thread.name == "sigwait");
            if let Some(found) = found
                && stat(found.id).is_ok_and(|call| call.starts_with("128 "))
            {
                break;
            }
        }
        for _ in 0..10 {
            let threads = dump().threads;
            let found = threads
                .iter()
                .find(|thread| thread.name == "sigwait")
                .unwrap();
            assert_eq!(found.stack, Err(NoStack::SignalBlocked));
        }
        assert!(!waits.is_finished());
        let id = std::os::unix::thread::JoinHandleExt::as_pthread_t(&waits);
        // SAFETY: the thread is there until it is joined.
        unsafe { libc::pthread_kill(id, libc::SIGUSR1) };
        assert_eq!(waits.join().unwrap(), libc::SIGUSR1);
    });
}

/// The handler runs on the alternate stack where the thread has one: std's has 8 KiB.
#[test]
fn a_small_alternate_stack_has_room() {
    without_hanging(|| {
        let (ready, started) = channel();
        let (over, end) = channel::<()>();
        let thread = std::thread::Builder::new().name("small".to_owned());
        let thread = thread
            .spawn(move || {
                let mut small = vec![0_u8; libc::MINSIGSTKSZ.max(8 << 10)];
                let stack = libc::stack_t {
                    ss_sp: small.as_mut_ptr().cast(),
                    ss_flags: 0,
                    ss_size: small.len(),
                };
                let mut before: libc::stack_t = libc::stack_t {
                    ss_sp: std::ptr::null_mut(),
                    ss_flags: 0,
                    ss_size: 0,
                };
                // SAFETY: `small` lives until the old stack is back; std's own is put back for its guard.
                assert_eq!(unsafe { libc::sigaltstack(&stack, &mut before) }, 0);
                ready.send(()).unwrap();
                let _ = end.recv();
                // SAFETY: what the kernel said was there before.
                let back = unsafe { libc::sigaltstack(&before, std::ptr::null_mut()) };
                assert_eq!(back, 0);
            })
            .unwrap();
        started.recv().unwrap();
        let threads = dump().threads;
        let found = threads
            .iter()
            .find(|thread| thread.name == "small")
            .unwrap();
        let stack = found.stack.as_ref().unwrap();
        let at = |part: &str| stack.iter().any(|frame| frame.function.contains(part));
        assert!(
            at("a_small_alternate_stack_has_room") && !found.is_cut,
            "{stack:#?}"
        );
        drop(over);
        thread.join().unwrap();
    });
}

/// A signal of this number that is not heapsite's goes to the handler that was there.
#[test]
fn handlers_that_were_there_are_called() {
    static CALLED: AtomicUsize = AtomicUsize::new(0);
    extern "C" fn own(_: libc::c_int) {
        CALLED.fetch_add(1, Ordering::Relaxed);
    }
    without_hanging(|| {
        let signal = libc::SIGRTMIN() + 7;
        // SAFETY: a zeroed action is valid, and the handler has the type for one without SA_SIGINFO.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = own as extern "C" fn(_) as usize;
            assert_eq!(libc::sigaction(signal, &action, std::ptr::null_mut()), 0);
        }
        let signal_name: heapsite::Signal = "SIGRTMIN+7".parse().unwrap();
        heapsite::thread::use_signal(signal_name);
        assert!(dump().threads.iter().any(|thread| thread.stack.is_ok()));
        assert_eq!(CALLED.load(Ordering::Relaxed), 0);
        // SAFETY: sends a number to this thread.
        unsafe { libc::raise(signal) };
        assert_eq!(CALLED.load(Ordering::Relaxed), 1);
    });
}

/// A child has one thread, and answers that nobody will give any more.
#[test]
fn a_child_asks_anew() {
    without_hanging(|| {
        let over = Arc::new(AtomicBool::new(false));
        let asks = {
            let over = Arc::clone(&over);
            std::thread::spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    dump();
                }
            })
        };
        for _ in 0..30 {
            // SAFETY: the child only calls what heapsite promises to work there, and then leaves without destructors.
            let child = unsafe { libc::fork() };
            if child == 0 {
                let threads = dump_with(Duration::from_secs(1)).threads;
                // Somebody may have been asking at the fork: then nobody gives the turn back.
                let good = threads.len() == 1
                    && (threads[0].stack.is_ok() || threads[0].stack == Err(NoStack::Busy));
                // SAFETY: ends the child at once.
                unsafe { libc::_exit(i32::from(!good)) };
            }
            let mut status = 0;
            // SAFETY: `status` has room for the answer.
            assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
            assert_eq!(status, 0);
        }
        over.store(true, Ordering::Relaxed);
        asks.join().unwrap();
    });
}
