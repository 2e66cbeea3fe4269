//! Text in aligned columns, as wide as the terminal.
#![forbid(unsafe_code)]

use super::key::{Frame, Key, Role, role};
use super::name::fit_key;
use std::io::{self, Write};

/// What a cell says, for whoever wants to colour it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// Nothing special.
    #[default]
    Plain,
    /// A heading.
    Heading,
    /// Less important.
    Faint,
    /// Worth looking at.
    Alarm,
    /// Better than before.
    Relief,
}

/// What to write before and after text of each tone; the default writes nothing.
#[derive(Clone, Debug, Default)]
pub struct Paint {
    /// For [`Tone::Heading`].
    pub heading: (String, String),
    /// For [`Tone::Faint`].
    pub faint: (String, String),
    /// For [`Tone::Alarm`].
    pub alarm: (String, String),
    /// For [`Tone::Relief`].
    pub relief: (String, String),
}

impl Paint {
    /// `text` in its tone.
    pub fn apply(&self, tone: Tone, text: &str) -> String {
        let (before, after) = match tone {
            Tone::Plain => return text.to_owned(),
            Tone::Heading => &self.heading,
            Tone::Faint => &self.faint,
            Tone::Alarm => &self.alarm,
            Tone::Relief => &self.relief,
        };
        format!("{before}{text}{after}")
    }
}

/// Right-aligned columns of text, then one of names that takes the room that is left.
#[derive(Clone, Debug, Default)]
pub struct Table {
    titles: Vec<String>,
    /// `None`: a line without anything.
    rows: Vec<Option<TableRow>>,
}

#[derive(Clone, Debug)]
struct TableRow {
    cells: Vec<(String, Tone)>,
    /// Before the name.
    mark: String,
    name: Key,
    /// After the name.
    remark: String,
}

impl Table {
    /// A table with these columns; the last one is for names.
    pub fn new(titles: &[&str]) -> Table {
        Table {
            titles: titles.iter().map(|&title| title.to_owned()).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row: a cell for each column but the last, and the name.
    pub fn row(&mut self, cells: Vec<(String, Tone)>, name: Key) {
        self.marked(cells, "", name, "");
    }

    /// Adds a row with something before and after its name, which are never cut.
    pub fn marked(&mut self, cells: Vec<(String, Tone)>, mark: &str, name: Key, remark: &str) {
        self.rows.push(Some(TableRow {
            cells,
            mark: mark.to_owned(),
            name,
            remark: remark.to_owned(),
        }));
    }

    /// Adds an empty line.
    pub fn gap(&mut self) {
        self.rows.push(None);
    }

    /// Writes the table in at most `width` columns; more only where a name cannot be cut further.
    ///
    /// # Errors
    /// What `out` returns.
    pub fn write(&self, out: &mut dyn Write, width: usize, paint: &Paint) -> io::Result<()> {
        let columns = self.titles.len().saturating_sub(1);
        let mut widths: Vec<usize> = self.titles[..columns]
            .iter()
            .map(|title| length(title))
            .collect();
        for row in self.rows.iter().flatten() {
            for (column, (text, _)) in widths.iter_mut().zip(&row.cells) {
                *column = (*column).max(length(text));
            }
        }
        let mut heading = String::new();
        for (title, &column) in self.titles.iter().zip(&widths) {
            heading.push_str(&format!("{title:>column$}  "));
        }
        heading.push_str(self.titles.last().map_or("", String::as_str));
        writeln!(out, "{}", paint.apply(Tone::Heading, &heading))?;
        let used: usize = widths.iter().map(|column| column + 2).sum();
        let room = width.saturating_sub(used);
        for row in &self.rows {
            let Some(row) = row else {
                writeln!(out)?;
                continue;
            };
            for ((text, tone), &column) in row.cells.iter().zip(&widths) {
                // Padding is outside of the colour: an escape sequence has no width.
                let padding = " ".repeat(column.saturating_sub(length(text)));
                write!(out, "{padding}{}  ", paint.apply(*tone, text))?;
            }
            let (mark, remark) = (row.mark.as_str(), row.remark.as_str());
            let room_for_name = room.saturating_sub(length(mark) + length(remark));
            let name = fit_key(&row.name, room_for_name);
            writeln!(out, "{mark}{name}{remark}")?;
            for (arrow, frame) in neighbours(&row.name) {
                let text = format!(
                    "{arrow} {}",
                    super::name::fit(frame, room.saturating_sub(2))
                );
                writeln!(out, "{:used$}{}", "", paint.apply(Tone::Faint, &text))?;
            }
        }
        Ok(())
    }
}

/// For a whole stack: what the blamed frame called to allocate, and the next application frames that called it.
fn neighbours(key: &Key) -> Vec<(char, &Frame)> {
    let Key::Site(frames, blamed) = key else {
        return Vec::new();
    };
    let called = blamed
        .checked_sub(1)
        .and_then(|leafward| frames.get(leafward));
    let rest = frames.get(blamed + 1..).unwrap_or(&[]).iter();
    let callers = rest
        .filter(|frame| role(frame) == Role::Application)
        .take(CALLERS);
    called
        .map(|frame| ('→', frame))
        .into_iter()
        .chain(callers.map(|frame| ('←', frame)))
        .collect()
}

const CALLERS: usize = 3;

fn length(text: &str) -> usize {
    text.chars().count()
}
