//! Made-up snapshots: every allocation is recorded, and comes and goes by a rule.
#![forbid(unsafe_code)]

use super::names::tests::namer;
use std::time::Duration;

use crate::find::{self, Suspect};
use crate::profile::{Cohort, LifetimeBucket, SiteDetail, Tally};
use crate::record::lifetimes;
use crate::snapshot::{Site, Snapshot};

/// A second.
pub(super) const SECOND: u64 = 1_000_000_000;

/// What a stack does: one allocation of 1 KiB every `every` seconds, from one second to another.
#[derive(Clone, Copy)]
pub(super) struct Rule<'a> {
    pub(super) stack: &'a [u64],
    pub(super) from: u64,
    pub(super) until: u64,
    pub(super) every: u64,
    /// Each lives so many seconds.
    pub(super) lives: u64,
}

pub(super) const FOR_EVER: u64 = u64::MAX / SECOND;

/// The process after so many seconds.
pub(super) fn snapshot(seconds: u64, rules: &[Rule<'_>]) -> Snapshot {
    let mut snapshot = Snapshot::default();
    snapshot.facts.interval = 1;
    snapshot.facts.exact = true;
    snapshot.facts.process.pid = 1;
    snapshot.facts.uptime_nanos = seconds * SECOND;
    for rule in rules {
        let detail = detail(seconds, rule);
        if detail.alloc.objects > 0 {
            snapshot.add_bare(&Site::default(), rule.stack);
            let site = snapshot.sites.last_mut().unwrap();
            site.detail = detail;
        }
    }
    snapshot
}

fn detail(now: u64, rule: &Rule<'_>) -> SiteDetail {
    let mut detail = SiteDetail::default();
    for birth in (rule.from..rule.until.min(now)).step_by(rule.every as usize) {
        detail.alloc = detail.alloc.plus(one());
        if birth.saturating_add(rule.lives) > now {
            detail.live = detail.live.plus(one());
            add_born(&mut detail.cohorts, now, birth);
        } else {
            detail.free = detail.free.plus(one());
            let bucket = lifetimes::bucket((rule.lives * SECOND) >> 13);
            let (from_nanos, to_nanos) = lifetimes::bounds_nanos(bucket);
            match detail.lifetimes.last_mut() {
                Some(bucket) => bucket.objects += 1,
                None => detail.lifetimes.push(LifetimeBucket {
                    from_nanos,
                    to_nanos,
                    objects: 1,
                    bytes_estimate: 0.0,
                }),
            }
        }
    }
    detail
}

/// Into one of 64 windows, as the recorder does it.
fn add_born(cohorts: &mut Vec<Cohort>, now: u64, birth: u64) {
    let window = |second: u64| second * 64 / now;
    let nanos = birth * SECOND;
    match cohorts.last_mut() {
        Some(last) if window(last.from_nanos / SECOND) == window(birth) => {
            last.to_nanos = nanos;
            last.live = last.live.plus(one());
        }
        _ => cohorts.push(Cohort {
            from_nanos: nanos,
            to_nanos: nanos,
            thread: 0,
            live: one(),
        }),
    }
}

fn one() -> Tally {
    Tally {
        objects: 1,
        bytes: 1024,
        objects_estimate: 1.0,
        bytes_estimate: 1024.0,
        ..Tally::default()
    }
}

/// A place that leaks.
pub(super) fn suspect() -> Suspect {
    let rule = Rule {
        stack: &[7],
        from: 0,
        until: FOR_EVER,
        every: 1,
        lives: FOR_EVER,
    };
    let profile = namer(snapshot(1000, &[rule]).to_address_profile());
    let options = find::Options {
        longest_fill: Duration::ZERO,
        ..find::Options::default()
    };
    let found = find::leaks(&[profile], &options);
    found.expect("one profile").leaks.remove(0)
}
