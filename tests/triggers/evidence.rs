//! What is left of a process that was killed.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};

use heapsite::trigger::evidence::{Ended, Reason, State};

use crate::harness::{Outcome, Scenario, until, whole_dump};

const MIB: usize = 1 << 20;

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "evidence_of_a_killed_process",
        settings: Some("signal=none,interval=64KiB,evidence=2,evidence_pause=1ms,symbolize=false"),
        program: |dir| {
            let _handle = heapsite::init().unwrap();
            let mut leaked: Vec<Vec<u8>> = Vec::new();
            // Number 1 is the state file, and of four dumps one has to go: each is of more than the one before.
            while !state(dir).dumps.iter().any(|dump| number(&dump.file) >= 5) {
                leaked.extend((0..16 + leaked.len() / 2).map(|_| vec![1; MIB / 4]));
                let bytes = leaked.len() * MIB / 4;
                until("a look at all of it", || {
                    (state(dir).last.live_bytes > bytes as f64 * 0.9).then_some(())
                });
            }
            crate::signals::raise(libc::SIGKILL);
        },
        check: |outcome| {
            assert_eq!(outcome.status.signal(), Some(libc::SIGKILL));
            let state = state(&outcome.dir);
            assert_eq!(state.ended, None);
            assert!(!state.is_running());
            assert!(state.last.rss_bytes > 16 << 20 && state.looks.len() >= 3);
            assert_eq!(state.dumps.len(), 3, "the first one and two of the worst");
            let live: Vec<f64> = state
                .dumps
                .iter()
                .map(|dump| {
                    assert_eq!((dump.reason, dump.named), (Reason::Peak, false));
                    let (_, _, profile) = whole_dump(&outcome.dir.join(&dump.file));
                    assert!(!profile.samples.is_empty());
                    dump.look.live_bytes
                })
                .collect();
            assert!(live.is_sorted(), "{live:?}");
            // No dump but these, and the state file.
            assert_eq!(outcome.files().len(), 4, "{:?}", outcome.files());
        },
    },
    Scenario {
        name: "evidence_of_a_good_end",
        settings: Some("signal=none,evidence=1"),
        program: |_| drop(heapsite::init().unwrap()),
        check: |outcome| {
            outcome.succeeded();
            outcome.told(&[]);
            let state = state(&outcome.dir);
            assert_eq!(state.ended, Some(Ended::InOrder));
            assert_eq!(outcome.files().len(), 1);
        },
    },
    Scenario {
        name: "evidence_needs_its_directory",
        settings: Some("signal=none,evidence=1,dir=DIR/none"),
        program: |_| {
            let error = heapsite::init().unwrap_err().to_string();
            assert!(error.contains("none`: accepted is a directory"), "{error}");
        },
        check: Outcome::succeeded,
    },
];

/// The number in a dump's name.
fn number(file: &str) -> u64 {
    file.split('.').nth(2).unwrap().parse().unwrap()
}

fn state(dir: &Path) -> State {
    let path = |name: String| PathBuf::from(dir).join(name);
    let files = crate::harness::files(dir);
    let file = files.into_iter().find(|name| name.ends_with(".state"));
    State::read(&std::fs::read(path(file.unwrap())).unwrap()).unwrap()
}
