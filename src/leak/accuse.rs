//! Lines that go on growing, from several snapshots of one process.
//!
//! Growth alone is no leak: caches fill, pools open, runtimes start. So the service is warmed up first, then
//! snapshots are taken at `n` moments under steady traffic, and a line is accused only if all of this holds:
//!
//! 1. **It rose every time.** A level that goes up and down without a trend (a working set, a full cache) stands in
//!    any of the `n!` orders equally often, whatever its distribution, so it rises from first to last with a chance of
//!    `1/n!`. This is Mann and Kendall's test (1945) at its extreme. Only lines whose levels all differ
//!    can pass, and which they are does not depend on the order; the chance that any of `m` such lines passes is at
//!    most `m/n!`.
//! 2. **The growth of the later half is beyond its error.** Sampling makes the order of estimates depend on each
//!    other: what is live at two moments is the same samples. So the later half's growth also has to be more than
//!    chance by its own standard error, corrected for the number of lines (Bonferroni).
//! 3. **It does not die down**: the later half has at least a quarter of the growth. Steady growth has a half; a cache
//!    that fills up as `1 − exp(−t/τ)` falls below a quarter when the snapshots span more than `2.2 τ` (of an odd number
//!    of windows the middle one counts as early: with 11 it is `1.8 τ`).
//!
//! Both odds have to be below the level, so a line without a trend is accused with at most that chance (in an
//! intersection-union test the larger p counts).
//!
//! A leak is missed if a window happens to hold none of its samples: bytes `b` leaked per window give about `b/R`
//! samples at interval `R`, none with a chance of `exp(−b/R)`. Twenty intervals per window make that 2·10⁻⁹.
//!
//! What this cannot tell: a level that wanders slowly (a connection count over a day) from one that grows; there the
//! chance of `n − 1` rises is nearer to `2^(1−n)`. And a table that doubles stands still in between: watch it
//! for long enough that it doubles in every window, or look at what it holds.
#![forbid(unsafe_code)]

use std::collections::HashMap;

use crate::profile::Profile;
use crate::profile::growth::{bonferroni, two_sided_p};
use crate::view::growth::{Change, Growth, GrowthRow, Sum, growth};
use crate::view::{Blame, By, Frame, Key};
use crate::{Error, Result};

/// The least part of the growth that the later half must have.
const LATER_SHARE: f64 = 0.25;

/// A line that goes on growing.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Accused {
    /// The first frame of the application; without one the most telling frame (see
    /// [`symbolize::blame`](crate::symbolize::blame)).
    pub frame: Frame,
    /// Live bytes in each profile; estimates unless the profiles are exact.
    pub levels: Vec<i64>,
    /// Bytes from the first profile to the last.
    pub growth: i64,
    /// Standard error of `growth`, bytes (one σ); 0: exact.
    pub std_error: f64,
    /// How likely chance alone has any line accused that is not growing: the larger one of the two odds that the
    /// module explains. At most the level that was asked for.
    pub p: f64,
}

/// Lines whose live bytes go on growing, the fastest first, at a `level` such as 10⁻⁶: how often a process in which
/// nothing grows may have any line accused.
///
/// `profiles` are of one process in the order they were taken, after warm-up and under steady traffic. Only the last
/// needs names; the others get them by address.
///
/// # Errors
/// Input error if the profiles are not of one process in order, have no `inuse_space`, do not say how they were
/// sampled, or are too few for the level: `1/n!` must not exceed it, so 10⁻³ takes at least 7 and 10⁻⁶ at least 10.
pub fn accuse(profiles: &[Profile], level: f64) -> Result<Vec<Accused>> {
    let count = profiles.len();
    let (Some(last), true) = (profiles.last(), in_any_order(count) <= level && count > 2) else {
        let enough = (3..).find(|&n| in_any_order(n) <= level).unwrap_or(3);
        return Err(Error::input(format!(
            "{count} profiles cannot show a trend at level {level}: {enough} can"
        )));
    };
    let mut lines: HashMap<Place, Line> = HashMap::new();
    for (at, profile) in profiles[..count - 1].iter().enumerate() {
        let since = compare(profile, last).map_err(|error| {
            error.context(format!("profile {} of {count} and the last", at + 1))
        })?;
        for row in &since.rows {
            let place = Place::of(&row.key);
            let line = lines.entry(place).or_insert_with(|| Line::new(count));
            line.add(at, row);
        }
    }

    let candidates = lines.values().filter(|line| line.all_differ()).count();
    let by_order = (in_any_order(count) * candidates as f64).min(1.0);
    let tests = lines.len();
    let accused = |line: Line| {
        let p = by_order.max(line.later.by_chance(tests));
        (line.rises() && line.goes_on() && p <= level).then(|| Accused {
            growth: line.whole.growth,
            std_error: line.whole.variance.max(0.0).sqrt(),
            frame: line.frame,
            levels: line.levels,
            p,
        })
    };
    let mut accused: Vec<Accused> = lines.into_values().filter_map(accused).collect();
    accused.sort_by(|a, b| (b.growth, &a.frame).cmp(&(a.growth, &b.frame)));
    Ok(accused)
}

fn compare(profile: &Profile, last: &Profile) -> Result<Growth> {
    let kind = Some("inuse_space");
    let since = growth(profile, last, kind, By::Line, Blame::Application, Sum::Flat)?;
    if !since.same_process {
        return Err(Error::input("they are not of one process, or not in order"));
    }
    if !since.base_value.quality.has_error() || !since.new_value.quality.has_error() {
        return Err(Error::input("they do not say how they were sampled"));
    }
    Ok(since)
}

/// The chance that `count` different numbers in random order rise: `1/count!`.
fn in_any_order(count: usize) -> f64 {
    (1..=count).map(|n| 1.0 / n as f64).product()
}

/// What makes one line. The function is no part of it: its name is whole where it was compiled by itself, bare where
/// it was inlined, and generic code has many. A replaced value would seem to move from one to the other.
#[derive(PartialEq, Eq, Hash)]
enum Place {
    Line(String, i64),
    Nameless(Key),
}

impl Place {
    fn of(key: &Key) -> Place {
        match key.frame() {
            Some(frame) if !frame.file.is_empty() && frame.line > 0 => {
                Place::Line(frame.file.clone(), frame.line)
            }
            _ => Place::Nameless(key.clone()),
        }
    }
}

/// One line in all profiles.
struct Line {
    /// Of the function that holds most.
    frame: Frame,
    most: i64,
    levels: Vec<i64>,
    /// From the first profile to the last.
    whole: Rise,
    /// From the middle one to the last.
    later: Rise,
}

#[derive(Default)]
struct Rise {
    growth: i64,
    variance: f64,
}

impl Rise {
    fn add(&mut self, change: &Change) {
        self.growth = self.growth.saturating_add(change.growth);
        self.variance += change.variance;
    }

    /// How likely one of `tests` lines seems to have grown this much. A growth without error is no chance.
    fn by_chance(&self, tests: usize) -> f64 {
        match self.growth {
            ..=0 => 1.0,
            growth => bonferroni(two_sided_p(growth as f64 / self.variance.sqrt()), tests),
        }
    }
}

impl Line {
    fn new(count: usize) -> Line {
        Line {
            frame: Frame::default(),
            most: i64::MIN,
            levels: vec![0; count],
            whole: Rise::default(),
            later: Rise::default(),
        }
    }

    /// Adds a row of the comparison of profile `at` with the last.
    fn add(&mut self, at: usize, row: &GrowthRow) {
        let (base, new) = (row.change.base.value, row.change.new.value);
        self.levels[at] = self.levels[at].saturating_add(base);
        let last = self.levels.len() - 1;
        if at == 0 {
            self.whole.add(&row.change);
        }
        if at == self.levels.len() / 2 {
            self.later.add(&row.change);
        }
        // The last profile is in every comparison; the one before it comes last.
        if at + 1 == last {
            self.levels[last] = self.levels[last].saturating_add(new);
            if new > self.most {
                self.most = new;
                self.frame = row.key.frame().cloned().unwrap_or_default();
            }
        }
    }

    fn all_differ(&self) -> bool {
        let mut sorted = self.levels.clone();
        sorted.sort_unstable();
        sorted.windows(2).all(|pair| pair[0] != pair[1])
    }

    fn rises(&self) -> bool {
        self.levels.windows(2).all(|pair| pair[0] < pair[1])
    }

    fn goes_on(&self) -> bool {
        let at = |index: usize| self.levels[index] as f64;
        let (first, middle, last) = (at(0), at(self.levels.len() / 2), at(self.levels.len() - 1));
        last - middle >= LATER_SHARE * (last - first)
    }
}

#[cfg(test)]
mod tests;
