//! The threads of a process at one moment, as plain data.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::view::Frame;

/// Frames, leaf first. Threads that are in the same place share one.
pub type Stack = Arc<[Frame]>;

/// All threads of a process.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Threads {
    /// When, nanoseconds since the Unix epoch.
    pub time_nanos: i64,
    /// The process.
    pub pid: u32,
    /// Path of its program; empty: unknown.
    pub executable: String,
    /// Threads that were created since the start and whose place of creation found no room in heapsite's own memory.
    pub places_lost: u64,
    /// The oldest first.
    pub threads: Vec<Thread>,
}

/// A thread.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Thread {
    /// The kernel's number, as `/proc/PID/task` has it.
    pub id: u32,
    /// Its name, at most 15 bytes.
    pub name: String,
    /// What the kernel says it does.
    pub state: State,
    /// Processor time, in the program and in the kernel; to 10 ms.
    pub cpu: Duration,
    /// Since it was created; to 10 ms.
    pub age: Duration,
    /// Where it is, or why that is not known.
    pub stack: Result<Stack, NoStack>,
    /// The stack ends early.
    pub is_cut: bool,
    /// Where it was created; `None`: not known (see [`guide::threads`](crate::guide::threads)).
    pub created_from: Option<Stack>,
    /// One of heapsite's own.
    pub is_own: bool,
}

/// What the kernel says of a thread.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum State {
    /// Runs, or would if there were a processor for it.
    Running,
    /// Waits for something that a signal interrupts.
    Sleeping,
    /// Waits for something that no signal interrupts, as a rule a disk.
    Blocked,
    /// Stopped by a signal or a debugger.
    Stopped,
    /// Ended, and not yet gone.
    Ended,
    /// None of these.
    #[default]
    Unknown,
}

/// Why there is no stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum NoStack {
    /// It blocks the signal by which it is asked.
    SignalBlocked,
    /// It did not answer in time: it waits in the kernel for something that no signal interrupts, or is stopped.
    NoAnswer,
    /// It ended meanwhile.
    Ended,
    /// Somebody else was asking all the time.
    Busy,
    /// The kernel has no room for more signals (`ulimit -i`).
    TooManySignals,
    /// Every real-time signal is taken by the program.
    NoSignal,
    /// Not on this platform, or the process was asked from outside.
    NotSupported,
}

impl Threads {
    /// Threads in the same place, by state and name, the largest group first.
    pub fn groups(&self) -> Vec<Vec<&Thread>> {
        let mut groups: BTreeMap<_, Vec<&Thread>> = BTreeMap::new();
        for thread in &self.threads {
            let alike = (
                &thread.stack,
                thread.state,
                family(&thread.name),
                &thread.created_from,
            );
            groups.entry(alike).or_default().push(thread);
        }
        let mut groups: Vec<Vec<&Thread>> = groups.into_values().collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.len()));
        groups
    }
}

/// A name without the number that tells one worker of a pool from the next.
pub(crate) fn family(name: &str) -> &str {
    let bare = name.trim_end_matches(|c: char| c.is_ascii_digit());
    match bare.trim_end_matches(['-', '_', ' ', '#', ':']) {
        "" => name,
        family => family,
    }
}

impl State {
    pub(super) fn from_letter(letter: char) -> State {
        match letter {
            'R' => State::Running,
            'S' | 'I' => State::Sleeping,
            'D' => State::Blocked,
            'T' | 't' => State::Stopped,
            'Z' | 'X' => State::Ended,
            _ => State::Unknown,
        }
    }

    /// In a word.
    pub fn name(self) -> &'static str {
        match self {
            State::Running => "running",
            State::Sleeping => "sleeping",
            State::Blocked => "blocked",
            State::Stopped => "stopped",
            State::Ended => "ended",
            State::Unknown => "unknown",
        }
    }
}

impl fmt::Display for NoStack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NoStack::SignalBlocked => "it blocks the signal by which it is asked",
            NoStack::NoAnswer => "it did not answer in time",
            NoStack::Ended => "it ended meanwhile",
            NoStack::Busy => "threads were being asked by somebody else",
            NoStack::TooManySignals => "the kernel has no room for more signals (ulimit -i)",
            NoStack::NoSignal => "every real-time signal is taken by the program",
            NoStack::NotSupported => "stacks are not to be had here",
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Two workers in one place, one thread without a stack.
    pub(in super::super) fn threads() -> Threads {
        let frame = |function: &str, line| Frame {
            function: function.to_owned(),
            file: "src/a.rs".to_owned(),
            line,
        };
        let wait: Stack = [frame("std::park", 3), frame("app::work", 8)].into();
        let thread = |id: u32, name: &str, stack| Thread {
            id,
            name: name.to_owned(),
            state: State::Sleeping,
            cpu: Duration::from_millis(10 * u64::from(id)),
            age: Duration::from_secs(u64::from(id)),
            stack,
            is_cut: false,
            created_from: Some([frame("app::start", 40)].into()),
            is_own: false,
        };
        Threads {
            time_nanos: 1_764_000_000_000_000_000,
            pid: 4711,
            executable: "/srv/shop".to_owned(),
            places_lost: 3,
            threads: vec![
                thread(9, "worker-1", Ok(wait.clone())),
                thread(8, "worker-2", Ok(wait)),
                thread(7, "heapsite", Err(NoStack::SignalBlocked)),
            ],
        }
    }

    #[test]
    fn workers_of_a_pool_are_one_family() {
        for (name, of) in [
            ("worker-12", "worker"),
            ("tokio-rt-worker", "tokio-rt-worker"),
            ("rayon #3", "rayon"),
            ("7", "7"),
            ("", ""),
        ] {
            assert_eq!(family(name), of);
        }
        let sizes: Vec<usize> = threads().groups().iter().map(Vec::len).collect();
        assert_eq!(sizes, [2, 1]);
    }
}
