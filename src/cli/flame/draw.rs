//! A tree of functions as a picture: inferno lays it out and brings the script that zooms and searches.
//!
//! inferno knows frames by name only. Here every frame of the tree is one of its own, with its own colour and tooltip, so
//! its name begins with a mark that is taken out of the picture again.
#![forbid(unsafe_code)]

use super::colour;
use crate::view::flame::{Flame, Node, Owner};
use crate::view::name::{printable, source};
use crate::view::significance::Verdict;
use crate::view::units;
use crate::{Error, Result};
use inferno::flamegraph::color::{BackgroundColor, Color, PaletteMap};
use inferno::flamegraph::{self, Direction, FuncFrameAttrsMap};
use std::fmt::Write as _;

/// What is to be drawn.
pub(super) struct Picture<'a> {
    pub(super) flame: &'a Flame,
    pub(super) title: String,
    pub(super) subtitle: String,
    pub(super) icicle: bool,
}

/// What became of it.
pub(super) struct Drawn {
    pub(super) svg: String,
    pub(super) frames: usize,
    /// Frames that are too narrow; their callers show what they hold.
    pub(super) narrow: usize,
    /// What the base had in frames of which nothing is left.
    pub(super) gone: i64,
}

/// Frames below this share of the whole are not drawn: a tenth of a pixel.
const NARROW: i64 = 10_000;
/// The script counts in doubles.
const MOST: i64 = 1 << 53;

/// Draws.
///
/// # Errors
/// There is nothing to draw.
pub(super) fn draw(picture: &Picture<'_>) -> Result<Drawn> {
    let nodes = &picture.flame.nodes;
    let total = nodes[0].here.value;
    if total <= 0 {
        let kind = picture.flame.value.kind();
        return Err(Error::input(format!(
            "nothing to draw: {kind} is {} in all; --sort chooses another value",
            quantity(picture.flame, total)
        )));
    }
    if total > MOST {
        return Err(Error::input(format!(
            "{} is more than can be drawn",
            units::count(total)
        )));
    }
    let order = Order::new(nodes, (total / NARROW).max(1));
    let frames = Frames::new(picture.flame, &order);
    let mut palette = frames.palette;
    let mut options = flamegraph::Options::default();
    options.title = picture.title.clone();
    options.subtitle = Some(picture.subtitle.clone());
    // A comment in the file; two hyphens would end it.
    options.notes = "a flame graph of heapsite".to_owned();
    options.palette_map = Some(&mut palette);
    options.func_frameattrs = FuncFrameAttrsMap::from_reader(frames.attributes.as_bytes())
        .map_err(|error| Error::io("cannot draw", error))?;
    options.bgcolors = Some(BackgroundColor::Flat(Color::new(0xff, 0xff, 0xff)));
    // The script may not meet numbers that it would round.
    options.min_width = 0.0;
    options.no_sort = true;
    // By this the frame for the whole is found again.
    options.count_name = mark(0);
    if picture.icicle {
        options.direction = Direction::Inverted;
    }
    let mut svg = Vec::new();
    let lines = frames.lines.iter().map(String::as_str);
    flamegraph::from_lines(&mut options, lines, &mut svg)
        .map_err(|error| Error::io("cannot draw", error))?;
    let svg = String::from_utf8_lossy(&svg);
    let gone = nodes.iter().filter(|node| {
        node.here.value == 0 && (node.parent == 0 || nodes[node.parent].here.value != 0)
    });
    let gone = gone.filter_map(|node| node.change.as_deref());
    Ok(Drawn {
        svg: finish(&svg, picture, &order),
        frames: order.nodes.len(),
        narrow: nodes.iter().filter(|node| node.here.value > 0).count() - order.nodes.len(),
        gone: gone.fold(0, |sum, change| change.base.value.saturating_add(sum)),
    })
}

/// The frames that are drawn, each before those it called, the largest first.
struct Order {
    /// Index and depth; the whole has depth 0.
    nodes: Vec<(usize, usize)>,
    /// By index of a node: what is not in a frame above it.
    own: Vec<i64>,
}

impl Order {
    fn new(nodes: &[Node], least: i64) -> Order {
        let value = |at: usize| nodes[at].here.value;
        let mut own: Vec<i64> = (0..nodes.len()).map(value).collect();
        let mut children: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
        for (at, node) in nodes.iter().enumerate().skip(1) {
            // What holds less than this has no child that holds more.
            if node.here.value >= least {
                children[node.parent].push(at);
                own[node.parent] -= node.here.value;
            }
        }
        for siblings in &mut children {
            // The smallest first: the stack below turns them round.
            siblings.sort_by(|&a, &b| {
                let name = |at: usize| &nodes[at].frame;
                value(a).cmp(&value(b)).then_with(|| name(b).cmp(name(a)))
            });
        }
        let mut order = Vec::new();
        let mut rest = vec![(0, 0)];
        while let Some((at, depth)) = rest.pop() {
            order.push((at, depth));
            rest.extend(children[at].iter().map(|&child| (child, depth + 1)));
        }
        Order { nodes: order, own }
    }
}

/// What inferno is told.
struct Frames {
    /// Stacks, in the order of their marks, with what is not in a frame above.
    lines: Vec<String>,
    palette: PaletteMap,
    attributes: String,
}

impl Frames {
    fn new(flame: &Flame, order: &Order) -> Frames {
        let mut frames = Frames {
            lines: Vec::new(),
            palette: PaletteMap::default(),
            attributes: String::new(),
        };
        let most = flame.nodes.iter().filter_map(|node| node.change.as_deref());
        let most = most
            .map(|change| change.growth.saturating_abs())
            .max()
            .unwrap_or(0);
        // inferno's own frame for the whole.
        frames.palette.insert("", colour::SAME);
        let mut path: Vec<String> = Vec::new();
        for (place, &(at, depth)) in order.nodes.iter().enumerate().skip(1) {
            let node = &flame.nodes[at];
            let name = format!("{}{}", mark(place), label(node));
            frames.attributes.push_str(&name);
            let class = if node.is_inlined {
                "\tclass=inlined"
            } else {
                ""
            };
            // Writing to a String cannot fail.
            let _ = writeln!(frames.attributes, "\ttitle={}{class}", tooltip(flame, node));
            let color = match &node.change {
                Some(change) => colour::of_change(change, most),
                None => colour::of_crate(node),
            };
            frames.palette.insert(&name, color);
            path.truncate(depth - 1);
            path.push(name);
            if order.own[at] > 0 {
                let own = order.own[at];
                frames.lines.push(format!("{} {own}", path.join(";")));
            }
        }
        // Narrow frames that nobody called: inferno's frame for the whole is as wide as those on it.
        if order.own[0] > 0 {
            let own = order.own[0];
            let name = format!("{}(narrow frames)", mark(order.nodes.len()));
            let (sum, share) = (
                quantity(flame, own),
                units::percent(own, flame.nodes[0].here.value),
            );
            let _ = writeln!(
                frames.attributes,
                "{name}\ttitle=(narrow frames) ({sum}, {share})"
            );
            frames.lines.push(format!("{name} {own}"));
            frames.palette.insert(name, colour::SAME);
        }
        frames
    }
}

/// Characters of Unicode's private area, in the order of numbers: no name has them, see [`label`].
const MARKS: std::ops::Range<u32> = 0xe000..0xf800;

fn mark(number: usize) -> String {
    let many = MARKS.len();
    let digit = |value: usize| char::from_u32(MARKS.start + (value % many) as u32);
    // Three digits count every frame that is wide enough to be drawn, down to any depth a stack can have.
    [number / many / many, number / many, number]
        .into_iter()
        .filter_map(digit)
        .collect()
}

fn is_mark(letter: char) -> bool {
    MARKS.contains(&u32::from(letter))
}

/// A function's name for a viewer without scripts: `;` would end the frame.
fn label(node: &Node) -> String {
    name(node).replace(';', ":")
}

fn name(node: &Node) -> String {
    let name = printable(&node.frame.function);
    // Escapes of printable text have no private letters; a private letter is no letter of a name.
    name.trim().replace(is_mark, "?")
}

/// `shop::add (cache.rs:42; 412.3 ± 3.1 MiB, 94.1%)`. The script shows what is before the last pair of brackets.
fn tooltip(flame: &Flame, node: &Node) -> String {
    let (value, here) = (&flame.value, node.here);
    let error = (value.quality.has_error() && here.variance > 0.0).then(|| here.standard_error());
    let mut facts = Vec::new();
    if !node.frame.file.is_empty() {
        facts.push(place(node));
    }
    if node.is_inlined {
        facts.push("inlined".to_owned());
    }
    facts.push(format!(
        "{}, {}",
        value.scale.with_error(here.value, error, value.unit()),
        units::percent(here.value, flame.nodes[0].here.value)
    ));
    if let Some(change) = &node.change {
        let error = change.p.map(|_| change.standard_error());
        let judged = match change.verdict {
            Verdict::Significant | Verdict::WithinNoise => format!(", {}", change.verdict.name()),
            Verdict::Exact | Verdict::Unknown => String::new(),
        };
        let growth = value.scale.change(change.growth, error, value.unit());
        facts.push(format!("{growth}{judged}"));
    }
    let facts = facts.join("; ").replace('(', "[").replace(')', "]");
    format!("{} ({facts})", name(node)).replace('\t', " ")
}

fn quantity(flame: &Flame, value: i64) -> String {
    flame.value.scale.quantity(value, flame.value.unit())
}

/// The file and its lines, those that hold most first.
fn place(node: &Node) -> String {
    const SHOWN: usize = 4;
    let file = printable(&node.frame.file);
    let mut lines = node.lines.clone();
    lines.sort_by_key(|&(line, value)| (std::cmp::Reverse(value), line));
    let shown: Vec<String> = lines
        .iter()
        .take(SHOWN)
        .map(|(line, _)| line.to_string())
        .collect();
    let more = if lines.len() > SHOWN { ", …" } else { "" };
    match shown.is_empty() {
        true => source(&file).to_owned(),
        false => format!("{}:{}{more}", source(&file), shown.join(", ")),
    }
}

/// Marks out; the root's tooltip, the legend and the colours of a dark page in.
fn finish(svg: &str, picture: &Picture<'_>, order: &Order) -> String {
    let mut svg = svg.to_owned();
    let end = format!("{}, 100%)</title>", mark(0));
    if let Some(end) = svg.find(&end)
        && let Some(start) = svg[..end].rfind('>')
    {
        let root = &picture.flame.nodes[0];
        let text = tooltip(
            picture.flame,
            &Node {
                frame: whole().into(),
                ..root.clone()
            },
        );
        let length = svg[end..].find('<').unwrap_or(0);
        svg.replace_range(start + 1..end + length, &text);
    }
    // XML has no place for the other two, and no viewer would show a file with them.
    svg.retain(|letter| !is_mark(letter) && !matches!(letter, '\u{fffe}' | '\u{ffff}'));
    if let Some(at) = svg.find("id=\"subtitle\"")
        && let Some(end) = svg[at..].find("</text>")
    {
        svg.insert_str(at + end, &legend(picture.flame, order));
    }
    if let Some(at) = svg.find("</style>") {
        svg.insert_str(at, STYLE);
    }
    svg
}

fn whole() -> crate::view::Frame {
    crate::view::Frame {
        function: "all".to_owned(),
        ..Default::default()
    }
}

/// What the colours that are there mean.
fn legend(flame: &Flame, order: &Order) -> String {
    let mut entries: Vec<(Color, &str)> = Vec::new();
    let drawn = || order.nodes.iter().skip(1).map(|&(at, _)| &flame.nodes[at]);
    if flame.base_value.is_some() {
        entries.push((colour::grown(), "grew"));
        entries.push((colour::SAME, "no more than chance"));
        entries.push((colour::shrunk(), "shrank"));
    } else {
        for (owner, word) in [
            (Owner::Program, "the program"),
            (Owner::Dependency, "dependencies"),
            (Owner::Runtime, "runtimes"),
            (Owner::Std, "std"),
            (Owner::Native, "other"),
        ] {
            if drawn().any(|node| node.owner == owner) {
                entries.push((colour::of_owner(owner), word));
            }
        }
    }
    let mut legend = String::new();
    for (color, word) in entries {
        let Color { r, g, b } = color;
        let _ = write!(
            legend,
            "<tspan dx=\"14\" fill=\"rgb({r},{g},{b})\">■</tspan><tspan dx=\"4\">{word}</tspan>"
        );
    }
    if drawn().any(|node| node.is_inlined) {
        legend.push_str("<tspan dx=\"14\">┄ inlined</tspan>");
    }
    legend
}

const STYLE: &str = "
#frames > * > rect { stroke:white; stroke-width:0.5; }
#search { opacity:0.7; }
@media (prefers-color-scheme: dark) {
  svg { background:#14181d; }
  #background stop { stop-color:#14181d; }
  #frames > * > rect { stroke:#14181d; }
  #title, #subtitle, #details, #search, #unzoom, #matched { fill:#e6edf3; }
  #frames > *:hover > rect { stroke:white; }
}
#frames > .inlined > rect { stroke:#333333; stroke-width:1; stroke-dasharray:3 2; }
";

#[cfg(test)]
mod tests;
