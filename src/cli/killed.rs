//! `heapsite info` of a state file: how a process was when it was last seen.
#![forbid(unsafe_code)]

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;

use super::input::display;
use super::{Failure, json};
use crate::trigger::evidence::{Dump, Ended, Look, Reason, State};
use crate::view::name::printable;
use crate::view::units;

/// A process that has not been seen for so long, in looks, is not there any more.
const MISSED: i64 = 10;
const SECOND: i64 = 1_000_000_000;
/// Growth is told over the last five minutes.
const RECENT: u64 = 300;

pub(super) fn run(
    name: &str,
    bytes: &[u8],
    as_json: bool,
    out: &mut dyn Write,
) -> Result<ExitCode, Failure> {
    let state = State::read(bytes).map_err(|error| error.context(display(name)))?;
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = since.map_or(0, |since| since.as_nanos() as i64);
    let fate = Fate::of(&state, now);
    if as_json {
        let document = json!({
            "heapsite": "state",
            "version": 1,
            "fate": fate.word(),
            "growth_bytes_per_second": state.growth(RECENT).map(|growth| growth.0),
            "growth_error": state.growth(RECENT).map(|growth| growth.1),
            "state": state,
        });
        json::write(&document, out)?;
    } else {
        text(name, &state, fate, out)?;
    }
    Ok(ExitCode::SUCCESS)
}

#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Running,
    InOrder,
    /// It did not say that it ended.
    Killed,
    /// Looked at too soon, or on another machine, to tell.
    NotKnown,
}

impl Fate {
    fn of(state: &State, now: i64) -> Fate {
        let silent = now.saturating_sub(state.last.time_nanos) > MISSED * SECOND;
        match state.ended {
            Some(Ended::InOrder) => Fate::InOrder,
            None if state.is_running() => Fate::Running,
            None if silent => Fate::Killed,
            None => Fate::NotKnown,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Fate::Running => "running",
            Fate::InOrder => "in-order",
            Fate::Killed => "killed",
            Fate::NotKnown => "unknown",
        }
    }
}

fn text(name: &str, state: &State, fate: Fate, out: &mut dyn Write) -> io::Result<()> {
    let program = Path::new(&state.executable).file_name().unwrap_or_default();
    writeln!(
        out,
        "{}: pid {}, {}, started {}",
        printable(display(name)),
        state.pid,
        printable(&program.to_string_lossy()),
        units::time(state.start_time_nanos)
    )?;
    writeln!(out, "{}", verdict(state, fate))?;
    if let Some((growth, error)) = state.growth(RECENT) {
        let per_minute = |bytes: f64| bytes * 60.0;
        let error = Some(per_minute(error)).filter(|&error| error > 0.0);
        let growth = units::change(per_minute(growth) as i64, error, "bytes");
        writeln!(
            out,
            "Its live heap changed by {growth} per minute in its last five minutes."
        )?;
    }
    writeln!(out)?;
    row(out, "last seen", &state.last)?;
    row(out, "at its worst", &state.worst)?;
    if state.dumps.is_empty() {
        return writeln!(
            out,
            "\nno dumps are kept: it did not live long enough, or could not write them (see its stderr)"
        );
    }
    writeln!(
        out,
        "\n{:<21}  {:<22}  {:>10}  {:>10}  file",
        "dumps kept", "why", "resident", "live"
    )?;
    for dump in &state.dumps {
        writeln!(
            out,
            "{:<21}  {:<22}  {:>10}  {:>10}  {}{}",
            units::time(dump.look.time_nanos).trim_end_matches(" UTC"),
            why(dump.reason),
            units::bytes(dump.look.rss_bytes as f64),
            units::bytes(dump.look.live_bytes),
            printable(&dump.file),
            if dump.named {
                ""
            } else {
                "  (without names: `heapsite symbolize`)"
            }
        )?;
    }
    if let Some((first, worst)) = pair(&state.dumps) {
        writeln!(
            out,
            "\nwhat grew:  heapsite diff {} {}",
            printable(first),
            printable(worst)
        )?;
    }
    Ok(())
}

fn verdict(state: &State, fate: Fate) -> String {
    let when = units::time(state.last.time_nanos);
    let last = &state.last;
    let limit = match last.share() {
        Some(share) => format!(
            ", {:.0} % of the {} that its control group may use",
            100.0 * share,
            units::bytes(last.group_limit_bytes as f64)
        ),
        None => String::new(),
    };
    let used = match last.share() {
        Some(_) => units::bytes(last.group_bytes as f64),
        None => format!("{} resident", units::bytes(last.rss_bytes as f64)),
    };
    match fate {
        Fate::Running => format!("It is running: {used}{limit}."),
        Fate::InOrder => format!("It ended in good order at {when}."),
        Fate::Killed if last.share().is_some_and(|share| share >= 0.8) => {
            format!("Killed, very likely for its memory: last seen at {when} with {used}{limit}.")
        }
        Fate::Killed => format!(
            "It ended without a word: killed, aborted, or its machine stopped. Last seen at {when} with {used}{limit}."
        ),
        Fate::NotKnown => {
            format!("Last seen at {when} with {used}{limit}; it may still be running elsewhere.")
        }
    }
}

fn row(out: &mut dyn Write, name: &str, look: &Look) -> io::Result<()> {
    let error = Some(look.live_error_bytes).filter(|&error| error > 0.0);
    writeln!(
        out,
        "{name:<14}  {}  {} resident, {} live",
        units::time(look.time_nanos),
        units::bytes(look.rss_bytes as f64),
        units::with_error(look.live_bytes as i64, error, "bytes")
    )
}

fn why(reason: Reason) -> &'static str {
    match reason {
        Reason::Peak => "new high of the heap",
        Reason::NearLimit => "near the limit",
        Reason::Throttled => "held back by kernel",
    }
}

/// The first dump and the one with most memory.
fn pair(dumps: &[Dump]) -> Option<(&str, &str)> {
    let [first, others @ ..] = dumps else {
        return None;
    };
    let worst = others.iter().max_by_key(|dump| dump.look.rss_bytes)?;
    Some((&first.file, &worst.file))
}
