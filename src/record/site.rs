//! What is kept for one site: an interned stack and its counters. Sites never die and never move.

use super::lifetimes::{BUCKETS, Lifetimes, Rows};
use super::sampler::Weight;
use crate::mem::Zeroable;
use crate::sync::float;
use crate::sync::primitive::{AtomicU64, Ordering};

/// Counters that only grow. All-zero is an unused site.
pub(crate) struct Site {
    /// Where the frames are in the word store, and how many (low 16 bits: count; next 8: cut).
    first_frame: AtomicU64,
    shape: AtomicU64,
    /// Sampled allocations and their bytes.
    objects: AtomicU64,
    bytes: AtomicU64,
    /// What the estimates are above the counts.
    alloc_excess: Excess,
    /// Of the allocations, as `f64` bits: Σ (1−p)/p² and Σ size²·(1−p)/p².
    alloc_objects_variance: AtomicU64,
    alloc_bytes_variance: AtomicU64,
    /// Freed samples and the bytes they stand for.
    lifetimes: Lifetimes,
    free_excess: Excess,
    peak: Peak,
}

/// How much more a weight stands for than the sampled allocation itself. Nothing in exact mode, which therefore
/// touches two counters per event and not four.
struct Excess {
    /// In 1/2^16 objects.
    objects: AtomicU64,
    bytes: AtomicU64,
}

/// What was live when the program's live estimate last reached a new height, copied on the first change
/// after that: see [`super::peak`]. The epoch carries [`COPYING`] while the copy is being written.
struct Peak {
    epoch: AtomicU64,
    objects: AtomicU64,
    bytes: AtomicU64,
    objects_estimate: AtomicU64,
    bytes_estimate: AtomicU64,
}

/// Above every epoch.
const COPYING: u64 = 1 << 63;

/// Sums over sampled allocations, read out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CountsRead {
    pub(crate) objects: u64,
    pub(crate) bytes: u64,
    /// In 1/2^16 objects.
    pub(crate) objects_estimate: u64,
    pub(crate) bytes_estimate: u64,
}

/// A site read out.
#[derive(Clone, Debug)]
pub(crate) struct SiteRead {
    pub(crate) alloc: CountsRead,
    pub(crate) free: CountsRead,
    pub(crate) peak: CountsRead,
    pub(crate) alloc_objects_variance: f64,
    pub(crate) alloc_bytes_variance: f64,
    pub(crate) lifetimes: [(u64, u64); BUCKETS],
}

// SAFETY: all fields are atomics or arrays and structs of atomics: zero bytes are zeros, Sync, no Drop.
unsafe impl Zeroable for Site {
    #[cfg(any(loom, test))]
    fn zeroed() -> Site {
        let zero = || AtomicU64::new(0);
        let excess = || Excess {
            objects: zero(),
            bytes: zero(),
        };
        Site {
            first_frame: zero(),
            shape: zero(),
            objects: zero(),
            bytes: zero(),
            alloc_excess: excess(),
            alloc_objects_variance: zero(),
            alloc_bytes_variance: zero(),
            lifetimes: Lifetimes::zeroed(),
            free_excess: excess(),
            peak: Peak {
                epoch: zero(),
                objects: zero(),
                bytes: zero(),
                objects_estimate: zero(),
                bytes_estimate: zero(),
            },
        }
    }
}

impl Site {
    /// Sets the stack; before the site is published.
    pub(super) fn describe(&self, first_frame: u64, frame_count: usize, cut: u8) {
        // Relaxed: published by the Release store of the site's number.
        self.first_frame.store(first_frame, Ordering::Relaxed);
        self.shape
            .store(frame_count as u64 | u64::from(cut) << 16, Ordering::Relaxed);
    }

    /// Position and number of the frames, and the cut's code.
    pub(super) fn shape(&self) -> (u64, usize, u8) {
        let shape = self.shape.load(Ordering::Relaxed);
        (
            self.first_frame.load(Ordering::Relaxed),
            shape as u16 as usize,
            (shape >> 16) as u8,
        )
    }

    /// One sampled allocation. `epoch`: the program's current peak.
    pub(super) fn count_alloc(&self, rows: &Rows, size: u64, weight: Weight, epoch: u64) {
        self.remember_peak(rows, epoch);
        // Release, here and for frees: a reader who sees a free (Acquire in `read`) sees the allocation counted
        // before it.
        self.objects.fetch_add(1, Ordering::Release);
        self.bytes.fetch_add(size, Ordering::Release);
        if weight.is_one() {
            return;
        }
        self.alloc_excess.add(size, weight);
        let variance = weight.count_variance();
        float::add(&self.alloc_objects_variance, variance);
        float::add(
            &self.alloc_bytes_variance,
            variance * (size as f64 * size as f64),
        );
    }

    /// The free of a sampled allocation that lived for `ticks`. `false`: that is kept wrong, for want of memory.
    pub(super) fn count_free(
        &self,
        rows: &Rows,
        size: u64,
        weight: Weight,
        ticks: u64,
        epoch: u64,
    ) -> bool {
        self.remember_peak(rows, epoch);
        if !weight.is_one() {
            self.free_excess.add(size, weight);
        }
        self.lifetimes.add(rows, ticks, weight.bytes(size))
    }

    /// Frees are read before allocations: an allocation is counted before its free, so the difference is
    /// never negative, but for one that is being freed in the same moment.
    pub(super) fn read(&self, rows: &Rows, epoch: u64) -> SiteRead {
        let (excess, lifetimes) = self.with_excess(|| self.lifetimes.read(rows));
        let free = self.freed(excess, sum(&lifetimes));
        let alloc = self.allocated();
        // Acquire: pairs with the Release in `remember_peak`. While the copy is being written nothing has changed
        // here since the peak yet, or only just.
        let peak = if self.peak.epoch.load(Ordering::Acquire) == epoch {
            self.peak.read()
        } else {
            alloc.minus(free)
        };
        SiteRead {
            alloc,
            free,
            peak,
            alloc_objects_variance: float::load(&self.alloc_objects_variance),
            alloc_bytes_variance: float::load(&self.alloc_bytes_variance),
            lifetimes,
        }
    }

    fn allocated(&self) -> CountsRead {
        let objects = self.objects.load(Ordering::Acquire);
        let bytes = self.bytes.load(Ordering::Acquire);
        CountsRead {
            objects,
            bytes,
            objects_estimate: (objects << 16)
                .wrapping_add(self.alloc_excess.objects.load(Ordering::Acquire)),
            bytes_estimate: bytes.wrapping_add(self.alloc_excess.bytes.load(Ordering::Acquire)),
        }
    }

    /// What was freed, from the sum of the lifetimes, which know what each free stood for.
    /// `excess`: of the bytes, from the same moment.
    fn freed(&self, excess: u64, sum: (u64, u64)) -> CountsRead {
        CountsRead {
            objects: sum.0,
            bytes: sum.1.saturating_sub(excess),
            objects_estimate: (sum.0 << 16)
                .wrapping_add(self.free_excess.objects.load(Ordering::Acquire)),
            bytes_estimate: sum.1,
        }
    }

    /// What `read` finds, and the freed bytes' excess that belongs to it. A sampled free adds to both, and the bytes
    /// themselves are their difference: where one came in between, it is read again, a few times.
    fn with_excess<T>(&self, read: impl Fn() -> T) -> (u64, T) {
        let mut before = self.free_excess.bytes.load(Ordering::Acquire);
        let mut tries = 0;
        loop {
            let found = read();
            let after = self.free_excess.bytes.load(Ordering::Acquire);
            if after == before || tries == 3 {
                return (after, found);
            }
            before = after;
            tries += 1;
        }
    }

    /// Before the first change after a new peak: keeps what was live then. Changes that other threads make
    /// to this site in the same moment may be counted on either side.
    fn remember_peak(&self, rows: &Rows, epoch: u64) {
        let seen = self.peak.epoch.load(Ordering::Relaxed);
        if seen >= epoch
            || self
                .peak
                .epoch
                // Relaxed: the winner alone writes the copy, and publishes it below.
                .compare_exchange(seen, epoch | COPYING, Ordering::Relaxed, Ordering::Relaxed)
                .is_err()
        {
            return;
        }
        let (excess, total) = self.with_excess(|| self.lifetimes.total(rows));
        let free = self.freed(excess, total);
        self.peak.write(self.allocated().minus(free));
        // Release: who sees the epoch sees the copy.
        self.peak.epoch.store(epoch, Ordering::Release);
    }
}

fn sum(lifetimes: &[(u64, u64); BUCKETS]) -> (u64, u64) {
    lifetimes.iter().fold((0u64, 0u64), |sum, bucket| {
        (sum.0.wrapping_add(bucket.0), sum.1.wrapping_add(bucket.1))
    })
}

impl Excess {
    fn add(&self, size: u64, weight: Weight) {
        // Release: as for the counts.
        self.objects
            .fetch_add(weight.objects() - Weight::ONE.objects(), Ordering::Release);
        self.bytes
            .fetch_add(weight.bytes(size) - size, Ordering::Release);
    }
}

impl Peak {
    fn read(&self) -> CountsRead {
        // Relaxed: published with the epoch.
        CountsRead {
            objects: self.objects.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            objects_estimate: self.objects_estimate.load(Ordering::Relaxed),
            bytes_estimate: self.bytes_estimate.load(Ordering::Relaxed),
        }
    }

    fn write(&self, counts: CountsRead) {
        self.objects.store(counts.objects, Ordering::Relaxed);
        self.bytes.store(counts.bytes, Ordering::Relaxed);
        self.objects_estimate
            .store(counts.objects_estimate, Ordering::Relaxed);
        self.bytes_estimate
            .store(counts.bytes_estimate, Ordering::Relaxed);
    }
}

impl CountsRead {
    pub(crate) fn minus(self, other: CountsRead) -> CountsRead {
        CountsRead {
            objects: self.objects.saturating_sub(other.objects),
            bytes: self.bytes.saturating_sub(other.bytes),
            objects_estimate: self.objects_estimate.saturating_sub(other.objects_estimate),
            bytes_estimate: self.bytes_estimate.saturating_sub(other.bytes_estimate),
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_site_fits_its_budget() {
        // With the 42 frames of a deep stack (336 bytes), its index entry and half of a table empty: below 1 KiB.
        assert!(size_of::<Site>() <= 200, "{}", size_of::<Site>());
    }

    #[test]
    fn what_is_freed_leaves_nothing() {
        let (rows, site) = (Rows::empty(), Site::zeroed());
        for size in [1u64, 64, 524_288, 3_000_000] {
            let weight = Weight::new(size, 524_288);
            site.count_alloc(&rows, size, weight, 0);
            site.count_free(&rows, size, weight, 9, 0);
        }
        let read = site.read(&rows, 0);
        assert_eq!(read.alloc, read.free);
        assert_eq!(
            read.lifetimes
                .iter()
                .map(|(objects, _)| objects)
                .sum::<u64>(),
            4
        );
        assert!(read.alloc_bytes_variance > 0.0);
    }

    #[test]
    fn the_peak_is_what_was_live_when_it_was_set() {
        let (rows, site) = (Rows::empty(), Site::zeroed());
        let weight = Weight::new(10, 1);
        site.count_alloc(&rows, 10, weight, 0);
        site.count_alloc(&rows, 10, weight, 0);
        assert_eq!(site.read(&rows, 1).peak.bytes, 20, "no change since peak 1");
        site.count_free(&rows, 10, weight, 0, 1);
        site.count_free(&rows, 10, weight, 0, 1);
        assert_eq!(
            site.read(&rows, 1).peak.bytes,
            20,
            "kept from before the first change"
        );
        assert_eq!(
            site.read(&rows, 2).peak.bytes,
            0,
            "a later peak sees what is live now"
        );
    }
}
