//! Finding the leak: what grows, since when, how fast, and how sure that is.
//!
//! [`leaks`] judges every blamed line of a profile by the births of what is live and the lifetimes of what was freed.
//! One snapshot is enough; more add a slope over time. Pure functions over [`Profile`]s. The chapter
//! [`leaks`](crate::guide::leaks) of the guide has the mathematics and the odds.
#![forbid(unsafe_code)]

mod births;
mod class;
mod odds;
mod place;
mod rate;
pub mod rules;
mod series;
mod survival;
mod thing;
pub mod trend;

#[cfg(test)]
mod quality;
#[cfg(test)]
mod simulate;
#[cfg(test)]
mod tests;

pub use class::{Class, Why};
pub use place::Place;
pub use rate::Rate;
pub use rules::{Advice, Process};
pub use survival::Point;
pub use thing::Thing;
pub use trend::Trend;

use std::time::Duration;

use crate::profile::Profile;
use crate::{Error, Result};
use class::{Cap, Judgement};
use place::History;
use rules::Evidence;
use series::Series;

/// What looks like a leak does so by chance with at most these odds, at each place.
const SUSPICION: f64 = 0.1;

/// How to look.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// How often a process in which nothing leaks may have any place called a leak: 0.01.
    pub level: f64,
    /// What growth is counted by instead of seconds.
    pub per: Option<Counter>,
    /// What is known of the process as a whole, for the rules.
    pub process: Process,
    /// How long a cache may take to fill, a session to live, or traffic to rise: an hour. What has not grown for longer is
    /// not called a leak, whatever else it does.
    pub longest_fill: Duration,
    /// How large a cache may be, bytes: what is larger need not have grown for that long. `None`: not known.
    pub largest_cache: Option<f64>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            level: 0.01,
            per: None,
            process: Process::default(),
            longest_fill: Duration::from_secs(3600),
            largest_cache: None,
        }
    }
}

/// Something that the program counts, such as requests.
#[derive(Clone, Debug, PartialEq)]
pub struct Counter {
    /// Its unit in the singular, such as `request`.
    pub unit: String,
    /// What it stood at in each profile; ascending. With one profile it is taken to have been 0 at the recorder's start.
    pub values: Vec<f64>,
}

/// What was found.
#[derive(Clone, Debug, Default, serde::Serialize)]
#[non_exhaustive]
pub struct Findings {
    /// Leaks, the fastest first.
    pub leaks: Vec<Suspect>,
    /// What grows and may have a cap, the fastest first.
    pub filling: Vec<Suspect>,
    /// What was told to be none: bursts, start-up and working sets, the largest first.
    pub others: Vec<Suspect>,
    /// What could not be told, the largest first.
    pub cannot_tell: Vec<Untold>,
    /// Rules that look at the process as a whole.
    pub advice: Vec<Advice>,
    /// What [`Rate`]s are per: `second`, or the unit that was asked for.
    pub per: String,
    /// Time since the recorder's start, nanoseconds; 0: unknown.
    pub uptime_nanos: u64,
    /// How many places were judged: p-values are corrected for them.
    pub judged: usize,
    /// [`Options::level`].
    pub level: f64,
}

/// A place and what it does.
#[derive(Clone, Debug, serde::Serialize)]
#[non_exhaustive]
pub struct Suspect {
    /// The line to blame.
    pub place: Place,
    /// What was allocated.
    pub thing: Thing,
    /// How it behaves.
    pub class: Class,
    /// Of a leak `1 − p`, with `p` corrected for the number of places (Holm); otherwise 0.
    pub confidence: f64,
    /// Of what is filling: it does all that a leak does, but has not grown for longer than a cache may take to fill
    /// ([`Options::longest_fill`]); or what is live stays longer and longer, as in a queue. Look again later.
    pub looks_like_leak: bool,
    /// Nothing of it was ever freed: a cache on its way to a cap looks the same.
    pub may_be_filling: bool,
    /// Live bytes, estimated unless the profile is exact.
    pub live_bytes: f64,
    /// Standard error of `live_bytes`.
    pub live_error: f64,
    /// Live samples, as counted.
    pub samples: u64,
    /// How fast it grows, for a leak and for filling.
    pub rate: Option<Rate>,
    /// The part of the growth of all leaks and fillings, 0 to 1.
    pub share: f64,
    /// Since when it grows, nanoseconds since the recorder's start.
    pub since_nanos: u64,
    /// How many samples come and go as one; counts were divided by this.
    pub clumping: f64,
    /// What survives to an age; empty: not known.
    pub survival: Vec<Point>,
    /// Live bytes by birth, oldest first, in eight windows of the run; empty: not known.
    pub cohorts: Vec<Window>,
    /// The slope over several profiles; `None`: fewer than three.
    pub trend: Option<Trend>,
    /// What the pattern is, the surest first.
    pub advice: Vec<Advice>,
}

/// Live memory that was born in a span of time.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Window {
    /// Begin, nanoseconds since the recorder's start.
    pub from_nanos: u64,
    /// End.
    pub to_nanos: u64,
    /// Bytes of it that are live, estimated.
    pub bytes: f64,
    /// Standard error of `bytes`.
    pub std_error: f64,
}

/// A place that could not be told.
#[derive(Clone, Debug, serde::Serialize)]
#[non_exhaustive]
pub struct Untold {
    /// The line.
    pub place: Place,
    /// What is in the way.
    pub why: Why,
    /// Live bytes, estimated unless the profile is exact.
    pub live_bytes: f64,
    /// Live samples, as counted.
    pub samples: u64,
    /// What the pattern is: of places that do not grow, such as conversion churn.
    pub advice: Vec<Advice>,
}

/// Judges every blamed line of the last profile; the others, of the same process and earlier, add a trend.
///
/// # Errors
/// Input error if there is no profile, if one is a difference or a sum of several processes, if they are not in order or not of
/// one process, or if the counter does not have an ascending value for each.
pub fn leaks(profiles: &[Profile], options: &Options) -> Result<Findings> {
    let last = profiles
        .last()
        .ok_or_else(|| Error::input("no profile to look at"))?;
    series::check(profiles, options)?;
    let facts = last.heap.as_deref();
    let uptime = facts.map_or(0, |facts| facts.uptime_nanos);
    let moments = series::moments(profiles, options);
    let mut levels = series::levels(profiles);
    let cap = Cap {
        longest: options.longest_fill.as_nanos() as f64,
        largest: options.largest_cache.unwrap_or(f64::INFINITY),
    };
    let total =
        |get: fn(&History) -> f64, all: &[History]| all.iter().map(get).sum::<f64>().max(1.0);

    let histories = place::histories(last);
    let allocated = total(|h| h.alloc.bytes_estimate, &histories);
    let live = total(|h| h.live.bytes_estimate, &histories);
    let peak = total(|h| h.peak.bytes_estimate, &histories);

    let mut judged: Vec<(History, Judgement, Option<Trend>)> = Vec::new();
    for history in histories {
        let mut judgement = class::judge(&history, uptime as f64, cap);
        let levels = levels.remove(&series::key(&history.place));
        let [levels, allocated] = levels.unwrap_or_default();
        let trend = trend::trend(&moments, &levels);
        if let Some(trend) = &trend {
            let series = Series {
                profiles,
                levels: &levels,
                allocated: &allocated,
                trend,
            };
            series.weigh(&history, &mut judgement, cap);
        }
        judged.push((history, judgement, trend));
    }
    // Places that could be told at all, whatever came of it: how many there are does not depend on the tests.
    let is_judged = |j: &Judgement| !matches!(j.class, Err(Why::FewSamples | Why::NoAges));
    let tested: Vec<usize> = (0..judged.len())
        .filter(|&at| is_judged(&judged[at].1))
        .collect();
    let p: Vec<f64> = tested.iter().map(|&at| judged[at].1.p).collect();
    for (&at, p) in tested.iter().zip(odds::holm(&p)) {
        let judgement = &mut judged[at].1;
        judgement.p = p;
        if judgement.class == Ok(Class::Leak) && p > options.level {
            // Not an accusation, so it is not corrected for the number of places.
            judgement.class = match judgement.p_alike <= SUSPICION {
                true => Ok(Class::Filling),
                false => Err(Why::WithinChance),
            };
        }
    }

    let mut findings = Findings {
        per: options
            .per
            .as_ref()
            .map_or("second", |per| &per.unit)
            .to_owned(),
        uptime_nanos: uptime,
        judged: tested.len(),
        level: options.level,
        ..Findings::default()
    };
    let per_second = series::per_second(profiles, options, uptime);
    for (history, judgement, trend) in judged {
        let at_peak = history.peak.bytes_estimate;
        let evidence = Evidence {
            place: Some(&history.place),
            class: judgement.class.ok(),
            thing: history.skipped.thing(),
            functions: history.skipped.functions(),
            mean_size: history.live.bytes_estimate / history.live.objects_estimate.max(1.0),
            live_share: history.live.bytes_estimate / live,
            alloc_share: history.alloc.bytes_estimate / allocated,
            peak_share: at_peak / peak,
            left_of_peak: if at_peak > 0.0 {
                history.live.bytes_estimate / at_peak
            } else {
                1.0
            },
            process: options.process,
        };
        let advice = rules::advise(&evidence);
        findings.add(&history, judgement, trend, per_second, advice);
    }
    findings.sort();
    findings.advice = rules::advise_process(options.process);
    Ok(findings)
}

impl Findings {
    fn add(
        &mut self,
        history: &History,
        judgement: Judgement,
        trend: Option<Trend>,
        per_second: f64,
        advice: Vec<Advice>,
    ) {
        let live_bytes = match history.is_blind {
            true => history.level as f64,
            false => history.live.bytes_estimate,
        };
        let place = history.place.clone();
        let class = match judgement.class {
            Ok(class) => class,
            Err(why) => {
                if live_bytes > 0.0 || !advice.is_empty() {
                    self.cannot_tell.push(Untold {
                        place,
                        why,
                        live_bytes,
                        samples: history.live.objects,
                        advice,
                    });
                }
                return;
            }
        };
        let grows = matches!(class, Class::Leak | Class::Filling);
        let Judgement {
            since,
            until,
            clumping,
            p,
            p_alike,
            ..
        } = judgement;
        let by_births = || rate::rate(history, since, until, clumping).times(per_second);
        let uptime = self.uptime_nanos;
        let born = |from: f64, to: f64| history.born_in(from, to);
        let window = |i: u64| {
            let (from_nanos, to_nanos) = (uptime / 8 * i, uptime / 8 * (i + 1));
            let live = born(from_nanos as f64, to_nanos as f64);
            Window {
                from_nanos,
                to_nanos,
                bytes: live.bytes_estimate,
                std_error: live.bytes_variance.sqrt(),
            }
        };
        let oldest = history
            .born
            .first()
            .map_or(0.0, |born| uptime as f64 - born.from);
        let older_than = |age: u64| history.samples_in(0.0, uptime as f64 - age as f64);
        // One block that doubles has no births to speak of.
        let is_few = (history.live.objects as f64) < class::FEWEST;
        let suspect = Suspect {
            place,
            thing: history.skipped.thing(),
            class,
            confidence: if class == Class::Leak { 1.0 - p } else { 0.0 },
            looks_like_leak: class == Class::Filling && p_alike <= SUSPICION,
            may_be_filling: class == Class::Leak && history.freed.is_empty(),
            live_bytes,
            live_error: history.live.bytes_variance.sqrt(),
            samples: history.live.objects,
            rate: match (grows, history.is_blind || is_few, trend) {
                (false, ..) => None,
                (true, true, Some(trend)) => Some(trend.slope),
                (true, ..) => Some(by_births()),
            },
            share: 0.0,
            since_nanos: since as u64,
            clumping,
            survival: survival::curve(&history.freed, older_than, oldest as u64),
            cohorts: if history.born.is_empty() {
                Vec::new()
            } else {
                (0..8).map(window).collect()
            },
            trend,
            advice,
        };
        match class {
            Class::Leak => self.leaks.push(suspect),
            Class::Filling => self.filling.push(suspect),
            Class::Burst | Class::StartUp | Class::WorkingSet => self.others.push(suspect),
        }
    }

    fn sort(&mut self) {
        let speed = |suspect: &Suspect| suspect.rate.map_or(0.0, |rate| rate.bytes.max(0.0));
        let all: f64 = self.leaks.iter().chain(&self.filling).map(speed).sum();
        for suspect in self.leaks.iter_mut().chain(&mut self.filling) {
            suspect.share = if all > 0.0 { speed(suspect) / all } else { 0.0 };
        }
        let faster = |a: &Suspect, b: &Suspect| {
            speed(b)
                .total_cmp(&speed(a))
                .then_with(|| a.place.cmp(&b.place))
        };
        self.leaks.sort_by(faster);
        self.filling.sort_by(faster);
        self.others.sort_by(|a, b| {
            b.live_bytes
                .total_cmp(&a.live_bytes)
                .then_with(|| a.place.cmp(&b.place))
        });
        self.cannot_tell.sort_by(|a, b| {
            b.live_bytes
                .total_cmp(&a.live_bytes)
                .then_with(|| a.place.cmp(&b.place))
        });
    }
}
