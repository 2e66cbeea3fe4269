//! One frame of the screen.
#![forbid(unsafe_code)]

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::Marker;
use ratatui::text::{Line as Text, Span};
use ratatui::widgets::{Axis, Chart, Dataset, GraphType, LegendPosition, Paragraph, Row, Table};

use super::look::{Line, Look};
use super::model::Model;
use crate::view::name::printable;
use crate::view::units;

pub(super) fn draw(model: &Model, frame: &mut Frame<'_>) {
    let [head, chart, table, foot] = Layout::vertical([
        Constraint::Length(3),
        Constraint::Percentage(45),
        Constraint::Min(4),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    let ink = Ink(model.color);
    frame.render_widget(heading(model, &ink), head);
    draw_chart(&model.look, &ink, frame, chart);
    draw_lines(model, &ink, frame, table);
    frame.render_widget(footer(model, &ink), foot);
}

/// Colours, or none.
struct Ink(bool);

impl Ink {
    fn fg(&self, color: Color) -> Style {
        match self.0 {
            true => Style::new().fg(color),
            false => Style::new(),
        }
    }
}

const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);
const FAINT: Style = Style::new().add_modifier(Modifier::DIM);

fn heading<'m>(model: &Model, ink: &Ink) -> Paragraph<'m> {
    let look = &model.look;
    let quality = match (look.exact, look.interval) {
        (true, _) => "exact".to_owned(),
        (_, 0) => "recording is off".to_owned(),
        (_, interval) => format!("estimated, 1 sample per {}", units::round_bytes(interval)),
    };
    let mut first = vec![
        Span::styled(look.name(), BOLD),
        Span::raw(format!(
            ", up {}, {quality}",
            units::duration(look.uptime_nanos)
        )),
    ];
    if model.paused {
        first.push(Span::styled("  paused", ink.fg(Color::Yellow)));
    }
    let second = match &model.trouble {
        Some(trouble) => Text::styled(printable(trouble).into_owned(), ink.fg(Color::Red)),
        None => verdict(look, ink),
    };
    Paragraph::new(vec![Text::from(first), numbers(look), second])
}

/// What is there now.
fn numbers<'m>(look: &Look) -> Text<'m> {
    let Some((live, error)) = look.live() else {
        return Text::raw(
            "no moment yet: the first one comes when the program's stacks have been named",
        );
    };
    let mut parts = vec![format!(
        "live {}",
        units::with_error(live as i64, error, "bytes")
    )];
    if let Some(resident) = look.resident() {
        parts.push(format!("resident {}", units::bytes(resident)));
    }
    let last = |column: &[Option<u64>]| column.last().copied().flatten();
    if let Some(threads) = last(&look.moments.threads) {
        parts.push(format!("{threads} threads"));
    }
    if let Some(descriptors) = last(&look.moments.descriptors) {
        parts.push(format!("{descriptors} descriptors"));
    }
    if let Some(lost) = look.moments.lost.last().filter(|&&lost| lost > 0) {
        parts.push(format!("{lost} events lost"));
    }
    Text::raw(parts.join(", "))
}

fn verdict<'m>(look: &Look, ink: &Ink) -> Text<'m> {
    let verdict = &look.diff.verdict;
    let span = units::duration(look.span_nanos());
    let change = units::change(look.diff.total.growth, look.diff.total.error, "bytes");
    let grown = verdict
        .bytes
        .map_or(String::new(), |bytes| units::change(bytes, None, "bytes"));
    let name = verdict.name.as_deref().unwrap_or_default();
    let meaning = verdict.meaning.as_deref().unwrap_or_default();
    match verdict.word.as_str() {
        "growing" => Text::styled(
            format!("Growing: live heap {change} in {span}"),
            ink.fg(Color::Red).patch(BOLD),
        ),
        "elsewhere" => Text::styled(
            format!("Growing, but not in the live heap: {name} {grown} in {span}: {meaning}"),
            ink.fg(Color::Yellow).patch(BOLD),
        ),
        "steady" => Text::styled(
            format!("Steady: live heap {change} in {span}"),
            ink.fg(Color::Green),
        ),
        _ => Text::styled("Nothing to compare yet", FAINT),
    }
}

fn draw_chart(look: &Look, ink: &Ink, frame: &mut Frame<'_>, area: Rect) {
    let moments = &look.moments;
    let [Some(first), Some(last)] = [moments.time_ms.first(), moments.time_ms.last()] else {
        return;
    };
    let seconds = |time: &i64| (time - last) as f64 / 1000.0;
    let points = |values: &mut dyn Iterator<Item = Option<f64>>| -> Vec<(f64, f64)> {
        let both = moments.time_ms.iter().zip(values);
        both.filter_map(|(time, value)| Some((seconds(time), value?)))
            .collect()
    };
    let live = points(&mut moments.live_bytes.iter().map(|&bytes| Some(bytes)));
    let resident = points(&mut moments.resident_bytes.iter().copied());
    let all = || live.iter().chain(&resident).map(|point| point.1);
    let top = all().fold(1.0, f64::max) * 1.05;
    let start = seconds(first).min(-1.0);
    let line = |name: &'static str, points, color| {
        Dataset::default()
            .name(name)
            .marker(Marker::Braille)
            .graph_type(GraphType::Line)
            .style(ink.fg(color))
            .data(points)
    };
    let mut sets = vec![line("live", &live, Color::Red)];
    if !resident.is_empty() {
        sets.push(line("resident", &resident, Color::Blue));
    }
    let ago = |seconds: f64| format!("-{}", units::duration((seconds.abs() * 1e9) as u64));
    let half = Constraint::Ratio(1, 2);
    let chart = Chart::new(sets)
        .legend_position(Some(LegendPosition::TopLeft))
        .hidden_legend_constraints((half, half))
        .x_axis(Axis::default().style(FAINT).bounds([start, 0.0]).labels([
            ago(start),
            ago(start / 2.0),
            "now".to_owned(),
        ]))
        .y_axis(
            Axis::default()
                .style(FAINT)
                .bounds([0.0, top])
                .labels([0.0, top / 2.0, top].map(units::bytes)),
        );
    frame.render_widget(chart, area);
}

fn draw_lines(model: &Model, ink: &Ink, frame: &mut Frame<'_>, area: Rect) {
    let rows = model.lines();
    let shown = rows.iter().skip(model.top);
    let table = Table::new(
        shown.map(|line| row(line, ink)),
        [
            Constraint::Length(22),
            Constraint::Length(12),
            Constraint::Length(12),
            Constraint::Length(13),
            Constraint::Fill(1),
        ],
    );
    let head = Row::new(["growth", "live now", "objects", "", "line"]).style(BOLD.patch(FAINT));
    frame.render_widget(table.header(head), area);
}

fn row<'m>(line: &Line, ink: &Ink) -> Row<'m> {
    let growth = &line.growth;
    let certain = matches!(growth.verdict.as_str(), "exact" | "significant");
    let style = match growth.growth {
        1.. if certain => ink.fg(Color::Red),
        ..=-1 if certain => ink.fg(Color::Green),
        _ => FAINT,
    };
    let place = line.place();
    let function = printable(&line.function);
    Row::new([
        units::change(growth.growth, growth.error, "bytes"),
        units::bytes(growth.now as f64),
        units::count(line.now_objects as i64),
        growth.verdict.clone(),
        format!("{place}  {function}"),
    ])
    .style(style)
}

fn footer<'m>(model: &Model, ink: &Ink) -> Text<'m> {
    if let Some(message) = &model.message {
        return Text::styled(printable(message).into_owned(), ink.fg(Color::Yellow));
    }
    let window = match model.window() {
        super::look::Window::All => "all".to_owned(),
        super::look::Window::Minutes(minutes) => format!("{minutes} min"),
    };
    let more = model.look.diff.lines_left_out;
    let more = match more {
        0 => String::new(),
        more => format!("   {more} more lines"),
    };
    Text::styled(
        format!(
            "q quit   s sort: {}   w window: {window}   d dump   space pause   ↑↓{more}",
            model.order.name()
        ),
        FAINT,
    )
}

#[cfg(test)]
mod tests {
    use super::super::look::from_answers;
    use super::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use serde_json::json;

    fn screen(width: u16, height: u16, model: &Model) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(model, frame)).unwrap();
        let buffer = terminal.backend().buffer().clone();
        let rows = buffer.content().chunks(width.into());
        rows.map(|row| {
            let text: String = row.iter().map(|cell| cell.symbol()).collect();
            text.trim_end().to_owned() + "\n"
        })
        .collect()
    }

    fn look() -> Look {
        let mib = 1 << 20;
        let line = |place: u32, growth: i64, verdict: &str| {
            json!({ "function": format!("shop::cache_{place}::set"), "file": "/src/cache.rs", "line": place, "base": 0,
                "now": 40 * mib, "growth": growth * mib, "error": mib, "now_objects": 40_000.0, "allocated": 5e6, "verdict": verdict })
        };
        from_answers(
            json!({ "program": "shop", "pid": 4711, "uptime_nanos": 7_200_000_000_000_u64, "exact": false, "interval": 524_288 }),
            json!({ "moments": {
                "id": [1, 2, 3], "time_ms": [0, 600_000, 1_200_000], "live_bytes": [10 * mib, 30 * mib, 60 * mib],
                "live_error_bytes": [mib, mib, 2 * mib], "resident_bytes": [30 * mib, 50 * mib, 90 * mib],
                "threads": [8, 8, 9], "descriptors": [20, 20, 21], "lost": [0, 0, 0] } }),
            json!({ "verdict": { "word": "growing", "part": "live", "name": "live heap", "bytes": 50 * mib, "meaning": "more" },
                "total": { "base": 10 * mib, "now": 60 * mib, "growth": 50 * mib, "error": 2.2 * mib as f64, "verdict": "significant" },
                "lines": [line(42, 48, "significant"), line(7, 2, "within noise")], "lines_left_out": 3 }),
        )
    }

    #[test]
    fn everything_is_on_the_first_screen() {
        let text = screen(100, 30, &Model::new(look(), true));
        for part in [
            "shop (pid 4711), up 2h",
            "1 sample per 512 KiB",
            "live 60.0 ± 2.0 MiB, resident 90.0 MiB, 9 threads, 21 descriptors",
            "Growing: live heap +50.0 ± 2.2 MiB in 20m",
            "cache.rs:42  shop::cache_42::set",
            "significant",
            "3 more lines",
            "-20m",
            "│resident│",
            "now",
            "q quit   s sort: growth   w window: all   d dump",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        // The chart has both lines, drawn with dots.
        assert!(
            text.chars().any(|c| ('\u{2801}'..='\u{28ff}').contains(&c)),
            "{text}"
        );
        let above = |a: &str, b: &str| text.find(a) < text.find(b);
        assert!(above("cache.rs:42", "cache.rs:7"), "{text}");
    }

    #[test]
    fn a_small_or_silent_terminal_is_no_reason_to_panic() {
        for (width, height) in [(1, 1), (20, 5), (40, 3), (300, 2)] {
            screen(width, height, &Model::new(look(), false));
            screen(width, height, &Model::new(Look::default(), false));
        }
    }

    #[test]
    fn trouble_takes_the_place_of_the_verdict() {
        let mut model = Model::new(look(), false);
        model.take(Err(crate::Error::input("cannot fetch it: \u{1b}[31mred")));
        let text = screen(100, 30, &model);
        assert!(text.contains("cannot fetch it"), "{text}");
        assert!(
            !text.contains("Growing") && !text.contains('\u{1b}'),
            "{text}"
        );
    }
}
