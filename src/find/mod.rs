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

use std::collections::HashMap;

use crate::profile::Profile;
use crate::{Error, Result};
use class::Judgement;
use place::History;
use rules::Evidence;

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
}

impl Default for Options {
    fn default() -> Options {
        Options {
            level: 0.01,
            per: None,
            process: Process::default(),
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
/// Input error if there is no profile, if they are not in order or not of one process, or if the counter does not have an
/// ascending value for each.
pub fn leaks(profiles: &[Profile], options: &Options) -> Result<Findings> {
    let last = profiles
        .last()
        .ok_or_else(|| Error::input("no profile to look at"))?;
    check(profiles, options)?;
    let facts = last.heap.as_deref();
    let uptime = facts.map_or(0, |facts| facts.uptime_nanos);
    let moments = moments(profiles, options);
    let mut levels = levels(profiles);
    let total =
        |get: fn(&History) -> f64, all: &[History]| all.iter().map(get).sum::<f64>().max(1.0);

    let histories = place::histories(last);
    let allocated = total(|h| h.alloc.bytes_estimate, &histories);
    let live = total(|h| h.live.bytes_estimate, &histories);
    let peak = total(|h| h.peak.bytes_estimate, &histories);

    let mut judged: Vec<(History, Judgement, Option<Trend>)> = Vec::new();
    for history in histories {
        let mut judgement = class::judge(&history, uptime as f64);
        let trend = levels
            .remove(&key(&history.place))
            .and_then(|levels| trend::trend(&moments, &levels));
        if let Some(trend) = trend {
            weigh(&history, last, &mut judgement, &trend);
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
            judgement.class = Err(Why::WithinChance);
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
    let per_second = per_second(profiles, options, uptime);
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

/// What a trend adds: it can vouch for a place that one snapshot does not tell, and clear one that does not rise.
fn weigh(history: &History, last: &Profile, judgement: &mut Judgement, trend: &Trend) {
    // Two tests of one place: whichever speaks, its odds count twice (Bonferroni).
    judgement.p = (2.0 * judgement.p).min(1.0);
    let error = match history.live.bytes_variance {
        variance if variance > 0.0 => variance.sqrt(),
        // Bytes × period bounds the variance where none was kept; see `profile::growth`.
        _ => (history.level.max(0) as f64 * last.period.max(0) as f64).sqrt(),
    };
    let beyond_error = trend.rise > 4.0 * error;
    match judgement.class {
        Ok(Class::Leak) if trend.slope.high <= 0.0 => judgement.class = Ok(Class::Filling),
        Err(Why::NoAges | Why::FewOld | Why::FewBursts)
            if beyond_error && trend.slope.low > 0.0 =>
        {
            judgement.class = Ok(if trend.later_share >= 0.25 {
                Class::Leak
            } else {
                Class::Filling
            });
            judgement.p = (2.0 * trend.p).min(1.0);
        }
        _ => {}
    }
}

fn check(profiles: &[Profile], options: &Options) -> Result<()> {
    for pair in profiles.windows(2) {
        let process = |profile: &Profile| profile.heap.as_ref().map(|heap| heap.process.clone());
        let of_one = match (process(&pair[0]), process(&pair[1])) {
            (Some(a), Some(b)) => a.is_same(&b),
            // Go's and jemalloc's profiles do not say.
            _ => true,
        };
        if !of_one || pair[0].time_nanos >= pair[1].time_nanos {
            return Err(Error::input(
                "the profiles are not of one process, or not in order",
            ));
        }
    }
    let Some(per) = &options.per else {
        return Ok(());
    };
    let ascends = per.values.windows(2).all(|pair| pair[0] < pair[1]);
    match per.values.len() == profiles.len()
        && ascends
        && per.values.iter().all(|value| value.is_finite())
    {
        true => Ok(()),
        false => Err(Error::input(format!(
            "the count of {} needs {} ascending values, one for each profile",
            per.unit,
            profiles.len()
        ))),
    }
}

/// Seconds or counts at each profile.
fn moments(profiles: &[Profile], options: &Options) -> Vec<f64> {
    match &options.per {
        Some(per) => per.values.clone(),
        None => {
            let first = profiles.first().map_or(0, |profile| profile.time_nanos);
            profiles
                .iter()
                .map(|profile| profile.time_nanos.wrapping_sub(first) as f64 / 1e9)
                .collect()
        }
    }
}

/// By how much a rate per second is to be multiplied.
fn per_second(profiles: &[Profile], options: &Options, uptime: u64) -> f64 {
    let Some(per) = &options.per else { return 1.0 };
    let counted = match per.values[..] {
        [only] => only / (uptime as f64 / 1e9),
        [first, .., last] => {
            let times = |at: usize| profiles[at].time_nanos as f64 / 1e9;
            (last - first) / (times(profiles.len() - 1) - times(0))
        }
        [] => return 1.0,
    };
    if counted > 0.0 { 1.0 / counted } else { 0.0 }
}

/// File and line, or the function where they are not known: what a place is known by from profile to profile.
fn key(place: &Place) -> (String, i64) {
    match place.line > 0 && !place.file.is_empty() {
        true => (place.file.clone(), place.line),
        false => (place.function.clone(), 0),
    }
}

/// Live bytes of each place in each profile.
fn levels(profiles: &[Profile]) -> HashMap<(String, i64), Vec<f64>> {
    let mut levels: HashMap<(String, i64), Vec<f64>> = HashMap::new();
    if profiles.len() < 3 {
        return levels;
    }
    for (at, profile) in profiles.iter().enumerate() {
        for history in place::histories(profile) {
            let row = levels
                .entry(key(&history.place))
                .or_insert_with(|| vec![0.0; profiles.len()]);
            row[at] = history.level as f64;
        }
    }
    levels
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
        let suspect = Suspect {
            place,
            thing: history.skipped.thing(),
            class,
            confidence: if class == Class::Leak { 1.0 - p } else { 0.0 },
            may_be_filling: class == Class::Leak && history.freed.is_empty(),
            live_bytes,
            live_error: history.live.bytes_variance.sqrt(),
            samples: history.live.objects,
            rate: match (grows, history.is_blind, trend) {
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
