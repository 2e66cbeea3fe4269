//! What a service's page knows of its memory, asked for and taken apart.
#![forbid(unsafe_code)]

use serde::Deserialize;

use super::super::service::Service;
use crate::Result;
use crate::view::name::printable;
use crate::view::units;

/// How far back the comparison begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Window {
    /// The oldest moment that the service remembers.
    #[default]
    All,
    Minutes(u64),
}

/// The service at one time, and what changed within the window.
#[derive(Clone, Debug, Default)]
pub(super) struct Look {
    pub(super) program: String,
    pub(super) pid: u32,
    pub(super) uptime_nanos: u64,
    pub(super) exact: bool,
    pub(super) interval: u64,
    pub(super) moments: Moments,
    /// First and last moment that are compared, places in `moments`.
    pub(super) base: usize,
    pub(super) diff: Diff,
}

/// Columns, a row per moment, the oldest first.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Moments {
    pub(super) id: Vec<u64>,
    pub(super) time_ms: Vec<i64>,
    pub(super) live_bytes: Vec<f64>,
    pub(super) live_error_bytes: Vec<f64>,
    pub(super) resident_bytes: Vec<Option<f64>>,
    pub(super) threads: Vec<Option<u64>>,
    pub(super) descriptors: Vec<Option<u64>>,
    pub(super) lost: Vec<u64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Diff {
    pub(super) verdict: Verdict,
    pub(super) total: Growth,
    pub(super) lines: Vec<Line>,
    pub(super) lines_left_out: u64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Verdict {
    pub(super) word: String,
    pub(super) name: Option<String>,
    pub(super) bytes: Option<i64>,
    pub(super) meaning: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Growth {
    pub(super) now: i64,
    pub(super) growth: i64,
    pub(super) error: Option<f64>,
    pub(super) verdict: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Line {
    #[serde(flatten)]
    pub(super) growth: Growth,
    pub(super) function: String,
    pub(super) file: String,
    pub(super) line: i64,
    pub(super) now_objects: f64,
    /// Bytes allocated meanwhile.
    pub(super) allocated: Option<f64>,
}

impl Look {
    /// # Errors
    /// The service does not answer, or not as a page of heapsite's does.
    pub(super) fn at(service: &Service, window: Window) -> Result<Look> {
        let overview: Overview = service.ask("overview")?;
        let history: History = service.ask("history")?;
        let moments = history.moments;
        let base = base(&moments, window);
        let diff = match (moments.id.get(base), moments.id.last()) {
            (Some(base), Some(now)) => service.ask(&format!("diff?base={base}&now={now}"))?,
            _ => Diff::default(),
        };
        Ok(Look {
            program: overview.program,
            pid: overview.pid,
            uptime_nanos: overview.uptime_nanos,
            exact: overview.exact,
            interval: overview.interval,
            moments,
            base,
            diff,
        })
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Overview {
    program: String,
    pid: u32,
    uptime_nanos: u64,
    exact: bool,
    interval: u64,
}

#[derive(Deserialize)]
struct History {
    moments: Moments,
}

/// The oldest moment within the window.
fn base(moments: &Moments, window: Window) -> usize {
    let (Some(last), Window::Minutes(minutes)) = (moments.time_ms.last(), window) else {
        return 0;
    };
    let from = last - i64::try_from(minutes * 60_000).unwrap_or(i64::MAX);
    let place = moments.time_ms.iter().position(|&time| time >= from);
    // One moment compares with nothing.
    place
        .unwrap_or(0)
        .min(moments.time_ms.len().saturating_sub(2))
}

impl Look {
    pub(super) fn resident(&self) -> Option<f64> {
        self.moments.resident_bytes.last().copied().flatten()
    }

    /// Of the newest moment, with its error: bytes.
    pub(super) fn live(&self) -> Option<(f64, Option<f64>)> {
        let live = *self.moments.live_bytes.last()?;
        let error = self.moments.live_error_bytes.last().copied();
        Some((live, error.filter(|&error| error > 0.0)))
    }

    /// The length of what is compared.
    pub(super) fn span_nanos(&self) -> u64 {
        let times = &self.moments.time_ms;
        let span = times.last().zip(times.get(self.base));
        span.map_or(0, |(last, first)| {
            u64::try_from(last - first).unwrap_or(0) * 1_000_000
        })
    }

    /// The whole look in a line.
    pub(super) fn line(&self) -> String {
        let Some((live, error)) = self.live() else {
            return format!("{}: no moment yet", self.name());
        };
        let time = self.moments.time_ms.last().copied().unwrap_or(0);
        let resident = self.resident().map_or(String::new(), |bytes| {
            format!(", {} resident", units::bytes(bytes))
        });
        let growing = self.diff.lines.iter().find(|line| line.growth.growth > 0);
        let growing = growing.map_or(String::new(), |line| {
            format!(
                "; {} at {} ({})",
                units::change(line.growth.growth, line.growth.error, "bytes"),
                line.place(),
                line.growth.verdict
            )
        });
        format!(
            "{}  {} live{resident}, {} in {}{growing}",
            units::time(time.saturating_mul(1_000_000)),
            units::with_error(live as i64, error, "bytes"),
            units::change(self.diff.total.growth, self.diff.total.error, "bytes"),
            units::duration(self.span_nanos()),
        )
    }

    pub(super) fn name(&self) -> String {
        format!("{} (pid {})", printable(&self.program), self.pid)
    }
}

impl Line {
    pub(super) fn place(&self) -> String {
        let file = self.file.rsplit('/').next().unwrap_or_default();
        match file.is_empty() {
            true => printable(&self.function).into_owned(),
            false => format!("{}:{}", printable(file), self.line),
        }
    }
}

/// For tests: a look that is put together by hand.
#[cfg(test)]
pub(super) fn from_answers(
    overview: serde_json::Value,
    history: serde_json::Value,
    diff: serde_json::Value,
) -> Look {
    let overview: Overview = serde_json::from_value(overview).unwrap();
    let history: History = serde_json::from_value(history).unwrap();
    Look {
        program: overview.program,
        pid: overview.pid,
        uptime_nanos: overview.uptime_nanos,
        exact: overview.exact,
        interval: overview.interval,
        moments: history.moments,
        base: 0,
        diff: serde_json::from_value(diff).unwrap(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_begins_with_its_oldest_moment() {
        let moments = Moments {
            time_ms: vec![0, 60_000, 120_000, 180_000],
            ..Moments::default()
        };
        assert_eq!(base(&moments, Window::All), 0);
        assert_eq!(base(&moments, Window::Minutes(2)), 1);
        assert_eq!(base(&moments, Window::Minutes(0)), 2);
        assert_eq!(base(&Moments::default(), Window::Minutes(1)), 0);
    }
}
