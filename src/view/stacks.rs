//! Stacks in JSON: each frame and each stack once, told apart by number.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::io::Write;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Frame;
use crate::Error;
use crate::format::budget::Budget;
use crate::profile::LocationId;

/// Whether a document begins with `"format": FORMAT`, however it is spaced.
pub(crate) fn is_document(bytes: &[u8], format: &str) -> bool {
    let start = &bytes[..bytes.len().min(200)];
    let start = start.iter().filter(|byte| !byte.is_ascii_whitespace());
    let wanted = format!("{{\"format\":\"{format}\"");
    start.take(wanted.len()).eq(wanted.as_bytes())
}

/// Writes a document on one line; `what` it is of, for the error.
pub(crate) fn write_document(
    document: &impl Serialize,
    what: &str,
    out: &mut dyn Write,
) -> crate::Result<()> {
    serde_json::to_writer(&mut *out, document)
        .map_err(std::io::Error::from)
        .and_then(|()| out.write_all(b"\n"))
        .map_err(|error| Error::io(format!("cannot write the {what}"), error))
}

/// Whether a document is one that this version reads: its format and version, and those that are accepted.
pub(crate) fn check_document(found: (&str, u32), accepted: (&str, u32)) -> Result<(), String> {
    match found.0 == accepted.0 && found.1 <= accepted.1 {
        true => Ok(()),
        false => Err(format!(
            "format {:?}, version {}; accepted is {:?} up to version {}",
            found.0, found.1, accepted.0, accepted.1
        )),
    }
}

/// The tables as they are written.
#[derive(Serialize, Deserialize)]
pub(crate) struct StackTable {
    /// Function, file (empty: unknown), line (0: unknown).
    frames: Vec<(String, String, i64)>,
    /// Indexes into `frames`, leaf first.
    stacks: Vec<Vec<usize>>,
}

impl StackTable {
    /// The stacks by number; an error says which index is wrong, or that copies of frames would take too much memory.
    pub(crate) fn stacks(self, budget: &Budget) -> Result<Vec<Arc<[Frame]>>, String> {
        let frames: Vec<Frame> = self
            .frames
            .into_iter()
            .map(|(function, file, line)| Frame {
                function,
                file,
                line,
            })
            .collect();
        let frame = |number: usize| {
            let found = frames.get(number);
            let frame = found.ok_or_else(|| format!("frame {number} of {}", frames.len()))?;
            take(
                budget,
                1,
                size_of::<Frame>() + frame.function.len() + frame.file.len(),
            )?;
            Ok(frame.clone())
        };
        let stacks = self.stacks.into_iter();
        stacks
            .map(|stack| stack.into_iter().map(frame).collect())
            .collect()
    }
}

/// A stack that a row refers to, which has a copy of it in a profile; an error says what is wrong.
pub(crate) fn referred(
    stacks: &[Arc<[Frame]>],
    number: usize,
    budget: &Budget,
) -> Result<Arc<[Frame]>, String> {
    let found = stacks.get(number);
    let stack = found.ok_or_else(|| format!("stack {number} of {}", stacks.len()))?;
    take(budget, stack.len(), size_of::<LocationId>())?;
    Ok(stack.clone())
}

fn take(budget: &Budget, count: usize, size: usize) -> Result<(), String> {
    budget.take(count, size).map_err(|error| error.to_string())
}

/// The tables while they are made.
#[derive(Default)]
pub(crate) struct Stacks<'s> {
    frames: HashMap<&'s Frame, usize>,
    stacks: HashMap<&'s [Frame], usize>,
    table: Vec<Vec<usize>>,
    /// By address, for stacks that share their frames: most do, and comparing them is slow.
    known: HashMap<*const Frame, usize>,
}

impl<'s> Stacks<'s> {
    /// The number of a stack.
    pub(crate) fn number(&mut self, stack: &'s Arc<[Frame]>) -> usize {
        // The address of an empty one says nothing.
        let address = stack.as_ptr();
        if let (false, Some(&number)) = (stack.is_empty(), self.known.get(&address)) {
            return number;
        }
        let next = self.table.len();
        let number = *self.stacks.entry(stack).or_insert(next);
        if number == next {
            let frames = stack.iter().map(|frame| {
                let next = self.frames.len();
                *self.frames.entry(frame).or_insert(next)
            });
            self.table.push(frames.collect());
        }
        self.known.insert(address, number);
        number
    }

    pub(crate) fn table(self) -> StackTable {
        let mut frames: Vec<(&Frame, usize)> = self.frames.into_iter().collect();
        frames.sort_unstable_by_key(|&(_, number)| number);
        let frames = frames.into_iter();
        StackTable {
            frames: frames
                .map(|(frame, _)| (frame.function.clone(), frame.file.clone(), frame.line))
                .collect(),
            stacks: self.table,
        }
    }
}
