//! Stacks as a tree of functions, for flame graphs.
//!
//! Each node holds what passed through it, so its children never hold more than it does. With a base, a node holds what
//! it was and what it is, and whether the change is more than chance.
#![forbid(unsafe_code)]

use super::growth::{Change, Entry};
use super::key::{Frame, frames};
use super::measure::{Measure, Value};
use super::sides::{Side, Sides};
use crate::Result;
use crate::profile::{LocationId, Profile, Sample};
use crate::symbolize::blame::Blamer;
pub use crate::symbolize::owner::Owner;
use crate::symbolize::owner::Owners;
use hashbrown::HashMap;
use std::sync::Arc;

/// What to draw.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'a> {
    /// The sample type; `None`: the profile's own.
    pub kind: Option<&'a str>,
    /// Keeps frames that allocate or call on somebody's behalf.
    pub plumbing: bool,
    /// The leaf of each stack at the root.
    pub reversed: bool,
}

/// A profile as a tree.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Flame {
    /// What was added up.
    pub value: Value,
    /// As the base has it.
    pub base_value: Option<Value>,
    /// Parents before their children; the first is the whole.
    pub nodes: Vec<Node>,
    /// The sum of the samples below 0, which have no width and are left out; 0 except in differences.
    pub negative: i64,
}

/// A function, called the way that its parents tell.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Node {
    /// Index of the caller, or with the leaf at the root of the callee; of the whole its own.
    pub parent: usize,
    /// Function and file; line 0. Shared: there may be millions of nodes, of few functions.
    pub frame: Arc<Frame>,
    /// Lines of the function that calls or allocates from here, with what passed through them; known ones only.
    pub lines: Vec<(i64, i64)>,
    /// Everywhere here it is inlined into its caller.
    pub is_inlined: bool,
    /// Whose code it is.
    pub owner: Owner,
    /// What passed through; an estimate unless the profile is exact.
    pub here: Measure,
    /// What became of it since the base.
    pub change: Option<Box<Change>>,
}

/// Adds up stacks of `profile`, and of `base` if there is one.
///
/// # Errors
/// Input error if one of them lacks the sample type, or if their units differ.
pub fn flame(profile: &Profile, base: Option<&Profile>, options: Options<'_>) -> Result<Flame> {
    let sides = Sides::new(profile, base, options.kind)?;
    let mut tree = Tree::default();
    tree.whole();
    for side in sides.iter() {
        tree.add(&sides, side, options);
    }
    let comparisons = tree.nodes.len();
    let nodes = tree.nodes.into_iter().zip(tree.entries);
    let nodes = nodes.map(|(node, entry)| Node {
        here: entry.new,
        change: sides.change(entry, comparisons).map(Box::new),
        ..node
    });
    Ok(Flame {
        value: sides.value().clone(),
        base_value: sides.base_value().cloned(),
        nodes: nodes.collect(),
        negative: tree.negative,
    })
}

/// A frame of a location.
#[derive(Clone, Copy)]
struct Step {
    frame: u32,
    line: i64,
    is_inlined: bool,
    owner: Owner,
    is_shown: bool,
}

#[derive(Default)]
struct Tree {
    nodes: Vec<Node>,
    entries: Vec<Entry>,
    children: HashMap<(usize, u32), usize>,
    frames: Vec<Arc<Frame>>,
    numbers: HashMap<Arc<Frame>, u32>,
    negative: i64,
}

impl Tree {
    fn whole(&mut self) {
        self.nodes.push(Node {
            parent: 0,
            frame: Arc::default(),
            lines: Vec::new(),
            is_inlined: false,
            owner: Owner::Native,
            here: Measure::default(),
            change: None,
        });
        self.entries.push(Entry::default());
    }

    fn add(&mut self, sides: &Sides<'_>, side: &Side<'_>, options: Options<'_>) {
        let profile = side.tables();
        let (blamer, owners) = (Blamer::new(profile), Owners::new(profile));
        let mut known: HashMap<LocationId, Vec<Step>> = HashMap::new();
        let mut stack: Vec<Step> = Vec::new();
        for sample in side.samples() {
            let entry = sides.entry(side, sample);
            let held = entry.new.value.saturating_add(entry.base.value);
            if held <= 0 {
                self.negative = self.negative.saturating_add(held);
                continue;
            }
            stack.clear();
            for &id in sample.locations.iter().rev() {
                let steps = known.entry(id).or_insert_with(|| {
                    let mut steps = self.steps(profile, &owners, id, options.plumbing);
                    steps.reverse();
                    steps
                });
                stack.extend(steps.iter().filter(|step| step.is_shown));
            }
            if stack.is_empty() {
                // Nothing but plumbing: what is blamed stands for all of it.
                stack.push(self.blamed(profile, sample, &blamer, &owners));
            }
            if options.reversed {
                stack.reverse();
            }
            self.pass(&stack, entry);
        }
    }

    fn blamed(
        &mut self,
        profile: &Profile,
        sample: &Sample,
        blamer: &Blamer<'_>,
        owners: &Owners,
    ) -> Step {
        let found = blamer.blame(sample).and_then(|found| {
            let id = *sample.locations.get(found.location)?;
            let steps = self.steps(profile, owners, id, true);
            steps.get(found.line).copied()
        });
        found.unwrap_or_else(|| Step {
            frame: self.number(Frame {
                function: "(empty stack)".into(),
                ..Frame::default()
            }),
            line: 0,
            is_inlined: false,
            owner: Owner::Native,
            is_shown: true,
        })
    }

    fn pass(&mut self, stack: &[Step], entry: Entry) {
        self.entries[0].add(entry);
        let mut at = 0;
        for step in stack {
            let next = self.nodes.len();
            let child = *self.children.entry((at, step.frame)).or_insert(next);
            if child == next {
                self.nodes.push(Node {
                    parent: at,
                    frame: Arc::clone(&self.frames[step.frame as usize]),
                    lines: Vec::new(),
                    is_inlined: step.is_inlined,
                    owner: step.owner,
                    here: Measure::default(),
                    change: None,
                });
                self.entries.push(Entry::default());
            }
            at = child;
            self.entries[at].add(entry);
            let node = &mut self.nodes[at];
            node.is_inlined &= step.is_inlined;
            if step.line > 0 && entry.new.value > 0 {
                let line = node.lines.iter_mut().find(|(line, _)| *line == step.line);
                match line {
                    Some((_, value)) => *value = value.saturating_add(entry.new.value),
                    None => {
                        // Most nodes have one.
                        node.lines.reserve_exact(1);
                        node.lines.push((step.line, entry.new.value));
                    }
                }
            }
        }
    }

    /// The frames of a location, innermost first.
    fn steps(
        &mut self,
        profile: &Profile,
        owners: &Owners,
        id: LocationId,
        plumbing: bool,
    ) -> Vec<Step> {
        let frames = frames(profile, id);
        let location = profile.locations.get(id.0 as usize);
        let last = frames.len().saturating_sub(1);
        let mut steps = Vec::with_capacity(frames.len());
        for (at, frame) in frames.into_iter().enumerate() {
            let function = location
                .and_then(|location| location.lines.get(at))
                .and_then(|line| profile.functions.get(line.function.0 as usize));
            let (owner, is_shown) = match location.map(|it| owners.judge(it, function)) {
                Some(known) => (
                    known.owner,
                    !known.is_internal && (plumbing || !known.is_plumbing),
                ),
                None => (Owner::Native, true),
            };
            steps.push(Step {
                line: frame.line,
                frame: self.number(Frame { line: 0, ..frame }),
                is_inlined: at < last,
                owner,
                is_shown,
            });
        }
        steps
    }

    fn number(&mut self, frame: Frame) -> u32 {
        if let Some(&number) = self.numbers.get(&frame) {
            return number;
        }
        let number = self.frames.len() as u32;
        let frame = Arc::new(frame);
        self.numbers.insert(Arc::clone(&frame), number);
        self.frames.push(frame);
        number
    }
}

#[cfg(test)]
mod tests;
