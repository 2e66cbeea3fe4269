//! Source with numbers in front of it.
#![forbid(unsafe_code)]

use super::{Args, Shown};
use crate::cli::style::Look;
use crate::view::growth::Change;
use crate::view::header::describe_value;
use crate::view::listing::{Inlined, ListedLine, Listing, Sum};
use crate::view::name::{fit, printable, source};
use crate::view::significance::Verdict;
use crate::view::table::{Paint, Tone};
use crate::view::{Frame, Measure, Value, units};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

pub(super) fn write(
    args: &Args,
    look: &Look,
    listing: &Listing,
    whole: Option<i64>,
    shown: &[Shown<'_>],
    out: &mut dyn Write,
) -> io::Result<()> {
    let total = &listing.total;
    let described = describe_value(&listing.value, total.here.sampled);
    writeln!(out, "{}", printable(&described))?;
    let value = &listing.value;
    let sum = match &total.change {
        Some(change) => format!(
            "{} → {}: {}",
            quantity(value, change.base.value),
            quantity(value, change.new.value),
            growth(value, change)
        ),
        None => measured(listing, &total.here),
    };
    let functions = listing.functions.len();
    writeln!(
        out,
        "total {}; {} of {} functions that match hold something",
        printable(&sum),
        units::count(functions as i64),
        units::count(listing.chosen as i64)
    )?;
    let page = Page {
        args,
        listing,
        whole: whole.unwrap_or(total.here.value),
        paint: look.paint(),
        width: args.width.or(look.width).unwrap_or(usize::MAX),
    };
    let explain = match (&total.change, args.leaf) {
        (Some(_), _) => "flat, cum = what changed of it",
        (None, true) => "flat = at the leaf of the stack; cum = passed through",
        (None, false) => {
            "flat = blamed, the first frame that is not std, alloc or the like; cum = passed through"
        }
    };
    writeln!(out, "{}", page.paint.apply(Tone::Faint, explain))?;
    for shown in shown {
        page.function(shown, out)?;
    }
    if functions > shown.len() {
        let more = format!(
            "{} more functions; -n {functions} shows them",
            functions - shown.len()
        );
        writeln!(out, "\n{}", page.paint.apply(Tone::Faint, &more))?;
    }
    Ok(())
}

struct Page<'a> {
    args: &'a Args,
    listing: &'a Listing,
    /// 100 %.
    whole: i64,
    paint: Paint,
    width: usize,
}

/// Numbers of a row, and their tones.
type Cells = [(String, Tone); 3];

/// What stands in a row.
enum Row<'l> {
    /// A number of a line, and its text if there is one.
    Line(i64, Option<&'l str>),
    Inlined(&'l Inlined),
    /// Lines that are not shown.
    Gap(i64),
    Note(String),
}

impl Page<'_> {
    fn function(&self, shown: &Shown<'_>, out: &mut dyn Write) -> io::Result<()> {
        let listed = shown.listed;
        let name = crate::view::name::fit_function(&listed.function, self.width);
        writeln!(out, "\n{}", self.paint.apply(Tone::Heading, &name))?;
        self.place(shown, out)?;
        writeln!(
            out,
            "flat {}, cum {}",
            self.summed(&listed.flat),
            self.summed(&listed.cum)
        )?;
        let rows = self.rows(shown);
        let mut widths: [usize; 3] = [0; 3];
        for (cells, _) in &rows {
            for (width, (text, _)) in widths.iter_mut().zip(cells) {
                *width = (*width).max(text.chars().count());
            }
        }
        let titles = match self.listing.base_value {
            Some(_) => ["flat", "cum", "now"],
            None => ["flat", "cum", ""],
        };
        let mut heading = String::new();
        for (width, title) in widths.iter_mut().zip(titles) {
            *width = (*width).max(title.len());
            if *width > 0 {
                heading.push_str(&format!("{title:>width$}  ", width = *width));
            }
        }
        heading.push_str("  line");
        writeln!(out, "{}", self.paint.apply(Tone::Heading, &heading))?;
        for (cells, row) in rows {
            for ((text, tone), &width) in cells.iter().zip(&widths) {
                if width > 0 {
                    let padding = " ".repeat(width.saturating_sub(text.chars().count()));
                    write!(out, "{padding}{}  ", self.paint.apply(*tone, text))?;
                }
            }
            let used: usize = widths.iter().filter(|&&it| it > 0).map(|it| it + 2).sum();
            writeln!(
                out,
                "{}",
                self.text(&row, self.width.saturating_sub(used)).trim_end()
            )?;
        }
        Ok(())
    }

    /// Which file it is, or where it was looked for.
    fn place(&self, shown: &Shown<'_>, out: &mut dyn Write) -> io::Result<()> {
        let file = printable(&shown.listed.file);
        match shown.source.as_deref() {
            None => writeln!(out, "the profile does not tell its source file")?,
            Some(Ok(found)) => {
                let path = found.path.to_string_lossy();
                match path == shown.listed.file.as_str() {
                    true => writeln!(out, "{file}")?,
                    false => writeln!(out, "{file}, read from {}", printable(&path))?,
                }
            }
            Some(Err(missing)) => {
                writeln!(out, "{file}: not found")?;
                let shown = missing.tried.iter().take(TRIED);
                let tried: Vec<String> = shown
                    .map(|path| printable(&path.to_string_lossy()).into_owned())
                    .collect();
                let more = match missing.tried.len().saturating_sub(TRIED) {
                    0 => String::new(),
                    more => format!(" and {more} more"),
                };
                let text = format!("tried {}{more}", tried.join(", "));
                writeln!(out, "{}", self.paint.apply(Tone::Faint, &text))?;
                if let Some(hint) = &missing.hint {
                    writeln!(out, "{}", self.paint.apply(Tone::Faint, hint))?;
                }
            }
        }
        if let Some(warning) = &shown.warning {
            writeln!(out, "{}", self.paint.apply(Tone::Alarm, warning))?;
        }
        Ok(())
    }

    fn rows<'l>(&self, shown: &'l Shown<'_>) -> Vec<(Cells, Row<'l>)> {
        let listed = shown.listed;
        let hits: BTreeMap<i64, &ListedLine> =
            listed.lines.iter().map(|it| (it.line, it)).collect();
        let source = match shown.source.as_deref() {
            Some(Ok(source)) => Some(&source.lines),
            _ => None,
        };
        let mut numbers: BTreeSet<i64> = hits.keys().copied().collect();
        if let Some(lines) = source {
            numbers.extend(self.around(&hits, listed.start_line, lines.len()));
        }
        // A gap of one line takes as much room as the line.
        let single: Vec<i64> = numbers
            .iter()
            .map(|number| number + 1)
            .filter(|between| source.is_some() && numbers.contains(&(between + 1)))
            .collect();
        numbers.extend(single);
        let mut rows = Vec::new();
        let mut before = None;
        for number in numbers {
            if let Some(before) = before
                && number - before > 1
                && source.is_some()
            {
                rows.push((none(), Row::Gap(number - before - 1)));
            }
            before = Some(number).filter(|&number| number > 0);
            let text = source.and_then(|lines| {
                let at = usize::try_from(number.checked_sub(1)?).ok()?;
                lines.get(at).map(String::as_str)
            });
            let Some(line) = hits.get(&number) else {
                rows.push((none(), Row::Line(number, text)));
                continue;
            };
            rows.push((self.cells(&line.flat, &line.cum), Row::Line(number, text)));
            let most = if self.args.all_lines {
                usize::MAX
            } else {
                INLINED
            };
            for inlined in line.inlined.iter().take(most) {
                rows.push((
                    self.cells(&inlined.flat, &inlined.cum),
                    Row::Inlined(inlined),
                ));
            }
            let more = line.inlined.len().saturating_sub(most);
            if more > 0 {
                let note = format!("{more} more inlined; --all-lines shows them");
                rows.push((none(), Row::Note(note)));
            }
        }
        rows
    }

    /// The lines to show for the sake of those that hold something.
    fn around(&self, hits: &BTreeMap<i64, &ListedLine>, start: i64, have: usize) -> Vec<i64> {
        let last = i64::try_from(have).unwrap_or(i64::MAX);
        let context = i64::try_from(self.args.context).unwrap_or(i64::MAX);
        let whole = |from: i64, to: i64| from.max(1)..=to.min(last);
        let mut lines = Vec::new();
        for &hit in hits.keys().filter(|&&hit| hit > 0 && hit <= last) {
            lines.extend(whole(
                hit.saturating_sub(context),
                hit.saturating_add(context),
            ));
        }
        if start > 0 && start <= last {
            lines.push(start);
            lines.retain(|&line| line >= start);
        }
        if let (true, Some(&from), Some(&to)) =
            (self.args.all_lines, lines.iter().min(), lines.iter().max())
        {
            lines.extend(from..=to);
        }
        lines
    }

    fn cells(&self, flat: &Sum, cum: &Sum) -> Cells {
        let value = &self.listing.value;
        let cell = |text: String, is_zero: bool, tone| match is_zero {
            true => (".".to_owned(), Tone::Faint),
            false => (text, tone),
        };
        match (&flat.change, &cum.change) {
            (Some(flat), Some(cum)) => [
                cell(growth(value, flat), is_nothing(flat), tone(flat)),
                cell(growth(value, cum), is_nothing(cum), tone(cum)),
                cell(
                    quantity(value, cum.new.value),
                    cum.new.value == 0,
                    Tone::Faint,
                ),
            ],
            _ => [
                cell(
                    measured(self.listing, &flat.here),
                    flat.here.value == 0,
                    Tone::Plain,
                ),
                cell(
                    quantity(value, cum.here.value),
                    cum.here.value == 0,
                    Tone::Faint,
                ),
                Default::default(),
            ],
        }
    }

    fn text(&self, row: &Row<'_>, width: usize) -> String {
        match row {
            Row::Line(number, text) => {
                let number = match number {
                    0 => "?".to_owned(),
                    number => number.to_string(),
                };
                let text = text.map_or(String::new(), |text| {
                    let text = text.replace('\t', "    ");
                    cut(&printable(&text), width.saturating_sub(NUMBER + 2))
                });
                format!("{number:>NUMBER$}  {text}")
            }
            Row::Inlined(inlined) => {
                let indent = " ".repeat(NUMBER + 2 + 2 * inlined.depth.min(DEEPEST));
                let frame = Frame {
                    file: source(&inlined.frame.file).to_owned(),
                    ..inlined.frame.clone()
                };
                let room = width.saturating_sub(indent.len() + 2);
                let text = format!("↳ {}", fit(&frame, room));
                format!("{indent}{}", self.paint.apply(Tone::Faint, &text))
            }
            Row::Gap(lines) => {
                let text = format!("{:>NUMBER$}  {lines} lines", "⋮");
                self.paint.apply(Tone::Faint, &text)
            }
            Row::Note(note) => {
                let text = format!("{:NUMBER$}  {note}", "");
                self.paint.apply(Tone::Faint, &text)
            }
        }
    }

    fn summed(&self, sum: &Sum) -> String {
        let value = &self.listing.value;
        match &sum.change {
            Some(change) if is_nothing(change) => quantity(value, 0),
            Some(change) => format!(
                "{} → {}: {}",
                quantity(value, change.base.value),
                quantity(value, change.new.value),
                growth(value, change)
            ),
            None => format!(
                "{} ({})",
                measured(self.listing, &sum.here),
                units::percent(sum.here.value, self.whole)
            ),
        }
    }
}

/// Columns for a line's number.
const NUMBER: usize = 6;
/// What is inlined into one line, shown of it.
const INLINED: usize = 6;
/// Levels that are indented.
const DEEPEST: usize = 8;
/// Places that are told.
const TRIED: usize = 4;

fn none() -> Cells {
    let dot = || (".".to_owned(), Tone::Faint);
    [dot(), dot(), Default::default()]
}

fn measured(listing: &Listing, measure: &Measure) -> String {
    let error = (measure.variance > 0.0).then(|| measure.standard_error());
    let value = &listing.value;
    value.scale.with_error(measure.value, error, value.unit())
}

fn quantity(value: &Value, number: i64) -> String {
    value.scale.quantity(number, value.unit())
}

fn growth(value: &Value, change: &Change) -> String {
    let error = change.p.map(|_| change.standard_error());
    value.scale.change(change.growth, error, value.unit())
}

fn is_nothing(change: &Change) -> bool {
    change.base.value == 0 && change.new.value == 0
}

fn tone(change: &Change) -> Tone {
    match change.verdict {
        Verdict::Significant | Verdict::Exact if change.growth > 0 => Tone::Alarm,
        Verdict::Significant | Verdict::Exact if change.growth < 0 => Tone::Relief,
        Verdict::WithinNoise => Tone::Faint,
        _ => Tone::Plain,
    }
}

/// A line of source in so many columns.
fn cut(text: &str, width: usize) -> String {
    match text.chars().count() > width {
        true => {
            let start: String = text.chars().take(width.saturating_sub(1)).collect();
            format!("{start}…")
        }
        false => text.to_owned(),
    }
}
