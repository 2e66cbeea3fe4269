//! Tracked tasks that are still alive.
#![forbid(unsafe_code)]

use std::collections::HashMap;

use super::options::Options;
use super::report::{LeakedTasks, Place, plural};
use super::stacks;
use crate::symbolize::names::is_in;
use crate::sys::roots::{Root, RootKind};
use crate::task::{Alive, SpawnSite, Stack, Task, Tasks};
use crate::view::key::{Frame, Role, role};

/// Names that a report shows of one group.
const NAMES: usize = 5;

/// Where the futures of tasks lie: as roots, so that what a task holds is told with it.
#[derive(Default)]
pub(super) struct Places {
    /// Pointers to futures, which are what the roots consist of.
    pointers: Vec<u64>,
    ids: Vec<u64>,
}

impl Places {
    pub(super) fn of(tasks: &[Alive]) -> Places {
        // Not polled yet: its future may still move, and nobody knows where it is.
        let polled = tasks.iter().filter(|task| task.place() != 0);
        polled.fold(Places::default(), |mut places, task| {
            // A runtime puts a header before the future: somewhere within the block, and a multiple of 16 counts.
            places.pointers.push(task.place() & !15);
            places.ids.push(task.id());
            places
        })
    }

    /// A root for each; they are read while `self` lives.
    pub(super) fn roots(&self) -> impl Iterator<Item = Root> {
        let both = self.pointers.iter().zip(&self.ids);
        both.map(|(pointer, &id)| {
            let start = std::ptr::from_ref(pointer).addr() as u64;
            Root {
                start,
                end: start + 8,
                kind: RootKind::Task(id),
            }
        })
    }
}

/// What became of the question whether tasks have leaked.
#[derive(Default)]
pub(super) struct Judged {
    pub(super) leaked: Vec<LeakedTasks>,
    /// Numbers of those tasks.
    pub(super) ids: Vec<u64>,
    pub(super) notes: Vec<String>,
}

/// Names the tasks and sorts out those that are no leak. `held`: objects and bytes that a task holds, by its number.
pub(super) fn judge(
    alive: Vec<Alive>,
    options: &Options,
    held: &HashMap<u64, (u64, u64)>,
) -> Judged {
    let mut judged = Judged::default();
    if alive.is_empty() {
        return judged;
    }
    let tasks = Alive::told(alive);
    let mut ignored = 0;
    for mut group in tasks.groups() {
        let all = group.len();
        group.retain(|task| !is_ignored(task, tasks.spawn_sites.get(task.spawn_site), options));
        ignored += (all - group.len()) as u64;
        if group.is_empty() {
            continue;
        }
        judged.ids.extend(group.iter().map(|task| task.id));
        judged.leaked.push(leaked(&tasks, &group, held));
    }
    if ignored > 0 {
        let are = if ignored == 1 { "is" } else { "are" };
        let note = format!("{} {are} still alive: ignored", plural(ignored, "task"));
        judged.notes.push(note);
    }
    judged
}

fn is_ignored(task: &Task, site: Option<&SpawnSite>, options: &Options) -> bool {
    let by_name = options.ignored_tasks.iter().any(|start| {
        !task.name.is_empty() && task.name.starts_with(start)
            || site.is_some_and(|site| site.place().starts_with(start))
    });
    by_name
        || options.ignored_paths.iter().any(|path| {
            site.is_some_and(|site| is_in(&site.future, path))
                || task
                    .spawned_from
                    .iter()
                    .any(|frame| is_in(&frame.function, path))
        })
}

fn leaked(tasks: &Tasks, group: &[&Task], held: &HashMap<u64, (u64, u64)>) -> LeakedTasks {
    let mut names: Vec<String> = group.iter().map(|task| task.name.clone()).collect();
    names.retain(|name| !name.is_empty());
    names.sort_unstable();
    names.dedup();
    names.truncate(NAMES);
    let holds = group.iter().filter_map(|task| held.get(&task.id));
    let (holds_objects, holds_bytes) =
        holds.fold((0, 0), |sum, more| (sum.0 + more.0, sum.1 + more.1));
    let first = group.first();
    let site = first.and_then(|task| tasks.spawn_sites.get(task.spawn_site));
    LeakedTasks {
        count: group.len() as u64,
        names,
        future: site.map_or_else(String::new, |site| site.future.clone()),
        spawned_at: site.map_or_else(String::new, SpawnSite::place),
        stack: first.map_or_else(Vec::new, |task| stacks::application(&task.spawned_from)),
        state: first.map_or_else(String::new, |task| task.state.name().to_owned()),
        awaits: first.map_or_else(Vec::new, |task| awaits(task)),
        holds_objects,
        holds_bytes,
    }
}

/// Each await point: what the application waits for, and then its own frames.
fn awaits(task: &Task) -> Vec<Vec<Place>> {
    let of = |stack: &Stack| {
        let application = stacks::application(stack);
        let own = stack
            .iter()
            .position(|frame| role(frame) == Role::Application);
        // Leafward of the application: what it has called, without glue such as `core::future::poll_fn`.
        let below = &stack[..own.unwrap_or(stack.len())];
        let is_glue =
            |frame: &Frame| is_in(&frame.function, "core") || is_in(&frame.function, "std");
        let called = below.iter().rfind(|frame| !is_glue(frame));
        let called = called.or(below.first()).map(stacks::place);
        called.into_iter().chain(application).collect()
    };
    task.awaits.iter().map(of).collect()
}
