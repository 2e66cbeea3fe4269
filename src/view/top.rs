//! A [`Count`] as text.
#![forbid(unsafe_code)]

use super::count::{Count, Order, Row};
use super::header;
use super::key::{Blame, By};
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

/// What flat and cum mean, in a line.
pub fn explain(by: By, blame: Blame) -> &'static str {
    match (by, blame) {
        (By::Thread, _) => "flat = cum = allocated by the thread",
        (By::Label, _) => "flat = cum = of samples with these labels",
        (By::Age, _) => "flat = cum = as old as that",
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
    let described = header::describe(&count.value, &count.total, count.whole);
    writeln!(out, "{}", printable(&described))?;
    let total = header::total(&count.value, &count.total, count.whole);
    let total = printable(&total);
    let of = match count.whole.is_of_difference() {
        true => "",
        false => " of the total",
    };
    let all = rows
        .iter()
        .fold(0i64, |sum, row| sum.saturating_add(row.flat.value));
    let (name, share) = (
        plural(count.by, count.rows.len()),
        units::percent(all, count.whole.value),
    );
    writeln!(
        out,
        "{total}; {shown} of {} {name} shown, flat {share}{of}",
        units::count(count.rows.len() as i64)
    )?;
    let explain = match (count.value.things(), count.by) {
        (Some(_), By::Thread | By::Site | By::Label) => "flat = cum = how many there are",
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
        let flat = count.value.scale.with_error(
            row.flat.value,
            error(row.flat.variance),
            count.value.unit(),
        );
        let cum = count
            .value
            .scale
            .quantity(row.cum.value, count.value.unit());
        let cells = vec![
            (flat, Tone::Plain),
            (
                units::percent(row.flat.value, count.whole.value),
                Tone::Plain,
            ),
            (cum, Tone::Faint),
            (
                units::percent(row.cum.value, count.whole.value),
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
        let flat = count
            .value
            .scale
            .quantity(row.flat.value, count.value.unit());
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
    let plural = match (number, by) {
        (1, _) => "",
        (_, By::Address) => "es",
        _ => "s",
    };
    format!("{}{plural}", by.name())
}
