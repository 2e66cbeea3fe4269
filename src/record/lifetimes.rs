//! How long freed samples lived, by powers of two.
#![forbid(unsafe_code)]

use super::clock;
use crate::mem::{Published, place_in_doubling_chunks};
use crate::sync::primitive::{AtomicU64, Ordering};

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
/// Most sites free all they free at about the same age, so a few buckets lie in the site and name themselves; only a
/// site that needs more takes a [`Row`] of all of them.
pub(crate) struct Lifetimes {
    few: [Cell; FEW],
    /// The number of its row, +1; 0: none.
    row: AtomicU64,
}

const FEW: usize = 3;

struct Cell {
    /// The bucket, +1; 0: free. Never changes once set.
    bucket: AtomicU64,
    sums: Sums,
}

/// Objects and bytes. Two sums in one word would save memory but tear; a word each does not.
type Sums = [AtomicU64; 2];

/// All buckets of one site.
type Row = [Sums; BUCKETS];

const CHUNKS: usize = if cfg!(loom) { 1 } else { 20 };
const CHUNK_BITS: usize = if cfg!(loom) { 0 } else { 4 };

/// The rows of the sites that need them.
pub(crate) struct Rows {
    /// In chunks of 2^4, 2^5, …
    chunks: [Published<Row>; CHUNKS],
    count: AtomicU64,
}

impl Rows {
    #[cfg(not(loom))]
    pub(crate) const fn new() -> Rows {
        let mut chunks = [const { Published::new(0) }; CHUNKS];
        let mut number = 0;
        while number < CHUNKS {
            chunks[number] = Published::new(1 << (CHUNK_BITS + number));
            number += 1;
        }
        Rows {
            chunks,
            count: AtomicU64::new(0),
        }
    }

    #[cfg(any(loom, test))]
    pub(crate) fn empty() -> Rows {
        Rows {
            chunks: std::array::from_fn(|chunk| Published::new(1 << (CHUNK_BITS + chunk))),
            count: AtomicU64::new(0),
        }
    }

    fn row(&self, number: u64) -> Option<&'static Row> {
        let (chunk, offset) = place(number);
        self.chunks.get(chunk)?.get()?.get(offset)
    }

    /// A row that nobody else has; `None`: no room.
    #[cold]
    fn take(&self) -> Option<u64> {
        // Relaxed: a number is handed out once; the row is zeros, and published by its site.
        let mut number = self.count.load(Ordering::Relaxed);
        loop {
            self.chunks.get(place(number).0)?.get_or_publish()?;
            match self.count.compare_exchange_weak(
                number,
                number + 1,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Some(number),
                Err(current) => number = current,
            }
        }
    }
}

/// Chunk and offset of a row's number.
fn place(number: u64) -> (usize, usize) {
    place_in_doubling_chunks(number, CHUNK_BITS)
}

impl Lifetimes {
    #[cfg(any(loom, test))]
    pub(super) fn zeroed() -> Lifetimes {
        let zero = || AtomicU64::new(0);
        Lifetimes {
            few: std::array::from_fn(|_| Cell {
                bucket: zero(),
                sums: [zero(), zero()],
            }),
            row: zero(),
        }
    }

    /// Adds one freed sample. `false`: it is in a wrong bucket, because there was no room for a row.
    pub(super) fn add(&self, rows: &Rows, ticks: u64, bytes_estimate: u64) -> bool {
        let bucket = bucket(ticks);
        let (sums, right) = match self.sums(rows, bucket) {
            Some(sums) => (sums, true),
            // What has been freed is their sum, so it has to go somewhere.
            None => (&self.few[FEW - 1].sums, false),
        };
        // Release: see `Site::count_alloc`.
        sums[0].fetch_add(1, Ordering::Release);
        sums[1].fetch_add(bytes_estimate, Ordering::Release);
        right
    }

    fn sums(&self, rows: &Rows, bucket: usize) -> Option<&Sums> {
        let name = bucket as u64 + 1;
        for cell in &self.few {
            // Relaxed throughout: the sums are zero before anybody names them.
            let mut current = cell.bucket.load(Ordering::Relaxed);
            if current == 0 {
                match cell
                    .bucket
                    .compare_exchange(0, name, Ordering::Relaxed, Ordering::Relaxed)
                {
                    Ok(_) => return Some(&cell.sums),
                    Err(first) => current = first,
                }
            }
            if current == name {
                return Some(&cell.sums);
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
        rows.row(row - 1)?.get(bucket)
    }

    /// Freed samples of any age, and the bytes they stand for. Also asked inside malloc: no table is made for it.
    pub(super) fn total(&self, rows: &Rows) -> (u64, u64) {
        let (mut objects, mut bytes) = (0u64, 0u64);
        self.visit(rows, &mut |_, more: (u64, u64)| {
            objects = objects.wrapping_add(more.0);
            bytes = bytes.wrapping_add(more.1);
        });
        (objects, bytes)
    }

    /// Each bucket's freed samples and the bytes they stand for.
    pub(super) fn read(&self, rows: &Rows) -> [(u64, u64); BUCKETS] {
        let mut buckets = [(0u64, 0u64); BUCKETS];
        self.visit(rows, &mut |bucket, more| {
            if let Some((objects, bytes)) = buckets.get_mut(bucket) {
                *objects = objects.wrapping_add(more.0);
                *bytes = bytes.wrapping_add(more.1);
            }
        });
        buckets
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
        for cell in &self.few {
            match cell.bucket.load(Ordering::Relaxed) {
                0 => {}
                name => add(name as usize - 1, &cell.sums),
            }
        }
        // Acquire: as in `sums`.
        if let Some(number) = self.row.load(Ordering::Acquire).checked_sub(1)
            && let Some(row) = rows.row(number)
        {
            for (bucket, sums) in row.iter().enumerate() {
                add(bucket, sums);
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// More ages than cells, and the same again: every sample is in its bucket, and the first few cost no row.
    #[test]
    fn each_age_has_its_bucket() {
        let (rows, lifetimes) = (Rows::empty(), Lifetimes::zeroed());
        for (number, ticks) in [0u64, 1, 9, 9, 1].into_iter().enumerate() {
            assert!(lifetimes.add(&rows, ticks, 10 + number as u64));
        }
        assert_eq!(
            rows.count.load(Ordering::Relaxed),
            0,
            "three ages need none"
        );
        for shift in 0..BUCKETS as u32 {
            assert!(lifetimes.add(&rows, 1 << shift, 1));
        }
        assert_eq!(rows.count.load(Ordering::Relaxed), 1);
        let read = lifetimes.read(&rows);
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
