//! Address → live sample, lock-free, growing, without tombstones.
//!
//! ```text
//! level 0   [bucket][bucket] … 2^b          bucket = 8 keys (one cache line) + 8 values (two lines)
//! level 1   [bucket][bucket] … 2^(b+1)
//! level n   …                               made when both of a key's buckets are full everywhere
//! ```
//!
//! A key has two buckets on each level (the second is only used when the first is half full). A look-up reads
//! all keys of both, newest level first, so an emptied slot is simply empty and nothing accumulates. Keys of one page
//! have neighbouring buckets.
//! Nothing moves, and levels are never given back.
//!
//! A slot's key is `sequence << 56 | address`. Its life:
//!
//! ```text
//! (n, 0) empty ──insert: CAS──▶ (n+1, BUSY) ──values, then Release──▶ (n+1, address) ──remove: CAS──▶ (n+1, 0)
//! ```
//!
//! Only the owner of an address asks for it (a program that frees twice or races on a free is broken before
//! it reaches us), so look-ups by address never meet a half-written slot of that address. [`LiveMap::for_each`]
//! may: it re-reads the key, and the sequence tells it that the slot was re-used meanwhile.
#![forbid(unsafe_code)]

use crate::mem::Published;
use crate::sync::primitive::{AtomicU64, AtomicUsize, Ordering, fence};

/// A sampled allocation that has not been freed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Live {
    /// Requested bytes, below 2^40.
    pub(crate) size: u64,
    /// Number of its site, below 2^24.
    pub(crate) site: u32,
    /// Birth in ticks of [`super::clock`], below 2^42.
    pub(crate) birth: u64,
    /// Number of its thread's name, below 2^14.
    pub(crate) thread: u16,
    /// Number of the interval it was sampled at.
    pub(crate) interval: u8,
}

pub(crate) const MAX_SIZE: u64 = (1 << 40) - 1;
pub(crate) const MAX_SITES: u32 = 1 << 24;
pub(crate) const MAX_BIRTH: u64 = (1 << 42) - 1;
pub(crate) const MAX_THREADS: usize = 1 << 14;

/// A sample in the map's own form: half the size.
pub(crate) type Packed = [u64; 2];

impl Live {
    pub(crate) fn pack(self) -> Packed {
        debug_assert!(self.size <= MAX_SIZE && self.site < MAX_SITES && self.birth <= MAX_BIRTH);
        [
            u64::from(self.site) << 40 | self.size,
            self.birth << 22 | u64::from(self.thread) << 8 | u64::from(self.interval),
        ]
    }

    pub(crate) fn unpack([first, second]: Packed) -> Live {
        Live {
            size: first & MAX_SIZE,
            site: (first >> 40) as u32,
            birth: second >> 22,
            thread: (second >> 8) as u16 & (MAX_THREADS as u16 - 1),
            interval: second as u8,
        }
    }
}

const SLOTS: usize = if cfg!(loom) { 2 } else { 8 };
const LEVELS: usize = if cfg!(loom) { 2 } else { 18 };
/// Buckets on level 0: 2^9, room for 4,096 samples (2 GiB of heap at 512 KiB) in 96 KiB.
const FIRST_BITS: usize = if cfg!(loom) { 0 } else { 9 };

const ADDRESS: u64 = (1 << 56) - 1;
const ONE_SEQUENCE: u64 = 1 << 56;
/// No allocation begins at address 1.
const BUSY: u64 = 1;

/// Keys, then two words of value each. Buckets start on a cache line: mappings do, and 192 is 3 lines.
type Bucket = [AtomicU64; SLOTS * 3];

/// The map. All-zero until its first insert; then one level, and more as they fill.
pub(crate) struct LiveMap {
    levels: [Published<Bucket>; LEVELS],
    /// Levels that have been published.
    count: AtomicUsize,
}

impl LiveMap {
    #[cfg(not(loom))]
    pub(crate) const fn new() -> LiveMap {
        let mut levels = [const { Published::new(0) }; LEVELS];
        let mut level = 0;
        while level < LEVELS {
            levels[level] = Published::new(1 << (FIRST_BITS + level));
            level += 1;
        }
        LiveMap {
            levels,
            count: AtomicUsize::new(0),
        }
    }

    #[cfg(loom)]
    pub(crate) fn new() -> LiveMap {
        let levels = std::array::from_fn(|level| Published::new(1 << (FIRST_BITS + level)));
        LiveMap {
            levels,
            count: AtomicUsize::new(0),
        }
    }

    /// Makes `address` live. `false`: no room within the memory bound; nothing has changed.
    pub(crate) fn insert(&self, address: u64, live: Live) -> bool {
        debug_assert!(address > BUSY && address <= ADDRESS);
        let values = live.pack();
        loop {
            // Acquire: pairs with `grow`, so that the levels counted are there.
            let count = self.count.load(Ordering::Acquire);
            // Newest first, then what has drained from the older ones: only when no level takes the key
            // is there another.
            for buckets in self.levels[..count].iter().rev().filter_map(Published::get) {
                if insert_at(buckets, address, values) {
                    return true;
                }
            }
            if !self.grow(count) {
                return false;
            }
        }
    }

    /// Takes `address` out, if it is there. Of several callers one gets it.
    pub(crate) fn remove(&self, address: u64) -> Option<Live> {
        let count = self.count.load(Ordering::Acquire);
        for buckets in self.levels[..count].iter().rev().filter_map(Published::get) {
            // One after the other: the second is only looked for where the first does not have it.
            let first = candidate(buckets, address, FIRST)?;
            if let Some(live) = remove_from(first, address) {
                return Some(live);
            }
            let second = candidate(buckets, address, SECOND)?;
            if let Some(live) = remove_from(second, address) {
                return Some(live);
            }
        }
        None
    }

    /// Calls `visit` for everything live, while others insert and remove: what is live throughout is
    /// visited once; what comes or goes meanwhile may be.
    pub(crate) fn for_each(&self, mut visit: impl FnMut(u64, Live)) {
        let count = self.count.load(Ordering::Acquire);
        for bucket in self.levels[..count]
            .iter()
            .filter_map(Published::get)
            .flatten()
        {
            for slot in 0..SLOTS {
                // Acquire: pairs with the Release that published the values.
                let key = bucket[slot].load(Ordering::Acquire);
                let address = key & ADDRESS;
                if address <= BUSY {
                    continue;
                }
                let values = read_values(bucket, slot);
                // The values read above come before the key read below: if the key is the same, sequence
                // and all, the slot was not re-used in between.
                fence(Ordering::Acquire);
                if bucket[slot].load(Ordering::Relaxed) == key {
                    visit(address, Live::unpack(values));
                }
            }
        }
    }

    #[cold]
    fn grow(&self, count: usize) -> bool {
        let Some(level) = self.levels.get(count) else {
            return false;
        };
        if level.get_or_publish().is_none() {
            return false;
        }
        // Release: who sees the count sees the level. If another thread was first, its count stands.
        let _ = self
            .count
            .compare_exchange(count, count + 1, Ordering::Release, Ordering::Relaxed);
        true
    }
}

/// Bits of an address below which all addresses share a bucket: eight blocks of the smallest size.
const BUCKET_SHIFT: u32 = 7;
/// Buckets, as a power of two, that the addresses of one page have to themselves on each level, side by side: what is
/// allocated together is looked up together, and the processor finds the table's page where it found the last.
const RUN_BITS: u32 = if cfg!(loom) { 0 } else { 5 };

/// An address has two buckets, by two independent odd constants; they may be the same one.
const FIRST: u64 = 0x9e37_79b9_7f4a_7c15;
const SECOND: u64 = 0xc2b2_ae3d_27d4_eb4f;

/// One of the buckets of an address; always there.
#[inline]
fn candidate(buckets: &'static [Bucket], address: u64, constant: u64) -> Option<&'static Bucket> {
    // Fibonacci hashing of the page, twice: the top bits depend on all lower ones.
    let page = if cfg!(loom) {
        address
    } else {
        address >> (BUCKET_SHIFT + RUN_BITS)
    };
    let run_bits = buckets.len().trailing_zeros() - RUN_BITS;
    let hash = page.wrapping_mul(constant);
    let hash = (hash ^ hash >> 29).wrapping_mul(constant);
    // Its top bits; in two steps, because there may be none.
    let run = hash >> 1 >> (63 - run_bits);
    // The place within the run is turned by the hash: allocators put their large blocks at the same offset of
    // every page.
    let within = (address >> BUCKET_SHIFT ^ hash) & ((1 << RUN_BITS) - 1);
    buckets.get((run << RUN_BITS | within) as usize)
}

fn insert_at(buckets: &'static [Bucket], address: u64, values: [u64; 2]) -> bool {
    let (Some(first), Some(second)) = (
        candidate(buckets, address, FIRST),
        candidate(buckets, address, SECOND),
    ) else {
        return false;
    };
    let room = empty_slots(first);
    // The second bucket costs another cache line, so it is only looked at when the first fills up; then
    // the emptier one is taken, which is what lets both get full.
    let order = if room > SLOTS / 2 || room >= empty_slots(second) {
        [first, second]
    } else {
        [second, first]
    };
    order
        .into_iter()
        .any(|bucket| insert_into(bucket, address, values))
}

fn empty_slots(bucket: &Bucket) -> usize {
    // Relaxed: a hint.
    bucket[..SLOTS]
        .iter()
        .filter(|key| key.load(Ordering::Relaxed) & ADDRESS == 0)
        .count()
}

fn insert_into(bucket: &Bucket, address: u64, values: [u64; 2]) -> bool {
    for slot in 0..SLOTS {
        let key = bucket[slot].load(Ordering::Relaxed);
        if key & ADDRESS != 0 {
            continue;
        }
        let sequence = (key & !ADDRESS).wrapping_add(ONE_SEQUENCE);
        // Acquire: the values of the entry that was here have been read before its remover emptied it.
        if bucket[slot]
            .compare_exchange(key, sequence | BUSY, Ordering::Acquire, Ordering::Relaxed)
            .is_err()
        {
            continue;
        }
        // BUSY is visible before any of the new values: a reader that sees one of them sees the key change.
        fence(Ordering::Release);
        let place = SLOTS + slot * 2;
        bucket[place].store(values[0], Ordering::Relaxed);
        bucket[place + 1].store(values[1], Ordering::Relaxed);
        // Release: who sees the address sees the values.
        bucket[slot].store(sequence | address, Ordering::Release);
        return true;
    }
    false
}

#[inline]
fn remove_from(bucket: &Bucket, address: u64) -> Option<Live> {
    for slot in 0..SLOTS {
        // Relaxed: a match is confirmed by the exchange.
        let key = bucket[slot].load(Ordering::Relaxed);
        // But for the sequence they are the same.
        if (key ^ address) << ADDRESS.leading_zeros() == 0
            && let Some(live) = take(bucket, slot, key)
        {
            return Some(live);
        }
    }
    None
}

/// Empties a slot whose key was `key`.
fn take(bucket: &Bucket, slot: usize, key: u64) -> Option<Live> {
    // The address came to this thread by the program's own synchronisation, and its entry with it; the
    // Acquire covers programs that only got it by luck.
    fence(Ordering::Acquire);
    let values = read_values(bucket, slot);
    // Release: the values have been read before the slot can be taken again.
    bucket[slot]
        .compare_exchange(key, key & !ADDRESS, Ordering::Release, Ordering::Relaxed)
        .ok()
        .map(|_| Live::unpack(values))
}

fn read_values(bucket: &Bucket, slot: usize) -> [u64; 2] {
    let place = SLOTS + slot * 2;
    // Relaxed: ordered by the callers' key loads and fences.
    [
        bucket[place].load(Ordering::Relaxed),
        bucket[place + 1].load(Ordering::Relaxed),
    ]
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn live(size: u64) -> Live {
        Live {
            size,
            site: size as u32 % MAX_SITES,
            birth: size,
            thread: 3,
            interval: 9,
        }
    }

    #[test]
    fn a_live_sample_survives_packing() {
        for live in [
            Live {
                size: MAX_SIZE,
                site: MAX_SITES - 1,
                birth: MAX_BIRTH,
                thread: 16_383,
                interval: 255,
            },
            Live {
                size: 1,
                site: 0,
                birth: 0,
                thread: 0,
                interval: 0,
            },
        ] {
            assert_eq!(Live::unpack(live.pack()), live);
        }
    }

    /// Random operations against `HashMap`, through several levels and back to nothing.
    #[test]
    fn agrees_with_a_hash_map() {
        let map = LiveMap::new();
        let mut model: HashMap<u64, Live> = HashMap::new();
        let mut random = crate::record::sampler::Random::for_thread(11, 1);
        for step in 0..400_000u64 {
            // 64 Ki different addresses, of which up to half live at once.
            let address = 0x7f00_0000_0000 + (random.gap(1 << 40) as u64 % 65_536) * 16;
            if let Some(expected) = model.remove(&address) {
                assert_eq!(map.remove(address), Some(expected));
            } else {
                assert_eq!(map.remove(address), None);
                assert!(map.insert(address, live(step + 1)));
                model.insert(address, live(step + 1));
            }
        }
        let mut seen = HashMap::new();
        map.for_each(|address, live| assert!(seen.insert(address, live).is_none()));
        assert_eq!(seen, model);
        for (address, expected) in model {
            assert_eq!(map.remove(address), Some(expected));
        }
        map.for_each(|address, _| panic!("{address:x} is still there"));
        assert!(
            map.count.load(Ordering::Relaxed) > 2,
            "several levels were in use"
        );
    }

    /// The levels' load when one first refuses tells how well two buckets balance, whatever pattern an allocator has:
    /// small blocks side by side, or large ones at the same offset of every page.
    #[test]
    fn a_level_fills_well_before_it_refuses() {
        for stride in [
            16u64,
            32,
            48,
            272,
            4096,
            8192 + 16,
            64 << 10,
            1 << 20,
            64 << 20,
        ] {
            let map = LiveMap::new();
            let mut inserted = 0u64;
            while map.count.load(Ordering::Relaxed) <= 4 {
                assert!(map.insert(0x5555_0000_0010 + inserted * stride, live(1)));
                inserted += 1;
            }
            let slots: u64 = (0..4).map(|level| 8u64 << (FIRST_BITS + level)).sum();
            let load = inserted * 100 / slots;
            // Pages full of small blocks fill their buckets by themselves: two choices among whole pages.
            let least = if stride < 48 { 50 } else { 80 };
            assert!(load >= least, "stride {stride}: {load} %");
        }
    }
}
