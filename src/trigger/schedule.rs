//! When the helper thread has to do something by itself.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

/// Period of the recorder's housekeeping: rare enough to let a laptop sleep, often enough to notice a plugin.
pub(super) const HOUSEKEEPING: Duration = Duration::from_secs(5);

/// Two clocks: the dumps of `every`, and housekeeping.
pub(super) struct Schedule {
    dump: Option<Ticker>,
    housekeeping: Ticker,
}

impl Schedule {
    pub(super) fn new(now: Instant, every: Option<Duration>) -> Schedule {
        Schedule {
            dump: every.and_then(|period| Ticker::new(now, period)),
            housekeeping: Ticker {
                period: HOUSEKEEPING,
                next: now + HOUSEKEEPING,
            },
        }
    }

    /// How long nothing is due.
    pub(super) fn wait(&self, now: Instant) -> Duration {
        let dump = self
            .dump
            .as_ref()
            .map_or(self.housekeeping.next, |dump| dump.next);
        dump.min(self.housekeeping.next)
            .saturating_duration_since(now)
    }

    /// A dump is due; at most once per period.
    pub(super) fn dump_due(&mut self, now: Instant) -> bool {
        self.dump.as_mut().is_some_and(|dump| dump.due(now))
    }

    /// Housekeeping is due; at most once per period.
    pub(super) fn housekeeping_due(&mut self, now: Instant) -> bool {
        self.housekeeping.due(now)
    }
}

/// A beat that skips what it missed.
struct Ticker {
    period: Duration,
    next: Instant,
}

impl Ticker {
    /// `None` if the first beat lies beyond what the clock can say: it never comes.
    fn new(now: Instant, period: Duration) -> Option<Ticker> {
        Some(Ticker {
            period,
            next: now.checked_add(period)?,
        })
    }

    fn due(&mut self, now: Instant) -> bool {
        if now < self.next {
            return false;
        }
        // From `now`, not from `next`: after a stall (or a dump longer than the period) the missed beats do
        // not come in a burst.
        let on_beat = self.next + self.period;
        self.next = if on_beat > now {
            on_beat
        } else {
            now + self.period
        };
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn beats_come_once_per_period_and_missed_ones_never() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start, Some(2 * SECOND));
        assert_eq!(schedule.wait(start), 2 * SECOND);
        assert!(!schedule.dump_due(start + SECOND));
        assert!(schedule.dump_due(start + 2 * SECOND));
        assert!(!schedule.dump_due(start + 2 * SECOND));
        // Late by half a second: the beat stays where it was.
        assert!(schedule.dump_due(start + SECOND * 9 / 2));
        assert_eq!(schedule.dump.as_ref().unwrap().next, start + 6 * SECOND);
        // Late by four periods: one beat, and the next a period later.
        assert!(schedule.dump_due(start + 14 * SECOND));
        assert!(!schedule.dump_due(start + 15 * SECOND));
        assert_eq!(schedule.dump.as_ref().unwrap().next, start + 16 * SECOND);
    }

    #[test]
    fn without_every_only_housekeeping_wakes() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start, None);
        assert_eq!(schedule.wait(start), HOUSEKEEPING);
        assert!(!schedule.dump_due(start + 1000 * HOUSEKEEPING));
        assert!(!schedule.housekeeping_due(start));
        assert!(schedule.housekeeping_due(start + HOUSEKEEPING));
        assert_eq!(schedule.wait(start + 3 * HOUSEKEEPING), Duration::ZERO);
    }

    #[test]
    fn a_period_beyond_the_clock_never_comes() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start, Some(Duration::MAX));
        assert_eq!(schedule.wait(start), HOUSEKEEPING);
        assert!(!schedule.dump_due(start + 1_000_000 * SECOND));
    }
}
