//! `goroutine` and `threadcreate`: which tasks and threads there are, by where each is.
#![forbid(unsafe_code)]

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::Response;

use super::answer;
use super::jobs::{self, Busy, Jobs};
use crate::format::pprof;
use crate::helper::own_work;
use crate::profile::diff::{Options, diff};
use crate::profile::{LabelValue, Profile};
use crate::stats::threads::ids;
use crate::thread;
use crate::view::key;
use crate::view::name::printable;

/// What is counted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    #[cfg(feature = "task")]
    Tasks,
    Threads,
}

/// Those that there are; without the feature `task` tasks are not known.
pub(super) const ALL: &[Kind] = &[
    #[cfg(feature = "task")]
    Kind::Tasks,
    Kind::Threads,
];

/// How it is told.
#[derive(Clone, Copy)]
pub(super) enum Form {
    Pprof,
    /// Go's `debug=1`: a line of addresses and the frames, for each stack.
    Counts,
    /// Go's `debug=2`: a block for each group.
    Blocks,
    /// Everything.
    Json,
}

impl Kind {
    pub(super) fn from_name(name: &str) -> Option<Kind> {
        ALL.iter().copied().find(|kind| kind.name() == name)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            #[cfg(feature = "task")]
            Kind::Tasks => "goroutine",
            Kind::Threads => "threadcreate",
        }
    }

    pub(super) fn about(self) -> &'static str {
        match self {
            #[cfg(feature = "task")]
            Kind::Tasks => "Async tasks that are alive and tracked, by where each waits.",
            Kind::Threads => "Threads, by where each is.",
        }
    }

    /// How many there are now; cheap, and asks none of them.
    pub(super) fn alive(self) -> u64 {
        match self {
            #[cfg(feature = "task")]
            Kind::Tasks => crate::task::counts().map_or(0, |counts| counts.alive),
            Kind::Threads => ids().len() as u64,
        }
    }

    fn profile(self) -> Profile {
        match self {
            #[cfg(feature = "task")]
            Kind::Tasks => crate::task::dump().to_profile(),
            Kind::Threads => thread::dump().to_profile(),
        }
    }

    fn tell(self, form: Form) -> Result<Vec<u8>, String> {
        let mut body = Vec::new();
        let json = |written: crate::Result<()>| written.map_err(|error| error.to_string());
        match (form, self) {
            (Form::Pprof, _) => return file(&self.profile()),
            (Form::Counts, _) => body = counts(self, &self.profile()).into_bytes(),
            #[cfg(feature = "task")]
            (Form::Blocks, Kind::Tasks) => body = crate::task::dump().to_string().into_bytes(),
            (Form::Blocks, Kind::Threads) => body = thread::dump().to_string().into_bytes(),
            #[cfg(feature = "task")]
            (Form::Json, Kind::Tasks) => json(crate::task::dump().write_json(&mut body))?,
            (Form::Json, Kind::Threads) => json(thread::dump().write_json(&mut body))?,
        }
        Ok(body)
    }
}

/// All that there are now.
pub(super) async fn whole(jobs: &Arc<Jobs>, kind: Kind, form: Form) -> Response {
    let next = match jobs.next() {
        Ok(next) => next,
        Err(Busy(seconds)) => return answer::busy(answer::ANOTHER_PROFILE, seconds),
    };
    let made = jobs::run(move |_caller| {
        let _own_work = own_work();
        let _turn = next.turn();
        kind.tell(form)
    });
    match (made.await, form) {
        (Ok(Ok(body)), Form::Pprof) => answer::file(kind.name(), body),
        (Ok(Ok(body)), Form::Json) => answer::json(String::from_utf8_lossy(&body).into_owned()),
        (Ok(Ok(body)), _) => answer::text(body),
        (Ok(Err(error)), _) => failed(&error),
        (Err(error), _) => failed(error),
    }
}

/// What changes in the next `seconds`; counts may be negative, as Go's are.
pub(super) async fn delta(jobs: &Arc<Jobs>, kind: Kind, seconds: u64) -> Response {
    let length = Duration::from_secs(seconds);
    let window = match jobs.window(length) {
        Ok(window) => window,
        Err(Busy(seconds)) => return answer::busy(answer::ANOTHER_WINDOW, seconds),
    };
    let made = jobs::run(move |caller| {
        let _own_work = own_work();
        let turn = window.first_look();
        let base = kind.profile();
        drop(turn);
        // `None`: nobody waits for the second half.
        let _turn = window.second_look(&caller)?;
        let changed = diff(&base, &kind.profile(), &Options::default());
        Some(
            changed
                .map_err(|error| error.to_string())
                .and_then(|changed| {
                    let mut profile = changed.profile;
                    profile.duration_nanos = length.as_nanos() as i64;
                    file(&profile)
                }),
        )
    });
    match made.await {
        Ok(Some(Ok(body))) => answer::file(&format!("{}-delta", kind.name()), body),
        Ok(Some(Err(error))) => failed(&error),
        Ok(None) => failed("the caller has gone"),
        Err(error) => failed(error),
    }
}

fn file(profile: &Profile) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    pprof::write(profile, &mut body).map_err(|error| error.to_string())?;
    Ok(body)
}

/// As `runtime/pprof` writes it. Frames have names and no addresses; the number of a frame's line stands in for one, since
/// readers tell frames apart by it.
fn counts(kind: Kind, profile: &Profile) -> String {
    let total: i64 = profile.samples.iter().map(|sample| sample.values[0]).sum();
    let mut text = format!("{} profile: total {total}\n", kind.name());
    for sample in &profile.samples {
        let _ = write!(text, "{} @", sample.values[0]);
        for location in &sample.locations {
            let _ = write!(text, " {:#x}", u64::from(location.0) + 1);
        }
        text.push('\n');
        let labels = sample.labels.iter().filter_map(|label| match &label.value {
            LabelValue::Str(value) => Some(format!("{:?}:{:?}", label.key, printable(value))),
            LabelValue::Num(..) => None,
        });
        let labels: Vec<String> = labels.collect();
        if !labels.is_empty() {
            let _ = writeln!(text, "# labels: {{{}}}", labels.join(", "));
        }
        for &location in &sample.locations {
            for frame in key::frames(profile, location) {
                let (function, file) = (printable(&frame.function), printable(&frame.file));
                let address = u64::from(location.0) + 1;
                let _ = writeln!(
                    text,
                    "#\t{address:#x}\t{function}+0x0\t{file}:{}",
                    frame.line
                );
            }
        }
        text.push('\n');
    }
    text
}

fn failed(why: &str) -> Response {
    answer::refusal(StatusCode::INTERNAL_SERVER_ERROR, why)
}
