//! How long freed samples lived, by powers of two.
#![forbid(unsafe_code)]

use super::clock;
use crate::mem::Pool;
use crate::sync::own::add_if;
use crate::sync::primitive::{AtomicU32, AtomicU64, Ordering};

/// Bucket 0: less than one tick; bucket n: `[2^(n-1), 2^n)` ticks; the last: that and longer (52 days).
pub(crate) const BUCKETS: usize = 40;

/// The bucket of a lifetime in ticks.
pub(crate) fn bucket(ticks: u64) -> usize {
    ((u64::BITS - ticks.leading_zeros()) as usize).min(BUCKETS - 1)
}

/// Shortest and one past the longest lifetime of a bucket, nanoseconds.
pub(crate) fn bounds_nanos(bucket: usize) -> (u64, u64) {
    let from = if bucket == 0 {
        0
    } else {
        clock::ticks_to_nanos(1 << (bucket - 1))
    };
    let to = if bucket == BUCKETS - 1 {
        u64::MAX
    } else {
        clock::ticks_to_nanos(1 << bucket)
    };
    (from, to)
}

/// Freed samples and the bytes they stand for, by lifetime.
///
/// Most sites free all they free at about the same age, so a few buckets lie here and have names; only who needs more
/// takes a [`Row`] of all of them.
#[repr(C)]
pub(crate) struct Lifetimes {
    few: [Sums; FEW],
    /// A byte for each of `few`: its bucket, +1; 0: free. Never changes once set.
    names: AtomicU32,
    /// The number of its row, +1; 0: none.
    row: AtomicU32,
}

const FEW: usize = 3;

/// Objects and bytes. Two sums in one word would save memory but tear; a word each does not.
type Sums = [AtomicU64; 2];

/// All buckets.
type Row = [Sums; BUCKETS];

/// The rows of those who need them.
pub(crate) type Rows = Pool<Row>;

impl Lifetimes {
    #[cfg(any(loom, test))]
    pub(super) fn zeroed() -> Lifetimes {
        Lifetimes {
            few: std::array::from_fn(|_| [AtomicU64::new(0), AtomicU64::new(0)]),
            names: AtomicU32::new(0),
            row: AtomicU32::new(0),
        }
    }

    /// Adds one freed sample; `own`: nobody else adds to these. `false`: it is in a wrong bucket, because there was no room
    /// for a row.
    pub(super) fn add(&self, rows: &Rows, own: bool, ticks: u64, bytes_estimate: u64) -> bool {
        let bucket = bucket(ticks);
        let (sums, right) = match self.sums(rows, bucket) {
            Some(sums) => (sums, true),
            // What has been freed is their sum, so it has to go somewhere.
            None => (&self.few[FEW - 1], false),
        };
        add_if(own, &sums[0], 1);
        add_if(own, &sums[1], bytes_estimate);
        right
    }

    fn sums(&self, rows: &Rows, bucket: usize) -> Option<&Sums> {
        let name = bucket as u32 + 1;
        // Relaxed throughout: the sums are zero before anybody names them.
        let mut names = self.names.load(Ordering::Relaxed);
        let mut place = 0;
        while place < FEW {
            let shift = 8 * place;
            match names >> shift & 0xff {
                current if current == name => return Some(&self.few[place]),
                0 => {
                    match self.names.compare_exchange(
                        names,
                        names | name << shift,
                        Ordering::Relaxed,
                        Ordering::Relaxed,
                    ) {
                        Ok(_) => return Some(&self.few[place]),
                        // Whoever was first may have named this place or, after it, another.
                        Err(first) => names = first,
                    }
                }
                _ => place += 1,
            }
        }
        // Acquire: pairs with the exchange below, so that the row's chunk is there.
        let mut row = self.row.load(Ordering::Acquire);
        if row == 0 {
            let taken = rows.take()? + 1;
            // A row taken in vain stays unused: it takes two threads that need it in the same moment.
            row = match self
                .row
                .compare_exchange(0, taken, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => taken,
                Err(first) => first,
            };
        }
        rows.get(row - 1)?.get(bucket)
    }

    /// Adds freed samples of any age, and the bytes they stand for, to `total`. Also asked inside malloc: no table is made
    /// for it.
    pub(super) fn add_total(&self, rows: &Rows, total: &mut (u64, u64)) {
        self.visit(rows, &mut |_, more: (u64, u64)| add_pair(total, more));
    }

    /// Adds each bucket's freed samples and the bytes they stand for to `buckets`.
    pub(super) fn add_buckets(&self, rows: &Rows, buckets: &mut [(u64, u64); BUCKETS]) {
        self.visit(rows, &mut |bucket, more| {
            if let Some(sum) = buckets.get_mut(bucket) {
                add_pair(sum, more);
            }
        });
    }

    fn visit(&self, rows: &Rows, visit: &mut dyn FnMut(usize, (u64, u64))) {
        let mut add = |bucket: usize, [objects, bytes]: &Sums| {
            // Acquire: pairs with `add`.
            visit(
                bucket,
                (
                    objects.load(Ordering::Acquire),
                    bytes.load(Ordering::Acquire),
                ),
            );
        };
        let names = self.names.load(Ordering::Relaxed);
        for (place, sums) in self.few.iter().enumerate() {
            match names >> (8 * place) & 0xff {
                0 => {}
                name => add(name as usize - 1, sums),
            }
        }
        // Acquire: as in `sums`.
        if let Some(number) = self.row.load(Ordering::Acquire).checked_sub(1)
            && let Some(row) = rows.get(number)
        {
            for (bucket, sums) in row.iter().enumerate() {
                add(bucket, sums);
            }
        }
    }
}

/// Adds `more` to `sum`.
pub(super) fn add_pair(sum: &mut (u64, u64), more: (u64, u64)) {
    sum.0 = sum.0.wrapping_add(more.0);
    sum.1 = sum.1.wrapping_add(more.1);
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// More ages than cells, and the same again: every sample is in its bucket, and the first few cost no row.
    #[test]
    fn each_age_has_its_bucket() {
        let (rows, lifetimes) = (Rows::new(), Lifetimes::zeroed());
        for (number, ticks) in [0u64, 1, 9, 9, 1].into_iter().enumerate() {
            assert!(lifetimes.add(&rows, true, ticks, 10 + number as u64));
        }
        assert_eq!(rows.count(), 0, "three ages need none");
        for shift in 0..BUCKETS as u32 {
            assert!(lifetimes.add(&rows, shift % 2 == 0, 1 << shift, 1));
        }
        assert_eq!(rows.count(), 1);
        let mut read = [(0, 0); BUCKETS];
        lifetimes.add_buckets(&rows, &mut read);
        assert_eq!(read[bucket(0)], (1, 10));
        assert_eq!(read[bucket(1)], (3, 11 + 14 + 1));
        assert_eq!(read[bucket(9)], (3, 12 + 13 + 1));
        assert_eq!(read[bucket(1 << 20)], (1, 1));
        assert_eq!(read[BUCKETS - 1], (2, 2), "the last two shifts share it");
        assert_eq!(
            read.iter().map(|(objects, _)| objects).sum::<u64>(),
            5 + BUCKETS as u64
        );
    }

    #[test]
    fn buckets_cover_time_without_gaps() {
        assert_eq!(bucket(0), 0);
        assert_eq!(bucket(1), 1);
        assert_eq!(bucket(3), 2);
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
        for number in 1..BUCKETS {
            assert_eq!(bounds_nanos(number - 1).1, bounds_nanos(number).0);
            assert_eq!(bucket(bounds_nanos(number).0 >> 13), number);
        }
    }
}
