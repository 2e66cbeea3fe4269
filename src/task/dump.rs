//! Looks at the living tasks.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::slot::{self, Phase, Seen};
use super::told::{SpawnSite, Stack, State, Task, Tasks};
use super::{names, spawn_site, stacks};
use crate::profile::resources::{Count, TaskCounts};
use crate::record::clock::ticks_to_nanos;
use crate::record::local::Ignore;
use crate::record::scoped_tasks;
use crate::record::scopes::Ticket;
use crate::record::stack_here::ticks_here;

/// Lists the tasks that are alive, and names where they wait. Stops nobody: a task that ends meanwhile is not in it.
///
/// Naming a stack for the first time reads the program's debug information: some 0.1 s and tens of MiB for a moment. Names
/// are remembered, so that later lists cost what is new in them.
pub fn dump() -> Tasks {
    let _own_work = Ignore::new();
    let mut seen = Vec::new();
    slot::for_each(|task| seen.push(task));
    told(seen)
}

/// A living task, not named yet.
pub(crate) struct Alive(Seen);

impl Alive {
    /// As [`Task::id`].
    pub(crate) fn id(&self) -> u64 {
        self.0.id
    }

    /// Where its future lies; 0: it has not been polled.
    pub(crate) fn place(&self) -> u64 {
        self.0.place
    }

    /// Names them, as [`dump`] does.
    pub(crate) fn told(tasks: Vec<Alive>) -> Tasks {
        told(tasks.into_iter().map(|task| task.0).collect())
    }
}

/// The living tasks that were made in a leak check.
pub(crate) fn of_scope(scope: Ticket) -> Vec<Alive> {
    let mut seen = Vec::new();
    slot::for_each_of(
        |word| scoped_tasks::holds_task(scope, word),
        |task| seen.push(Alive(task)),
    );
    seen
}

fn told(mut seen: Vec<Seen>) -> Tasks {
    let now = ticks_here();
    seen.sort_by_key(|task| (task.born, task.id));
    let (spawn_sites, places) = sites();
    let names = names::of(
        seen.iter()
            .flat_map(|task| task.awaits.iter().copied().chain([task.spawn_stack]))
            .filter(|&stack| stack != stacks::NONE)
            .collect(),
    );
    let nameless: Stack = Stack::from([]);
    let named = |stack: u32| names.get(&stack).unwrap_or(&nameless).clone();
    let nanos = |from: u64| Duration::from_nanos(ticks_to_nanos(now.saturating_sub(from)));
    let tasks = seen.into_iter().map(|task| Task {
        id: task.id,
        spawn_site: places.get(&task.spawn_site).copied().unwrap_or(0),
        spawned_from: named(task.spawn_stack),
        state: match task.phase {
            Phase::NeverPolled => State::NeverPolled,
            Phase::Waiting => State::Waiting,
            Phase::Running => State::Running(task.thread),
            Phase::Blocking => State::Blocking(task.thread),
        },
        age: nanos(task.born),
        polls: task.polls,
        since_poll: (task.polls > 0).then(|| nanos(task.polled)),
        awaits: arms(task.awaits.iter().map(|&stack| named(stack))),
        more_awaits: task.await_count - task.awaits.len() as u32,
        awaits_polls_ago: match task.awaits_of {
            0 => 0,
            poll => task.polls.saturating_sub(poll),
        },
        name: task.name,
    });
    Tasks {
        time_nanos: crate::helper::now_nanos(),
        pid: std::process::id(),
        executable: std::env::current_exe().map_or_else(
            |_| String::new(),
            |path| path.to_string_lossy().into_owned(),
        ),
        tasks: tasks.collect(),
        spawn_sites,
    }
}

/// How many there are, and what became of the others. A line counts once, whatever futures it makes.
pub(crate) fn counts() -> Option<TaskCounts> {
    let mut counts = TaskCounts::default();
    let mut alive: HashMap<String, u64> = HashMap::new();
    for site in sites().0 {
        counts.started += site.started;
        counts.completed += site.completed;
        counts.panicked += site.panicked;
        counts.cancelled += site.cancelled;
        counts.unlisted += site.unlisted;
        *alive.entry(site.place()).or_default() += site.alive;
    }
    let alive = alive.into_iter();
    counts.set_spawn_sites(alive.map(|(name, count)| Count { name, count }).collect());
    Some(counts)
}

/// Each place once: the compiler may have written one of them out several times, at addresses of their own.
fn arms(stacks: impl Iterator<Item = Stack>) -> Vec<Stack> {
    let mut arms: Vec<Stack> = Vec::new();
    for stack in stacks {
        if !arms.contains(&stack) {
            arms.push(stack);
        }
    }
    arms
}

/// The spawn sites, and where each number's is.
fn sites() -> (Vec<SpawnSite>, HashMap<u32, usize>) {
    let mut sites: Vec<(u32, SpawnSite)> = spawn_site::all()
        .map(|(number, site)| {
            // Ends first: what ends in between is then counted as alive, and nothing as ended that was not started.
            let ended = [&site.completed, &site.panicked, &site.cancelled];
            let [completed, panicked, cancelled] = ended.map(|count| count.load(Relaxed));
            let started = site.started.load(Relaxed);
            let place = site.location;
            let site = SpawnSite {
                file: place.map_or_else(String::new, |place| place.file().to_owned()),
                line: place.map_or(0, |place| place.line()),
                column: place.map_or(0, |place| place.column()),
                future: site.future.to_owned(),
                started,
                alive: started.saturating_sub(completed + panicked + cancelled),
                completed,
                panicked,
                cancelled,
                unlisted: site.unlisted.load(Relaxed),
            };
            (number, site)
        })
        .collect();
    sites.sort_by(|(_, a), (_, b)| {
        b.alive
            .cmp(&a.alive)
            .then_with(|| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)))
    });
    let places = sites.iter().enumerate();
    let places = places
        .map(|(place, (number, _))| (*number, place))
        .collect();
    (sites.into_iter().map(|(_, site)| site).collect(), places)
}
