//! Moments in bounded memory, from the first to the newest.
//!
//! When there is no room the moment goes whose neighbours are closest, for its age. So the distance between moments
//! grows with their age, from some 1/2000 of the time they span to some 1/120: a leak of three days and the last
//! minutes are both there. The first and the newest always stay.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::mem::size_of;
use std::sync::Arc;

use super::moment::{Level, Moment};
use crate::view::key::Frame;

/// Moments that are kept.
pub(crate) const MOST_MOMENTS: usize = 360;

/// Lines that each of them keeps.
pub(crate) const MOST_LINES: usize = 64;

/// Memory of all of it, bytes: reached before [`MOST_MOMENTS`] only where many names are long.
pub(crate) const LIMIT_BYTES: usize = 2 << 20;

/// A new moment's share of the time they span that counts as no age at all.
const YOUTH: f64 = 1.0 / 16.0;

/// The moments, by time.
#[derive(Default)]
pub(crate) struct Ring {
    moments: Vec<Arc<Moment>>,
    /// With how many moments have it.
    lines: HashMap<Arc<Frame>, usize>,
    last_id: u64,
    bytes: usize,
    /// How many have made room for others.
    pub(crate) thinned: u64,
}

impl Ring {
    /// The first one first.
    pub(crate) fn moments(&self) -> &[Arc<Moment>] {
        &self.moments
    }

    /// The number of the newest moment; 0: there is none yet.
    pub(crate) fn last_id(&self) -> u64 {
        self.last_id
    }

    /// Memory, bytes; estimated from sizes of what is kept, without the allocator's rounding.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Where the moment of this number is; or would be, if it has made room.
    pub(crate) fn find(&self, id: u64) -> Result<&Arc<Moment>, usize> {
        let place = self.moments.binary_search_by_key(&id, |moment| moment.id)?;
        Ok(&self.moments[place])
    }

    /// Adds the newest moment and gives it its number.
    pub(crate) fn push(&mut self, mut moment: Moment) {
        self.last_id += 1;
        moment.id = self.last_id;
        for (line, _) in &mut moment.lines {
            if let Some((known, _)) = self.lines.get_key_value(line) {
                *line = Arc::clone(known);
            } else {
                self.bytes += line_bytes(line);
            }
            *self.lines.entry(Arc::clone(line)).or_default() += 1;
        }
        self.bytes += moment_bytes(&moment);
        self.moments.push(Arc::new(moment));
        while self.moments.len() > MOST_MOMENTS || self.bytes > LIMIT_BYTES {
            let Some(place) = self.least_missed() else {
                break; // the first and the newest stay, whatever they take
            };
            let moment = self.moments.remove(place);
            self.thinned += 1;
            self.bytes -= moment_bytes(&moment);
            self.forget_lines(&moment);
        }
    }

    /// Neither the first nor the newest.
    fn least_missed(&self) -> Option<usize> {
        let (first, newest) = (self.moments.first()?, self.moments.last()?);
        let span = (newest.time_nanos - first.time_nanos) as f64;
        let missed = |place: usize| {
            let time = |place: usize| self.moments[place].time_nanos;
            let gap = (time(place + 1) - time(place - 1)) as f64;
            let age = (newest.time_nanos - time(place)) as f64;
            gap / (age + span * YOUTH).max(1.0)
        };
        (1..self.moments.len().saturating_sub(1)).min_by(|&a, &b| missed(a).total_cmp(&missed(b)))
    }

    /// Those that no other moment has.
    fn forget_lines(&mut self, moment: &Moment) {
        for (line, _) in &moment.lines {
            if let Some(count) = self.lines.get_mut(line) {
                *count -= 1;
                if *count == 0 {
                    self.lines.remove(line);
                    self.bytes -= line_bytes(line);
                }
            }
        }
    }
}

/// Its place, the counters of its `Arc`, what it points to.
fn moment_bytes(moment: &Moment) -> usize {
    let counts = moment.process.iter().flat_map(|process| {
        let tasks = process
            .tasks
            .iter()
            .flat_map(|(_, by_spawn_site)| by_spawn_site);
        let all = process.threads.iter().chain(&process.fds).chain(tasks);
        all.map(|count| size_of_val(count) + count.name.len())
    });
    size_of::<Arc<Moment>>()
        + 2 * size_of::<usize>()
        + size_of::<Moment>()
        + moment.lines.len() * size_of::<(Arc<Frame>, Level)>()
        + counts.sum::<usize>()
}

/// Its place in the set and its text, which others may have, too.
fn line_bytes(line: &Frame) -> usize {
    2 * size_of::<Arc<Frame>>() + size_of::<Frame>() + line.function.len() + line.file.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn moment(second: i64, lines: impl Iterator<Item = String>) -> Moment {
        let line = |function| {
            let frame = Frame {
                function,
                file: "/src/shop/cache.rs".to_owned(),
                line: 7,
            };
            (Arc::new(frame), Level::default())
        };
        Moment {
            time_nanos: 1_700_000_000 * SECOND + second * SECOND,
            lines: lines.map(line).collect(),
            ..Moment::default()
        }
    }

    fn named(second: i64) -> Moment {
        moment(second, (0..8).map(|n| format!("shop::line_{n}")))
    }

    /// From the beginning, not from a running sum.
    fn counted(ring: &Ring) -> usize {
        let moments = ring.moments.iter().map(|moment| moment_bytes(moment));
        moments.sum::<usize>()
            + ring
                .lines
                .keys()
                .map(|line| line_bytes(line))
                .sum::<usize>()
    }

    #[test]
    fn a_day_of_moments_is_bounded_and_spans_all_of_it() {
        let mut ring = Ring::default();
        for turn in 0..8640 {
            ring.push(named(turn * 10));
            assert!(ring.moments.len() <= MOST_MOMENTS && ring.bytes() <= LIMIT_BYTES);
        }
        assert_eq!(ring.moments.len(), MOST_MOMENTS);
        assert_eq!(ring.thinned as usize, 8640 - MOST_MOMENTS);
        assert_eq!(ring.bytes(), counted(&ring));
        assert_eq!(ring.moments[0].id, 1);
        assert_eq!(ring.moments.last().unwrap().id, 8640);
        let times: Vec<i64> = ring.moments.iter().map(|m| m.time_nanos / SECOND).collect();
        assert!(times.is_sorted_by(|a, b| a < b));
        let gaps: Vec<i64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let widest = *gaps.iter().max().unwrap();
        assert!(widest * 60 < 86_400, "a hole of {widest} s in a day");
        // Of the last ten minutes at least one in each minute or so.
        assert!(
            gaps[gaps.len() - 10..].iter().all(|&gap| gap <= 80),
            "{gaps:?}"
        );
    }

    #[test]
    fn long_names_that_never_come_again_are_bounded_too() {
        let mut ring = Ring::default();
        for turn in 0..500 {
            let names = (0..MOST_LINES).map(|n| format!("{}{turn}_{n}", "long::".repeat(100)));
            ring.push(moment(turn, names));
            assert!(ring.bytes() <= LIMIT_BYTES);
        }
        assert_eq!(ring.bytes(), counted(&ring));
        let count = ring.moments.len();
        assert!((20..100).contains(&count), "{count}");
        assert_eq!((ring.moments[0].id, ring.last_id()), (1, 500));
        // One that is too large alone is kept with the first, and the next have room again.
        let huge = moment(500, ["x".repeat(3 << 20)].into_iter());
        ring.push(huge);
        assert_eq!(ring.moments.len(), 2);
        ring.push(named(501));
        ring.push(named(502));
        assert_eq!((ring.moments.len(), ring.bytes() < LIMIT_BYTES), (3, true));
    }

    #[test]
    fn equal_lines_are_kept_once() {
        let mut ring = Ring::default();
        ring.push(named(0));
        let one = ring.bytes();
        ring.push(named(1));
        assert!(Arc::ptr_eq(
            &ring.moments[0].lines[0].0,
            &ring.moments[1].lines[0].0
        ));
        assert!(ring.bytes() < 2 * one - 8 * line_bytes(&ring.moments[0].lines[0].0) + 1);
        assert_eq!(ring.find(2).unwrap().id, 2);
        assert_eq!(ring.find(3).err(), Some(2));
    }

    /// A clock that is set back must not break the order of numbers, nor divide by nothing.
    #[test]
    fn clocks_may_jump() {
        let mut ring = Ring::default();
        for turn in 0..2000 {
            ring.push(named(if turn % 3 == 0 { -turn } else { turn }));
        }
        assert_eq!(ring.moments.len(), MOST_MOMENTS);
        assert!(ring.moments.is_sorted_by(|a, b| a.id < b.id));
    }
}
