//! What is counted at one site, in sets: a thread's own, which it adds to without locked instructions and without a cache
//! line that others write, or one for everybody else.
//!
//! ```text
//! site ─▶ [first to count] ─next▶ [second thread] ─next▶ … at most SETS
//! ```
//!
//! The first set lies in its site, so a site that one thread uses has nothing more; the others are made where several
//! threads record everything. Where allocations are sampled a set for everybody does.

use super::lifetimes::{BUCKETS, Lifetimes, Rows};
use super::sampler::Weight;
use crate::mem::{Pool, Zeroable};
use crate::sync::float;
use crate::sync::lane::Lane;
use crate::sync::own::add_if;
use crate::sync::primitive::{AtomicU32, AtomicU64, Ordering};

/// Sets of one site; the last is for everybody who has none.
const SETS: usize = 4;

/// An owner: a lane's number + 1; 0: not taken.
const EVERYBODY: u32 = u32::MAX;

/// Sums that only grow. All-zero is a set that nobody has counted in. Two cache lines, of which the second is hardly
/// written where everything is recorded: others read it on their way to their own set.
#[repr(C, align(64))]
pub(crate) struct Counters {
    /// Sampled allocations and their bytes.
    objects: AtomicU64,
    bytes: AtomicU64,
    /// Freed samples and the bytes they stand for.
    lifetimes: Lifetimes,
    owner: AtomicU32,
    /// The number of the next set, +1; 0: there is none.
    next: AtomicU32,
    /// What the estimates are above the counts.
    alloc_excess: Excess,
    free_excess: Excess,
    /// Of the allocations, as `f64` bits: Σ (1−p)/p² and Σ size²·(1−p)/p².
    alloc_objects_variance: AtomicU64,
    alloc_bytes_variance: AtomicU64,
}

/// How much more a weight stands for than the sampled allocation itself. Nothing in exact mode, which therefore
/// touches two counters per event and not four.
struct Excess {
    /// In 1/2^16 objects.
    objects: AtomicU64,
    bytes: AtomicU64,
}

/// Where sites keep what they have no room for.
pub(crate) struct Spare {
    pub(super) rows: Rows,
    pub(super) sets: Pool<Counters>,
}

/// A set that the calling thread may count in.
#[derive(Clone, Copy)]
pub(crate) struct Mine<'a> {
    set: &'a Counters,
    /// Nobody else does.
    own: bool,
}

/// Sums over allocations, read out.
#[derive(Clone, Copy, Default)]
pub(super) struct Allocated {
    pub(super) objects: u64,
    pub(super) bytes: u64,
    pub(super) objects_excess: u64,
    pub(super) bytes_excess: u64,
}

// SAFETY: all fields are atomics or arrays and structs of atomics: zero bytes are zeros, Sync, no Drop.
unsafe impl Zeroable for Counters {
    #[cfg(any(loom, test))]
    fn zeroed() -> Counters {
        let zero = || AtomicU64::new(0);
        let excess = || Excess {
            objects: zero(),
            bytes: zero(),
        };
        Counters {
            objects: zero(),
            bytes: zero(),
            lifetimes: Lifetimes::zeroed(),
            owner: AtomicU32::new(0),
            next: AtomicU32::new(0),
            alloc_excess: excess(),
            free_excess: excess(),
            alloc_objects_variance: zero(),
            alloc_bytes_variance: zero(),
        }
    }
}

impl Spare {
    #[cfg(not(loom))]
    pub(crate) const fn new() -> Spare {
        Spare {
            rows: Rows::new(),
            sets: Pool::new(),
        }
    }

    #[cfg(loom)]
    pub(crate) fn new() -> Spare {
        Spare {
            rows: Rows::new(),
            sets: Pool::new(),
        }
    }
}

impl Counters {
    /// Of the sets from this one on, that of the calling thread, whose lane is given; `exact`: it may get one of its own.
    /// `None`: there is no room for another, and none is for everybody.
    #[inline]
    pub(super) fn of<'a>(&'a self, spare: &'a Spare, lane: Lane, exact: bool) -> Option<Mine<'a>> {
        // Relaxed: an owner never changes, and what its set holds is the owner's own.
        if lane.is_own() && self.owner.load(Ordering::Relaxed) == lane.number() + 1 {
            return Some(Mine {
                set: self,
                own: true,
            });
        }
        self.search(spare, lane, exact)
    }

    fn search<'a>(&'a self, spare: &'a Spare, lane: Lane, exact: bool) -> Option<Mine<'a>> {
        let mine = match lane.is_own() {
            true => lane.number() + 1,
            false => EVERYBODY,
        };
        let mut everybodys = None;
        let mut set = self;
        let mut number = 1;
        loop {
            let wanted = match exact && (number < SETS || everybodys.is_some()) {
                true => mine,
                false => EVERYBODY,
            };
            let mut owner = set.owner.load(Ordering::Relaxed);
            if owner == 0 && (wanted == mine || everybodys.is_none()) {
                owner = match set.owner.compare_exchange(
                    0,
                    wanted,
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                ) {
                    Ok(_) => wanted,
                    Err(first) => first,
                };
            }
            if owner == mine {
                let own = mine != EVERYBODY;
                return Some(Mine { set, own });
            }
            if owner == EVERYBODY {
                everybodys = Some(Mine { set, own: false });
            }
            // Acquire: who sees the number sees the set's chunk.
            let next = set.next.load(Ordering::Acquire);
            let last = next == 0;
            if last && everybodys.is_some() && (!exact || mine == EVERYBODY) || number == SETS {
                return everybodys;
            }
            set = match set.follow(spare, next) {
                Some(next) => next,
                None => return everybodys,
            };
            number += 1;
        }
    }

    /// The next set, made now if there is none.
    fn follow<'a>(&self, spare: &'a Spare, mut next: u32) -> Option<&'a Counters> {
        if next == 0 {
            let taken = spare.sets.take()? + 1;
            // A set taken in vain stays unused: it takes two threads that need one in the same moment. Release: who sees
            // the number sees the chunk.
            next = match self
                .next
                .compare_exchange(0, taken, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => taken,
                Err(first) => first,
            };
        }
        spare.sets.get(next - 1)
    }

    /// Each set from this one on.
    fn each<'a>(&'a self, spare: &'a Spare, mut visit: impl FnMut(&'a Counters)) {
        let mut set = self;
        loop {
            visit(set);
            // Acquire: as in `search`.
            match set.next.load(Ordering::Acquire) {
                0 => return,
                next => match spare.sets.get(next - 1) {
                    Some(next) => set = next,
                    None => return,
                },
            }
        }
    }

    /// Of all sets from this one on: the allocations.
    pub(super) fn allocated(&self, spare: &Spare) -> Allocated {
        let mut sum = Allocated::default();
        self.each(spare, |set| {
            // Acquire: pairs with the additions. Wrapping: as they do.
            let add = |sum: &mut u64, counter: &AtomicU64| {
                *sum = sum.wrapping_add(counter.load(Ordering::Acquire));
            };
            add(&mut sum.objects, &set.objects);
            add(&mut sum.bytes, &set.bytes);
            add(&mut sum.objects_excess, &set.alloc_excess.objects);
            add(&mut sum.bytes_excess, &set.alloc_excess.bytes);
        });
        sum
    }

    /// Of all sets from this one on: the excess of the frees, objects in 1/2^16 and bytes.
    pub(super) fn free_excess(&self, spare: &Spare) -> (u64, u64) {
        let mut sum = (0u64, 0u64);
        self.each(spare, |set| {
            let excess = &set.free_excess;
            let more = [&excess.objects, &excess.bytes].map(|sum| sum.load(Ordering::Acquire));
            super::lifetimes::add_pair(&mut sum, more.into());
        });
        sum
    }

    /// Of all sets from this one on: the variances of the estimated objects and bytes.
    pub(super) fn variances(&self, spare: &Spare) -> (f64, f64) {
        let mut sum = (0.0, 0.0);
        self.each(spare, |set| {
            sum.0 += float::load(&set.alloc_objects_variance);
            sum.1 += float::load(&set.alloc_bytes_variance);
        });
        sum
    }

    /// Of all sets from this one on: freed samples and the bytes they stand for. Also asked inside malloc.
    pub(super) fn freed(&self, spare: &Spare) -> (u64, u64) {
        let mut total = (0, 0);
        self.each(spare, |set| {
            set.lifetimes.add_total(&spare.rows, &mut total)
        });
        total
    }

    /// The same by lifetime.
    pub(super) fn lifetimes(&self, spare: &Spare) -> [(u64, u64); BUCKETS] {
        let mut buckets = [(0, 0); BUCKETS];
        self.each(spare, |set| {
            set.lifetimes.add_buckets(&spare.rows, &mut buckets);
        });
        buckets
    }
}

impl Mine<'_> {
    /// One sampled allocation.
    #[inline]
    pub(super) fn count_alloc(self, size: u64, weight: Weight) {
        let Mine { set, own } = self;
        // The additions are Release, here and for frees: a reader who sees a free (Acquire) sees the allocation counted
        // before it.
        add_if(own, &set.objects, 1);
        add_if(own, &set.bytes, size);
        if weight.is_one() {
            return;
        }
        set.alloc_excess.add(own, size, weight);
        let variance = weight.count_variance();
        float::add(&set.alloc_objects_variance, variance);
        float::add(
            &set.alloc_bytes_variance,
            variance * (size as f64 * size as f64),
        );
    }

    /// The free of a sampled allocation that lived for `ticks`. `false`: its lifetime is kept wrong, for want of memory.
    #[inline]
    pub(super) fn count_free(self, spare: &Spare, size: u64, weight: Weight, ticks: u64) -> bool {
        let Mine { set, own } = self;
        if !weight.is_one() {
            set.free_excess.add(own, size, weight);
        }
        set.lifetimes
            .add(&spare.rows, own, ticks, weight.bytes(size))
    }
}

impl Excess {
    fn add(&self, own: bool, size: u64, weight: Weight) {
        add_if(own, &self.objects, weight.objects() - Weight::ONE.objects());
        add_if(own, &self.bytes, weight.bytes(size) - size);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn place(counters: &Counters, spare: &Spare, lane: u32, exact: bool) -> (usize, bool) {
        let mine = counters
            .of(spare, Lane::from_number(lane), exact)
            .expect("room");
        (std::ptr::from_ref(mine.set).addr(), mine.own)
    }

    #[test]
    fn threads_get_sets_of_their_own_until_the_last() {
        assert_eq!(size_of::<Counters>(), 128, "two cache lines");
        let (spare, counters) = (Spare::new(), Counters::zeroed());
        let places: Vec<_> = (0..6)
            .map(|lane| place(&counters, &spare, lane, true))
            .collect();
        for (lane, expected) in (0..).zip(&places) {
            assert_eq!(place(&counters, &spare, lane, true), *expected);
        }
        let own: Vec<bool> = places.iter().map(|(_, own)| *own).collect();
        assert_eq!(own, [true, true, true, false, false, false]);
        assert_eq!(places[3].0, places[5].0, "the rest share one");
        assert_eq!(spare.sets.count(), SETS as u64 - 1);
        let shared = crate::sync::lane::OWN as u32;
        assert_eq!(place(&counters, &spare, shared, true), places[3]);
    }

    #[test]
    fn sampling_needs_no_second_set() {
        let (spare, counters) = (Spare::new(), Counters::zeroed());
        for lane in 0..6 {
            let (_, own) = place(&counters, &spare, lane, false);
            assert!(!own);
        }
        assert_eq!(spare.sets.count(), 0);
        // Then everything is recorded for a while.
        assert!(place(&counters, &spare, 1, true).1);
        assert!(place(&counters, &spare, 1, false).1, "what it has it uses");
        assert!(!place(&counters, &spare, 2, false).1);
        assert_eq!(spare.sets.count(), 1);
    }
}
