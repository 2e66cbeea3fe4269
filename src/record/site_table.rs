//! Stack → site: insert-only, lock-free. Equal stacks get the same number (two threads that bring the
//! same new stack while the index grows may make two; snapshots add them up).
//!
//! ```text
//! index     [hash | number][hash | number] …    levels, each four times the last
//! sites     chunks of 2^8, 2^9, …               counters
//! frames    word store                          the stacks themselves, compared on every hit
//! ```
#![forbid(unsafe_code)]

use super::counters::Spare;
use super::live_map::MAX_SITES;
use super::site::{Site, SiteRead};
use crate::mem::{Published, Words, place_in_doubling_chunks};
use crate::sync::primitive::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
#[cfg(test)]
use crate::unwind::stack_hash;

const LEVELS: usize = if cfg!(loom) { 2 } else { 7 };
/// Slots on the first level: 2^12, 32 KiB.
const FIRST_BITS: usize = if cfg!(loom) { 1 } else { 12 };
/// Slots tried on one level before the next is.
const WINDOW: usize = if cfg!(loom) { 2 } else { 16 };
const CHUNKS: usize = if cfg!(loom) { 3 } else { 17 };
const CHUNK_BITS: usize = if cfg!(loom) { 1 } else { 8 };

/// Stands for all stacks that found no room.
pub(crate) const OVERFLOW: u32 = 0;

pub(crate) struct SiteTable {
    index: [Published<AtomicU64>; LEVELS],
    levels: AtomicUsize,
    sites: [Published<Site>; CHUNKS],
    count: AtomicU32,
    frames: Words,
    spare: Spare,
}

impl SiteTable {
    #[cfg(not(loom))]
    pub(crate) const fn new() -> SiteTable {
        let mut index = [const { Published::new(0) }; LEVELS];
        let mut sites = [const { Published::new(0) }; CHUNKS];
        let mut number = 0;
        while number < LEVELS {
            index[number] = Published::new(1 << (FIRST_BITS + 2 * number));
            number += 1;
        }
        number = 0;
        while number < CHUNKS {
            sites[number] = Published::new(1 << (CHUNK_BITS + number));
            number += 1;
        }
        SiteTable {
            index,
            levels: AtomicUsize::new(0),
            sites,
            count: AtomicU32::new(OVERFLOW + 1),
            frames: Words::new(),
            spare: Spare::new(),
        }
    }

    #[cfg(loom)]
    pub(crate) fn new() -> SiteTable {
        SiteTable {
            index: std::array::from_fn(|level| Published::new(1 << (FIRST_BITS + 2 * level))),
            levels: AtomicUsize::new(0),
            sites: std::array::from_fn(|chunk| Published::new(1 << (CHUNK_BITS + chunk))),
            count: AtomicU32::new(OVERFLOW + 1),
            frames: Words::new(),
            spare: Spare::new(),
        }
    }

    /// The number of the site with this stack, made now if it is new; [`OVERFLOW`] if there is no room.
    /// `frames` yields the same addresses each time it is cloned.
    /// `hash` is theirs, as `unwind::stack_hash` makes it.
    pub(crate) fn intern(
        &self,
        hash: u64,
        frames: impl ExactSizeIterator<Item = u64> + Clone,
        cut: u8,
    ) -> u32 {
        let hash = spread(hash, cut);
        let mut made = None;
        loop {
            // Acquire: pairs with `grow`.
            let levels = self.levels.load(Ordering::Acquire);
            for (number, slots) in self.index[..levels]
                .iter()
                .enumerate()
                .rev()
                .filter_map(|(number, level)| level.get().map(|slots| (number, slots)))
            {
                let newest = number + 1 == levels;
                match self.look_up(slots, hash, &frames, cut, newest, &mut made) {
                    Found::Site(site) => return site,
                    Found::NoMemory => return OVERFLOW,
                    Found::Nothing => {}
                }
            }
            if !self.grow(levels) {
                return OVERFLOW;
            }
        }
    }

    /// Looks through one level's window; on the newest level takes the first free slot for a new site.
    fn look_up(
        &self,
        slots: &'static [AtomicU64],
        hash: u64,
        frames: &(impl ExactSizeIterator<Item = u64> + Clone),
        cut: u8,
        newest: bool,
        made: &mut Option<u32>,
    ) -> Found {
        let tag = hash >> 32 << 32;
        for step in 0..WINDOW {
            let slot = &slots[(hash as usize).wrapping_add(step) & (slots.len() - 1)];
            // Acquire: who sees the number sees the site and its frames.
            let mut entry = slot.load(Ordering::Acquire);
            if entry == 0 {
                // Older levels are no longer added to, or a stack could end up on two.
                if !newest {
                    return Found::Nothing;
                }
                // Levels are looked through newest first, so the older ones come before a new site.
                if made.is_none() {
                    if let Some(site) = self.find_older(slots, hash, frames, cut) {
                        return Found::Site(site);
                    }
                    *made = self.make(frames.clone(), cut);
                }
                let Some(site) = *made else {
                    return Found::NoMemory;
                };
                // Release: publishes the site. Acquire on failure: the winner may be our own stack.
                match slot.compare_exchange(
                    0,
                    tag | u64::from(site),
                    Ordering::Release,
                    Ordering::Acquire,
                ) {
                    Ok(_) => return Found::Site(site),
                    Err(winner) => entry = winner,
                }
            }
            if entry & !0xffff_ffff == tag && self.is_same(entry as u32, frames, cut) {
                return Found::Site(entry as u32);
            }
        }
        Found::Nothing
    }

    fn find_older(
        &self,
        newest: &'static [AtomicU64],
        hash: u64,
        frames: &(impl ExactSizeIterator<Item = u64> + Clone),
        cut: u8,
    ) -> Option<u32> {
        self.index
            .iter()
            .filter_map(Published::get)
            .filter(|slots| slots.len() < newest.len())
            .find_map(
                |slots| match self.look_up(slots, hash, frames, cut, false, &mut None) {
                    Found::Site(site) => Some(site),
                    Found::Nothing | Found::NoMemory => None,
                },
            )
    }

    fn is_same(
        &self,
        number: u32,
        frames: &(impl ExactSizeIterator<Item = u64> + Clone),
        cut: u8,
    ) -> bool {
        let Some((stack, kept_cut)) = self.stack(number) else {
            return false;
        };
        cut == kept_cut
            && stack.len() == frames.len()
            // Relaxed: published with the site's number.
            && stack.iter().zip(frames.clone()).all(|(a, b)| a.load(Ordering::Relaxed) == b)
    }

    #[cold]
    fn make(&self, frames: impl ExactSizeIterator<Item = u64>, cut: u8) -> Option<u32> {
        // Relaxed: a number is only handed out here, and published by the index.
        let mut number = self.count.load(Ordering::Relaxed);
        // Room for the site before room for its frames: a refused site must not leave frames behind each time.
        self.room(number)?;
        let frame_count = frames.len();
        let first_frame = self.frames.append(frames)?;
        loop {
            let site = self.room(number)?;
            match self.count.compare_exchange_weak(
                number,
                number + 1,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => {
                    site.describe(first_frame, frame_count, cut);
                    return Some(number);
                }
                Err(current) => number = current,
            }
        }
    }

    /// The memory of a site number, taken now if it has not been.
    fn room(&self, number: u32) -> Option<&'static Site> {
        let (chunk, offset) = self.place(number)?;
        self.sites.get(chunk)?.get_or_publish()?.get(offset)
    }

    #[cold]
    fn grow(&self, levels: usize) -> bool {
        let Some(level) = self.index.get(levels) else {
            return false;
        };
        if level.get_or_publish().is_none() {
            return false;
        }
        // Release: who sees the count sees the level.
        let _ =
            self.levels
                .compare_exchange(levels, levels + 1, Ordering::Release, Ordering::Relaxed);
        true
    }

    /// The site with this number; `None` for a number never given out, and for the overflow site while
    /// there has been no memory for even the first chunk.
    pub(crate) fn site(&self, number: u32) -> Option<&'static Site> {
        let (chunk, offset) = self.place(number)?;
        self.sites.get(chunk)?.get()?.get(offset)
    }

    /// Where sites keep what they have no room for.
    pub(crate) fn spare(&self) -> &Spare {
        &self.spare
    }

    /// The counters of a site, read out; `epoch`: the program's current peak.
    pub(crate) fn read(&self, number: u32, epoch: u64) -> Option<SiteRead> {
        Some(self.site(number)?.read(&self.spare, epoch))
    }

    /// The overflow site, whose memory is taken now if it has not been.
    pub(crate) fn overflow(&self) -> Option<&'static Site> {
        self.sites[0].get_or_publish()?.first()
    }

    /// The frames of a site and its cut's code.
    pub(crate) fn stack(&self, number: u32) -> Option<(&'static [AtomicU64], u8)> {
        let (first_frame, frame_count, cut) = self.site(number)?.shape();
        Some((self.frames.run(first_frame, frame_count)?, cut))
    }

    /// One more than the largest number given out.
    pub(crate) fn count(&self) -> u32 {
        self.count.load(Ordering::Relaxed)
    }

    fn place(&self, number: u32) -> Option<(usize, usize)> {
        (number < MAX_SITES).then(|| place_in_doubling_chunks(number.into(), CHUNK_BITS))
    }
}

enum Found {
    Site(u32),
    Nothing,
    NoMemory,
}

/// 64 bits of which the low ones choose the slot and the high ones are kept to compare.
fn spread(mut hash: u64, cut: u8) -> u64 {
    hash ^= hash >> 32 ^ u64::from(cut);
    hash = hash.wrapping_mul(0xd6e8_feb8_6659_fd93);
    hash ^ hash >> 29
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn intern(table: &SiteTable, stack: &[u64], cut: u8) -> u32 {
        let frames = stack.iter().copied();
        table.intern(stack_hash::of(frames.clone()), frames, cut)
    }

    #[test]
    fn agrees_with_a_hash_map_through_growth() {
        let table = SiteTable::new();
        let mut model: HashMap<Vec<u64>, u32> = HashMap::new();
        let mut random = crate::record::sampler::Random::for_thread(5, 1);
        for _ in 0..120_000 {
            // Stacks of 1 to 40 frames from a small alphabet, half of them seen before.
            let kind = random.gap(1 << 40) as u64 % 30_000;
            let depth = 1 + kind % 40;
            let stack: Vec<u64> = (0..depth)
                .map(|frame| 0x5500_0000 + frame * 64 + kind)
                .collect();
            let number = intern(&table, &stack, 0);
            assert_ne!(number, OVERFLOW);
            assert_eq!(*model.entry(stack).or_insert(number), number);
        }
        assert_eq!(
            table.count() as usize,
            model.len() + 1,
            "no number was wasted"
        );
        for (stack, number) in model {
            let (frames, cut) = table.stack(number).unwrap();
            let kept: Vec<u64> = frames.iter().map(|f| f.load(Ordering::Relaxed)).collect();
            assert_eq!((kept, cut), (stack, 0));
        }
    }

    #[test]
    fn a_prefix_and_a_cut_stack_are_different_sites() {
        let table = SiteTable::new();
        let whole = intern(&table, &[1, 2, 3], 0);
        assert_ne!(intern(&table, &[1, 2], 0), whole);
        assert_ne!(intern(&table, &[1, 2, 3], 1), whole);
        assert_eq!(intern(&table, &[1, 2, 3], 0), whole);
        assert_ne!(
            intern(&table, &[], 0),
            OVERFLOW,
            "an empty stack is a stack"
        );
    }
}
