//! The watch's memory: what every place held at some looks, dense lately and sparse long ago.
//!
//! As a round-robin database does it (Oetiker's RRDtool), there are four archives of equal size: the newest looks, and every
//! 8th, 64th and 512th look. Nothing is averaged, because levels of one moment are what a trend's test is about. With 32
//! looks, one a minute, the archives reach back 8 minutes, an hour, 8½ hours and 68 hours.
#![forbid(unsafe_code)]

use std::collections::HashMap;

const ARCHIVES: u32 = 4;
const FACTOR: u64 = 8;

/// The least number of looks: two in each archive.
pub(super) const FEWEST_LOOKS: usize = 2 * ARCHIVES as usize;

/// What one look has seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Look {
    /// Since the recorder's start.
    pub(super) time_nanos: u64,
    /// Live bytes by place, by its key; in the order of keys.
    pub(super) levels: Vec<(u64, f64)>,
    /// Places that are not in `levels` held at most this many bytes each; 0: all are in it.
    pub(super) left_out: f64,
}

impl Look {
    /// What a place held. Where that was left out, the most it can have been, so that no growth is made up.
    pub(super) fn level(&self, key: u64) -> f64 {
        match self.levels.binary_search_by_key(&key, |level| level.0) {
            Ok(at) => self.levels[at].1,
            Err(_) => self.left_out,
        }
    }
}

/// The looks that are kept.
#[derive(Debug)]
pub(super) struct Ring {
    /// With their numbers, oldest first.
    looks: Vec<(u64, Look)>,
    each: u64,
    next: u64,
}

impl Ring {
    /// At most `looks` are kept.
    pub(super) fn new(looks: usize) -> Ring {
        Ring {
            looks: Vec::new(),
            each: (looks as u64 / u64::from(ARCHIVES)).max(1),
            next: 0,
        }
    }

    pub(super) fn push(&mut self, look: Look) {
        let (newest, each) = (self.next, self.each);
        self.next += 1;
        self.looks.push((newest, look));
        self.looks.retain(|&(number, _)| {
            (0..ARCHIVES).any(|archive| {
                let step = FACTOR.pow(archive);
                number % step == 0 && (newest - number) / step < each
            })
        });
    }

    /// Oldest first.
    pub(super) fn looks(&self) -> impl ExactSizeIterator<Item = &Look> {
        self.looks.iter().map(|(_, look)| look)
    }

    pub(super) fn newest(&self) -> Option<&Look> {
        self.looks.last().map(|(_, look)| look)
    }

    /// Places that turn out to be another one, by their keys: levels of the same place are added up.
    pub(super) fn rename(&mut self, names: &HashMap<u64, u64>) {
        for (_, look) in &mut self.looks {
            if !look.levels.iter().any(|level| names.contains_key(&level.0)) {
                continue;
            }
            for level in &mut look.levels {
                level.0 = *names.get(&level.0).unwrap_or(&level.0);
            }
            look.levels.sort_unstable_by_key(|level| level.0);
            look.levels.dedup_by(|later, kept| {
                let same = later.0 == kept.0;
                kept.1 += if same { later.1 } else { 0.0 };
                same
            });
        }
    }

    /// What it takes, bytes.
    pub(super) fn bytes(&self) -> usize {
        let levels = |(_, look): &(u64, Look)| look.levels.capacity() * size_of::<(u64, f64)>();
        self.looks.capacity() * size_of::<(u64, Look)>()
            + self.looks.iter().map(levels).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(minute: u64) -> Look {
        Look {
            time_nanos: minute,
            levels: vec![(1, minute as f64), (2, 10.0)],
            left_out: 3.0,
        }
    }

    #[test]
    fn days_are_covered_by_few_looks() {
        let mut ring = Ring::new(32);
        for minute in 0..10_000 {
            ring.push(look(minute));
            assert!(ring.looks().len() <= 32);
            assert_eq!(ring.newest().map(|look| look.time_nanos), Some(minute));
        }
        let ages: Vec<u64> = ring.looks().map(|look| 9_999 - look.time_nanos).collect();
        assert!(ages.is_sorted_by(|a, b| a > b), "in the order of time");
        assert_eq!(ages[ages.len() - 8..], [7, 6, 5, 4, 3, 2, 1, 0]);
        // The oldest of every 512th: 68 hours are 4,080 minutes, less the time since the newest of these.
        assert!((7 * 512..8 * 512).contains(&ages[0]), "{ages:?}");
        assert!(ages.iter().any(|age| (24..64).contains(age)));
        assert!(ages.iter().any(|age| (200..512).contains(age)));
    }

    #[test]
    fn what_was_left_out_counts_as_the_most_it_can_have_been() {
        let look = look(7);
        assert_eq!([1, 2, 3].map(|key| look.level(key)), [7.0, 10.0, 3.0]);
    }

    #[test]
    fn places_that_turn_out_to_be_one_are_added_up() {
        let mut ring = Ring::new(8);
        ring.push(look(5));
        ring.push(Look::default());
        ring.rename(&HashMap::from([(1, 9), (2, 9), (4, 1)]));
        let levels: Vec<_> = ring.looks().map(|look| look.levels.clone()).collect();
        assert_eq!(levels, [vec![(9, 15.0)], vec![]]);
    }
}
