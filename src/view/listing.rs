//! Functions line by line: what each line holds, and what is inlined there.
//!
//! As in every view a sample counts once per line, and once per function, however often recursion visits it. (pprof adds
//! the lines of a function up for its total, and so counts recursion through two lines twice.)
#![forbid(unsafe_code)]

use super::growth::{Change, Entry};
use super::key::{Blame, Frame, frames};
use super::measure::{Measure, Value};
use super::sides::{Side, Sides};
use crate::Result;
use crate::profile::{LocationId, Profile};
use crate::symbolize::blame::{BlamedFrame, Blamer};
use hashbrown::HashMap;

/// What to add up.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'a> {
    /// The sample type; `None`: the profile's own.
    pub kind: Option<&'a str>,
    /// Whose flat a sample is.
    pub blame: Blame,
}

/// Chooses functions by name.
type Matches<'a> = &'a dyn Fn(&str) -> bool;

/// Functions by lines.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Listing {
    /// What was added up.
    pub value: Value,
    /// As the base has it.
    pub base_value: Option<Value>,
    /// All samples, those of other functions as well.
    pub total: Sum,
    /// Functions that were chosen and hold something, those that hold or grew most first.
    pub functions: Vec<Listed>,
    /// How many functions were chosen, those that hold nothing as well.
    pub chosen: usize,
}

/// A sum, and what became of it since the base.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Sum {
    /// In the profile; an estimate unless it is exact.
    pub here: Measure,
    /// Since the base, if there is one.
    pub change: Option<Change>,
}

/// One function.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Listed {
    /// Its name.
    pub function: String,
    /// Its source file; empty: unknown.
    pub file: String,
    /// Its first line; 0: unknown.
    pub start_line: i64,
    /// What it is blamed for.
    pub flat: Sum,
    /// What passed through it.
    pub cum: Sum,
    /// Lines that hold something, in their order.
    pub lines: Vec<ListedLine>,
}

/// One line of a function.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ListedLine {
    /// From 1; 0: unknown.
    pub line: i64,
    /// What it is blamed for.
    pub flat: Sum,
    /// What passed through it.
    pub cum: Sum,
    /// What was inlined into this line: callers before callees.
    pub inlined: Vec<Inlined>,
}

/// A function inlined into the line above it, at its own line.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Inlined {
    /// 0: called by the line itself; 1: by what is inlined there; and so on.
    pub depth: usize,
    /// What is inlined.
    pub frame: Frame,
    /// What it is blamed for.
    pub flat: Sum,
    /// What passed through it.
    pub cum: Sum,
}

/// Lists the functions of `profile` whose names `matches` chooses, and what became of them since `base` if there is one.
///
/// # Errors
/// Input error if one of the profiles lacks the sample type, or if their units differ.
pub fn listing(
    profile: &Profile,
    base: Option<&Profile>,
    matches: &dyn Fn(&str) -> bool,
    options: Options<'_>,
) -> Result<Listing> {
    let sides = Sides::new(profile, base, options.kind)?;
    let mut lines = Lines::default();
    lines.nodes.push(Node::new(0, 0));
    for side in sides.iter() {
        lines.add(&sides, side, matches, options.blame);
    }
    Ok(lines.finish(&sides))
}

/// A frame of a location.
struct Step {
    /// Index of function and file.
    function: u32,
    /// Index of function, file and line.
    line: u32,
    start_line: i64,
    is_chosen: bool,
}

struct Node {
    frame: u32,
    depth: usize,
    flat: Entry,
    cum: Entry,
    /// The last sample that was counted here.
    seen: u32,
    /// Of functions: their first line.
    start_line: i64,
    children: Vec<usize>,
}

impl Node {
    fn new(frame: u32, depth: usize) -> Node {
        Node {
            frame,
            depth,
            flat: Entry::default(),
            cum: Entry::default(),
            seen: 0,
            start_line: 0,
            children: Vec::new(),
        }
    }
}

/// The whole, functions, lines, and what is inlined into them: a tree.
#[derive(Default)]
struct Lines {
    nodes: Vec<Node>,
    children: HashMap<(usize, u32), usize>,
    frames: Vec<Frame>,
    numbers: HashMap<Frame, u32>,
    samples: u32,
}

impl Lines {
    fn add(&mut self, sides: &Sides<'_>, side: &Side<'_>, matches: Matches<'_>, blame: Blame) {
        let profile = side.tables();
        let blamer = (blame == Blame::Application).then(|| Blamer::new(profile));
        let mut known: HashMap<LocationId, Vec<Step>> = HashMap::new();
        for sample in side.samples() {
            let entry = sides.entry(side, sample);
            self.samples += 1;
            self.nodes[0].cum.add(entry);
            let leaf = BlamedFrame {
                location: 0,
                line: 0,
            };
            let blamed = match &blamer {
                Some(blamer) => blamer.blame(sample),
                None => Some(leaf),
            };
            for (at, &id) in sample.locations.iter().enumerate() {
                let steps = known
                    .entry(id)
                    .or_insert_with(|| self.steps(profile, id, matches));
                let blamed = blamed.filter(|it| it.location == at).map(|it| it.line);
                self.count(steps, entry, blamed);
            }
        }
    }

    /// Counts a sample in what was chosen of a location; `blamed` is one of its frames, or none.
    fn count(&mut self, steps: &[Step], entry: Entry, blamed: Option<usize>) {
        for (place, step) in steps.iter().enumerate().filter(|(_, step)| step.is_chosen) {
            let function = self.pass(0, step.function, entry);
            let start = &mut self.nodes[function].start_line;
            if step.start_line > 0 && (*start == 0 || step.start_line < *start) {
                *start = step.start_line;
            }
            let mut node = self.pass(function, step.line, entry);
            if blamed == Some(place) {
                self.nodes[function].flat.add(entry);
                self.nodes[node].flat.add(entry);
            }
            for inner in (0..place).rev() {
                node = self.pass(node, steps[inner].line, entry);
                if blamed == Some(inner) {
                    self.nodes[node].flat.add(entry);
                }
            }
        }
    }

    /// The node for a frame below another one, in which the sample is counted once.
    fn pass(&mut self, parent: usize, frame: u32, entry: Entry) -> usize {
        let next = self.nodes.len();
        let at = *self.children.entry((parent, frame)).or_insert(next);
        if at == next {
            let depth = self.nodes[parent].depth + 1;
            self.nodes.push(Node::new(frame, depth));
            self.nodes[parent].children.push(at);
        }
        let node = &mut self.nodes[at];
        if node.seen != self.samples {
            node.seen = self.samples;
            node.cum.add(entry);
        }
        at
    }

    /// The frames of a location, innermost first.
    fn steps(&mut self, profile: &Profile, id: LocationId, matches: Matches<'_>) -> Vec<Step> {
        let location = profile.locations.get(id.0 as usize);
        let mut steps = Vec::new();
        for (at, frame) in frames(profile, id).into_iter().enumerate() {
            let function = location
                .and_then(|location| location.lines.get(at))
                .and_then(|line| profile.functions.get(line.function.0 as usize));
            steps.push(Step {
                is_chosen: matches(&frame.function),
                start_line: function.map_or(0, |function| function.start_line),
                function: self.number(Frame {
                    line: 0,
                    ..frame.clone()
                }),
                line: self.number(frame),
            });
        }
        steps
    }

    fn number(&mut self, frame: Frame) -> u32 {
        if let Some(&number) = self.numbers.get(&frame) {
            return number;
        }
        let number = self.frames.len() as u32;
        self.numbers.insert(frame.clone(), number);
        self.frames.push(frame);
        number
    }

    fn finish(self, sides: &Sides<'_>) -> Listing {
        // Lines are compared with chance, as many as are shown.
        let comparisons = self.nodes.len();
        let sum = |entry: Entry| Sum {
            here: entry.new,
            change: sides.change(entry, comparisons),
        };
        let functions = self.nodes[0].children.iter();
        let mut listed: Vec<Listed> = functions
            .map(|&at| self.function(at, &sum))
            .filter(|it| !it.lines.is_empty())
            .collect();
        let most = |sum: &Sum| sum.change.map_or(sum.here.value, |change| change.growth);
        listed.sort_by(|a, b| {
            let name = |it: &Listed| (it.function.clone(), it.file.clone());
            most(&b.cum)
                .cmp(&most(&a.cum))
                .then_with(|| name(a).cmp(&name(b)))
        });
        Listing {
            value: sides.value().clone(),
            base_value: sides.base_value().cloned(),
            total: Sum {
                here: self.nodes[0].cum.new,
                change: sides.change(self.nodes[0].cum, 1),
            },
            chosen: self.nodes[0].children.len(),
            functions: listed,
        }
    }

    fn function(&self, at: usize, sum: &impl Fn(Entry) -> Sum) -> Listed {
        let node = &self.nodes[at];
        let frame = &self.frames[node.frame as usize];
        let mut lines: Vec<ListedLine> = Vec::new();
        for &line in &node.children {
            let line = &self.nodes[line];
            if !holds_something(line) {
                continue;
            }
            let mut inlined = Vec::new();
            self.inlined(line, sum, &mut inlined);
            lines.push(ListedLine {
                line: self.frames[line.frame as usize].line,
                flat: sum(line.flat),
                cum: sum(line.cum),
                inlined,
            });
        }
        lines.sort_by_key(|line| line.line);
        Listed {
            function: frame.function.clone(),
            file: frame.file.clone(),
            start_line: node.start_line,
            flat: sum(node.flat),
            cum: sum(node.cum),
            lines,
        }
    }

    /// What is below a line, the most first on each level. As deep as one location inlines, and no deeper.
    fn inlined(&self, parent: &Node, sum: &impl Fn(Entry) -> Sum, into: &mut Vec<Inlined>) {
        let mut rest: Vec<&Node> = self.by_size(parent);
        while let Some(node) = rest.pop() {
            into.push(Inlined {
                // A line is two below the whole.
                depth: node.depth - 3,
                frame: self.frames[node.frame as usize].clone(),
                flat: sum(node.flat),
                cum: sum(node.cum),
            });
            rest.extend(self.by_size(node));
        }
    }

    /// The smallest first.
    fn by_size(&self, parent: &Node) -> Vec<&Node> {
        let nodes = parent.children.iter().map(|&at| &self.nodes[at]);
        let mut nodes: Vec<&Node> = nodes.filter(|node| holds_something(node)).collect();
        let size = |node: &Node| (node.cum.new.value, node.cum.base.value);
        let name = |node: &Node| &self.frames[node.frame as usize];
        nodes.sort_by(|a, b| size(a).cmp(&size(b)).then_with(|| name(b).cmp(name(a))));
        nodes
    }
}

fn holds_something(node: &Node) -> bool {
    node.cum.new.value != 0 || node.cum.base.value != 0
}

#[cfg(test)]
mod tests;
