//! The final dump, on every way out.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::exit;

use heapsite::Config;

use crate::harness::{Scenario, files};
use crate::signals::raise;

const FINAL: Option<&str> = Some("signal=none,final=true");
const TOLD: &[&str] = &["exit: wrote /"];

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "final_at_drop",
        settings: FINAL,
        program: |dir| {
            drop(heapsite::init().unwrap());
            assert_eq!(files(dir).len(), 1);
        },
        check: |outcome| {
            outcome.succeeded();
            assert_eq!(outcome.whole_dumps(1), [1]);
            outcome.told(TOLD);
        },
    },
    Scenario {
        name: "final_at_return_without_drop",
        settings: FINAL,
        program: |dir| {
            std::mem::forget(heapsite::init().unwrap());
            assert_eq!(files(dir).len(), 0);
        },
        check: |outcome| {
            outcome.succeeded();
            assert_eq!(outcome.whole_dumps(1), [1]);
            outcome.told(TOLD);
        },
    },
    Scenario {
        name: "final_at_process_exit",
        settings: FINAL,
        program: |_| {
            let _handle = heapsite::init().unwrap();
            exit(7);
        },
        check: |outcome| {
            assert_eq!(outcome.status.code(), Some(7));
            assert_eq!(outcome.whole_dumps(1), [1]);
            outcome.told(TOLD);
        },
    },
    Scenario {
        name: "final_at_exit_on_a_thread",
        settings: FINAL,
        program: |_| {
            let _handle = heapsite::init().unwrap();
            let ends = std::thread::spawn(|| exit(8));
            ends.join().unwrap();
        },
        check: |outcome| {
            assert_eq!(outcome.status.code(), Some(8));
            assert_eq!(outcome.whole_dumps(1), [1]);
        },
    },
    Scenario {
        name: "final_once_when_drop_and_exit_race",
        settings: FINAL,
        program: |_| {
            let handle = heapsite::init().unwrap();
            let barrier = std::sync::Barrier::new(2);
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    barrier.wait();
                    exit(9);
                });
                barrier.wait();
                drop(handle);
            });
        },
        check: |outcome| {
            assert_eq!(outcome.status.code(), Some(9));
            assert_eq!(outcome.whole_dumps(1), [1]);
        },
    },
    Scenario {
        name: "final_at_panic",
        settings: FINAL,
        program: |_| {
            let _handle = heapsite::init().unwrap();
            panic!("as planned");
        },
        check: |outcome| {
            assert_eq!(outcome.status.code(), Some(101));
            assert_eq!(outcome.whole_dumps(1), [1]);
        },
    },
    Scenario {
        name: "final_not_at_underscore_exit",
        settings: FINAL,
        program: |_| {
            let _handle = heapsite::init().unwrap();
            // SAFETY: ends the process.
            unsafe { libc::_exit(3) };
        },
        check: |outcome| {
            assert_eq!(outcome.status.code(), Some(3));
            outcome.whole_dumps(0);
        },
    },
    Scenario {
        name: "final_not_at_abort",
        settings: FINAL,
        program: |_| {
            let _handle = heapsite::init().unwrap();
            std::process::abort();
        },
        check: |outcome| {
            assert_eq!(outcome.status.signal(), Some(libc::SIGABRT));
            outcome.whole_dumps(0);
        },
    },
    Scenario {
        name: "final_not_unless_asked",
        settings: Some("signal=none"),
        program: |_| std::mem::forget(heapsite::init().unwrap()),
        check: |outcome| {
            outcome.succeeded();
            outcome.whole_dumps(0);
            outcome.told(&[]);
        },
    },
    Scenario {
        name: "final_is_one_dump_with_a_signal_pending",
        settings: Some("signal=SIGUSR1,final=true"),
        program: |_| {
            let _handle = heapsite::init().unwrap();
            raise(libc::SIGUSR1);
            exit(0);
        },
        check: |outcome| {
            outcome.succeeded();
            // The signal may have been served before the exit, or by it.
            let dumps = outcome.files().len();
            assert!((1..=2).contains(&dumps));
            outcome.whole_dumps(dumps);
        },
    },
    Scenario {
        name: "exit_leaves_no_half_dump",
        settings: Some("signal=none,every=1ms,symbolize=false"),
        program: |dir| {
            let _handle = heapsite::init().unwrap();
            crate::harness::until_dumps(dir, 20);
            exit(0);
        },
        check: |outcome| {
            outcome.succeeded();
            let dumps = outcome.files().len();
            outcome.whole_dumps(dumps);
        },
    },
    Scenario {
        name: "final_at_exit_from_a_panic_hook",
        settings: FINAL,
        program: hook_exits,
        check: |outcome| {
            assert_eq!(outcome.status.code(), Some(5));
            assert_eq!(outcome.whole_dumps(1), [1]);
        },
    },
    Scenario {
        name: "exit_with_stderr_closed",
        settings: FINAL,
        program: |_| {
            let _handle = heapsite::init().unwrap();
            // SAFETY: nothing here owns standard error.
            unsafe { libc::close(2) };
        },
        check: |outcome| {
            outcome.succeeded();
            assert_eq!(outcome.whole_dumps(1), [1]);
            outcome.told(&[]);
        },
    },
    Scenario {
        name: "own_work_is_not_the_programs",
        settings: Some("signal=SIGUSR1,final=true,format=json"),
        program: |_| {
            heapsite::set_sample_interval(1);
            let handle = heapsite::init().unwrap();
            handle.dump().unwrap();
            raise(libc::SIGUSR1);
            drop(handle);
            drop(std::hint::black_box(Box::new(1_u64)));
            let profile = heapsite::snapshot().to_profile();
            let named = |part: &str| {
                let name = profile.functions.iter().map(|function| &function.name);
                name.filter(|name| name.contains(part)).count()
            };
            // What the program does is there, so what heapsite does would be, too.
            assert!(named("triggers::exit") > 0);
            assert_eq!(
                [named("heapsite::trigger"), named("heapsite::config")],
                [0, 0]
            );
        },
        check: |outcome| outcome.succeeded(),
    },
    Scenario {
        name: "handles_one_after_another",
        settings: None,
        program: one_after_another,
        check: |outcome| {
            outcome.succeeded();
            assert_eq!(outcome.whole_dumps(3), [1, 2, 3]);
        },
    },
];

/// Many services end on any panic.
fn hook_exits(_: &Path) {
    std::panic::set_hook(Box::new(|_| exit(5)));
    let _handle = heapsite::init().unwrap();
    panic!("as planned");
}

/// A handle leaves nothing open: neither its sockets nor the copy that the signal's handler writes to.
fn one_after_another(_: &Path) {
    let open_files = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let before = open_files();
    for _ in 0..3 {
        let signal = heapsite::Signal::USR1;
        let handle = Config::new().signal(signal).final_dump(true).init();
        drop(handle.unwrap());
        assert_eq!(open_files(), before);
    }
}
