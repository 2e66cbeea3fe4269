//! Names of tasks' stacks, remembered: a stack keeps its number for ever, and naming reads debug information.
#![forbid(unsafe_code)]

use std::collections::HashMap;

use super::stacks;
use super::told::Stack;
use crate::helper::Remembered;
use crate::profile::{LocationId, Profile};
use crate::symbolize::stacks::name_stacks_with;
use crate::sys;
use crate::view::key::{self, Frame};

/// Stacks that are remembered, some 3 KiB each; a program that has more has all of them named anew.
const MOST: usize = 4096;

/// The frames of these stacks, leaf first, without heapsite's own and without what polled the task.
pub(super) fn of(mut numbers: Vec<u32>) -> HashMap<u32, Stack> {
    static NAMES: Remembered<Names> = Remembered::new();
    numbers.sort_unstable();
    numbers.dedup();
    NAMES.with(|names| names.of(&numbers))
}

#[derive(Default)]
struct Names {
    by_stack: HashMap<u32, Stack>,
    /// Libraries that had been unloaded: afterwards addresses may mean something else.
    unloaded: u64,
}

impl Names {
    fn of(&mut self, numbers: &[u32]) -> HashMap<u32, Stack> {
        let unloaded = sys::objects::unload_count();
        if self.unloaded != unloaded || self.by_stack.len() > MOST {
            *self = Names {
                unloaded,
                ..Names::default()
            };
        }
        let new = numbers.iter().copied();
        let new: Vec<u32> = new.filter(|it| !self.by_stack.contains_key(it)).collect();
        if !new.is_empty() {
            let stacks = new.iter().map(|&number| stacks::addresses(number).0);
            let named = name_stacks_with(&stacks.collect::<Vec<_>>(), of_the_task);
            self.by_stack.extend(new.into_iter().zip(named));
        }
        let known = numbers
            .iter()
            .filter_map(|number| Some((*number, Stack::clone(self.by_stack.get(number)?))));
        known.collect()
    }
}

/// Functions that take a stack down: for an await point, and for where a task is spawned. They and [`POLL`] are never
/// inlined, so they have their whole names in release builds, too, where inlined frames have short ones at most.
const TAKES: [&str; 2] = [
    "heapsite::task::waker::clone_at_await",
    "heapsite::task::tracked::Entry",
];
/// The function from which a task's future is polled.
const POLL: &str = "heapsite::task::tracked::poll_future";

/// From what asked heapsite to take the stack down, to the last frame below the task's own poll.
fn of_the_task(profile: &Profile, locations: &[LocationId]) -> Vec<Frame> {
    let is = |id: &LocationId, names: &[&str]| {
        let function = function(profile, *id);
        names.iter().any(|name| function.contains(name))
    };
    let taken = locations.iter().position(|id| is(id, &TAKES));
    let locations = &locations[taken.map_or(0, |at| at + 1)..];
    let polled = locations.iter().position(|id| is(id, &[POLL]));
    let (inner, poll) = locations.split_at(polled.unwrap_or(locations.len()));
    let mut frames: Vec<Frame> = inner
        .iter()
        .flat_map(|&id| key::frames(profile, id))
        .collect();
    // What is inlined into the poll belongs to the future, all but the poll itself.
    let mut last = poll
        .first()
        .map_or_else(Vec::new, |&id| key::frames(profile, id));
    let poll = last.pop().map_or_else(String::new, |poll| poll.function);
    frames.extend(last.into_iter().map(|frame| without_poll(frame, &poll)));
    let start = frames.iter().position(|frame| !is_glue(frame));
    frames.drain(..start.unwrap_or(frames.len()));
    frames
}

/// Line tables only call an inlined `async fn` `{async_fn#0}`, and the symboliser puts the function around it in front:
/// here that is the poll, which it was not written in.
fn without_poll(mut frame: Frame, poll: &str) -> Frame {
    let own = frame.function.strip_prefix(poll);
    if let Some(own) = own.and_then(|own| own.strip_prefix("::")) {
        frame.function = own.to_owned();
    }
    frame
}

/// The name of the function that the code of a location was compiled for.
fn function(profile: &Profile, id: LocationId) -> &str {
    let location = profile.locations.get(id.0 as usize);
    let line = location.and_then(|location| location.lines.last());
    let function = line.and_then(|line| profile.functions.get(line.function.0 as usize));
    function.map_or("", |function| &function.name)
}

/// Between the task and what takes its stack down: the standard library's way from a leaf's `clone` to the waker's, and
/// heapsite's own functions that are inlined into the program.
fn is_glue(frame: &Frame) -> bool {
    let name = &frame.function;
    name.contains("heapsite::task::")
        || name.contains("core::task::wake::")
        || name.contains("core::clone::Clone>::clone")
        || frame.file.ends_with(super::track::FILE)
        || is_spawn(frame)
}

#[cfg(feature = "tokio")]
fn is_spawn(frame: &Frame) -> bool {
    frame.file.ends_with(super::spawn::FILE)
}

#[cfg(not(feature = "tokio"))]
fn is_spawn(_: &Frame) -> bool {
    false
}
