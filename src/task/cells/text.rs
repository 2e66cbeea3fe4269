//! Cells and what is left of them, as text.
#![forbid(unsafe_code)]

use std::fmt::{self, Write};

use super::{CellSite, Held, TaskCells, Unreaped};
use crate::view::measure::Measure;
use crate::view::name::{fit, fit_function, printable};
use crate::view::units;

/// Columns before a row's second line.
const INDENT: usize = 34;

impl TaskCells {
    /// A table of at most `most` sites, each line at most about `width` columns wide; empty if there are no cells.
    pub fn text(&self, most: usize, width: usize) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = self.write(most, width, &mut text);
        text
    }

    fn write(&self, most: usize, width: usize, text: &mut String) -> fmt::Result {
        if self.sites.is_empty() {
            return Ok(());
        }
        let quality = match self.is_exact() {
            true => "exact",
            false => "estimated, ± one standard error",
        };
        writeln!(
            text,
            "{} task cells in the heap, those of ended tasks that are still kept as well ({quality})",
            number(self.live(), self.is_exact())
        )?;
        writeln!(text)?;
        writeln!(text, "{:>16}  {:>14}  spawned at", "cells", "bytes")?;
        let live = self.sites.iter().filter(|site| site.live.value != 0);
        for site in live.clone().take(most) {
            self.row(site, width, text)?;
        }
        let rest: i64 = live.clone().skip(most).map(|site| site.live.value).sum();
        if rest != 0 {
            let lines = live.count() - most;
            writeln!(text, "{:>16}  at {lines} more lines", units::count(rest))?;
        }
        Ok(())
    }

    fn row(&self, site: &CellSite, width: usize, text: &mut String) -> fmt::Result {
        let room = width.saturating_sub(INDENT).max(20);
        writeln!(
            text,
            "{:>16}  {:>14}  {}",
            number(site.live, self.is_exact()),
            units::bytes(site.live_bytes.value as f64),
            fit(&site.spawned_at, room)
        )?;
        let mut second = site.runtime.to_owned();
        if !site.future.is_empty() {
            let _ = write!(second, ", {}", fit_function(&site.future, room));
        }
        if let Some(library) = &site.library {
            let _ = write!(second, ", by {}", fit_function(&library.function, room));
        }
        let _ = write!(second, "; {} gone", units::count(site.freed()));
        writeln!(text, "{:INDENT$}{second}", "")
    }
}

fn number(measure: Measure, is_exact: bool) -> String {
    let error = (!is_exact).then(|| measure.standard_error());
    units::with_error(measure.value, error, "count")
}

/// A finding, and what to do.
pub(super) fn paragraph(found: &Unreaped) -> String {
    let site = &found.site;
    let mut text = match found.growth {
        Some(growth) => format!(
            "Completed but never reaped: {} more tasks than before have ended and are still kept",
            units::count(growth)
        ),
        None => format!(
            "Completed, not reaped: {} tasks have ended and are still kept",
            units::count(found.left_over)
        ),
    };
    let place = match site.spawned_at.file.is_empty() {
        true => fit_function(&site.spawned_at.function, 80),
        false => format!(
            "{}:{}",
            printable(&site.spawned_at.file),
            site.spawned_at.line
        ),
    };
    let _ = match found.of_all {
        false => write!(text, ", spawned at {place}"),
        true => write!(text, "; the line with most of them spawns at {place}"),
    };
    if !site.future.is_empty() {
        let _ = write!(text, " ({})", fit_function(&site.future, 80));
    }
    let _ = write!(
        text,
        ". {} cells, {}, and {} tasks alive",
        units::count(found.left_over + found.alive as i64),
        units::bytes(site.live_bytes.value as f64),
        units::count(found.alive as i64)
    );
    if found.at_least != found.left_over {
        let least = units::count(found.at_least.max(1));
        let _ = write!(
            text,
            " (at least {least} left over but for one chance in a million)"
        );
    }
    let _ = write!(text, ". {}", advice(&site.held));
    text
}

fn advice(held: &[Held]) -> String {
    match held.first() {
        Some(Held::JoinSet { entries }) => format!(
            "A JoinSet has {} entries of this line: take ended tasks out with join_next or try_join_next while spawning, \
             or use a TaskTracker, which keeps nothing.",
            units::count(entries.value)
        ),
        Some(Held::FuturesUnordered { tasks }) => format!(
            "A FuturesUnordered that is filled in the same function holds {}: poll it (`next().await`) while filling it.",
            units::count(tasks.value)
        ),
        Some(Held::Vec {
            grows_at,
            of_handles,
            ..
        }) => {
            let what = match of_handles {
                true => "A Vec of JoinHandles",
                false => "A Vec, of JoinHandles perhaps,",
            };
            format!(
                "{what} grows at line {}: await the handles, remove those that are finished (`retain(|it| !it.is_finished())`), \
                 or drop them, which does not stop a task.",
                grows_at.line
            )
        }
        None => "Whoever keeps the JoinHandle, an AbortHandle, a JoinSet's entry or a waker of a task keeps its cell: await the \
                 handle or drop it."
            .to_owned(),
    }
}
