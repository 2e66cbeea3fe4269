//! A [`Growth`] as text.
#![forbid(unsafe_code)]

use super::growth::{Change, Growth, GrowthRow};
use super::header::how_often;
use super::measure::Quality;
use super::name::printable;
use super::significance::{LEVEL, Verdict};
use super::table::{Table, Tone};
use super::top::{Layout, plural};
use super::units;
use std::io::{self, Write};

/// Writes how exact the comparison is, the total, and the rows that grew most. Rows that did not change are
/// left out.
///
/// # Errors
/// What `out` returns.
pub fn write(growth: &Growth, layout: &Layout, out: &mut dyn Write) -> io::Result<()> {
    for line in describe(growth) {
        writeln!(out, "{}", printable(&line))?;
    }
    let changed: Vec<&GrowthRow> = growth
        .rows
        .iter()
        .filter(|row| row.change.growth != 0)
        .collect();
    let shown = changed.len().min(layout.rows);
    if changed.is_empty() {
        return writeln!(
            out,
            "nothing changed in {} {}",
            growth.rows.len(),
            plural(growth.by, growth.rows.len())
        );
    }
    writeln!(out)?;
    let table = table(growth, &changed[..shown], layout.width);
    table.write(out, layout.width, &layout.paint)?;
    let hidden = changed.len() - shown;
    if hidden > 0 {
        let sum = changed[shown..]
            .iter()
            .fold(0i64, |sum, row| sum.saturating_add(row.change.growth));
        let text = format!(
            "{hidden} more changed, together {}; -n {} shows them",
            units::change(sum, None, growth.new_value.unit()),
            changed.len()
        );
        writeln!(out, "{}", layout.paint.apply(Tone::Faint, &text))?;
    }
    Ok(())
}

/// Where columns are few the base goes: it is the new value less the growth.
fn table(growth: &Growth, rows: &[&GrowthRow], width: usize) -> Table {
    let roomy = width >= ROOMY;
    let titles = [
        "growth",
        "share",
        "base",
        "new",
        "verdict",
        growth.by.name(),
    ];
    let titles: Vec<&str> = titles
        .into_iter()
        .filter(|&title| roomy || title != "base")
        .collect();
    let mut table = Table::new(&titles);
    let unit = growth.new_value.unit();
    for row in rows {
        let change = &row.change;
        let mut cells = vec![
            (growth_text(change, unit), tone(change)),
            (
                units::percent(change.growth, growth.total.growth),
                Tone::Plain,
            ),
        ];
        if roomy {
            cells.push((units::quantity(change.base.value, unit), Tone::Faint));
        }
        cells.push((units::quantity(change.new.value, unit), Tone::Faint));
        cells.push((change.verdict.name().to_owned(), tone(change)));
        table.row(cells, row.key.clone());
    }
    table
}

/// Columns from which on there is room for all numbers and a name.
const ROOMY: usize = 100;

/// The total and how good the numbers are, a sentence each.
fn describe(growth: &Growth) -> Vec<String> {
    let change = &growth.total;
    let (kind, unit) = (growth.new_value.kind(), growth.new_value.unit());
    let quantity = |value| units::quantity(value, unit);
    let judged = match change.verdict {
        Verdict::Significant | Verdict::WithinNoise => format!(", {}", change.verdict.name()),
        Verdict::Exact | Verdict::Unknown => String::new(),
    };
    let kind = growth.new_value.things().unwrap_or(kind);
    let mut lines = vec![format!(
        "{kind} {} → {}: {}{judged}",
        quantity(change.base.value),
        quantity(change.new.value),
        growth_text(change, unit)
    )];
    let qualities = (growth.base_value.quality, growth.new_value.quality);
    lines.push(match qualities {
        (Quality::Exact, Quality::Exact) if growth.new_value.things().is_some() => {
            "exact: each of them is counted".to_owned()
        }
        (Quality::Exact, Quality::Exact) => "exact: every allocation was recorded".to_owned(),
        (Quality::Unknown, _) | (_, Quality::Unknown) => {
            "of unknown accuracy: a profile does not say how all of it was sampled, so nothing is said about chance".to_owned()
        }
        (base, new) => {
            let mut text = format!("estimated from {}", interval(new, change.new.sampled));
            if base.interval() != new.interval() {
                text = format!("base {}; new {}", interval(base, change.base.sampled), interval(new, change.new.sampled));
            }
            let derived = |quality| matches!(quality, Quality::Derived { .. });
            let source = if derived(base) || derived(new) { " from each stack's mean size" } else { "" };
            format!("{text}; ±1 standard error{source}")
        }
    });
    if growth.same_process && change.verdict != Verdict::Exact {
        lines
            .push("one process at two times: the error of what is live in both cancels".to_owned());
    }
    if change.p.is_some() {
        let tests = growth.rows.len();
        lines.push(format!(
            "significant: p < {LEVEL} after Bonferroni's correction for {tests} {}",
            plural(growth.by, tests)
        ));
    }
    lines
}

fn interval(quality: Quality, sampled: f64) -> String {
    let sampled = units::count(sampled.round() as i64);
    match quality.interval() {
        Some(0) => format!("{sampled} sampled allocations, before sampling was turned off"),
        Some(interval) => format!("{} ({sampled} sampled allocations)", how_often(interval)),
        None => quality.name().to_owned(),
    }
}

fn growth_text(change: &Change, unit: &str) -> String {
    units::change(
        change.growth,
        change.p.map(|_| change.standard_error()),
        unit,
    )
}

fn tone(change: &Change) -> Tone {
    match change.verdict {
        Verdict::Significant | Verdict::Exact if change.growth > 0 => Tone::Alarm,
        Verdict::Significant | Verdict::Exact if change.growth < 0 => Tone::Relief,
        Verdict::WithinNoise => Tone::Faint,
        _ => Tone::Plain,
    }
}
