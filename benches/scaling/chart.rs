//! A chart with logarithmic axes, as SVG: cost that grows linearly is a line that rises by one step per step.
#![forbid(unsafe_code)]

use std::fmt::Write as _;

use super::Point;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 56.0;
const BOTTOM: f64 = 284.0;
const TOP: f64 = 40.0;

type Series = (&'static str, &'static str, fn(&Point) -> f64);
const SERIES: [Series; 3] = [
    ("ns per event", "#1b6ca8", |point| point.event_nanos),
    ("µs per snapshot", "#c05621", |point| point.snapshot_micros),
    ("own memory, KiB", "#3b7a57", |point| point.own_kib),
];

/// One line per quantity over the dimension's sizes. No blank line in it: it goes into Markdown.
pub(super) fn draw(dimension: &str, points: &[Point]) -> String {
    let values = || {
        points
            .iter()
            .flat_map(|point| SERIES.iter().map(|(_, _, of)| of(point).max(1.0)))
    };
    let lowest = values().fold(f64::INFINITY, f64::min).log10().floor();
    let highest = values().fold(1.0, f64::max).log10().ceil();
    let (first, last) = (points[0].size as f64, points[points.len() - 1].size as f64);
    let x =
        |size: u64| LEFT + (size as f64 / first).ln() / (last / first).ln() * (WIDTH - LEFT - 40.0);
    let y = |value: f64| {
        BOTTOM - (value.max(1.0).log10() - lowest) / (highest - lowest) * (BOTTOM - TOP)
    };
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <title>Cost by {dimension}</title>\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/>\n"
    );
    for power in lowest as i32..=highest as i32 {
        let at = y(10f64.powi(power));
        line(&mut svg, (LEFT, at), (WIDTH - 20.0, at), "#dddddd");
        text(
            &mut svg,
            LEFT - 6.0,
            at + 4.0,
            "end",
            &grouped(10u64.pow(power as u32)),
        );
    }
    for point in points {
        text(
            &mut svg,
            x(point.size),
            BOTTOM + 18.0,
            "middle",
            &grouped(point.size),
        );
    }
    text(&mut svg, WIDTH / 2.0, HEIGHT - 4.0, "middle", dimension);
    for (number, (name, colour, of)) in SERIES.iter().enumerate() {
        let path: Vec<String> = points
            .iter()
            .map(|point| format!("{:.1},{:.1}", x(point.size), y(of(point))))
            .collect();
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            path.join(" ")
        );
        let at = LEFT + 20.0 + 190.0 * number as f64;
        line(&mut svg, (at, 18.0), (at + 24.0, 18.0), colour);
        text(&mut svg, at + 30.0, 22.0, "start", name);
    }
    svg + "</svg>\n"
}

fn line(svg: &mut String, from: (f64, f64), to: (f64, f64), colour: &str) {
    let ((x1, y1), (x2, y2)) = (from, to);
    let _ = writeln!(
        svg,
        "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"{colour}\" stroke-width=\"1.5\"/>"
    );
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, words: &str) {
    let _ = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"#333333\">{words}</text>"
    );
}

/// 1000000 as "1M".
fn grouped(number: u64) -> String {
    match number {
        0..1_000 => number.to_string(),
        1_000..1_000_000 => format!("{}k", number / 1_000),
        _ => format!("{}M", number / 1_000_000),
    }
}
