//! What is left when the kernel kills the process: dumps of its worst moments, and a small file that says how it was.
//!
//! ```text
//!            every second                   worse than before         first + worst ones
//! helper ───▶ look ───▶ watch ───reason───▶ dump ─────────────────▶ kept dumps
//!              └────────────────────────────────────────────────────▶ state file, read by `heapsite info`
//! ```
#![forbid(unsafe_code)]

mod kept;
mod lives;
mod look;
mod slots;
pub(crate) mod state;
mod watch;

use std::path::Path;
use std::time::{Duration, Instant};

use super::report;
use super::sink::Sink;
use super::worker::{Manner, dump_into};
use crate::error::Result;
use kept::Kept;
use slots::Slots;
use watch::Watch;

pub use look::Look;
pub use state::{Dump, Ended, Reason, State};

/// When evidence is taken, and how much of it stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// Dumps that stay, beside the first one.
    pub(crate) keep: usize,
    /// Between two dumps for the same reason.
    pub(crate) pause: Duration,
    /// Share of the control group's limit at which a dump is made.
    pub(crate) at_percent: u8,
}

impl Options {
    pub(crate) const fn new() -> Options {
        Options {
            keep: 3,
            pause: Duration::from_secs(60),
            at_percent: 90,
        }
    }
}

/// Between two looks. A leak that takes a process from nine tenths of its limit to the end in less is seen by the dump
/// of its last high-water mark.
const PERIOD: Duration = Duration::from_secs(1);

/// A look may take this share of the helper's time: programs with very many stacks are looked at less often.
const REST_PER_LOOK: u32 = 100;

/// Naming functions takes tens of MiB for a moment. With less than this to go to the limit a dump has addresses only;
/// `heapsite symbolize` names them later.
const ROOM_TO_NAME: u64 = 128 << 20;

/// The part of the helper thread that collects evidence.
pub(super) struct Evidence {
    sink: Sink,
    watch: Watch,
    kept: Kept,
    slots: Slots,
    state: State,
    next: Instant,
}

impl Evidence {
    /// Makes the state file, and deletes what processes of the same program left here long ago.
    ///
    /// # Errors
    ///
    /// If the file cannot be made.
    pub(super) fn start(options: Options, dir: &Path, now: Instant) -> Result<Evidence> {
        let mut sink = Sink::open(dir, None)?;
        let state = State::begin();
        lives::forget_old(sink.dir(), &state);
        let path = sink.write("state", &mut |out| slots::blank(&state, out))?;
        Ok(Evidence {
            slots: Slots::open(&path)?,
            watch: Watch::new(options, now),
            kept: Kept::new(options.keep),
            sink,
            state,
            next: now,
        })
    }

    pub(super) fn next(&self) -> Instant {
        self.next
    }

    /// Looks, if it is time; dumps, if things are worse than they were.
    pub(super) fn look(&mut self, manner: Manner, now: Instant) {
        if now < self.next {
            return;
        }
        let look = look::take();
        let reason = self.watch.decide(&look, now);
        self.state.note(look);
        self.tell();
        if let Some(reason) = reason {
            self.dump(reason, look, manner);
            self.tell();
        }
        let done = Instant::now();
        let rest = done.saturating_duration_since(now) * REST_PER_LOOK;
        // A dump's time is no look's.
        self.next = done
            + if reason.is_some() {
                PERIOD
            } else {
                PERIOD.max(rest)
            };
    }

    fn dump(&mut self, reason: Reason, look: Look, manner: Manner) {
        let named = manner.symbolize && look.room().is_none_or(|room| room >= ROOM_TO_NAME);
        let manner = Manner {
            symbolize: named,
            ..manner
        };
        // Its failure has been told on stderr.
        let Ok(path) = dump_into(&mut self.sink, manner) else {
            return;
        };
        let dump = Dump {
            file: state::file_name(&path),
            reason,
            named,
            look,
        };
        for gone in self.kept.add(dump) {
            lives::delete(self.sink.dir(), &gone);
        }
        self.state.dumps = self.kept.dumps();
    }

    /// The process ends in good order.
    pub(super) fn end(&mut self) {
        self.state.note(look::take());
        self.state.ended = Some(Ended::InOrder);
        self.tell();
    }

    fn tell(&mut self) {
        if let Err(error) = self.slots.write(&self.state) {
            // Once: a full disk would tell it every second.
            if !std::mem::replace(&mut self.state.told_failure, true) {
                report::line(format_args!("cannot write the state file: {error}"));
            }
        }
    }
}
