//! [`Tag`]s as text.
#![forbid(unsafe_code)]

use super::key::Key;
use super::labels::{self, Tag};
use super::measure::{Measure, Value};
use super::name::printable;
use super::table::{Table, Tone};
use super::top::Layout;
use super::units;
use std::io::{self, Write};

/// Writes a table per key: the values that carry most first, each with its share of the key's total.
///
/// # Errors
/// What `out` returns.
pub fn write(tags: &[Tag], value: &Value, layout: &Layout, out: &mut dyn Write) -> io::Result<()> {
    let text = |measure: &Measure| {
        let error = Some(measure.standard_error());
        let error = error.filter(|&error| value.quality.has_error() && error > 0.0);
        value.scale.with_error(measure.value, error, value.unit())
    };
    for tag in tags {
        writeln!(out)?;
        let (key, of) = (printable(&tag.key), tag.values.len());
        let plural = if of == 1 { "" } else { "s" };
        let summary = format!(
            "{key}: {}, {} value{plural}",
            text(&tag.total),
            units::count(of as i64)
        );
        writeln!(out, "{summary}")?;
        let mut table = Table::new(&["flat", "flat%", "value"]);
        for (label, measure) in tag.values.iter().take(layout.rows) {
            let cells = vec![
                (text(measure), Tone::Plain),
                (units::percent(measure.value, tag.total.value), Tone::Plain),
            ];
            table.row(cells, Key::Name(labels::text(label)));
        }
        table.write(out, layout.width, &layout.paint)?;
        if of > layout.rows {
            let more = format!("{} more; -n {of} shows them", of - layout.rows);
            writeln!(out, "{}", layout.paint.apply(Tone::Faint, &more))?;
        }
    }
    Ok(())
}
