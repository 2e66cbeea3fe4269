//! What the server has been told: the counters of every stack when it last took a profile.
//!
//! Counters only grow and stacks are never forgotten, so this is all that has to be kept, however long the server is away:
//! what it has not been told yet is the difference. 32 bytes a stack; the recorder bounds their number.
#![forbid(unsafe_code)]

use std::hash::{DefaultHasher, Hasher};

use crate::profile::{Profile, Sample};

/// Sums of objects and bytes that were ever allocated; the first two values of a sample.
type Allocated = [i64; 2];

/// Of one recorder, stack by stack.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(super) struct Ledger {
    /// By key.
    told: Vec<(u128, Allocated)>,
}

impl Ledger {
    /// As if the server had been told this profile of addresses.
    pub(super) fn of(profile: &Profile) -> Ledger {
        Ledger::default().with(entries(profile))
    }

    /// Leaves in a profile of addresses what the server is to be told: of the allocated values what has come since, of the
    /// live ones all. Returns the ledger that holds once it has been.
    pub(super) fn untold(&self, profile: &mut Profile) -> Ledger {
        let next = self.with(entries(profile));
        let keys: Vec<u128> = profile.samples.iter().map(|s| key(profile, s)).collect();
        for (sample, key) in profile.samples.iter_mut().zip(keys) {
            let (before, now) = (self.get(key), next.get(key));
            let (allocated, live) = sample.values.split_at_mut(before.len());
            for (index, value) in allocated.iter_mut().enumerate() {
                *value = now[index] - before[index];
            }
            for value in live {
                *value = (*value).max(0);
            }
            sample.detail = None;
        }
        next
    }

    /// With counters that are newer. Of a stack that comes twice the larger one counts: one that seemed to shrink must not
    /// be told again as it grows back.
    fn with(&self, newer: Vec<(u128, Allocated)>) -> Ledger {
        let mut told = newer;
        told.extend_from_slice(&self.told);
        told.sort_unstable_by_key(|&(key, _)| key);
        told.dedup_by(|(key, values), (kept, largest)| {
            let is_same = key == kept;
            if is_same {
                for (largest, &mut value) in largest.iter_mut().zip(values.iter_mut()) {
                    *largest = value.max(*largest);
                }
            }
            is_same
        });
        told.shrink_to_fit();
        Ledger { told }
    }

    fn get(&self, key: u128) -> Allocated {
        let found = self.told.binary_search_by_key(&key, |&(key, _)| key);
        found.map_or([0; 2], |index| self.told[index].1)
    }
}

fn entries(profile: &Profile) -> Vec<(u128, Allocated)> {
    let allocated = |sample: &Sample| [sample.values[0].max(0), sample.values[1].max(0)];
    let samples = profile.samples.iter();
    samples
        .map(|sample| (key(profile, sample), allocated(sample)))
        .collect()
}

/// Stands for a stack. Two of a million have the same by a chance of 2^40 / 2^129.
fn key(profile: &Profile, sample: &Sample) -> u128 {
    let half = |seed: u64| {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(seed);
        for id in &sample.locations {
            hasher.write_u64(profile.locations[id.0 as usize].address);
        }
        hasher.finish()
    };
    u128::from(half(1)) << 64 | u128::from(half(2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::ValueType;
    use crate::profile::addresses::Builder;

    fn profile(samples: &[(&[u64], [i64; 4])]) -> Profile {
        let kinds = [
            "alloc_objects",
            "alloc_space",
            "inuse_objects",
            "inuse_space",
        ];
        let kinds = kinds.map(|kind| ValueType {
            kind: kind.into(),
            ..ValueType::default()
        });
        let mut builder = Builder::new(kinds.into(), Vec::new());
        for (stack, values) in samples {
            builder.sample(stack, values.to_vec(), Vec::new(), None);
        }
        builder.finish()
    }

    fn told(ledger: &Ledger, samples: &[(&[u64], [i64; 4])]) -> (Vec<Vec<i64>>, Ledger) {
        let mut profile = profile(samples);
        let next = ledger.untold(&mut profile);
        (
            profile.samples.into_iter().map(|s| s.values).collect(),
            next,
        )
    }

    #[test]
    fn allocated_is_what_is_new_and_live_is_all() {
        let start = Ledger::of(&profile(&[
            (&[1, 9], [5, 50, 5, 50]),
            (&[2, 9], [1, 10, 0, 0]),
        ]));
        let (values, next) = told(
            &start,
            // Another order, a new stack, and a prefix of an old one.
            &[
                (&[3, 9], [2, 20, 1, 10]),
                (&[1, 9], [7, 70, 4, 40]),
                (&[1], [1, 1, 1, 1]),
                (&[2, 9], [1, 10, 0, 0]),
            ],
        );
        assert_eq!(
            values,
            [[2, 20, 1, 10], [2, 20, 4, 40], [1, 1, 1, 1], [0, 0, 0, 0]]
        );
        // Not taken: the next one has all of it. Taken: nothing is told again.
        let later = [(&[1, 9][..], [8, 80, 0, 0])];
        assert_eq!(told(&start, &later).0, [[3, 30, 0, 0]]);
        assert_eq!(told(&next, &later).0, [[1, 10, 0, 0]]);
    }

    #[test]
    fn what_seems_to_shrink_or_to_go_is_not_told_twice() {
        let start = Ledger::of(&profile(&[(&[1], [5, 50, 5, 50]), (&[2], [3, 30, 3, 30])]));
        // One site is missing, the other one's counters are lower than before.
        let (values, next) = told(&start, &[(&[1], [4, 60, -1, 0])]);
        assert_eq!(values, [[0, 10, 0, 0]]);
        let (values, last) = told(&next, &[(&[1], [6, 60, 1, 1]), (&[2], [3, 30, 3, 30])]);
        assert_eq!(values, [[1, 0, 1, 1], [0, 0, 3, 30]]);
        assert_eq!(last.told.len(), 2);
        assert_eq!(std::mem::size_of_val(&last.told[0]), 32);
    }
}
