//! Rows under construction: every sample is walked once, from the leaf.
#![forbid(unsafe_code)]

use super::{Measure, Row, Value};
use crate::Result;
use crate::profile::{LocationId, Profile, Sample};
use crate::symbolize::blame::{BlamedFrame, Blamer};
use crate::symbolize::names;
use crate::view::key::{Blame, By, Frame, Key, Role, frames, role};
use hashbrown::{DefaultHashBuilder, HashTable, hash_table::Entry};
use std::hash::BuildHasher;

/// Rows under construction. A location's keys are worked out once, however many stacks it is in.
pub(in crate::view) struct Counter<'p> {
    pub(super) profile: &'p Profile,
    by: By,
    blame: Blame,
    cum: bool,
    blamer: Option<Blamer<'p>>,
    pub(in crate::view) rows: Vec<Row>,
    /// Finds rows by their keys.
    index: HashTable<u32>,
    hasher: DefaultHashBuilder,
    /// Per location the steps of its frames, once it has been visited.
    locations: Vec<Option<Vec<Step>>>,
    /// Those of a stack; only kept for its memory.
    stack: Vec<Step>,
    /// Per row the last sample that touched it.
    seen: Vec<u32>,
    samples: u32,
}

/// A frame of a stack.
#[derive(Clone, Copy, Debug)]
pub(in crate::view) struct Step {
    pub(in crate::view) row: u32,
    role: Role,
    /// Inlined into the next frame.
    pub(in crate::view) inlined: bool,
}

impl<'p> Counter<'p> {
    pub(in crate::view) fn new(profile: &'p Profile, by: By, blame: Blame, cum: bool) -> Self {
        Counter {
            profile,
            by,
            blame,
            cum,
            blamer: (blame == Blame::Application).then(|| Blamer::new(profile)),
            rows: Vec::new(),
            index: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            locations: Vec::new(),
            stack: Vec::new(),
            seen: Vec::new(),
            samples: 0,
        }
    }

    /// Rows that hold something: keys of plumbing were worked out, but not touched.
    pub(in crate::view) fn finish(self) -> Vec<Row> {
        let by_stack = self.by.is_frame();
        let touched = |at: usize| !by_stack || self.seen.get(at).is_some_and(|&sample| sample > 0);
        let rows = self.rows.into_iter().enumerate();
        rows.filter(|(at, _)| touched(*at))
            .map(|(_, row)| row)
            .collect()
    }

    /// Counts a sample; see [`super::What::born`].
    pub(in crate::view) fn add(
        &mut self,
        sample: &Sample,
        value: &Value,
        measure: Measure,
        born: u64,
    ) -> Result<()> {
        match self.by {
            By::Thread => self.by_thread(sample, value, measure, born)?,
            By::Age => self.by_age(sample, value, born)?,
            By::Label => self.by_label(sample, measure),
            _ => self.by_stack(sample, measure),
        }
        Ok(())
    }

    fn by_stack(&mut self, sample: &Sample, measure: Measure) {
        self.samples += 1;
        if self.by == By::Site {
            let row = self.site(sample);
            self.rows[row].cum.add(measure);
            return self.blame(row, sample, measure);
        }
        let wanted = self.wanted(sample);
        let blamed = if self.cum {
            self.pass_through(sample, wanted, measure)
        } else {
            self.only_blamed(sample, wanted)
        };
        self.seen.resize(self.rows.len(), 0);
        self.seen[blamed] = self.samples;
        self.blame(blamed, sample, measure);
    }

    /// Counts a sample in all rows of its stack. The row to blame.
    fn pass_through(
        &mut self,
        sample: &Sample,
        wanted: Option<BlamedFrame>,
        measure: Measure,
    ) -> usize {
        let mut stack = std::mem::take(&mut self.stack);
        let blamed = self.walk(sample, wanted, &mut stack);
        self.seen.resize(self.rows.len(), 0);
        for step in &stack {
            let row = step.row as usize;
            if self.seen[row] != self.samples {
                self.seen[row] = self.samples;
                self.rows[row].cum.add(measure);
            }
        }
        self.stack = stack;
        blamed
    }

    /// The frames of a stack that have rows, leaf first. The row to blame.
    pub(in crate::view) fn steps(&mut self, sample: &Sample, stack: &mut Vec<Step>) -> usize {
        let wanted = self.wanted(sample);
        self.walk(sample, wanted, stack)
    }

    /// The same, and the row to blame.
    fn walk(
        &mut self,
        sample: &Sample,
        wanted: Option<BlamedFrame>,
        stack: &mut Vec<Step>,
    ) -> usize {
        stack.clear();
        let mut blamed = 0;
        for (at, &location) in sample.locations.iter().enumerate() {
            if wanted.is_some_and(|frame| frame.location == at) {
                blamed = stack.len() + wanted.map_or(0, |frame| frame.line);
            }
            stack.extend_from_slice(self.keys(location));
        }
        if stack.is_empty() {
            stack.push(Step {
                row: self.empty_stack() as u32,
                role: Role::Application,
                inlined: false,
            });
        }
        let row = stack[blamed].row as usize;
        if self.blame == Blame::Application {
            let mut at = 0;
            stack.retain(|step| {
                at += 1;
                step.role == Role::Application || at == blamed + 1
            });
        }
        row
    }

    /// The row to blame, by itself.
    fn only_blamed(&mut self, sample: &Sample, wanted: Option<BlamedFrame>) -> usize {
        let (location, line) = wanted.map_or((0, 0), |frame| (frame.location, frame.line));
        match sample.locations.get(location) {
            Some(&id) => self.keys(id)[line].row as usize,
            None => self.empty_stack(),
        }
    }

    fn empty_stack(&mut self) -> usize {
        self.row(Key::Name("(empty stack)".into()))
    }

    /// The frame to blame; `None`: the leaf.
    fn wanted(&self, sample: &Sample) -> Option<BlamedFrame> {
        self.blamer.as_ref().and_then(|blamer| blamer.blame(sample))
    }

    pub(super) fn blame(&mut self, row: usize, sample: &Sample, measure: Measure) {
        let row = &mut self.rows[row];
        row.flat.add(measure);
        for bucket in sample.detail.iter().flat_map(|detail| &detail.lifetimes) {
            row.freed_bytes += bucket.bytes_estimate;
            row.lifetime_byte_nanos +=
                bucket.bytes_estimate * middle(bucket.from_nanos, bucket.to_nanos);
        }
    }

    fn site(&mut self, sample: &Sample) -> usize {
        let wanted = self.wanted(sample);
        let mut stack: Vec<Frame> = Vec::new();
        let mut blamed = 0;
        for (at, &location) in sample.locations.iter().enumerate() {
            if wanted.is_some_and(|frame| frame.location == at) {
                blamed = stack.len() + wanted.map_or(0, |frame| frame.line);
            }
            stack.extend(frames(self.profile, location));
        }
        self.row(Key::Site(stack, blamed))
    }

    fn keys(&mut self, location: LocationId) -> &[Step] {
        let index = location.0 as usize;
        if self.locations.len() <= index {
            // A profile that is not whole names locations that are not there.
            let len = self.profile.locations.len().max(index + 1);
            self.locations.resize(len, None);
        }
        if self.locations[index].is_none() {
            let mut keys = Vec::new();
            let frames = frames(self.profile, location);
            let outermost = frames.len().saturating_sub(1);
            for (at, frame) in frames.into_iter().enumerate() {
                // Roles only say what is shown of what passed through.
                let role = match self.cum {
                    true => role(&frame),
                    false => Role::Application,
                };
                let key = self.key(frame, location);
                let row = self.row(key) as u32;
                let inlined = at != outermost;
                keys.push(Step { row, role, inlined });
            }
            self.locations[index] = Some(keys);
        }
        self.locations[index].as_deref().unwrap_or_default()
    }

    fn key(&self, frame: Frame, location: LocationId) -> Key {
        match self.by {
            By::Crate => Key::Name(crate_of(&frame)),
            By::Function => Key::Frame(Frame { line: 0, ..frame }),
            By::FunctionName => Key::Frame(Frame {
                function: frame.function,
                ..Frame::default()
            }),
            By::File if frame.file.is_empty() => Key::Name(self.binary(location)),
            By::File => Key::File(clean(&frame.file)),
            By::Address => {
                let location = self.profile.locations.get(location.0 as usize);
                Key::Address(location.map_or(0, |location| location.address), frame)
            }
            By::Line | By::Site | By::Thread | By::Label | By::Age => Key::Frame(frame),
        }
    }

    /// Stands for the source file where that is not known: `[shop]`.
    fn binary(&self, location: LocationId) -> String {
        let location = self.profile.locations.get(location.0 as usize);
        let mapping = location.and_then(|location| location.mapping);
        let mapping = mapping.and_then(|id| self.profile.mappings.get(id.0 as usize));
        let file = mapping.map_or("", |mapping| mapping.file.as_str());
        match file.rsplit('/').next() {
            None | Some("") => "(no file)".to_owned(),
            Some(name) if name.starts_with('[') => name.to_owned(),
            Some(name) => format!("[{name}]"),
        }
    }

    pub(super) fn row(&mut self, key: Key) -> usize {
        let Counter {
            rows,
            index,
            hasher,
            ..
        } = self;
        let entry = index.entry(
            hasher.hash_one(&key),
            |&row| rows[row as usize].key == key,
            |&row| hasher.hash_one(&rows[row as usize].key),
        );
        match entry {
            Entry::Occupied(entry) => *entry.get() as usize,
            Entry::Vacant(entry) => {
                let row = rows.len();
                entry.insert(row as u32);
                rows.push(Row::new(key));
                row
            }
        }
    }
}

/// A path without `.` and `..`, as far as that can be told from its text.
fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for (at, part) in path.split('/').enumerate() {
        let last = parts.last().copied();
        match part {
            "" if at > 0 => {}
            "." => {}
            ".." if last.is_some_and(|last| !last.is_empty() && last != "..") => {
                parts.pop();
            }
            ".." if last == Some("") => {}
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

fn crate_of(frame: &Frame) -> String {
    names::crate_of(&frame.function, &frame.file).unwrap_or_else(|| "(no crate)".to_owned())
}

/// The mean of a lifetime bucket if lifetimes are spread evenly over its logarithm.
fn middle(from: u64, to: u64) -> f64 {
    let (low, high) = (from.max(1) as f64, to as f64);
    if to == u64::MAX || high <= low {
        low
    } else {
        (high - low) / (high / low).ln()
    }
}
