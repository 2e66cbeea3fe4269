//! The list of living tasks at one moment, as plain data.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::profile::resources::OTHER_LINES;
use crate::view::Frame;

/// Frames, leaf first. Tasks that wait in the same place share one.
pub type Stack = Arc<[Frame]>;

/// All tracked tasks that were alive at one moment, and what became of the others. Counts are exact.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Tasks {
    /// When, nanoseconds since the Unix epoch.
    pub time_nanos: i64,
    /// The process.
    pub pid: u32,
    /// Path of its program; empty: unknown.
    pub executable: String,
    /// The oldest first.
    pub tasks: Vec<Task>,
    /// Every line that has made a task, the one with most living ones first.
    pub spawn_sites: Vec<SpawnSite>,
}

/// A living task.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Task {
    /// No other task of the process has this number.
    pub id: u64,
    /// The name it was given; empty: none.
    pub name: String,
    /// Index into [`Tasks::spawn_sites`].
    pub spawn_site: usize,
    /// The stack that it was spawned from.
    pub spawned_from: Stack,
    /// What it does.
    pub state: State,
    /// Since it was spawned.
    pub age: Duration,
    /// How often it has been polled.
    pub polls: u64,
    /// Since its last poll began; `None`: it has not been polled.
    pub since_poll: Option<Duration>,
    /// Where it waits, each a stack from the leaf to the task: one per arm of a `select!`. Empty: it runs, or its await points
    /// have not been looked at.
    pub awaits: Vec<Stack>,
    /// Await points beyond those in `awaits`.
    pub more_awaits: u32,
    /// The poll that `awaits` are of is so many polls ago; 0: the last one.
    pub awaits_polls_ago: u64,
}

/// What a task does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum State {
    /// No executor has polled it yet.
    NeverPolled,
    /// It waits to be woken, or to be polled again.
    Waiting,
    /// It is being polled, on the thread with this number (as `/proc/self/task` has it).
    Running(u32),
    /// A closure that runs on the thread with this number.
    Blocking(u32),
}

/// A line that makes tasks of one type, and what became of them. Exact counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct SpawnSite {
    /// Source file, as the compiler was told it; empty: this stands for all lines that found no room.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
    /// The type of the future; for an `async fn` its path.
    pub future: String,
    /// Tasks made.
    pub started: u64,
    /// Tasks that have not ended.
    pub alive: u64,
    /// Those whose future was ready.
    pub completed: u64,
    /// Those whose future panicked.
    pub panicked: u64,
    /// Those that were dropped before they were ready: aborted, timed out, or their runtime ended.
    pub cancelled: u64,
    /// Living ones that are not in the list: there was no memory for them.
    pub unlisted: u64,
}

impl Tasks {
    /// Tasks that are alive, those that are not listed as well.
    pub fn alive(&self) -> u64 {
        self.tasks.len() as u64 + self.unlisted()
    }

    /// Living tasks that are not in [`Tasks::tasks`]: there was no memory for them.
    pub fn unlisted(&self) -> u64 {
        self.spawn_sites.iter().map(|site| site.unlisted).sum()
    }

    /// Tasks that have ended, in whatever way.
    pub fn ended(&self) -> u64 {
        self.spawn_sites
            .iter()
            .map(|site| site.completed + site.panicked + site.cancelled)
            .sum()
    }

    /// Tasks that do the same in the same place, the largest group first.
    pub fn groups(&self) -> Vec<Vec<&Task>> {
        let mut groups: BTreeMap<_, Vec<&Task>> = BTreeMap::new();
        for task in &self.tasks {
            let alike = (
                task.spawn_site,
                task.state.name(),
                &task.awaits,
                &task.spawned_from,
            );
            groups.entry(alike).or_default().push(task);
        }
        let mut groups: Vec<Vec<&Task>> = groups.into_values().collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.len()));
        groups
    }
}

impl State {
    /// In a word, without the thread.
    pub fn name(self) -> &'static str {
        match self {
            State::NeverPolled => "never polled",
            State::Waiting => "waiting",
            State::Running(_) => "running",
            State::Blocking(_) => "blocking",
        }
    }

    /// The thread that runs it, as `/proc/self/task` numbers it.
    pub fn thread(self) -> Option<u32> {
        match self {
            State::Running(thread) | State::Blocking(thread) => Some(thread),
            State::NeverPolled | State::Waiting => None,
        }
    }
}

impl SpawnSite {
    /// `file:line:column`; for the site that stands for those without room a word of that.
    pub fn place(&self) -> String {
        match self.file.is_empty() {
            true => OTHER_LINES.to_owned(),
            false => format!("{}:{}:{}", self.file, self.line, self.column),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn stack(frames: &[(&str, &str, i64)]) -> Stack {
        let frame = |&(function, file, line): &(&str, &str, i64)| Frame {
            function: function.to_owned(),
            file: file.to_owned(),
            line,
        };
        frames.iter().map(frame).collect()
    }

    /// Two that wait for a channel, one that waits for two things, one that runs, and seven that are not listed.
    pub(in super::super) fn tasks() -> Tasks {
        let receive = stack(&[
            ("Receiver::recv", "/tokio/mpsc.rs", 7),
            ("app::worker", "src/a.rs", 12),
        ]);
        let sleep = stack(&[
            ("Sleep::poll", "/tokio/time.rs", 3),
            ("app::worker", "src/a.rs", 14),
        ]);
        let task = |id: u64, state, awaits: &[&Stack]| Task {
            id,
            name: format!("worker {id}"),
            spawn_site: 0,
            spawned_from: stack(&[
                ("app::start", "src/a.rs", 40),
                ("app::main", "src/a.rs", 50),
            ]),
            state,
            age: Duration::from_secs(60 * id),
            polls: id,
            since_poll: (id > 0).then(|| Duration::from_millis(id)),
            awaits: awaits.iter().map(|stack| Stack::clone(stack)).collect(),
            more_awaits: 0,
            awaits_polls_ago: 0,
        };
        let site = |file: &str, line, unlisted| SpawnSite {
            file: file.to_owned(),
            line,
            column: 5,
            future: "app::worker::{{closure}}".to_owned(),
            started: 12,
            alive: 4,
            completed: 5,
            panicked: 1,
            cancelled: 2,
            unlisted,
        };
        Tasks {
            time_nanos: 1_764_000_000_000_000_000,
            pid: 4711,
            executable: "/srv/shop".to_owned(),
            tasks: vec![
                task(4, State::Waiting, &[&receive]),
                task(3, State::Waiting, &[&receive]),
                task(2, State::Waiting, &[&receive, &sleep]),
                task(1, State::Running(4712), &[]),
            ],
            spawn_sites: vec![site("src/a.rs", 40, 0), site("src/b.rs", 9, 7)],
        }
    }

    #[test]
    fn those_that_are_not_listed_are_alive_as_well() {
        let tasks = tasks();
        assert_eq!(
            (tasks.alive(), tasks.unlisted(), tasks.ended()),
            (11, 7, 16)
        );
        let sizes: Vec<usize> = tasks.groups().iter().map(Vec::len).collect();
        assert_eq!(sizes, [2, 1, 1]);
    }
}
