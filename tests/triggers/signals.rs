//! Dumps on signals.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use heapsite::Config;

use crate::harness::{Scenario, files, until, until_dumps};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "signal_usr1",
        settings: Some("signal=SIGUSR1,dir=DIR"),
        program: |dir| one_signal(dir, libc::SIGUSR1),
        check: |outcome| {
            outcome.succeeded();
            outcome.whole_dumps(1);
            outcome.told(&["signal: wrote /"]);
        },
    },
    Scenario {
        name: "signal_usr2",
        settings: Some("signal=SIGUSR2"),
        program: |dir| one_signal(dir, libc::SIGUSR2),
        check: |outcome| assert_eq!(outcome.whole_dumps(1), [1]),
    },
    Scenario {
        name: "signal_hup",
        settings: Some("signal=SIGHUP,format=json"),
        program: |dir| one_signal(dir, libc::SIGHUP),
        check: |outcome| {
            outcome.whole_dumps(1);
            assert!(outcome.files()[0].ends_with(".1.json"));
        },
    },
    Scenario {
        name: "signal_real_time",
        settings: Some("signal=SIGRTMIN+3"),
        program: |dir| one_signal(dir, libc::SIGRTMIN() + 3),
        check: |outcome| assert_eq!(outcome.whole_dumps(1), [1]),
    },
    Scenario {
        name: "signal_default_is_usr2",
        settings: None,
        program: |dir| one_signal(dir, libc::SIGUSR2),
        check: |outcome| {
            outcome.succeeded();
            outcome.whole_dumps(1);
        },
    },
    Scenario {
        name: "signal_default_leaves_a_handler_alone",
        settings: None,
        program: |_| {
            install(libc::SIGUSR2, count as *const () as usize, 0);
            let handle = heapsite::init().unwrap();
            assert_eq!(handle.signal(), None);
            raise(libc::SIGUSR2);
            assert_eq!(CALLS.load(Ordering::SeqCst), 1);
        },
        check: |outcome| {
            outcome.succeeded();
            outcome.whole_dumps(0);
            outcome.told(&["no signal dumps: this program handles or ignores SIGUSR2 itself"]);
        },
    },
    Scenario {
        name: "signal_default_leaves_ignoring_alone",
        settings: None,
        program: |_| {
            install(libc::SIGUSR2, libc::SIG_IGN, 0);
            assert_eq!(heapsite::init().unwrap().signal(), None);
        },
        check: |outcome| outcome.told(&["no signal dumps"]),
    },
    Scenario {
        name: "signal_default_again_after_a_drop",
        settings: None,
        program: |dir| {
            drop(heapsite::init().unwrap());
            raise(libc::SIGUSR2); // neither dumps nor kills
            one_signal(dir, libc::SIGUSR2);
        },
        check: |outcome| {
            outcome.succeeded();
            assert_eq!(outcome.whole_dumps(1), [1]);
        },
    },
    Scenario {
        name: "signal_chains_to_the_previous_handler",
        settings: Some("signal=SIGUSR1"),
        program: |dir| {
            install(libc::SIGUSR1, count as *const () as usize, 0);
            one_signal(dir, libc::SIGUSR1);
            assert_eq!(CALLS.load(Ordering::SeqCst), 1);
        },
        check: |outcome| {
            outcome.succeeded();
            outcome.whole_dumps(1);
        },
    },
    Scenario {
        name: "signal_chains_with_its_information",
        settings: Some("signal=SIGUSR1"),
        program: |dir| {
            let handler = count_from_us as *const () as usize;
            install(libc::SIGUSR1, handler, libc::SA_SIGINFO);
            one_signal(dir, libc::SIGUSR1);
            assert_eq!(CALLS.load(Ordering::SeqCst), 1);
        },
        check: |outcome| {
            outcome.succeeded();
            outcome.whole_dumps(1);
        },
    },
    Scenario {
        name: "signal_named_is_taken_from_ignoring",
        settings: Some("signal=SIGHUP"),
        // As under `nohup`.
        program: |dir| {
            install(libc::SIGHUP, libc::SIG_IGN, 0);
            one_signal(dir, libc::SIGHUP);
        },
        check: |outcome| {
            outcome.succeeded();
            assert_eq!(outcome.whole_dumps(1), [1]);
            outcome.told(&["signal: wrote /"]);
        },
    },
    Scenario {
        name: "signal_keeps_interrupting_system_calls",
        settings: Some("signal=SIGUSR1"),
        program: interrupted_read,
        check: |outcome| outcome.succeeded(),
    },
    Scenario {
        name: "signal_none",
        settings: Some("signal=none"),
        program: |_| {
            let handle = heapsite::init().unwrap();
            assert_eq!(handle.signal(), None);
            raise(libc::SIGUSR2); // as ever: the end
        },
        check: |outcome| {
            use std::os::unix::process::ExitStatusExt;
            assert_eq!(outcome.status.signal(), Some(libc::SIGUSR2));
            outcome.whole_dumps(0);
        },
    },
    Scenario {
        name: "signal_burst_coalesces",
        settings: Some("signal=SIGUSR1,keep=all"),
        program: burst,
        check: |outcome| {
            outcome.succeeded();
            let dumps = outcome.files().len();
            outcome.whole_dumps(dumps);
            assert!(
                (2..=1_000).contains(&dumps),
                "{dumps} dumps for 20,001 signals"
            );
        },
    },
    Scenario {
        name: "signal_just_before_the_end_still_dumps",
        settings: Some("signal=SIGUSR1"),
        program: |_| {
            let _handle = heapsite::init().unwrap();
            raise(libc::SIGUSR1);
        },
        check: |outcome| assert_eq!(outcome.whole_dumps(1), [1]),
    },
    Scenario {
        name: "signal_storm_while_dumping",
        settings: Some("signal=SIGUSR1,every=1ms,keep=3,symbolize=false"),
        program: storm,
        check: |outcome| {
            outcome.succeeded();
            // Twenty dumps by call, and three stay.
            assert!(outcome.whole_dumps(3)[2] >= 20);
        },
    },
    Scenario {
        name: "signal_never_on_the_helper_thread",
        settings: Some("every=5ms"),
        program: not_on_helper,
        check: |outcome| outcome.succeeded(),
    },
    Scenario {
        name: "signal_after_drop_does_nothing",
        settings: Some("signal=SIGUSR1,every=1ms,keep=2"),
        program: stopped,
        check: |outcome| outcome.succeeded(),
    },
];

fn one_signal(dir: &Path, signal: libc::c_int) {
    let handle = heapsite::init().unwrap();
    assert_eq!(handle.signal().map(heapsite::Signal::number), Some(signal));
    assert_eq!(handle.dir(), dir);
    until("one helper thread", || {
        (threads("heapsite").len() == 1).then_some(())
    });
    raise(signal);
    until_dumps(dir, 1);
}

/// At least one dump starts after the last signal: it holds what was true before that signal.
fn burst(dir: &Path) {
    let _handle = heapsite::init().unwrap();
    for _ in 0..20_000 {
        raise(libc::SIGUSR1);
    }
    let settled = until("quiet", {
        let mut last = (0, 0);
        move || {
            std::thread::sleep(Duration::from_millis(20));
            let now = files(dir).len();
            last = if now == last.0 && now > 0 {
                (now, last.1 + 1)
            } else {
                (now, 0)
            };
            (last.1 > 5).then_some(now)
        }
    });
    raise(libc::SIGUSR1);
    until_dumps(dir, settled + 1);
}

fn storm(_: &Path) {
    let handle = heapsite::init().unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    raise(libc::SIGUSR1);
                    std::hint::black_box(vec![1_u8; 4096]);
                }
            });
        }
        for _ in 0..20 {
            handle.dump().unwrap();
        }
        done.store(true, Ordering::SeqCst);
    });
}

/// A signal that every other thread blocks stays pending: the helper does not take it.
fn not_on_helper(dir: &Path) {
    install(libc::SIGWINCH, count as *const () as usize, 0);
    let _handle = heapsite::init().unwrap();
    block(libc::SIGWINCH);
    // SAFETY: no memory involved.
    unsafe { libc::kill(libc::getpid(), libc::SIGWINCH) };
    // The helper runs several times meanwhile, with every chance to take it.
    until_dumps(dir, 5);
    assert_eq!(CALLS.load(Ordering::SeqCst), 0);
    assert!(pending(libc::SIGWINCH));
    let blocked = threads("heapsite")[0].1;
    for (signal, open) in [
        (libc::SIGTERM, false),
        (libc::SIGUSR1, false),
        (libc::SIGSEGV, true),
    ] {
        assert_eq!(
            blocked >> (signal - 1) & 1 == 0,
            open,
            "signal {signal}, mask {blocked:x}"
        );
    }
}

fn stopped(dir: &Path) {
    let handle = heapsite::init().unwrap();
    raise(libc::SIGUSR1);
    until_dumps(dir, 1);
    drop(handle);
    // A joined thread may still be listed for a moment.
    until("no helper thread", || {
        threads("heapsite").is_empty().then_some(())
    });
    let before = files(dir);
    for _ in 0..100 {
        raise(libc::SIGUSR1);
    }
    // Were anything left that dumps, a second is enough for a thousand periods.
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(files(dir), before);
    let handle = Config::new().no_signal().init().unwrap();
    handle.dump().unwrap();
}

/// A handler without SA_RESTART is how some programs get out of a blocking call.
fn interrupted_read(_: &Path) {
    install(libc::SIGUSR1, count as *const () as usize, 0);
    let _handle = heapsite::init().unwrap();
    let (reader, _writer) = std::os::unix::net::UnixStream::pair().unwrap();
    let done = AtomicBool::new(false);
    // SAFETY: no memory involved.
    let this_thread = unsafe { libc::pthread_self() } as usize;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                // SAFETY: the thread waits for this scope.
                unsafe { libc::pthread_kill(this_thread as libc::pthread_t, libc::SIGUSR1) };
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let mut byte = [0; 1];
        let error = std::io::Read::read(&mut &reader, &mut byte).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::Interrupted);
        done.store(true, Ordering::SeqCst);
    });
}

static CALLS: AtomicUsize = AtomicUsize::new(0);

extern "C" fn count(_: libc::c_int) {
    CALLS.fetch_add(1, Ordering::SeqCst);
}

/// Counts only signals that say who sent them.
extern "C" fn count_from_us(
    signal: libc::c_int,
    information: *const libc::siginfo_t,
    context: *const libc::c_void,
) {
    if information.is_null() || context.is_null() {
        return;
    }
    // SAFETY: the kernel passes a valid one to a handler with SA_SIGINFO, and this signal was sent by a process.
    let (number, sender) = unsafe { ((*information).si_signo, (*information).si_pid()) };
    if number == signal && u32::try_from(sender) == Ok(std::process::id()) {
        CALLS.fetch_add(1, Ordering::SeqCst);
    }
}

pub(crate) fn install(signal: libc::c_int, handler: usize, flags: libc::c_int) {
    // SAFETY: `handler` is a handler or SIG_IGN; zero is a valid mask and restorer.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler;
        action.sa_flags = flags;
        assert_eq!(libc::sigaction(signal, &action, std::ptr::null_mut()), 0);
    }
}

pub(crate) fn raise(signal: libc::c_int) {
    // SAFETY: no memory involved.
    unsafe { assert_eq!(libc::raise(signal), 0) };
}

fn block(signal: libc::c_int) {
    // SAFETY: local sets.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigaddset(&mut set, signal);
        assert_eq!(
            libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut()),
            0
        );
    }
}

fn pending(signal: libc::c_int) -> bool {
    // SAFETY: local set.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigpending(&mut set);
        libc::sigismember(&set, signal) == 1
    }
}

/// Thread ids and blocked signals of this process's threads called `name`.
pub(crate) fn threads(name: &str) -> Vec<(String, u64)> {
    let field = |status: &str, key: &str| {
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(key))
            .unwrap()
            .trim();
        line.to_owned()
    };
    std::fs::read_dir("/proc/self/task")
        .unwrap()
        .filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("status")).ok())
        // The main thread bears the program's name, or its start.
        .filter(|status| field(status, "Pid:") != std::process::id().to_string())
        .filter(|status| field(status, "Name:") == name)
        .map(|status| {
            (
                field(&status, "Pid:"),
                u64::from_str_radix(&field(&status, "SigBlk:"), 16).unwrap(),
            )
        })
        .collect()
}
