//! The thread that pushes.
#![forbid(unsafe_code)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::answer::Outcome;
use super::backoff;
use super::body;
use super::ledger::Ledger;
use super::names::Names;
use super::options::{LEAST_BYTES, Options};
use super::pusher::{Shared, Status, Wake};
use super::wire::Wire;
use crate::error::Result;
use crate::helper::Scratch;
use crate::profile::{Profile, told};
use crate::snapshot;
use crate::trigger::report;

/// For each step of a push over the network.
const PATIENCE: Duration = Duration::from_secs(30);
/// For each step of the last one, which the end of the service waits for.
const LAST_PATIENCE: Duration = Duration::from_secs(5);

pub(super) struct Worker {
    shared: Arc<Shared>,
    wire: Wire,
    url: String,
    series: String,
    interval: Duration,
    /// How large a body may be, before compression.
    most_bytes: u64,
    ledger: Ledger,
    /// Of the last push.
    names: Names,
    /// When the ledger was written, nanoseconds since the Unix epoch.
    told_until: i64,
    /// Since the server last took one.
    failures: u32,
}

/// A push that is ready to be sent.
#[derive(Clone)]
struct Parcel {
    /// `None`: there is nothing to tell.
    body: Option<Vec<u8>>,
    merged: u64,
    names: Names,
    /// How things stand once it has been taken.
    next: Ledger,
    until: i64,
}

impl Worker {
    /// What has been allocated until now is not told.
    pub(super) fn new(options: Options, shared: Arc<Shared>) -> Result<Worker> {
        let scratch = Scratch::new();
        let now = snapshot::of_counters().to_address_profile();
        let ledger = scratch.keep(Ledger::of(&now));
        let told_until = now.time_nanos;
        drop((now, scratch));
        Ok(Worker {
            shared,
            wire: Wire::new(&options)?,
            series: options.series(),
            url: options.url.as_str().to_owned(),
            interval: options.interval,
            most_bytes: options.max_bytes,
            ledger,
            names: Names::default(),
            told_until,
            failures: 0,
        })
    }

    /// The whole life of the thread.
    pub(super) fn run(mut self) {
        let _close = CloseAtEnd(Arc::clone(&self.shared));
        let mut due = Instant::now() + backoff::first(self.interval, backoff::random());
        loop {
            let (wake, ticket) = self.shared.wait(due);
            let patience = match wake {
                Wake::Stop => LAST_PATIENCE,
                Wake::Due | Wake::Asked => PATIENCE,
            };
            // What is kept changes in `push`'s last step only, so a panic before it leaves everything as it was.
            let pushed = catch_unwind(AssertUnwindSafe(|| self.push(patience)));
            let outcome = pushed.unwrap_or_else(|_| {
                let why = "heapsite panicked while it made the profile; please report this";
                (Outcome::not_taken(why), Status::default())
            });
            due = Instant::now() + self.settle(ticket, outcome);
            if wake == Wake::Stop {
                return;
            }
        }
    }

    /// Makes a profile and sends it. What the counters of an accepted one grow by comes with it.
    fn push(&mut self, patience: Duration) -> (Outcome, Status) {
        let parcel = match self.pack() {
            Ok(parcel) => parcel,
            Err(error) => return (Outcome::not_taken(error.to_string()), Status::default()),
        };
        self.names = parcel.names;
        let seconds = |nanos: i64| nanos.max(0) as u64 / 1_000_000_000;
        let times = (seconds(self.told_until), seconds(parcel.until));
        let mut more = Status::default();
        let outcome = match &parcel.body {
            None => Outcome::Accepted,
            Some(body) => {
                more.accepted = 1;
                more.sent_bytes = body.len() as u64;
                more.merged_stacks = parcel.merged;
                self.wire.send(&self.series, times, body, patience)
            }
        };
        match outcome {
            Outcome::Accepted | Outcome::Unknown { .. } => {
                self.ledger = parcel.next;
                self.told_until = parcel.until;
            }
            Outcome::NotTaken { is_too_large, .. } => {
                if is_too_large {
                    self.most_bytes = (self.most_bytes / 2).max(LEAST_BYTES);
                }
            }
        }
        (outcome, more)
    }

    /// What the server does not know yet, in an arena but for what is sent and what is kept.
    fn pack(&self) -> Result<Parcel> {
        let scratch = Scratch::new();
        let mut profile = snapshot::of_counters().to_address_profile();
        let next = self.ledger.untold(&mut profile);
        let until = profile.time_nanos;
        profile.duration_nanos = until.saturating_sub(self.told_until).max(0);
        describe(&mut profile);
        let profile = profile.drop_zeros()?;
        if profile.samples.is_empty() {
            return Ok(scratch.keep(Parcel {
                body: None,
                merged: 0,
                names: self.names.clone(),
                next,
                until,
            }));
        }
        let body = body::encode(&profile, &self.names, self.most_bytes, body::MOST_SAMPLES)?;
        drop(profile);
        Ok(scratch.keep(Parcel {
            body: Some(body.bytes),
            merged: body.merged as u64,
            names: body.names,
            next,
            until,
        }))
    }

    /// Counts, tells what is new about it, and says how long to wait.
    fn settle(&mut self, ticket: u64, (outcome, more): (Outcome, Status)) -> Duration {
        let (wait, error) = match &outcome {
            Outcome::Accepted => {
                if self.failures > 0 {
                    let (url, failures) = (&self.url, self.failures);
                    report::line(format_args!(
                        "profiles are pushed to {url} again, after {failures} that could not be"
                    ));
                }
                self.failures = 0;
                (self.interval, None)
            }
            Outcome::NotTaken { why, wait, .. } => {
                (self.fail(why, "it is kept for later", *wait), Some(why))
            }
            Outcome::Unknown { why } => {
                (self.fail(why, "it may be missing there", None), Some(why))
            }
        };
        let error = error.cloned();
        let failures = u64::from(self.failures);
        let is_unknown = matches!(outcome, Outcome::Unknown { .. });
        self.shared.settle(ticket, outcome, |status| {
            match (&error, is_unknown) {
                (None, _) => {
                    status.accepted += more.accepted;
                    status.sent_bytes += more.sent_bytes;
                    status.merged_stacks += more.merged_stacks;
                }
                (_, false) => status.failed += 1,
                (_, true) => status.unknown += 1,
            }
            status.failures_in_a_row = failures;
            status.last_error = error;
        });
        wait
    }

    /// Stderr hears of the first of several failures: one a minute would bury the program's own lines.
    fn fail(&mut self, why: &str, so: &str, asked: Option<Duration>) -> Duration {
        if self.failures == 0 {
            let url = &self.url;
            report::line(format_args!(
                "a profile could not be pushed to {url}, and {so}: {why}"
            ));
        }
        self.failures = self.failures.saturating_add(1);
        backoff::wait(self.failures, self.interval, asked, backoff::random())
    }
}

/// What the recorder knows goes, the command line with it; comments say how it sampled, and what was lost.
fn describe(profile: &mut Profile) {
    let Some(heap) = profile.heap.take() else {
        return;
    };
    let comments = &mut profile.comments;
    comments.push(told::sampling(&heap, profile.period));
    comments.push(format!(
        "allocated is of {:.1} s, live is of their end",
        profile.duration_nanos as f64 / 1e9
    ));
    comments.extend(heap.losses.iter().map(told::loss));
}

/// Lets nobody wait for a thread that has ended, even by a panic.
struct CloseAtEnd(Arc<Shared>);

impl Drop for CloseAtEnd {
    fn drop(&mut self) {
        self.0.close();
    }
}
