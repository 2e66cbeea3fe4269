//! The last capture of a thread, for the next one to go on from.
//!
//! Where every allocation is recorded, most of a stack is what it was a moment ago. A frame is fully known by its pc, rsp
//! and rbp; and where its rule is plain, its caller's are two words of the stack. So if a walk comes upon a frame that the
//! last one had, and *every* word that the last one read from there on is still the same, then so are all frames from there
//! on: by induction, each caller's pc, rsp and rbp. Nothing less is enough: a shared callee called again at the same
//! depth from somewhere else finds the same frame with another return address. Reading two words per frame costs a
//! third of a walk.
//!
//! Memory for this is a few dozen places that threads share by their number: whoever finds its place taken walks the
//! whole stack.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering};

use super::stack_hash;

/// Deepest stack remembered.
const DEPTH: usize = 256;

/// Four words: a header, or a frame: its pc with its rule on top, rsp, rbp, and the hash of the stack up to here.
type Row = [AtomicU64; 4];

/// Two headers (claim, owner, generation, length; site), the last capture's frames root first, and those that the present
/// one has found so far, leaf first.
type Place = [Row; FRESH + DEPTH];
const KEPT: usize = 2;
const FRESH: usize = KEPT + DEPTH;

const PLACES: usize = 64;
/// 1 MiB of .bss, touched as used.
static POOL: [Place; PLACES] =
    [const { [const { [const { AtomicU64::new(0) }; 4] }; FRESH + DEPTH] }; PLACES];

/// Where the places lie and how long they are, bytes.
pub(crate) fn place_of_pool() -> (usize, usize) {
    (POOL.as_ptr() as usize, size_of_val(&POOL))
}

/// Bits of a pc; above them the rule's slot, and whether the rule is plain.
const PC: u64 = (1 << 47) - 1;
const SLOT_SHIFT: u32 = 48;
const PLAIN: u64 = 1 << 63;

/// Raised when rules are forgotten: a frame's rule is part of what is remembered.
static GENERATION: AtomicU64 = AtomicU64::new(0);

/// Nothing that was remembered holds any more.
pub(super) fn forget() {
    // Release: with the Acquire in `claim`, a capture that sees this sees the rules gone.
    GENERATION.fetch_add(1, Ordering::Release);
}

/// A place, claimed by one thread until this is dropped.
pub(crate) struct LastCapture {
    rows: &'static Place,
    /// Frames of the last capture that the walk has not gone past yet.
    ahead: std::cell::Cell<usize>,
    /// Frames of the last capture, from the root on, that the present one has as well.
    kept: std::cell::Cell<usize>,
}

impl Drop for LastCapture {
    fn drop(&mut self) {
        // Release: the next owner sees what was written.
        self.rows[0][0].store(0, Ordering::Release);
    }
}

impl LastCapture {
    /// The place of the thread with this number; `None`: taken (by another thread, or by what this signal handler has
    /// interrupted).
    pub(crate) fn claim(thread_number: u32) -> Option<LastCapture> {
        let rows = &POOL[thread_number as usize % PLACES];
        // Acquire: pairs with the Release in `drop`.
        if rows[0][0].swap(1, Ordering::Acquire) != 0 {
            return None;
        }
        let last = LastCapture {
            rows,
            ahead: std::cell::Cell::new(0),
            kept: std::cell::Cell::new(0),
        };
        let owner = u64::from(thread_number);
        let generation = GENERATION.load(Ordering::Acquire);
        if last.get(0, 1) != owner || last.get(0, 2) != generation {
            last.set(0, 1, owner);
            last.set(0, 2, generation);
            last.set_len(0);
        }
        last.ahead.set(last.len());
        Some(last)
    }

    // Relaxed throughout: the claim makes the place one thread's own.
    #[inline]
    fn get(&self, row: usize, word: usize) -> u64 {
        match self.rows.get(row) {
            Some(row) => row[word].load(Ordering::Relaxed),
            None => 0,
        }
    }

    #[inline]
    fn set(&self, row: usize, word: usize, value: u64) {
        if let Some(row) = self.rows.get(row) {
            row[word].store(value, Ordering::Relaxed);
        }
    }

    fn len(&self) -> usize {
        (self.get(0, 3) as usize).min(DEPTH)
    }

    fn set_len(&self, len: usize) {
        self.set(0, 3, len as u64);
        self.set(1, 0, 0);
    }

    /// Notes the frame that the present walk has found as its `n`th, counted from 1 at the leaf. `slot`: its rule is plain,
    /// and this many words below the CFA is the caller's rbp (0: unchanged); `None`: any other rule.
    #[inline]
    pub(super) fn note(&self, n: usize, pc: u64, rsp: u64, rbp: u64, slot: Option<u32>) {
        let rule = match slot {
            Some(slot) => PLAIN | u64::from(slot) << SLOT_SHIFT,
            None => 0,
        };
        if let Some(row) = self.rows.get(FRESH - 1 + n) {
            row[0].store(pc & PC | rule, Ordering::Relaxed);
            row[1].store(rsp, Ordering::Relaxed);
            row[2].store(rbp, Ordering::Relaxed);
        }
    }

    /// Whether the last capture had this frame, and everything from here on is as it was; `read` reads the stack.
    /// `before`: frames that the present walk has found already; the whole must not be deeper than can be kept.
    #[inline]
    pub(super) fn meets(
        &self,
        before: usize,
        pc: u64,
        rsp: u64,
        rbp: u64,
        read: impl FnMut(u64) -> Option<u64>,
    ) -> bool {
        let mut ahead = self.ahead.get();
        // Towards the root rsp grows: what lies below has been left behind.
        while ahead > 0 && self.get(KEPT + ahead - 1, 1) < rsp {
            ahead -= 1;
        }
        self.ahead.set(ahead);
        if ahead == 0 {
            return false;
        }
        let row = KEPT + ahead - 1;
        self.get(row, 1) == rsp
            && self.get(row, 0) & PC == pc
            && self.get(row, 2) == rbp
            && before + ahead <= DEPTH
            && self.is_unchanged(ahead, read)
    }

    /// Whether the callers of the first `ahead` frames are what they were.
    fn is_unchanged(&self, ahead: usize, mut read: impl FnMut(u64) -> Option<u64>) -> bool {
        let mut index = ahead;
        // Plain loops and plain reads: a debug build pays for each adaptor with stack, and this runs on small ones.
        while index > 1 {
            index -= 1;
            let (row, caller) = (KEPT + index, KEPT + index - 1);
            let rule = self.get(row, 0);
            let cfa = self.get(caller, 1);
            let slot = rule >> SLOT_SHIFT & 0x7fff;
            // The return address lies one past the address that is kept.
            let same = rule & PLAIN != 0
                && read(cfa.wrapping_sub(8)) == Some((self.get(caller, 0) & PC).wrapping_add(1))
                && (slot == 0 || read(cfa.wrapping_sub(slot * 8)) == Some(self.get(caller, 2)));
            if !same {
                // The walk may still come upon what lies further on.
                self.ahead.set(index);
                return false;
            }
        }
        self.kept.set(ahead);
        true
    }

    /// The walk found `fresh` frames and then met the last capture (or not: then it reached the stack's end). From now on
    /// this is the last capture.
    pub(super) fn keep(&self, fresh: usize) {
        let kept = self.kept.get();
        if fresh == 0 && kept == self.len() {
            return; // the very same stack, and its site
        }
        let len = kept + fresh;
        if len > DEPTH {
            return self.set_len(0);
        }
        self.set_len(len);
        let mut hash = match kept {
            0 => stack_hash::START,
            kept => self.get(KEPT + kept - 1, 3),
        };
        let mut number = 0;
        while number < fresh {
            // Root first: the frame found last comes first.
            let (from, to) = (FRESH + fresh - 1 - number, KEPT + kept + number);
            let pc = self.get(from, 0);
            hash = stack_hash::step(hash, pc & PC);
            self.set(to, 0, pc);
            self.set(to, 1, self.get(from, 1));
            self.set(to, 2, self.get(from, 2));
            self.set(to, 3, hash);
            number += 1;
        }
    }

    /// The present stack is not one to go on from.
    pub(super) fn clear(&self) {
        self.set_len(0);
    }

    /// The stack, leaf first, and its [hash](stack_hash); `None`: it was not kept.
    pub(crate) fn stack(
        &self,
    ) -> Option<(
        impl ExactSizeIterator<Item = u64> + DoubleEndedIterator + Clone,
        u64,
    )> {
        let len = self.len();
        let rows = self.rows.get(KEPT..KEPT + len)?;
        let hash = rows.last()?[3].load(Ordering::Relaxed);
        let frames = rows.iter().rev();
        Some((frames.map(|row| row[0].load(Ordering::Relaxed) & PC), hash))
    }

    /// The site of this very stack, if it was noted.
    pub(crate) fn site(&self) -> Option<u32> {
        (self.get(1, 0) as u32).checked_sub(1)
    }

    /// Notes the site of the stack that was kept.
    pub(crate) fn set_site(&self, site: u32) {
        self.set(1, 0, u64::from(site) + 1);
    }
}
