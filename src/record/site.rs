//! What is kept for one site: an interned stack and its counters. Sites never die and never move.

use super::counters::{Counters, Mine, Spare};
use super::lifetimes::{BUCKETS, add_pair};
use super::sampler::Weight;
use crate::mem::Zeroable;
use crate::sync::lane::Lane;
use crate::sync::primitive::{AtomicU64, Ordering};

/// All-zero is an unused site. A cache line that is hardly ever written, and two of counters.
#[repr(C)]
pub(crate) struct Site {
    /// Where the frames are in the word store (above 24 bits), the cut (8 bits), and how many they are (16 bits).
    stack: AtomicU64,
    peak: Peak,
    /// Frees that found no set to be counted in, and the bytes they stand for.
    stray_frees: [AtomicU64; 2],
    counters: Counters,
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
        Site {
            stack: zero(),
            peak: Peak {
                epoch: zero(),
                objects: zero(),
                bytes: zero(),
                objects_estimate: zero(),
                bytes_estimate: zero(),
            },
            stray_frees: [zero(), zero()],
            counters: Counters::zeroed(),
        }
    }
}

impl Site {
    /// Sets the stack; before the site is published.
    pub(super) fn describe(&self, first_frame: u64, frame_count: usize, cut: u8) {
        // Relaxed: published by the Release store of the site's number.
        self.stack.store(
            first_frame << 24 | u64::from(cut) << 16 | frame_count as u64 & 0xffff,
            Ordering::Relaxed,
        );
    }

    /// Position and number of the frames, and the cut's code.
    pub(super) fn shape(&self) -> (u64, usize, u8) {
        let stack = self.stack.load(Ordering::Relaxed);
        (stack >> 24, stack as u16 as usize, (stack >> 16) as u8)
    }

    /// Where the calling thread, whose lane is given, is to count; `None`: there is no room for that.
    #[inline]
    pub(crate) fn counters<'a>(
        &'a self,
        spare: &'a Spare,
        lane: Lane,
        weight: Weight,
    ) -> Option<Mine<'a>> {
        self.counters.of(spare, lane, weight.is_one())
    }

    /// One sampled allocation, counted in `mine`. `epoch`: the program's current peak.
    #[inline]
    pub(crate) fn count_alloc(
        &self,
        spare: &Spare,
        mine: Mine<'_>,
        size: u64,
        weight: Weight,
        epoch: u64,
    ) {
        self.remember_peak(spare, epoch);
        mine.count_alloc(size, weight);
    }

    /// The free of a sampled allocation that lived for `ticks`. `false`: that is kept wrong, for want of memory.
    #[inline]
    pub(crate) fn count_free(
        &self,
        spare: &Spare,
        lane: Lane,
        size: u64,
        weight: Weight,
        ticks: u64,
        epoch: u64,
    ) -> bool {
        self.remember_peak(spare, epoch);
        match self.counters(spare, lane, weight) {
            Some(mine) => mine.count_free(spare, size, weight, ticks),
            None => {
                // Release: as in `Mine::count_alloc`.
                self.stray_frees[0].fetch_add(1, Ordering::Release);
                self.stray_frees[1].fetch_add(weight.bytes(size), Ordering::Release);
                false
            }
        }
    }

    /// Frees are read before allocations: an allocation is counted before its free, so the difference is
    /// never negative, but for one that is being freed in the same moment.
    pub(crate) fn read(&self, spare: &Spare, epoch: u64) -> SiteRead {
        let (excess, lifetimes) = self.with_excess(spare, || {
            let mut lifetimes = self.counters.lifetimes(spare);
            add_pair(&mut lifetimes[0], self.stray_frees());
            lifetimes
        });
        let free = freed(excess, sum(&lifetimes));
        let alloc = self.allocated(spare);
        // Acquire: pairs with the Release in `remember_peak`. While the copy is being written nothing has changed
        // here since the peak yet, or only just.
        let peak = if self.peak.epoch.load(Ordering::Acquire) == epoch {
            self.peak.read()
        } else {
            alloc.minus(free)
        };
        let (alloc_objects_variance, alloc_bytes_variance) = self.counters.variances(spare);
        SiteRead {
            alloc,
            free,
            peak,
            alloc_objects_variance,
            alloc_bytes_variance,
            lifetimes,
        }
    }

    fn allocated(&self, spare: &Spare) -> CountsRead {
        let sum = self.counters.allocated(spare);
        CountsRead {
            objects: sum.objects,
            bytes: sum.bytes,
            objects_estimate: (sum.objects << 16).wrapping_add(sum.objects_excess),
            bytes_estimate: sum.bytes.wrapping_add(sum.bytes_excess),
        }
    }

    fn stray_frees(&self) -> (u64, u64) {
        // Acquire: pairs with the additions.
        let [objects, bytes] = &self.stray_frees;
        (
            objects.load(Ordering::Acquire),
            bytes.load(Ordering::Acquire),
        )
    }

    /// What `read` finds, and the freed objects' and bytes' excess that belongs to it. A sampled free adds to both, and the
    /// bytes themselves are their difference: where one came in between, it is read again, a few times.
    fn with_excess<T>(&self, spare: &Spare, read: impl Fn() -> T) -> ((u64, u64), T) {
        let mut before = self.counters.free_excess(spare);
        let mut tries = 0;
        loop {
            let found = read();
            let after = self.counters.free_excess(spare);
            if after == before || tries == 3 {
                return (after, found);
            }
            before = after;
            tries += 1;
        }
    }

    /// Before the first change after a new peak: keeps what was live then. Changes that other threads make
    /// to this site in the same moment may be counted on either side.
    #[inline]
    fn remember_peak(&self, spare: &Spare, epoch: u64) {
        let seen = self.peak.epoch.load(Ordering::Relaxed);
        if seen < epoch {
            self.keep_peak(spare, seen, epoch);
        }
    }

    #[cold]
    #[inline(never)]
    fn keep_peak(&self, spare: &Spare, seen: u64, epoch: u64) {
        if self
            .peak
            .epoch
            // Relaxed: the winner alone writes the copy, and publishes it below.
            .compare_exchange(seen, epoch | COPYING, Ordering::Relaxed, Ordering::Relaxed)
            .is_err()
        {
            return;
        }
        let (excess, mut total) = self.with_excess(spare, || self.counters.freed(spare));
        add_pair(&mut total, self.stray_frees());
        self.peak
            .write(self.allocated(spare).minus(freed(excess, total)));
        // Release: who sees the epoch sees the copy.
        self.peak.epoch.store(epoch, Ordering::Release);
    }
}

/// What was freed, from the sum of the lifetimes, which know what each free stood for.
/// `excess`: of the objects and bytes, from the same moment.
fn freed(excess: (u64, u64), sum: (u64, u64)) -> CountsRead {
    CountsRead {
        objects: sum.0,
        bytes: sum.1.saturating_sub(excess.1),
        objects_estimate: (sum.0 << 16).wrapping_add(excess.0),
        bytes_estimate: sum.1,
    }
}

fn sum(lifetimes: &[(u64, u64); BUCKETS]) -> (u64, u64) {
    lifetimes.iter().fold((0u64, 0u64), |sum, bucket| {
        (sum.0.wrapping_add(bucket.0), sum.1.wrapping_add(bucket.1))
    })
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

    fn alloc(spare: &Spare, site: &Site, size: u64, weight: Weight, epoch: u64) {
        let mine = site.counters(spare, Lane::from_number(0), weight).unwrap();
        site.count_alloc(spare, mine, size, weight, epoch);
    }

    /// By another thread.
    fn free(spare: &Spare, site: &Site, size: u64, weight: Weight, ticks: u64, epoch: u64) {
        assert!(site.count_free(spare, Lane::from_number(1), size, weight, ticks, epoch));
    }

    #[test]
    fn a_site_fits_its_budget() {
        // With the 42 frames of a deep stack (336 bytes), its index entry and half of a table empty: below 1 KiB.
        assert_eq!(size_of::<Site>(), 192, "three cache lines");
    }

    #[test]
    fn what_is_freed_leaves_nothing() {
        let (spare, site) = (Spare::new(), Site::zeroed());
        for size in [1u64, 64, 524_288, 3_000_000] {
            let weight = Weight::new(size, 524_288);
            alloc(&spare, &site, size, weight, 0);
            free(&spare, &site, size, weight, 9, 0);
        }
        let read = site.read(&spare, 0);
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
        let (spare, site) = (Spare::new(), Site::zeroed());
        let weight = Weight::new(10, 1);
        alloc(&spare, &site, 10, weight, 0);
        alloc(&spare, &site, 10, weight, 0);
        assert_eq!(
            site.read(&spare, 1).peak.bytes,
            20,
            "no change since peak 1"
        );
        free(&spare, &site, 10, weight, 0, 1);
        free(&spare, &site, 10, weight, 0, 1);
        assert_eq!(
            site.read(&spare, 1).peak.bytes,
            20,
            "kept from before the first change"
        );
        assert_eq!(
            site.read(&spare, 2).peak.bytes,
            0,
            "a later peak sees what is live now"
        );
    }
}
