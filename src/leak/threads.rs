//! Threads that are still there.
#![forbid(unsafe_code)]

use std::collections::HashSet;
use std::fs;

use crate::record::scoped_threads::{self, ScopedThread};
use crate::record::scopes::Ticket;
use crate::sys;
use crate::sys::roots::{Root, RootKind};

/// A thread of the scope that has not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Alive {
    pub(super) id: u32,
    pub(super) name: String,
    /// Number of the site at which its creator made it.
    pub(super) made_at: Option<u32>,
}

/// The threads of a scope that have not ended, without the calling one and the process's first, which nobody made.
pub(super) fn alive(scope: Ticket) -> Vec<Alive> {
    let mut noted = Vec::new();
    scoped_threads::of_scope(scope, |thread| noted.push(thread));
    let own = [sys::thread_id(), sys::process_id()];
    noted.retain(|thread| !own.contains(&thread.id));
    let mut alive: Vec<Alive> = noted.iter().filter_map(still_there).collect();
    alive.sort_unstable_by_key(|thread| thread.id);
    alive.dedup_by_key(|thread| thread.id);
    alive
}

fn still_there(thread: &ScopedThread) -> Option<Alive> {
    let stat = fs::read_to_string(format!("/proc/self/task/{}/stat", thread.id)).ok()?;
    let (name, began) = parse(&stat)?;
    // One that began later was given the id of one that has ended.
    (began <= thread.noted).then_some(Alive {
        id: thread.id,
        name,
        made_at: thread.made_at,
    })
}

/// Name, and start in 1/100 s since boot (proc(5): 2 and 22); `None` for a thread that is ending.
fn parse(stat: &str) -> Option<(String, u64)> {
    // The name in parentheses may hold anything.
    let (name, rest) = stat.split_once('(')?.1.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    if matches!(fields.next()?, "Z" | "X" | "x") {
        return None;
    }
    Some((name.to_owned(), fields.nth(18)?.parse().ok()?))
}

/// The process's threads, by id.
pub(super) fn ids() -> HashSet<u32> {
    let Ok(entries) = fs::read_dir("/proc/self/task") else {
        return HashSet::new();
    };
    let ids = entries.flatten().filter_map(|entry| {
        let name = entry.file_name();
        name.to_str()?.parse().ok()
    });
    ids.collect()
}

/// The thread's name; `None`: it has ended.
pub(super) fn name(id: u32) -> Option<String> {
    let name = fs::read_to_string(format!("/proc/self/task/{id}/comm")).ok()?;
    Some(name.trim_end_matches('\n').to_owned())
}

/// Of these threads, those that are not the calling one, the process's first (in a test binary it only waits) or
/// heapsite's helper.
pub(super) fn strangers(ids: impl Iterator<Item = u32>) -> Vec<(u32, String)> {
    let own = [sys::thread_id(), sys::process_id()];
    ids.filter(|id| !own.contains(id))
        .filter_map(|id| Some((id, name(id)?)))
        .filter(|(_, name)| name != "heapsite")
        .collect()
}

/// The stack of a thread that waits, from its stack pointer to the end of its mapping, where glibc keeps its locals.
pub(super) fn stack(id: u32) -> Option<Root> {
    // proc(5): number of the system call, six arguments, stack pointer, program counter; or `running`.
    let call = fs::read_to_string(format!("/proc/self/task/{id}/syscall")).ok()?;
    let pointer = call.split_ascii_whitespace().rev().nth(1)?;
    let pointer = u64::from_str_radix(pointer.strip_prefix("0x")?, 16).ok()?;
    stack_from(pointer, id)
}

/// The stack that this address lies in, from there on.
pub(super) fn stack_from(pointer: u64, id: u32) -> Option<Root> {
    let maps = fs::read_to_string("/proc/self/maps").ok()?;
    let end = maps.lines().find_map(|line| {
        let (start, end) = line.split_once(' ')?.0.split_once('-')?;
        let hex = |text| u64::from_str_radix(text, 16).ok();
        let (start, end) = (hex(start)?, hex(end)?);
        (start..end).contains(&pointer).then_some(end)
    })?;
    Some(Root {
        start: pointer,
        end,
        kind: RootKind::Stack(id),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_stat_with_any_name() {
        let stat =
            "77 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20 21".to_owned();
        assert_eq!(parse(&stat), Some(("a) b (c".to_owned(), 4242)));
        assert_eq!(parse(&stat.replace(") S ", ") Z ")), None);
        assert_eq!(parse("77"), None);
    }
}
