//! Samples one by one, with their stacks.
#![forbid(unsafe_code)]

use super::count::counter::{Counter, Step};
use super::key::{Blame, By, Key};
use super::labels;
use super::measure::{Measure, Value};
use super::name::{fit_key, printable};
use super::subject::{Subject, Whole};
use super::table::Tone;
use super::top::Layout;
use crate::profile::Label;
use crate::{Error, Result};
use std::io::{self, Write};

/// Stacks with their values.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Traces {
    /// What frames are told by.
    pub by: By,
    /// What was measured.
    pub value: Value,
    /// All of them together.
    pub total: Measure,
    /// What 100 % is.
    pub whole: Whole,
    /// What frames there are; see [`Trace::stack`].
    pub keys: Vec<Key>,
    /// One per sample that has a stack, the largest first.
    pub traces: Vec<Trace>,
}

/// One sample.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Trace {
    /// Its value.
    pub measure: Measure,
    /// Its labels.
    pub labels: Vec<Label>,
    /// Leaf first.
    pub stack: Vec<TraceFrame>,
    /// Index into the stack: the frame to blame.
    pub blamed: usize,
}

/// A frame of a [`Trace`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct TraceFrame {
    /// Index into [`Traces::keys`].
    pub key: usize,
    /// Inlined into the next frame.
    pub inlined: bool,
}

/// Lists what is selected: of each stack the frames that have rows, so that plumbing is left out unless the leaf is blamed.
/// Samples of 0 are listed as well, as pprof does: allocated once, and all freed.
///
/// # Errors
/// Input error if frames cannot be told by `by`: sites, threads, labels and ages.
pub fn traces(subject: &Subject, by: By, blame: Blame) -> Result<Traces> {
    if !by.is_frame() {
        return Err(Error::input(format!(
            "a stack has no {}s; lines, functions, files, addresses and crates it has",
            by.name()
        )));
    }
    let mut counter = Counter::new(&subject.profile, by, blame, true);
    let mut steps = Vec::new();
    let mut traces = Vec::new();
    for (sample, &measure) in subject.profile.samples.iter().zip(&subject.measures) {
        if sample.locations.is_empty() {
            continue;
        }
        let blamed = counter.steps(sample, &mut steps);
        let place = steps.iter().position(|step| step.row as usize == blamed);
        let frame = |step: &Step| TraceFrame {
            key: step.row as usize,
            inlined: step.inlined,
        };
        traces.push(Trace {
            measure,
            labels: sample.labels.clone(),
            blamed: place.unwrap_or(0),
            stack: steps.iter().map(frame).collect(),
        });
    }
    // Stable: those of one value stay in the profile's order.
    traces.sort_by_key(|trace| std::cmp::Reverse(trace.measure.value.unsigned_abs()));
    Ok(Traces {
        by,
        value: subject.value.clone(),
        total: subject.total(),
        whole: subject.whole,
        keys: counter.rows.into_iter().map(|row| row.key).collect(),
        traces,
    })
}

/// Writes a block per trace: labels, and the stack with the value at its leaf.
///
/// # Errors
/// What `out` returns.
pub fn write(traces: &Traces, layout: &Layout, out: &mut dyn Write) -> io::Result<()> {
    let shown = &traces.traces[..traces.traces.len().min(layout.rows)];
    let has_error = traces.value.quality.has_error();
    let value = |trace: &Trace| {
        let measure = &trace.measure;
        let error = Some(measure.standard_error()).filter(|&it| has_error && it > 0.0);
        traces
            .value
            .scale
            .with_error(measure.value, error, traces.value.unit())
    };
    let texts: Vec<String> = shown.iter().map(value).collect();
    let column = texts.iter().map(|text| text.chars().count()).max();
    let column = column.unwrap_or(0);
    let room = layout.width.saturating_sub(column + 2 + INLINED.len());
    for (trace, text) in shown.iter().zip(&texts) {
        writeln!(out)?;
        for label in &trace.labels {
            let name = format!("{}: {}", label.key, labels::text_of(label));
            let name = printable(&name);
            writeln!(
                out,
                "{:column$}  {}",
                "",
                layout.paint.apply(Tone::Faint, &name)
            )?;
        }
        for (at, frame) in trace.stack.iter().enumerate() {
            let text = if at == 0 { text.as_str() } else { "" };
            let padding = " ".repeat(column.saturating_sub(text.chars().count()));
            let mut name = fit_key(&traces.keys[frame.key], room);
            if frame.inlined {
                name.push_str(INLINED);
            }
            let tone = match at == trace.blamed {
                true => Tone::Plain,
                false => Tone::Faint,
            };
            writeln!(out, "{padding}{text}  {}", layout.paint.apply(tone, &name))?;
        }
    }
    Ok(())
}

/// After the name of what is inlined into the next frame.
pub(super) const INLINED: &str = " (inline)";
