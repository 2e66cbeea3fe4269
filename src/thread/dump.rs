//! Looks at the threads of this process.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::time::Duration;

use super::told::{NoStack, Stack, Thread, Threads};
use super::{created, proc, stacks};
use crate::error::{Error, Result};
use crate::helper::{Remembered, now_nanos, own_work};
use crate::profile::{LocationId, Profile};
use crate::stats::threads::ids;
use crate::symbolize::stacks::name_stacks_with;
use crate::sys;
use crate::view::{Frame, key};

/// How long threads that do not answer are waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// Lists this process's threads with their stacks; waits at most a second for threads that do not answer.
///
/// Each thread is sent a real-time signal, in whose handler it walks its own stack: it is held up for some microseconds, and
/// a system call that cannot be gone on with (`epoll_wait`, `nanosleep`, …) returns `EINTR`, as for any signal. Naming a
/// stack for the first time reads debug information: some 0.1 s and tens of MiB for a moment.
pub fn dump() -> Threads {
    dump_with(PATIENCE)
}

/// [`dump`] with another patience.
pub fn dump_with(patience: Duration) -> Threads {
    let _own_work = own_work();
    let before = created::look();
    let ids = ids();
    let created = before.of(&ids);
    let mut found = stacks::of(&ids, patience);
    let now = sys::boot_centiseconds();
    let facts = ids
        .iter()
        .filter_map(|&id| Some((id, proc::facts("self", id)?)));
    let mut facts: Vec<(u32, proc::Facts)> = facts.collect();
    facts.sort_by_key(|(id, facts)| (facts.started, *id));
    let stacks = found.values().flatten().chain(created.values());
    let names = names(stacks.map(|(stack, _)| stack.clone()).collect());
    let nameless: Stack = Stack::from([]);
    let threads = facts.into_iter().map(|(id, facts)| {
        let answer = found.remove(&id).unwrap_or(Err(NoStack::Ended));
        let is_cut = answer.as_ref().is_ok_and(|(_, cut)| cut.is_some());
        let stack = answer.map(|(stack, _)| names.get(&stack).unwrap_or(&nameless).clone());
        let created_from = created.get(&id).and_then(|(stack, _)| names.get(stack));
        Thread {
            created_from: created_from.map(from_creator),
            ..thread(id, facts, now, stack, is_cut)
        }
    });
    Threads {
        places_lost: created::lost(),
        threads: threads.collect(),
        time_nanos: now_nanos(),
        pid: std::process::id(),
        executable: std::env::current_exe().map_or_else(
            |_| String::new(),
            |path| path.to_string_lossy().into_owned(),
        ),
    }
}

/// All but the function of heapsite's that begins threads where it is watched who creates them.
fn frames_of_the_program(profile: &Profile, locations: &[LocationId]) -> Vec<Frame> {
    let frames = locations.iter().flat_map(|&id| key::frames(profile, id));
    frames
        .filter(|frame| !frame.function.contains(created::BEGINS))
        .collect()
}

/// Without heapsite's own frames, which took the stack down.
fn from_creator(stack: &Stack) -> Stack {
    let own = |frame: &Frame| frame.function.contains(created::CREATES);
    let last = stack.iter().rposition(own);
    stack[last.map_or(0, |at| at + 1)..].into()
}

/// The threads of another process, as `/proc` tells: without stacks.
///
/// # Errors
/// There is no such process, or no `/proc`.
pub fn of_process(pid: u32) -> Result<Threads> {
    let folder = format!("/proc/{pid}/task");
    let missing = |error| Error::io(format!("cannot list the threads of process {pid}"), error);
    let entries = std::fs::read_dir(folder).map_err(missing)?;
    let ids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let now = sys::boot_centiseconds();
    let facts = ids.filter_map(|id: u32| Some((id, proc::facts(&pid.to_string(), id)?)));
    let mut facts: Vec<(u32, proc::Facts)> = facts.collect();
    facts.sort_by_key(|(id, facts)| (facts.started, *id));
    let executable = std::fs::read_link(format!("/proc/{pid}/exe"));
    Ok(Threads {
        time_nanos: now_nanos(),
        pid,
        executable: executable.map_or_else(
            |_| String::new(),
            |path| path.to_string_lossy().into_owned(),
        ),
        places_lost: 0,
        threads: facts
            .into_iter()
            .map(|(id, facts)| thread(id, facts, now, Err(NoStack::NotSupported), false))
            .collect(),
    })
}

fn thread(
    id: u32,
    facts: proc::Facts,
    now: u64,
    stack: std::result::Result<Stack, NoStack>,
    is_cut: bool,
) -> Thread {
    let age = now
        .saturating_sub(facts.started)
        .saturating_mul(proc::TICK_NANOS);
    Thread {
        id,
        is_own: facts.name.starts_with("heapsite"),
        name: facts.name,
        state: facts.state,
        cpu: Duration::from_nanos(facts.cpu_nanos),
        age: Duration::from_nanos(age),
        stack,
        is_cut,
        created_from: None,
    }
}

/// Stacks that are remembered, some 3 KiB each; a program that has more has all of them named anew.
const MOST: usize = 4096;

#[derive(Default)]
struct Names {
    by_stack: HashMap<Vec<u64>, Stack>,
    /// Libraries that had been unloaded: afterwards addresses may mean something else.
    unloaded: u64,
}

/// The frames of these stacks, from where heapsite was called, if it was.
fn names(stacks: Vec<Vec<u64>>) -> HashMap<Vec<u64>, Stack> {
    static NAMES: Remembered<Names> = Remembered::new();
    NAMES.with(|names| {
        let unloaded = sys::objects::unload_count();
        if names.unloaded != unloaded || names.by_stack.len() > MOST {
            *names = Names {
                unloaded,
                ..Names::default()
            };
        }
        let mut new: Vec<Vec<u64>> = stacks
            .iter()
            .filter(|stack| !names.by_stack.contains_key(*stack))
            .cloned()
            .collect();
        new.sort_unstable();
        new.dedup();
        if !new.is_empty() {
            let named = name_stacks_with(&new, frames_of_the_program);
            names.by_stack.extend(new.into_iter().zip(named));
        }
        let known = stacks
            .into_iter()
            .filter_map(|stack| names.by_stack.get_key_value(&stack));
        known
            .map(|(stack, named)| (stack.clone(), Stack::clone(named)))
            .collect()
    })
}
