//! Who calls whom, and how much of it passes there: pprof's call graph, for rows of every kind that frames have.
//!
//! The weight of an edge is what all stacks hold in which the caller comes right before the callee; a stack counts once,
//! however often it takes the edge (recursion). A row that calls itself has no edge to itself.
#![forbid(unsafe_code)]

use super::count::counter::{Counter, Step};
use super::count::{Count, Order, Row};
use super::key::{Blame, By};
use super::measure::Measure;
use super::subject::Subject;
use crate::{Error, Result};
use hashbrown::{HashMap, HashSet};

/// Rows and the edges between them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Graph {
    /// The rows that are left, in order; those of a difference in which all cancels come last, see [`Graph::shown`].
    pub count: Count,
    /// The edges between them, the heaviest first.
    pub edges: Vec<Edge>,
    /// Rows that hold something, before the cut.
    pub rows_in_all: usize,
    /// Edges that were cut off for their weight.
    pub cut_edges: usize,
    /// Per row the indexes of the edges to it, and from it.
    callers: Vec<Vec<usize>>,
    callees: Vec<Vec<usize>>,
}

/// From a row to one that it calls.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Edge {
    /// Index into the rows of the graph.
    pub caller: usize,
    /// The same.
    pub callee: usize,
    /// What passes here.
    pub weight: Measure,
    /// The callee is inlined into the caller, wherever it is called from there.
    pub inlined: bool,
    /// Rows between the two were cut off.
    pub residual: bool,
}

/// What is left out of a graph.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    /// The order of rows.
    pub order: Order,
    /// How many rows to keep, the first in that order.
    pub rows: usize,
    /// Rows through which less than this share of the total passes are left out.
    pub node_fraction: f64,
    /// The same of edges.
    pub edge_fraction: f64,
}

impl Cut {
    /// Leaves nothing out.
    pub fn nothing(order: Order) -> Cut {
        Cut {
            order,
            rows: usize::MAX,
            node_fraction: 0.0,
            edge_fraction: 0.0,
        }
    }
}

impl Graph {
    /// The rows that hold something, with their indexes. What passes through one that does not, and cancels there, still
    /// comes from somewhere and goes somewhere.
    pub fn shown(&self) -> impl Iterator<Item = (usize, &Row)> {
        let rows = self.count.rows.iter().enumerate();
        rows.filter(|(_, row)| holds(row))
    }

    /// The edges to a row, the heaviest first.
    pub fn callers(&self, row: usize) -> impl Iterator<Item = &Edge> {
        self.callers[row].iter().map(|&edge| &self.edges[edge])
    }

    /// The edges from a row, the heaviest first.
    pub fn callees(&self, row: usize) -> impl Iterator<Item = &Edge> {
        self.callees[row].iter().map(|&edge| &self.edges[edge])
    }
}

/// Makes the graph of what is selected. Samples in which nothing is left have no edges.
///
/// # Errors
/// Input error if rows have no callers: sites, threads, labels and ages.
pub fn graph(subject: &Subject, by: By, blame: Blame, cut: &Cut) -> Result<Graph> {
    if !by.is_frame() {
        return Err(Error::input(format!(
            "a {} has no callers; lines, functions, files, addresses and crates have",
            by.name()
        )));
    }
    let samples = || {
        let samples = subject.profile.samples.iter().zip(&subject.measures);
        samples.filter(|(_, measure)| measure.value != 0)
    };
    let mut counter = Counter::new(&subject.profile, by, blame, true);
    for (sample, &measure) in samples() {
        counter.add(sample, &subject.value, measure, u64::MAX)?;
    }
    let (kept, rows_in_all) = kept(&counter.rows, cut);
    let places: HashMap<usize, usize> = (0..).zip(&kept).map(|(at, &row)| (row, at)).collect();
    let mut edges = Edges::default();
    let mut stack = Vec::new();
    for (sample, &measure) in samples() {
        counter.steps(sample, &mut stack);
        edges.walk(&stack, &places, measure);
    }
    let rows = kept.iter().map(|&row| counter.rows[row].clone()).collect();
    let count = Count {
        by,
        value: subject.value.clone(),
        total: subject.total(),
        whole: subject.whole,
        rows,
    };
    let cutoff = cutoff(&counter.rows, cut.edge_fraction);
    let (edges, cut_edges) = edges.finish(&count.rows, cutoff);
    let of_row = || vec![Vec::new(); count.rows.len()];
    let (mut callers, mut callees) = (of_row(), of_row());
    for (at, edge) in edges.iter().enumerate() {
        callers[edge.callee].push(at);
        callees[edge.caller].push(at);
    }
    Ok(Graph {
        count,
        edges,
        rows_in_all,
        cut_edges,
        callers,
        callees,
    })
}

/// The least that a share of all flat values comes to.
fn cutoff(rows: &[Row], fraction: f64) -> u64 {
    let total = rows
        .iter()
        .fold(0i64, |sum, row| sum.saturating_add(row.flat.value));
    (total as f64 * fraction).abs() as u64
}

fn holds(row: &Row) -> bool {
    row.flat.value != 0 || row.cum.value != 0
}

/// The rows to keep, in order, and how many there are that hold something.
fn kept(rows: &[Row], cut: &Cut) -> (Vec<usize>, usize) {
    let least = cutoff(rows, cut.node_fraction);
    let in_all = rows.iter().filter(|row| holds(row)).count();
    let mut kept: Vec<usize> = (0..rows.len())
        .filter(|&at| rows[at].cum.value.unsigned_abs() >= least)
        .collect();
    kept.sort_by(|&a, &b| cut.order.compare(&rows[a], &rows[b]));
    kept.truncate(cut.rows);
    (kept, in_all)
}

/// Edges under construction, by caller and callee.
#[derive(Default)]
struct Edges {
    edges: HashMap<(usize, usize), Edge>,
    /// Those of one stack; only kept for its memory.
    seen: HashSet<(usize, usize)>,
}

impl Edges {
    fn walk(&mut self, stack: &[Step], places: &HashMap<usize, usize>, measure: Measure) {
        self.seen.clear();
        let (mut caller, mut residual) = (None, false);
        for step in stack.iter().rev() {
            let Some(&callee) = places.get(&(step.row as usize)) else {
                residual = true;
                continue;
            };
            if let Some(caller) = caller
                && caller != callee
                && self.seen.insert((caller, callee))
            {
                let edge = self.edges.entry((caller, callee)).or_insert_with(|| Edge {
                    caller,
                    callee,
                    weight: Measure::default(),
                    inlined: true,
                    residual: false,
                });
                edge.weight.add(measure);
                edge.inlined &= step.inlined;
                edge.residual |= residual;
            }
            (caller, residual) = (Some(callee), false);
        }
    }

    /// Those that weigh something, and how many weigh too little.
    fn finish(self, rows: &[Row], cutoff: u64) -> (Vec<Edge>, usize) {
        let weight = |edge: &Edge| edge.weight.value.unsigned_abs();
        let mut edges: Vec<Edge> = self.edges.into_values().collect();
        edges.retain(|edge| weight(edge) > 0);
        let in_all = edges.len();
        edges.retain(|edge| weight(edge) >= cutoff);
        edges.sort_by(|a, b| {
            let names = |edge: &Edge| (&rows[edge.caller].key, &rows[edge.callee].key);
            let by_name = || names(a).cmp(&names(b));
            weight(b).cmp(&weight(a)).then_with(by_name)
        });
        let cut = in_all - edges.len();
        (edges, cut)
    }
}

#[cfg(test)]
mod tests;
