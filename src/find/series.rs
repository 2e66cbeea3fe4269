//! Several profiles of one process: whether they can be looked at together, and what their levels add.
#![forbid(unsafe_code)]

use std::collections::HashMap;

use super::class::{Cap, Class, Judgement, Why};
use super::place::{self, History, Place};
use super::trend::{Trend, trend};
use super::{Options, SUSPICION};
use crate::profile::Profile;
use crate::{Error, Result};

/// The levels of one place.
pub(super) struct Series<'a> {
    pub(super) profiles: &'a [Profile],
    /// Live bytes in each profile.
    pub(super) levels: &'a [f64],
    /// Bytes ever allocated, in each profile; 0: not known.
    pub(super) allocated: &'a [f64],
    pub(super) trend: &'a Trend,
}

impl Series<'_> {
    /// What a trend adds: suspicion where one snapshot does not tell, and acquittal of what does not rise. Only where there
    /// are no births it accuses: they would tell survivors from a working set that rises with its load.
    pub(super) fn weigh(&self, history: &History, judgement: &mut Judgement, cap: Cap) {
        let &Series { trend, .. } = self;
        // Two tests of one place: whichever speaks, its odds count twice (Bonferroni).
        judgement.p = (2.0 * judgement.p).min(1.0);
        judgement.p_alike = (2.0 * judgement.p_alike).min(1.0);
        let error = self.error(history);
        let rises = trend.rise > 4.0 * error && trend.slope.low > 0.0;
        match judgement.class {
            Ok(Class::Leak) if trend.slope.high <= 0.0 => {
                judgement.class = Ok(Class::Filling);
                (judgement.p, judgement.p_alike) = (1.0, 1.0);
            }
            Ok(Class::WorkingSet | Class::Filling) if rises && judgement.p_alike > SUSPICION => {
                let alike = 2.0 * self.odds_of_longer_stays().max(trend.p);
                if trend.later_share >= 0.25 && alike <= SUSPICION {
                    judgement.class = Ok(Class::Filling);
                    judgement.p_alike = alike;
                }
            }
            Err(why) if rises => {
                let alike = (2.0 * trend.p).min(1.0);
                // One block that doubles pauses for half of its life.
                let is_one = why == Why::FewSamples;
                let goes_on = trend.later_share >= 0.25 && (is_one || self.rises_still());
                if why == Why::NoAges && goes_on && self.exceeds(cap, error) {
                    judgement.class = Ok(Class::Leak);
                    (judgement.p, judgement.p_alike) = (alike, alike);
                } else if why == Why::NoAges || alike <= SUSPICION {
                    judgement.class = Ok(Class::Filling);
                    judgement.p_alike = if goes_on { alike } else { 1.0 };
                }
            }
            _ => {}
        }
    }

    /// Whether the last quarter of the snapshots has a sixteenth of the rise.
    fn rises_still(&self) -> bool {
        let length = self.levels.len();
        match (self.levels.get(length * 3 / 4), self.levels.last()) {
            (Some(before), Some(last)) => last - before > self.trend.rise / 16.0,
            _ => false,
        }
    }

    /// Standard error of a level.
    fn error(&self, history: &History) -> f64 {
        let period = self.profiles.last().map_or(0, |last| last.period);
        match history.live.bytes_variance {
            variance if variance > 0.0 => variance.sqrt(),
            // Bytes × period bounds the variance where none was kept; see `profile::growth`.
            _ => (history.level.max(0) as f64 * period.max(0) as f64).sqrt(),
        }
    }

    /// The odds that chance makes what is allocated here stay longer and longer, as in a queue that is drained too slowly.
    /// How long it stays on average is what is live by what comes per time (Little, 1961), from profile to profile. It has to grow
    /// by half; where traffic rises it stays the same.
    fn odds_of_longer_stays(&self) -> f64 {
        let mut ends = Vec::new();
        let mut stays = Vec::new();
        for at in 1..self.levels.len().min(self.allocated.len()) {
            let came = self.allocated[at] - self.allocated[at - 1];
            let times = [at - 1, at].map(|at| self.profiles[at].time_nanos as f64);
            if came > 0.0 {
                ends.push(times[1]);
                stays.push(self.levels[at] / came * (times[1] - times[0]));
            }
        }
        let grows = stays.first().zip(stays.last());
        match (trend(&ends, &stays), grows) {
            (Some(trend), Some((first, last)))
                if *last >= 1.5 * first && trend.later_share >= 0.25 =>
            {
                trend.p
            }
            _ => 1.0,
        }
    }

    /// Whether a cache that began to fill when this began to rise would have been full before the rise ended: it rose by four
    /// errors, and by an eighth of the rate before, when that time was over. Or whether it is larger than a cache may be.
    fn exceeds(&self, cap: Cap, error: f64) -> bool {
        let (Some(&first), Some(&last)) = (self.levels.first(), self.levels.last()) else {
            return false;
        };
        if last - 4.0 * error > cap.largest {
            return true;
        }
        let times: Vec<f64> = self
            .profiles
            .iter()
            .map(|profile| profile.time_nanos as f64)
            .collect();
        let rise = last - first;
        let begins = self
            .levels
            .iter()
            .rposition(|level| level - first <= rise / 16.0);
        let begins = begins.unwrap_or(0);
        let Some(full) = (0..times.len()).find(|&at| times[at] >= times[begins] + cap.longest)
        else {
            return false;
        };
        let after = last - self.levels[full];
        let rates = [
            after / (times[times.len() - 1] - times[full]),
            (self.levels[full] - self.levels[begins]) / (times[full] - times[begins]),
        ];
        after > 4.0 * error && rates[0] > rates[1] / 8.0
    }
}

/// Neither a difference nor a sum of processes: their births and lifetimes belong to no one recorder.
fn of_a_moment(profile: &Profile) -> Result<()> {
    let falls = profile
        .samples
        .iter()
        .any(|sample| sample.values.iter().any(|&value| value < 0));
    if falls || profile.duration_nanos != 0 {
        return Err(Error::input(
            "the profile is a difference; leaks are looked for in profiles of one moment each: give both of them",
        ));
    }
    match &profile.heap {
        // A sum has no process of its own; see `profile::merge`.
        Some(facts) if facts.uptime_nanos > 0 && facts.process.pid == 0 => Err(Error::input(
            "the profile is a sum of several processes, whose births have no common time; give a profile of one",
        )),
        _ => Ok(()),
    }
}

pub(super) fn check(profiles: &[Profile], options: &Options) -> Result<()> {
    profiles.iter().try_for_each(of_a_moment)?;
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
pub(super) fn moments(profiles: &[Profile], options: &Options) -> Vec<f64> {
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
pub(super) fn per_second(profiles: &[Profile], options: &Options, uptime: u64) -> f64 {
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
pub(super) fn key(place: &Place) -> (String, i64) {
    match place.line > 0 && !place.file.is_empty() {
        true => (place.file.clone(), place.line),
        false => (place.function.clone(), 0),
    }
}

/// Live bytes of each place in each profile, and bytes that it ever allocated.
pub(super) fn levels(profiles: &[Profile]) -> HashMap<(String, i64), [Vec<f64>; 2]> {
    let mut levels: HashMap<(String, i64), [Vec<f64>; 2]> = HashMap::new();
    if profiles.len() < 3 {
        return levels;
    }
    for (at, profile) in profiles.iter().enumerate() {
        for history in place::histories(profile) {
            let rows = levels
                .entry(key(&history.place))
                .or_insert_with(|| [0; 2].map(|_| vec![0.0; profiles.len()]));
            rows[0][at] = history.level as f64;
            rows[1][at] = history.alloc.bytes_estimate;
        }
    }
    levels
}
