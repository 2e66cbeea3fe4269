//! What a state file says.
#![forbid(unsafe_code)]

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Look, slots};
use crate::error::{Error, Result};
use crate::stats::process;

/// A process as it was last seen by its own helper thread.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct State {
    /// `heapsite-state`.
    pub format: String,
    /// 1.
    pub version: u32,
    /// Which writing of the file this was, from 1.
    pub sequence: u64,
    /// Process id, in its own namespace.
    pub pid: u32,
    /// Path of the program.
    pub executable: String,
    /// Its arguments, joined by spaces.
    pub command: String,
    /// When the process started, nanoseconds since the Unix epoch; 0: not known.
    pub start_time_nanos: i64,
    /// The same in clock ticks since the machine's boot.
    pub start_ticks: u64,
    /// Which boot of which machine that was.
    pub boot_id: String,
    /// Mean bytes between sampled allocations; 1: exact.
    pub interval: u64,
    /// The process ended in good order. `None`: it lives, or was killed.
    pub ended: Option<Ended>,
    /// The last look.
    pub last: Look,
    /// The look with most resident memory.
    pub worst: Look,
    /// Up to 48 looks over the whole life, evenly spaced, the oldest first.
    pub looks: Vec<Look>,
    /// Seconds between two of `looks`.
    pub spacing_seconds: u64,
    /// Dumps that are kept, the first one first.
    pub dumps: Vec<Dump>,
    /// An error was told already.
    #[serde(skip)]
    pub(super) told_failure: bool,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Ended {
    /// The handle was dropped, or the process exited.
    InOrder,
}

/// A dump that was made as evidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Dump {
    /// Its name, in the directory of the state file.
    pub file: String,
    /// Why it was made.
    pub reason: Reason,
    /// It has names; without: `heapsite symbolize` adds them.
    pub named: bool,
    /// How the process was.
    pub look: Look,
}

/// Why a dump was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Reason {
    /// The live heap was larger by a tenth than at the last dump.
    Peak,
    /// The control group came near its limit.
    NearLimit,
    /// The kernel held the process back at `memory.high`, or threads waited for memory.
    Throttled,
}

const FORMAT: &str = "heapsite-state";
const VERSION: u32 = 1;
/// Looks that are kept.
const LOOKS: usize = 48;
/// In nanoseconds.
const SECOND: i64 = 1_000_000_000;

impl State {
    /// This process, before its first look.
    pub(super) fn begin() -> State {
        let facts = process::current(None);
        State {
            format: FORMAT.to_owned(),
            version: VERSION,
            pid: facts.pid,
            executable: facts.executable,
            command: facts.command,
            start_time_nanos: facts.start_time_nanos,
            start_ticks: facts.start_ticks,
            boot_id: facts.boot_id,
            interval: crate::sample_interval(),
            spacing_seconds: 1,
            ..State::default()
        }
    }

    /// Takes a look in.
    pub(super) fn note(&mut self, look: Look) {
        self.last = look;
        if look.rss_bytes >= self.worst.rss_bytes {
            self.worst = look;
        }
        self.interval = crate::sample_interval();
        let spacing = self.spacing_seconds as i64 * SECOND;
        let newest = self.looks.last().map_or(i64::MIN, |look| look.time_nanos);
        // Half a second of grace: looks are not taken to the millisecond.
        if look.time_nanos.saturating_sub(newest) < spacing - SECOND / 2 {
            return;
        }
        self.looks.push(look);
        if self.looks.len() > LOOKS {
            // Every second one goes, the oldest stays.
            let mut place = 0;
            self.looks.retain(|_| {
                place += 1;
                place % 2 == 1
            });
            self.spacing_seconds *= 2;
        }
    }

    /// Whether these bytes are meant to be a state file.
    pub fn is_meant_by(bytes: &[u8]) -> bool {
        let start = format!("{{\"format\":\"{FORMAT}\"");
        bytes.starts_with(start.as_bytes())
    }

    pub(super) fn is_known(&self) -> bool {
        self.format == FORMAT && self.version <= VERSION
    }

    /// Reads what is left of a process.
    ///
    /// # Errors
    ///
    /// If the bytes hold no whole state, or one of a newer heapsite.
    pub fn read(bytes: &[u8]) -> Result<State> {
        slots::newest(bytes).ok_or_else(|| {
            Error::input(format!(
                "no whole state in it: accepted is a file `heapsite.<pid>.<seq>.state`, version {VERSION}"
            ))
        })
    }

    pub(super) fn read_file(path: &Path) -> Result<State> {
        let bytes = std::fs::read(path)
            .map_err(|error| Error::io(format!("cannot read `{}`", path.display()), error))?;
        State::read(&bytes)
    }

    /// The process lives: on this machine, under this id, since the same moment.
    pub fn is_running(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid));
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
        self.ended.is_none()
            && boot.is_ok_and(|boot| boot.trim() == self.boot_id)
            && stat.is_ok_and(|stat| process::start_ticks(&stat) == Some(self.start_ticks))
    }

    /// Live bytes per second and its standard error, over the newest looks that span `seconds` or less; `None`: there are
    /// fewer than three. Least squares; what the samples' errors add is within it, since they move the looks.
    pub fn growth(&self, seconds: u64) -> Option<(f64, f64)> {
        let from = self.last.time_nanos - i64::try_from(seconds).ok()? * SECOND;
        let points: Vec<(f64, f64)> = self
            .looks
            .iter()
            .filter(|look| look.time_nanos >= from)
            .map(|look| ((look.time_nanos - from) as f64 / 1e9, look.live_bytes))
            .collect();
        slope(&points)
    }
}

/// Slope of the least-squares line and its standard error.
fn slope(points: &[(f64, f64)]) -> Option<(f64, f64)> {
    let n = points.len() as f64;
    if points.len() < 3 {
        return None;
    }
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / n;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let spread: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    let product: f64 = points
        .iter()
        .map(|point| (point.0 - x) * (point.1 - y))
        .sum();
    if spread <= 0.0 {
        return None;
    }
    let slope = product / spread;
    let residual = |point: &(f64, f64)| point.1 - y - slope * (point.0 - x);
    let squares: f64 = points.iter().map(|point| residual(point).powi(2)).sum();
    Some((slope, (squares / (n - 2.0) / spread).sqrt()))
}

pub(super) fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64, live_bytes: f64) -> Look {
        Look {
            time_nanos: second * 1_000_000_000,
            live_bytes,
            ..Look::default()
        }
    }

    #[test]
    fn looks_span_the_whole_life_and_stay_few() {
        let mut state = State::begin();
        for second in 0..10_000 {
            state.note(at(second, second as f64 * 7.0));
        }
        assert!(state.looks.len() <= LOOKS && state.looks.len() > LOOKS / 2 - 1);
        assert_eq!(state.looks[0].time_nanos, 0);
        assert_eq!(state.spacing_seconds, 256);
        let (growth, error) = state.growth(100_000).unwrap();
        assert!(
            (growth - 7.0).abs() < 1e-6 && error < 1e-6,
            "{growth} {error}"
        );
        assert_eq!(state.growth(1), None);
    }

    #[test]
    fn this_process_runs_and_another_does_not() {
        let state = State::begin();
        assert!(state.is_running());
        let other = State {
            start_ticks: state.start_ticks + 1,
            ..state.clone()
        };
        assert!(!other.is_running());
        let over = State {
            ended: Some(Ended::InOrder),
            ..state
        };
        assert!(!over.is_running());
    }

    #[test]
    fn other_files_are_told_from_states() {
        let error = State::read(b"{\"format\":\"heapsite\"}").unwrap_err();
        assert!(error.to_string().contains("no whole state"), "{error}");
        let newer = State {
            version: VERSION + 1,
            ..State::begin()
        };
        assert!(State::read(&serde_json::to_vec(&newer).unwrap()).is_err());
        assert!(State::is_meant_by(&serde_json::to_vec(&newer).unwrap()));
    }
}
