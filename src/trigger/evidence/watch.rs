//! When a moment is worth a dump.
#![forbid(unsafe_code)]

use std::time::Instant;

use super::{Look, Options, Reason};

/// A high-water mark is a new one when it is this much above the last dump's.
const HIGHER: f64 = 1.1;
/// Standard errors by which it has to be above it as well: by chance that happens once in 31,000 looks at a flat heap.
const CERTAIN: f64 = 4.0;
/// Growth below this is not worth a file, bytes.
const SMALL: f64 = (1 << 20) as f64;
/// Share of the limit by which things have to be worse than at the last dump near it.
const NEARER: f64 = 0.02;
/// Share of the limit below the mark at which coming near counts anew.
const BACK: f64 = 0.10;
/// Percent of the time that threads wait for memory.
const PRESSURE: f64 = 10.0;

/// What has been dumped so far.
pub(super) struct Watch {
    options: Options,
    /// Live bytes at the last dump, whatever for.
    level: f64,
    /// When the last dump was made; at first, when the watch began: programs fill their tables at the start.
    last: Instant,
    near: Option<Near>,
    throttled: Option<u64>,
    last_throttled: Option<Instant>,
}

/// The last dump near the limit.
struct Near {
    at: Instant,
    share: f64,
}

impl Watch {
    pub(super) fn new(options: Options, now: Instant) -> Watch {
        Watch {
            options,
            level: 0.0,
            last: now,
            near: None,
            throttled: None,
            last_throttled: None,
        }
    }

    /// The reason to dump now, which the caller then does.
    pub(super) fn decide(&mut self, look: &Look, now: Instant) -> Option<Reason> {
        let throttled = self.is_throttled(look, now);
        let reason = if self.is_near(look, now) {
            self.near = look.share().map(|share| Near { at: now, share });
            Reason::NearLimit
        } else if throttled {
            self.last_throttled = Some(now);
            Reason::Throttled
        } else if self.is_peak(look, now) {
            Reason::Peak
        } else {
            return None;
        };
        self.level = look.live_bytes;
        self.last = now;
        Some(reason)
    }

    fn has_rested(&self, since: Instant, now: Instant) -> bool {
        now.saturating_duration_since(since) >= self.options.pause
    }

    fn is_near(&mut self, look: &Look, now: Instant) -> bool {
        let Some(share) = look.share() else {
            return false;
        };
        let mark = f64::from(self.options.at_percent) / 100.0;
        let Some(near) = &self.near else {
            return share >= mark;
        };
        let rested = self.has_rested(near.at, now);
        if share < mark - BACK && rested {
            self.near = None;
            return false;
        }
        rested && share >= mark && share >= near.share + NEARER
    }

    fn is_throttled(&mut self, look: &Look, now: Instant) -> bool {
        let before = self.throttled.replace(look.throttled);
        let held_back = before.is_some_and(|before| look.throttled > before);
        (held_back || look.pressure_percent >= PRESSURE)
            && self
                .last_throttled
                .is_none_or(|last| self.has_rested(last, now))
            // Pressure that others make in a group is no news about this heap.
            && self.is_above(look, 1.05)
    }

    fn is_peak(&self, look: &Look, now: Instant) -> bool {
        self.has_rested(self.last, now) && self.is_above(look, HIGHER)
    }

    fn is_above(&self, look: &Look, factor: f64) -> bool {
        let more = look.live_bytes - self.level;
        look.live_bytes >= self.level * factor
            && more >= SMALL
            && more >= CERTAIN * look.live_error_bytes
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const MIB: f64 = (1 << 20) as f64;
    const PAUSE: Duration = Duration::from_secs(60);

    struct Story {
        watch: Watch,
        start: Instant,
    }

    impl Story {
        fn new() -> Story {
            let start = Instant::now();
            let options = Options {
                keep: 3,
                pause: PAUSE,
                at_percent: 90,
            };
            Story {
                watch: Watch::new(options, start),
                start,
            }
        }

        fn at(&mut self, second: u64, look: Look) -> Option<Reason> {
            let now = self.start + Duration::from_secs(second);
            self.watch.decide(&look, now)
        }
    }

    fn live(mib: f64) -> Look {
        Look {
            live_bytes: mib * MIB,
            live_error_bytes: 0.01 * mib * MIB,
            ..Look::default()
        }
    }

    fn used(percent: u64) -> Look {
        Look {
            group_bytes: percent,
            group_limit_bytes: 100,
            ..Look::default()
        }
    }

    #[test]
    fn a_growing_heap_is_dumped_at_each_tenth_and_not_more_often_than_the_pause() {
        let mut story = Story::new();
        assert_eq!(story.at(1, live(50.0)), None, "it has just started");
        assert_eq!(story.at(60, live(60.0)), Some(Reason::Peak));
        assert_eq!(story.at(119, live(80.0)), None, "too soon");
        assert_eq!(story.at(120, live(80.0)), Some(Reason::Peak));
        assert_eq!(story.at(1000, live(87.0)), None, "less than a tenth more");
        assert_eq!(story.at(1001, live(89.0)), Some(Reason::Peak));
        // From 60 to 400 MB are 20 steps of a tenth.
        let dumps = (0..100_000).filter(|&second| {
            story
                .at(2000 + second, live(89.0 + 311.0 * second as f64 / 1e5))
                .is_some()
        });
        assert_eq!(dumps.count(), 15);
    }

    #[test]
    fn growth_within_the_error_is_none() {
        let mut story = Story::new();
        assert_eq!(story.at(60, live(10.0)), Some(Reason::Peak));
        let unsure = Look {
            live_error_bytes: MIB,
            ..live(13.0)
        };
        assert_eq!(story.at(200, unsure), None);
        assert_eq!(story.at(201, live(13.0)), Some(Reason::Peak));
    }

    #[test]
    fn near_the_limit_once_and_again_when_nearer_or_back() {
        let mut story = Story::new();
        assert_eq!(story.at(1, used(89)), None);
        assert_eq!(story.at(2, used(90)), Some(Reason::NearLimit));
        assert_eq!(story.at(3, used(99)), None, "too soon");
        assert_eq!(story.at(62, used(91)), None, "no nearer than before");
        assert_eq!(story.at(63, used(92)), Some(Reason::NearLimit));
        assert_eq!(story.at(300, used(85)), None);
        assert_eq!(story.at(301, used(92)), None, "it has not been away");
        assert_eq!(story.at(302, used(79)), None);
        assert_eq!(story.at(303, used(90)), Some(Reason::NearLimit));
    }

    #[test]
    fn held_back_by_the_kernel() {
        let mut story = Story::new();
        let held = |times, mib| Look {
            throttled: times,
            ..live(mib)
        };
        assert_eq!(story.at(1, held(5, 40.0)), None, "that was before us");
        assert_eq!(story.at(2, held(6, 40.0)), Some(Reason::Throttled));
        assert_eq!(story.at(70, held(7, 41.0)), None, "the heap is the same");
        let pressed = Look {
            pressure_percent: 30.0,
            ..held(7, 43.0)
        };
        assert_eq!(story.at(71, pressed), Some(Reason::Throttled));
    }
}
