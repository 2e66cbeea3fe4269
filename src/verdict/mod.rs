//! The verdict: why the memory grows, in one sentence, with what it rests on.
//!
//! [`judge`] puts together what [`find`] says of the program's lines and what the process holds: memory by parts,
//! threads, descriptors, tasks. [`Verdict::sentence`] is the answer, [`write_evidence`](Verdict::write_evidence) what it rests
//! on; serde writes the same as JSON. Pure functions; the chapter [`verdict`](crate::guide::verdict) of the guide has the rules.
//!
//! ```
//! let profiles = [heapsite::snapshot().to_profile()];
//! let verdict = heapsite::verdict::judge(&profiles, &heapsite::verdict::Options::default())?;
//! println!("{}", verdict.sentence());
//! # Ok::<(), heapsite::Error>(())
//! ```
#![forbid(unsafe_code)]

mod cause;
mod lines;
mod process;
mod report;
mod sentence;
mod trim;

#[cfg(test)]
mod tests;

pub use cause::{Cause, Finding};
pub use report::Layout;
pub use trim::Trim;

use crate::find::{self, Findings, Suspect};
use crate::profile::resources::Resources;
use crate::view::Value;
use crate::{Profile, Result};

/// How to judge.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Options {
    /// How leaks are looked for. [`find::Options::process`] is filled in, but for what it says already.
    pub find: find::Options,
    /// An earlier moment of the process, such as the oldest of a service's history. Of several profiles the first one
    /// is meant.
    pub before: Option<Before>,
    /// What the experiment with the allocator showed, if it was made.
    pub trim: Option<Trim>,
}

/// What the process held earlier.
#[derive(Clone, Debug, Default, serde::Serialize)]
#[non_exhaustive]
pub struct Before {
    /// When, nanoseconds since the Unix epoch.
    pub time_nanos: i64,
    /// What.
    pub resources: Resources,
}

impl Before {
    /// What the process held at a time, nanoseconds since the Unix epoch.
    pub fn new(time_nanos: i64, resources: Resources) -> Before {
        Before {
            time_nanos,
            resources,
        }
    }
}

/// Why the memory grows, or that it does not.
#[derive(Clone, Debug, serde::Serialize)]
#[non_exhaustive]
pub struct Verdict {
    /// Everything that makes it grow, or keeps it large, the most bytes first; empty: nothing that could be seen.
    pub causes: Vec<Finding>,
    /// What was found of the program's lines.
    pub findings: Findings,
    /// Growth by crate, the fastest first.
    pub crates: Vec<CrateGrowth>,
    /// What is known of the process as a whole.
    pub process: find::Process,
    /// What it held before; `None`: one moment only.
    pub before: Option<Before>,
    /// What it holds.
    pub now: Option<Resources>,
    /// Time between the two, nanoseconds.
    pub span_nanos: u64,
    /// How long a cache may take to fill: [`find::Options::longest_fill`], nanoseconds.
    pub longest_fill_nanos: u64,
    /// Live heap bytes, estimated unless `exact`.
    pub live_bytes: f64,
    /// Standard error of `live_bytes`.
    pub live_error: f64,
    /// Every allocation was recorded.
    pub exact: bool,
    /// Live bytes at the high-water mark, estimated; 0: not known.
    pub peak_bytes: f64,
    /// When that was, nanoseconds since the recorder's start.
    pub peak_nanos: u64,
    /// The experiment with the allocator.
    pub trim: Option<Trim>,
}

/// How fast what a crate's lines keep grows.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct CrateGrowth {
    /// The crate; empty: unknown.
    pub name: String,
    /// Bytes per second, or per count, of its leaks and of what may fill; estimated.
    pub bytes: f64,
    /// The part of the growth of all, 0 to 1.
    pub share: f64,
    /// How many of its lines grow.
    pub lines: usize,
}

/// Judges a process by one profile or by several, the oldest first.
///
/// # Errors
/// Those of [`find::leaks`].
pub fn judge(profiles: &[Profile], options: &Options) -> Result<Verdict> {
    let last = profiles.last();
    let before = match profiles {
        [first, .., _] => first
            .resources()
            .map(|it| Before::new(first.time_nanos, it.into_owned())),
        _ => options.before.clone(),
    };
    let now = last.and_then(|profile| profile.resources().map(|it| it.into_owned()));
    let mut find = options.find.clone();
    find.process = process::known(find.process, before.as_ref(), now.as_ref());
    let mut findings = find::leaks(profiles, &find)?;
    if find.process.heap_grows.is_none() {
        find.process.heap_grows = process::heap_grows(&findings);
        findings.advice = find::rules::advise_process(find.process);
    }
    let facts = last.and_then(|profile| profile.heap.as_deref());
    let span = last.zip(before.as_ref()).map_or(0, |(last, before)| {
        last.time_nanos.saturating_sub(before.time_nanos)
    });
    let mut verdict = Verdict {
        causes: Vec::new(),
        crates: by_crate(&findings),
        process: find.process,
        before,
        now,
        span_nanos: u64::try_from(span).unwrap_or(0),
        longest_fill_nanos: u64::try_from(find.longest_fill.as_nanos()).unwrap_or(u64::MAX),
        live_bytes: facts.map_or_else(|| live(last), |facts| facts.live.bytes_estimate),
        live_error: facts.map_or(0.0, |facts| facts.live.bytes_variance.max(0.0).sqrt()),
        exact: facts.is_some_and(|facts| facts.exact),
        peak_bytes: facts.map_or(0.0, |facts| facts.peak_bytes),
        peak_nanos: facts.map_or(0, |facts| facts.peak_nanos),
        trim: options.trim.clone(),
        findings,
    };
    verdict.causes = cause::causes(&verdict);
    Ok(verdict)
}

impl Verdict {
    /// What makes it grow most.
    pub fn cause(&self) -> Cause {
        self.causes
            .first()
            .map_or_else(|| cause::none_or_unknown(self), |finding| finding.cause)
    }

    /// Leaks and what may be filling: everything that grows, the surest and largest first.
    pub fn growing(&self) -> impl Iterator<Item = &Suspect> {
        let findings = &self.findings;
        findings.leaks.iter().chain(&findings.filling)
    }
}

fn live(profile: Option<&Profile>) -> f64 {
    let Some(profile) = profile else { return 0.0 };
    let value = Value::find(profile, Some("inuse_space"));
    value.map_or(0.0, |value| value.total(profile).value as f64)
}

fn by_crate(findings: &Findings) -> Vec<CrateGrowth> {
    let mut crates: Vec<CrateGrowth> = Vec::new();
    for suspect in findings.leaks.iter().chain(&findings.filling) {
        let bytes = suspect.rate.map_or(0.0, |rate| rate.bytes.max(0.0));
        let name = &suspect.place.crate_name;
        match crates.iter_mut().find(|known| known.name == *name) {
            Some(known) => {
                known.bytes += bytes;
                known.share += suspect.share;
                known.lines += 1;
            }
            None => crates.push(CrateGrowth {
                name: name.clone(),
                bytes,
                share: suspect.share,
                lines: 1,
            }),
        }
    }
    crates.sort_by(|a, b| {
        b.bytes
            .total_cmp(&a.bytes)
            .then_with(|| a.name.cmp(&b.name))
    });
    crates
}
