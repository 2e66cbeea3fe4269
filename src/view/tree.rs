//! A [`Graph`] as text: each row with those that call it above and those that it calls below.
#![forbid(unsafe_code)]

use super::graph::{Edge, Graph};
use super::key::Key;
use super::measure::Measure;
use super::table::{Table, Tone};
use super::top::{Layout, plural};
use super::traces::INLINED;
use super::units;
use std::io::{self, Write};

/// Writes the rows for which `wanted` holds, and what was left out of the graph.
///
/// # Errors
/// What `out` returns.
pub fn write(
    graph: &Graph,
    wanted: impl Fn(&Key) -> bool,
    layout: &Layout,
    out: &mut dyn Write,
) -> io::Result<()> {
    let count = &graph.count;
    let legend =
        "← is called by, → calls: cum = what passes there, cum% = its share of the row's cum";
    writeln!(out, "{}", layout.paint.apply(Tone::Faint, legend))?;
    let unit = count.value.unit();
    let quantity = |measure: &Measure| count.value.scale.quantity(measure.value, unit);
    let mut table = Table::new(&["flat", "flat%", "cum", "cum%", count.by.name()]);
    let none = || (String::new(), Tone::Plain);
    for (at, row) in graph.shown() {
        if !wanted(&row.key) {
            continue;
        }
        table.gap();
        let neighbour = |table: &mut Table, edge: &Edge, arrow: &str, other: usize| {
            let cells = vec![
                none(),
                none(),
                (quantity(&edge.weight), Tone::Faint),
                (
                    units::percent(edge.weight.value, row.cum.value),
                    Tone::Faint,
                ),
            ];
            let after = if edge.inlined { INLINED } else { "" };
            table.marked(cells, arrow, count.rows[other].key.clone(), after);
        };
        for edge in graph.callers(at) {
            neighbour(&mut table, edge, "  ← ", edge.caller);
        }
        let error = |measure: &Measure| {
            let error = Some(measure.standard_error());
            error.filter(|&error| count.value.quality.has_error() && error > 0.0)
        };
        let whole = count.whole.value;
        let flat = count
            .value
            .scale
            .with_error(row.flat.value, error(&row.flat), unit);
        let cells = vec![
            (flat, Tone::Plain),
            (units::percent(row.flat.value, whole), Tone::Plain),
            (quantity(&row.cum), Tone::Plain),
            (units::percent(row.cum.value, whole), Tone::Plain),
        ];
        table.row(cells, row.key.clone());
        for edge in graph.callees(at) {
            neighbour(&mut table, edge, "  → ", edge.callee);
        }
    }
    table.write(out, layout.width, &layout.paint)?;
    let cut_rows = graph.rows_in_all - graph.shown().count();
    if cut_rows > 0 || graph.cut_edges > 0 {
        let text = format!(
            "\nleft out: {} of {} {}, {} call{}; --nodefraction 0 --edgefraction 0 -n {} shows all",
            units::count(cut_rows as i64),
            units::count(graph.rows_in_all as i64),
            plural(count.by, graph.rows_in_all),
            units::count(graph.cut_edges as i64),
            if graph.cut_edges == 1 { "" } else { "s" },
            graph.rows_in_all
        );
        writeln!(out, "{}", layout.paint.apply(Tone::Faint, &text))?;
    }
    Ok(())
}
