//! Forked children: they have the memory of a handle, and no helper thread.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use heapsite::format::Format;
use heapsite::{Config, Handle};

use crate::harness::{Scenario, WATCHDOG, files, until, until_dumps, whole_dump};
use crate::signals::{raise, threads};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "fork_child_dumps_by_call",
        settings: Some("signal=SIGUSR1,final=true"),
        program: |dir| {
            let handle = heapsite::init().unwrap();
            handle.dump().unwrap();
            let child = in_child(|| {
                let me = std::process::id();
                assert_eq!(whole_dump(&handle.dump().unwrap()).0, me);
                assert_eq!(
                    whole_dump(&heapsite::dump(".", Format::Json).unwrap()).0,
                    me
                );
            });
            // A child exits as any process does; its parent's final dump is not its business.
            assert_eq!(of(dir, child).len(), 2);
        },
        check: |outcome| {
            outcome.succeeded();
            outcome.whole_dumps(4);
            outcome.told(&["exit: wrote /"]);
        },
    },
    Scenario {
        name: "fork_child_drops_the_handle",
        settings: Some("signal=SIGUSR1,final=true"),
        program: |dir| {
            let mut handle = Some(heapsite::init().unwrap());
            in_child(|| drop(handle.take()));
            assert_eq!(files(dir).len(), 0);
            // The parent's is as alive as before.
            raise(libc::SIGUSR1);
            until_dumps(dir, 1);
        },
        check: |outcome| {
            outcome.succeeded();
            assert_eq!(outcome.whole_dumps(2), [1, 2]);
        },
    },
    Scenario {
        name: "fork_signal_to_the_child_dumps_nothing",
        settings: Some("signal=SIGUSR1"),
        program: |dir| {
            let handle = heapsite::init().unwrap();
            in_child(|| raise(libc::SIGUSR1));
            // What the child might have woken would come before this.
            handle.dump().unwrap();
            drop(handle);
            assert_eq!(files(dir).len(), 1);
        },
        check: |outcome| {
            outcome.succeeded();
            assert_eq!(outcome.whole_dumps(1), [1]);
        },
    },
    Scenario {
        name: "fork_child_starts_its_own",
        settings: Some("signal=SIGUSR1,final=true"),
        program: |dir| {
            let handle = heapsite::init().unwrap();
            let child = in_child(|| {
                let own = heapsite::init().unwrap();
                until("a helper", || {
                    (threads("heapsite").len() == 1).then_some(())
                });
                raise(libc::SIGUSR1);
                until("the child's dump", || {
                    (!of(dir, std::process::id()).is_empty()).then_some(())
                });
                drop(own);
                // Dropping the memory of the parent's handle changes nothing here either.
            });
            assert_eq!(of(dir, child).len(), 2);
            drop(handle);
            assert_eq!(of(dir, std::process::id()).len(), 1);
        },
        check: |outcome| {
            outcome.succeeded();
            outcome.whole_dumps(3);
        },
    },
    Scenario {
        name: "fork_while_dumping",
        settings: Some("signal=none,every=1ms,keep=5"),
        program: fork_while_dumping,
        check: |outcome| outcome.succeeded(),
    },
];

/// Forks at moments when other threads hold whatever they may hold; the child dumps, drops and exits.
fn fork_while_dumping(dir: &Path) {
    let handle = heapsite::init().unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    handle.dump().unwrap();
                    eprint!("");
                }
            });
        }
        for _ in 0..30 {
            let child = in_child(|| {
                handle.dump().unwrap();
                let own: Handle = Config::new().no_signal().init().unwrap();
                own.dump().unwrap();
            });
            assert_eq!(of(dir, child).len(), 2);
        }
        done.store(true, Ordering::SeqCst);
    });
}

/// Runs `f` in a forked child that then exits, and waits for it; its id.
pub(crate) fn in_child(f: impl FnOnce()) -> u32 {
    // SAFETY: the child runs `f` on its only thread. glibc's malloc is usable in it.
    let child = unsafe { libc::fork() };
    assert!(child >= 0);
    if child == 0 {
        let passed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).is_ok();
        std::process::exit(if passed { 0 } else { 1 });
    }
    let deadline = std::time::Instant::now() + WATCHDOG;
    let mut status = 0;
    // SAFETY: a local integer; the child is ours.
    while unsafe { libc::waitpid(child, &mut status, libc::WNOHANG) } == 0 {
        if std::time::Instant::now() > deadline {
            // SAFETY: a child that has not been waited for: the id is still its own.
            unsafe { libc::kill(child, libc::SIGKILL) };
            panic!("the child hangs");
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    assert_eq!(status, 0, "the child's status");
    child as u32
}

/// The dumps of process `pid`.
fn of(dir: &Path, pid: u32) -> Vec<String> {
    files(dir)
        .into_iter()
        .filter(|name| name.starts_with(&format!("heapsite.{pid}.")))
        .collect()
}
