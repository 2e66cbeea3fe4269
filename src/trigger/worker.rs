//! The one helper thread: sleeps, dumps, and keeps house for the recorder.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::desk::{Bell, Desk, Order};
use super::evidence::Evidence;
use super::schedule::Schedule;
use super::sink::Sink;
use super::{report, wiring};
use crate::error::{Error, Result};
use crate::format::Format;
use crate::helper;

/// How often a helper looks around whose wake-up socket the program has closed.
const BLIND: Duration = Duration::from_millis(200);

thread_local! {
    /// A plain cell: it can be asked while the thread's other locals are being destroyed.
    static IS_HELPER: Cell<bool> = const { Cell::new(false) };
}

/// The calling thread is the helper itself (in a panic hook of the program, say): it must not wait for itself.
pub(super) fn is_helper() -> bool {
    IS_HELPER.get()
}

/// How this process dumps.
#[derive(Clone, Copy)]
pub(super) struct Manner {
    pub(super) format: Format,
    pub(super) symbolize: bool,
}

/// What the helper thread owns.
pub(super) struct Worker {
    pub(super) desk: Arc<Desk>,
    pub(super) bell: Bell,
    pub(super) sink: Sink,
    pub(super) schedule: Schedule,
    pub(super) manner: Manner,
    pub(super) final_dump: bool,
    pub(super) evidence: Option<Evidence>,
}

impl Worker {
    /// Starts the thread; it ends when its [`Desk`] is asked to stop.
    pub(super) fn start(self) -> std::io::Result<JoinHandle<()>> {
        on_thread(move || self.run())
    }

    fn run(mut self) {
        let _close = CloseAtEnd(Arc::clone(&self.desk));
        // Before init returns: an older C library does not tell from inside malloc what code is loaded.
        wiring::housekeeping();
        self.desk.begin();
        let mut blind = false;
        while !self.desk.may_stop() {
            let wait = self.wait(Instant::now());
            let signalled = if blind {
                thread::sleep(wait.min(BLIND));
                false
            } else {
                self.bell.wait(wait).unwrap_or_else(|error| {
                    report::line(format_args!(
                        "signals no longer dump: the wake-up socket is gone: {error}"
                    ));
                    blind = true;
                    false
                })
            };
            if signalled {
                self.dump_and_tell("signal");
            }
            while let Some((ticket, order)) = self.desk.next_order() {
                let outcome = self.serve(order);
                self.desk.answer(ticket, outcome);
            }
            if self.schedule.dump_due(Instant::now()) {
                // Its path is no news: a line per period would bury the program's own.
                let _ = dump_into(&mut self.sink, self.manner);
            }
            if let Some(evidence) = &mut self.evidence {
                evidence.look(self.manner, Instant::now());
            }
            if self.schedule.housekeeping_due(Instant::now()) {
                wiring::housekeeping();
            }
        }
        // A signal that came while the last order was served still counts. The request to stop has left a
        // byte, too, so this does not sleep.
        let signalled = !blind && self.bell.wait(Duration::ZERO).unwrap_or(false);
        if self.final_dump {
            self.dump_and_tell("exit");
        } else if signalled {
            self.dump_and_tell("signal");
        }
        if let Some(evidence) = &mut self.evidence {
            evidence.end();
        }
    }

    /// How long nothing is due.
    fn wait(&self, now: Instant) -> Duration {
        let wait = self.schedule.wait(now);
        match &self.evidence {
            Some(evidence) => wait.min(evidence.next().saturating_duration_since(now)),
            None => wait,
        }
    }

    fn serve(&mut self, order: Order) -> Result<PathBuf> {
        match order {
            Order::Default => dump_into(&mut self.sink, self.manner),
            Order::To(dir, format) => dump_to(
                &dir,
                Manner {
                    format,
                    ..self.manner
                },
            ),
        }
    }

    /// For dumps that have no caller to hand the path to.
    fn dump_and_tell(&mut self, cause: &str) {
        if let Ok(path) = dump_into(&mut self.sink, self.manner) {
            report::line(format_args!("{cause}: wrote {}", path.display()));
        }
    }
}

/// Lets nobody wait for a thread that has ended, even by a panic.
struct CloseAtEnd(Arc<Desk>);

impl Drop for CloseAtEnd {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// One dump into a directory that may be new to us, on this thread.
pub(super) fn dump_to(dir: &std::path::Path, manner: Manner) -> Result<PathBuf> {
    let opened = Sink::open(dir, None);
    let mut sink = opened.inspect_err(|error| report_failure(error))?;
    dump_into(&mut sink, manner)
}

/// One dump, on this thread. An error goes to stderr, too: the caller may not look.
pub(super) fn dump_into(sink: &mut Sink, manner: Manner) -> Result<PathBuf> {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let _own_work = wiring::own_work(); // in a forked child this is a thread of the program
        wiring::housekeeping();
        let scratch = wiring::scratch();
        let snapshot = crate::snapshot();
        let profile = if manner.symbolize {
            snapshot.to_profile()
        } else {
            snapshot.to_address_profile()
        };
        drop(snapshot);
        // The sink remembers what it wrote.
        let outside = scratch.outside();
        sink.write(manner.format.extension(), &mut |out| {
            let _inside = outside.back();
            manner.format.write(&profile, out)
        })
    }))
    .unwrap_or_else(|_| {
        Err(Error::unsupported(
            "no dump: heapsite panicked while it made it; please report this",
        ))
    });
    outcome.inspect_err(|error| report_failure(error))
}

fn report_failure(error: &dyn fmt::Display) {
    report::line(format_args!("{error}"));
}

/// Starts a helper thread. `heapsite dump` knows one by its name.
pub(super) fn on_thread<R: Send + 'static>(
    f: impl FnOnce() -> R + Send + 'static,
) -> std::io::Result<JoinHandle<R>> {
    helper::spawn("heapsite", || {
        IS_HELPER.set(true);
        f()
    })
}
