//! What changed between two moments of the process.
//!
//! The error of a growth is the smaller of the two bounds of `profile/growth.rs`: both moments' variances added up, or
//! what was allocated and freed in between: `Var alloc₂ − Var alloc₁ + Var free₂ − Var free₁`, where
//! `Var free = Var alloc − Var live`.
#![forbid(unsafe_code)]

use std::collections::HashSet;
use std::sync::Arc;

use super::moment::{Level, Moment};
use crate::profile::growth::{Basis, Growth};
use crate::view::key::Frame;

/// All of it.
pub(crate) struct Change {
    /// All lines together.
    pub(crate) total: Growth,
    /// The one that grew most first.
    pub(crate) lines: Vec<LineChange>,
    /// Everything that is in no line of either moment.
    pub(crate) rest: Growth,
    /// Allocated in between, bytes; `Var = Var alloc₂ − Var alloc₁`.
    pub(crate) allocated: Growth,
}

/// One line's.
pub(crate) struct LineChange {
    pub(crate) line: Arc<Frame>,
    /// Live bytes.
    pub(crate) growth: Growth,
    /// Live objects, before and after; estimated.
    pub(crate) objects: [f64; 2],
    /// Allocated in between, bytes; `None`: the line is kept at one moment only.
    pub(crate) allocated: Option<f64>,
    pub(crate) bound: Bound,
}

/// Whether a line's numbers are its own: a moment keeps the lines that hold most, and of the others how much they can hold
/// at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    /// Both are known.
    None,
    /// The base is at most what is shown: it grew by at least this much.
    Base,
    /// What there is now is at most what is shown: it shrank by at least this much.
    Now,
}

impl Change {
    /// `base` is the earlier one.
    pub(crate) fn new(base: &Moment, now: &Moment) -> Change {
        let basis = match (base.exact && now.exact, base.interval.max(now.interval)) {
            (true, _) => Basis::Exact,
            (false, 0) => Basis::Unknown,
            (false, _) => Basis::Recorded,
        };
        let mut seen = HashSet::new();
        let both = now.lines.iter().chain(&base.lines).map(|(line, _)| line);
        let mut lines: Vec<LineChange> = both
            .filter(|line| seen.insert(Arc::clone(line)))
            .map(|line| of_line(line, base, now, basis))
            .collect();
        lines.sort_by(|a, b| {
            let by_growth = b.growth.delta.cmp(&a.growth.delta);
            by_growth.then_with(|| a.line.cmp(&b.line))
        });
        let [total_base, total_now] = [base.total, now.total];
        let allocated = Growth::new(
            whole(total_base.alloc_bytes),
            whole(total_now.alloc_bytes),
            total_now.alloc_variance - total_base.alloc_variance,
            basis,
        );
        Change {
            total: live_growth(total_base, total_now, basis),
            lines,
            rest: live_growth(base.rest(), now.rest(), basis),
            allocated,
        }
    }

    /// Rows that chance had its pick of, for Bonferroni's correction.
    pub(crate) fn comparisons(&self) -> usize {
        self.lines.len() + 1
    }
}

fn of_line(line: &Arc<Frame>, base: &Moment, now: &Moment, basis: Basis) -> LineChange {
    let (before, after) = (base.line(line), now.line(line));
    // As much as may have been there, so that no growth is made up.
    let at_most = |level: Option<Level>, moment: &Moment| {
        level.unwrap_or(Level {
            live_bytes: moment.left_out.1,
            ..Level::default()
        })
    };
    let bound = match (before, after) {
        (None, _) if base.left_out.0 > 0 => Bound::Base,
        (_, None) if now.left_out.0 > 0 => Bound::Now,
        _ => Bound::None,
    };
    let [old, new] = [at_most(before, base), at_most(after, now)];
    let growth = match (before, after) {
        (Some(_), Some(_)) => live_growth(old, new, basis),
        // Of one of the two it is not known what it had allocated.
        _ => Growth::new(
            whole(old.live_bytes),
            whole(new.live_bytes),
            old.live_variance + new.live_variance,
            basis,
        ),
    };
    LineChange {
        line: Arc::clone(line),
        growth,
        objects: [old.live_objects, new.live_objects],
        allocated: before
            .zip(after)
            .map(|(before, after)| (after.alloc_bytes - before.alloc_bytes).max(0.0)),
        bound,
    }
}

fn live_growth(base: Level, now: Level, basis: Basis) -> Growth {
    let ends = base.live_variance + now.live_variance;
    let allocated = now.alloc_variance - base.alloc_variance;
    let freed = allocated - (now.live_variance - base.live_variance);
    // A variance that falls is a sum's last bits, or a site's share that is itself estimated.
    let between = allocated.max(0.0) + freed.max(0.0);
    let variance = ends.min(between);
    let (base, now) = (whole(base.live_bytes), whole(now.live_bytes));
    Growth::new(base, now, variance, basis)
}

fn whole(value: f64) -> i64 {
    value.round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(live: f64, live_variance: f64, alloc: f64, alloc_variance: f64) -> Level {
        Level {
            live_objects: live / 10.0,
            live_bytes: live,
            live_variance,
            alloc_bytes: alloc,
            alloc_variance,
        }
    }

    fn moment(lines: &[(&str, Level)], total: Level, left_out: (usize, f64)) -> Moment {
        let line = |&(function, level): &(&str, Level)| {
            let frame = Frame {
                function: function.to_owned(),
                ..Frame::default()
            };
            (Arc::new(frame), level)
        };
        Moment {
            lines: lines.iter().map(line).collect(),
            total,
            left_out,
            interval: 4096,
            ..Moment::default()
        }
    }

    fn line<'a>(change: &'a Change, name: &str) -> &'a LineChange {
        let mut all = change.lines.iter();
        all.find(|line| line.line.function == name).unwrap()
    }

    #[test]
    fn growth_has_the_smaller_of_two_bounds() {
        // A large old cache that nothing happens to, and a leak beside it.
        let base = moment(
            &[
                ("cache", level(1e6, 1e8, 1e6, 1e8)),
                ("leak", level(100.0, 400.0, 100.0, 400.0)),
            ],
            level(1e6 + 150.0, 1e8 + 500.0, 2e6, 2e8),
            (0, 0.0),
        );
        let now = moment(
            &[
                ("cache", level(1e6, 1e8, 1e6, 1e8)),
                ("leak", level(600.0, 2400.0, 650.0, 2600.0)),
            ],
            level(1e6 + 650.0, 1e8 + 2500.0, 3e6, 3e8),
            (0, 0.0),
        );
        let change = Change::new(&base, &now);
        let cache = line(&change, "cache");
        assert_eq!((cache.growth.delta, cache.growth.std_error), (0, 0.0));
        let leak = line(&change, "leak");
        // Allocated 2200, freed 200: less than 400 + 2400.
        assert_eq!(
            (leak.growth.delta, leak.growth.variance().round()),
            (500, 2400.0)
        );
        assert_eq!((leak.objects, leak.allocated), ([10.0, 60.0], Some(550.0)));
        assert_eq!(leak.bound, Bound::None);
        assert!(leak.growth.is_significant(0.01, change.comparisons()));
        assert_eq!(change.lines[0].line.function, "leak");
        assert_eq!(change.total.delta, 500);
        assert_eq!(change.rest.delta, 0);
        assert_eq!(change.allocated.delta, 1_000_000);
    }

    #[test]
    fn what_is_not_kept_counts_as_the_most_it_can_be() {
        let base = moment(
            &[("old", level(900.0, 9.0, 0.0, 0.0))],
            level(1000.0, 10.0, 0.0, 0.0),
            (3, 80.0),
        );
        let now = moment(
            &[("new", level(500.0, 5.0, 0.0, 0.0))],
            level(600.0, 6.0, 0.0, 0.0),
            (2, 60.0),
        );
        let change = Change::new(&base, &now);
        let new = line(&change, "new");
        assert_eq!((new.growth.delta, new.bound), (420, Bound::Base));
        let old = line(&change, "old");
        assert_eq!((old.growth.delta, old.bound), (-840, Bound::Now));
        // Where all are kept, what is not there is not there.
        let all = Moment {
            left_out: (0, 0.0),
            ..base
        };
        let change = Change::new(&all, &now);
        assert_eq!(
            (
                line(&change, "new").growth.delta,
                line(&change, "new").bound
            ),
            (500, Bound::None)
        );
    }

    #[test]
    fn exact_is_exact_and_nothing_recorded_is_unknown() {
        let [mut base, mut now] =
            [10.0, 30.0].map(|live| moment(&[], level(live, 0.0, live, 0.0), (0, 0.0)));
        (base.exact, now.exact) = (true, true);
        let total = Change::new(&base, &now).total;
        assert_eq!(
            (total.delta, total.std_error, total.basis),
            (20, 0.0, Basis::Exact)
        );
        (base.exact, base.interval, now.interval) = (false, 0, 0);
        assert_eq!(Change::new(&base, &now).total.basis, Basis::Unknown);
    }
}
