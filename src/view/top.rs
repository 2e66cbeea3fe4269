//! A [`Count`] as text.
#![forbid(unsafe_code)]

use super::count::{Count, Order, Row};
use super::key::{Blame, By};
use super::measure::{Quality, Value};
use super::name::printable;
use super::table::{Paint, Table, Tone};
use super::units;
use std::io::{self, Write};

/// How to write a [`Count`].
#[derive(Clone, Debug)]
pub struct Layout {
    /// Rows to show.
    pub rows: usize,
    /// Columns there are.
    pub width: usize,
    /// Colours.
    pub paint: Paint,
}

/// What was added up and how good it is, in a line: `inuse_space, estimated from 1 in 512 KiB (2,113 sampled
/// allocations), ±1 standard error`.
pub fn describe(count: &Count) -> String {
    describe_value(&count.value, count.total.sampled)
}

/// The same of a value of which so many allocations were sampled.
pub(crate) fn describe_value(value: &Value, sampled: f64) -> String {
    let sampled = units::count(sampled.round() as i64);
    let kind = value.kind();
    match value.quality {
        Quality::Exact => match value.things() {
            Some(things) => format!("{things}, exact: each of them is counted"),
            None => format!("{kind}, exact"),
        },
        Quality::Recorded { interval: 0 } => format!(
            "{kind}, estimated ({sampled} sampled allocations; sampling is off now), ±1 standard error"
        ),
        Quality::Recorded { interval } => {
            let often = how_often(interval);
            format!(
                "{kind}, estimated from {often} ({sampled} sampled allocations), ±1 standard error"
            )
        }
        Quality::Derived { interval } => {
            let often = how_often(interval);
            format!(
                "{kind}, estimated from {often} (about {sampled} sampled allocations), ±1 standard error \
                 from each stack's mean size"
            )
        }
        Quality::Unknown => {
            format!(
                "{kind}, of unknown accuracy (the profile does not say how all of it was sampled)"
            )
        }
    }
}

/// `1 in 512 KiB`. An estimate at interval 1 is one that began otherwise, or of which something was lost.
pub(super) fn how_often(interval: u64) -> String {
    match interval {
        1 => "every allocation, but not all from the start".to_owned(),
        _ => format!("1 in {}", units::round_bytes(interval)),
    }
}

/// What flat and cum mean, in a line.
pub fn explain(by: By, blame: Blame) -> &'static str {
    match (by, blame) {
        (By::Thread, _) => "flat = cum = allocated by the thread",
        (By::Site, _) => "flat = cum = allocated by the stack",
        (_, Blame::Application) => {
            "flat = blamed, the first frame that is not std, alloc or the like; cum = passed through"
        }
        (_, Blame::Leaf) => "flat = at the leaf of the stack; cum = passed through",
    }
}

/// Writes what was counted, the total, and the largest rows; `count` must have been sorted by `order`.
///
/// # Errors
/// What `out` returns.
pub fn write(
    count: &Count,
    order: Order,
    blame: Blame,
    layout: &Layout,
    out: &mut dyn Write,
) -> io::Result<()> {
    let shown = count.rows.len().min(layout.rows);
    let rows = &count.rows[..shown];
    writeln!(out, "{}", printable(&describe(count)))?;
    let error = count
        .value
        .quality
        .has_error()
        .then(|| count.total.standard_error());
    let total = units::with_error(
        count.total.value,
        error.filter(|&error| error > 0.0),
        count.value.unit(),
    );
    let total = printable(&total);
    let all = rows
        .iter()
        .fold(0i64, |sum, row| sum.saturating_add(row.flat.value));
    let (name, share) = (
        plural(count.by, count.rows.len()),
        units::percent(all, count.total.value),
    );
    writeln!(
        out,
        "total {total}; {shown} of {} {name} shown, flat {share} of the total",
        units::count(count.rows.len() as i64)
    )?;
    let explain = match (count.value.things(), count.by) {
        (Some(_), By::Thread | By::Site) => "flat = cum = how many there are",
        _ => explain(count.by, blame),
    };
    writeln!(out, "{}", layout.paint.apply(Tone::Faint, explain))?;
    if order == Order::Lifetime {
        let text = "lifetime = mean over the freed bytes (estimated, from buckets that double); most freed first: \
                    much freed and short-lived is churn";
        writeln!(out, "{}", layout.paint.apply(Tone::Faint, text))?;
    }
    writeln!(out)?;
    let table = match order {
        Order::Lifetime => by_lifetime(count, rows),
        Order::Flat | Order::Cum => by_value(count, rows),
    };
    table.write(out, layout.width, &layout.paint)
}

fn by_value(count: &Count, rows: &[Row]) -> Table {
    let mut table = Table::new(&["flat", "flat%", "cum", "cum%", count.by.name()]);
    for row in rows {
        let error = |variance: f64| (variance > 0.0).then(|| variance.sqrt());
        let flat = units::with_error(row.flat.value, error(row.flat.variance), count.value.unit());
        let cum = units::quantity(row.cum.value, count.value.unit());
        let cells = vec![
            (flat, Tone::Plain),
            (
                units::percent(row.flat.value, count.total.value),
                Tone::Plain,
            ),
            (cum, Tone::Faint),
            (
                units::percent(row.cum.value, count.total.value),
                Tone::Faint,
            ),
        ];
        table.row(cells, row.key.clone());
    }
    table
}

fn by_lifetime(count: &Count, rows: &[Row]) -> Table {
    let mut table = Table::new(&["freed", "lifetime", "flat", count.by.name()]);
    for row in rows {
        let lifetime = row
            .mean_lifetime()
            .map_or("–".into(), |nanos| units::duration(nanos as u64));
        let flat = units::quantity(row.flat.value, count.value.unit());
        let cells = vec![
            (units::bytes(row.freed_bytes), Tone::Plain),
            (lifetime, Tone::Plain),
            (flat, Tone::Faint),
        ];
        table.row(cells, row.key.clone());
    }
    table
}

/// The word for `number` rows.
pub fn plural(by: By, number: usize) -> String {
    format!("{}{}", by.name(), if number == 1 { "" } else { "s" })
}
