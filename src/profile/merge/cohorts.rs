//! Survivors of many processes, by age.
//!
//! A cohort's births count from the start of its own recorder, which means nothing beside another recorder's. Ages do, so
//! they are what is added up: cohorts of one site, of threads of one name, and of ages in one eighth of a doubling become
//! one. However many processes there are, a site has at most eight cohorts per thread name and doubling.
#![forbid(unsafe_code)]

use hashbrown::HashMap;

use super::add_tally;
use crate::profile::{Cohort, HeapFacts, Sample, Tally};

#[derive(Default)]
pub(super) struct Cohorts {
    /// By row, thread and bucket of the oldest one's age.
    ages: HashMap<(u32, u32, u16), Ages>,
    threads: Vec<String>,
    numbers: HashMap<String, u32>,
    /// Where the current profile's threads have gone.
    moved: Vec<u32>,
}

/// Ages at the time of the profile, nanoseconds.
struct Ages {
    youngest: u64,
    oldest: u64,
    live: Tally,
}

impl Cohorts {
    /// What is added next is of this recorder.
    pub(super) fn next_profile(&mut self, heap: Option<&HeapFacts>) {
        self.moved.clear();
        for name in heap.iter().flat_map(|heap| &heap.threads) {
            let number = match self.numbers.get(name) {
                Some(&number) => number,
                None => {
                    let number = self.threads.len() as u32;
                    self.threads.push(name.clone());
                    self.numbers.insert(name.clone(), number);
                    number
                }
            };
            self.moved.push(number);
        }
    }

    /// Adds a sample's cohorts, of a profile that is whole.
    pub(super) fn add(&mut self, row: usize, cohorts: &[Cohort], heap: &HeapFacts) {
        for cohort in cohorts {
            let Some(&thread) = self.moved.get(cohort.thread as usize) else {
                continue; // Profile::check rules it out
            };
            let age = |birth: u64| heap.uptime_nanos.saturating_sub(birth);
            let (youngest, oldest) = (age(cohort.to_nanos), age(cohort.from_nanos));
            let ages = self.ages.entry((row as u32, thread, bucket(oldest)));
            let ages = ages.or_insert(Ages {
                youngest,
                oldest,
                live: Tally::default(),
            });
            ages.youngest = ages.youngest.min(youngest);
            ages.oldest = ages.oldest.max(oldest);
            add_tally(&mut ages.live, &cohort.live);
        }
    }

    /// Gives samples that have details their cohorts, oldest first, as births of a recorder that ran for `uptime`, the
    /// longest one; returns the names of the threads.
    pub(super) fn finish(self, uptime: u64, samples: &mut [Sample]) -> Vec<String> {
        for ((row, thread, _), ages) in self.ages {
            // Where a profile lacks details, so does the sum.
            let Some(detail) = &mut samples[row as usize].detail else {
                continue;
            };
            detail.cohorts.push(Cohort {
                from_nanos: uptime.saturating_sub(ages.oldest),
                to_nanos: uptime.saturating_sub(ages.youngest),
                thread,
                live: ages.live,
            });
        }
        for detail in samples
            .iter_mut()
            .filter_map(|sample| sample.detail.as_mut())
        {
            detail
                .cohorts
                .sort_by_key(|cohort| (cohort.from_nanos, cohort.to_nanos, cohort.thread));
        }
        self.threads
    }
}

/// Eight for each doubling of the age.
fn bucket(age: u64) -> u16 {
    match age.checked_ilog2() {
        Some(log @ 3..) => ((log - 2) as u16) * 8 + ((age >> (log - 3)) & 7) as u16,
        _ => age as u16,
    }
}

#[cfg(test)]
mod tests {
    use super::bucket;

    #[test]
    fn buckets_follow_each_other() {
        let buckets: Vec<u16> = (0..40).map(bucket).collect();
        assert_eq!(
            buckets[..18],
            [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 16]
        );
        assert!(buckets.is_sorted());
        for log in 4..64 {
            let age = 1u64 << log;
            assert_eq!(bucket(age), bucket(age - 1) + 1);
            assert_eq!(bucket(age), bucket(age + age / 8 - 1));
            assert_eq!(bucket(age) + 1, bucket(age + age / 8));
        }
        assert_eq!(bucket(u64::MAX), 8 * 62 - 1);
    }
}
