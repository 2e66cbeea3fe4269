//! A scope's place as a timer slack: the number that a thread hands on to those it makes.
//!
//! What a program starts by `exec` inherits its parent's slack too, and must not take it for one of its own scopes. Of
//! two ranges a process uses the one that it did not start in; all its threads descend from the one that it started with.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering};

use super::scopes::PLACES;

/// Where the ranges begin, nanoseconds; 50,000 is what Linux gives to a process.
const RANGES: [u64; 2] = [60_000, 80_000];
const _: () = assert!(PLACES < 20_000, "the ranges do not overlap");

/// The beginning of this process's range; 0: not chosen yet.
static CHOSEN: AtomicU64 = AtomicU64::new(0);

/// The slack that names a place, given the slack that the process had before its first scope.
pub(super) fn of(place: usize, before: u64) -> u64 {
    let start = match CHOSEN.load(Ordering::Relaxed) {
        0 => {
            let fresh = range_without(before);
            // Relaxed: one number; whoever is first decides.
            match CHOSEN.compare_exchange(0, fresh, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => fresh,
                Err(first) => first,
            }
        }
        start => start,
    };
    start + place as u64
}

/// The place that a slack names, if it is one of this process's; it may be beyond the last.
pub(super) fn place(slack: u64) -> Option<usize> {
    match CHOSEN.load(Ordering::Relaxed) {
        0 => None,
        start => slack.checked_sub(start).map(|place| place as usize),
    }
}

fn range_without(slack: u64) -> u64 {
    let [first, second] = RANGES;
    if (first..first + PLACES as u64).contains(&slack) {
        second
    } else {
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slack_names_its_place_and_a_parents_none() {
        let tag = of(77, 50_000);
        assert_eq!(place(tag), Some(77));
        assert_eq!(place(50_000), None);
        assert_eq!(range_without(50_000), RANGES[0]);
        assert_eq!(range_without(RANGES[0] + 5), RANGES[1]);
        assert_eq!(range_without(RANGES[1] + 5), RANGES[0]);
    }
}
