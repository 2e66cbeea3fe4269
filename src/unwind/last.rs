//! The last capture of a thread, for the next one to go on from.
//!
//! Where every allocation is recorded, most of a stack is what it was a moment ago. A frame is fully known by its pc, rsp
//! and rbp; and where its rule is plain, its caller's are two words of the stack. So if a walk comes upon a frame that the
//! last one had, and *every* word that the last one read from there on is still the same, then so are all frames from there
//! on: by induction, each caller's pc, rsp and rbp. Nothing less is enough: a shared callee called again at the same
//! depth from somewhere else finds the same frame with another return address. Reading two words per frame costs a
//! third of a walk.
//!
//! Memory for this is a place for each thread that has a lane of its own; others walk the whole stack. Who inherits a
//! lane inherits what is remembered: it is not believed, but read again.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

use super::stack_hash;
use crate::sync::lane::{self, Lane};

/// Deepest stack remembered.
const DEPTH: usize = 256;

/// Four words: a header, or a frame: its pc with its rule on top, rsp, rbp, and the hash of the stack up to here.
pub(super) type Row = [AtomicU64; 4];

/// A header (claim, site, generation, length), the last capture's frames root first, and those that the present one has
/// found so far, leaf first.
struct Place {
    header: Row,
    kept: [Row; DEPTH],
    fresh: [Row; DEPTH],
}

/// 1 MiB of .bss, touched as used.
static POOL: [Place; lane::OWN] = [const {
    Place {
        header: ZERO,
        kept: [const { ZERO }; DEPTH],
        fresh: [const { ZERO }; DEPTH],
    }
}; lane::OWN];
#[expect(
    clippy::declare_interior_mutable_const,
    reason = "zeros for the table above, never used in place"
)]
const ZERO: Row = [const { AtomicU64::new(0) }; 4];

/// Where the places lie and how long they are, bytes.
pub(crate) fn place_of_pool() -> (usize, usize) {
    (POOL.as_ptr() as usize, size_of_val(&POOL))
}

/// Bits of a pc; above them the rule's slot in words, and whether the rule is plain.
const PC: u64 = (1 << 47) - 1;
const SLOT_SHIFT: u32 = 52;
const PLAIN: u64 = 1 << 63;

/// Raised when rules are forgotten: a frame's rule is part of what is remembered.
static GENERATION: AtomicU64 = AtomicU64::new(0);

/// Nothing that was remembered holds any more.
pub(super) fn forget() {
    // Release: with the Acquire in `claim`, a capture that sees this sees the rules gone.
    GENERATION.fetch_add(1, Ordering::Release);
}

/// A place, claimed until this is dropped.
pub(crate) struct LastCapture {
    place: &'static Place,
    /// Frames of the last capture that the walk has not gone past yet.
    ahead: Cell<usize>,
    /// Frames of the last capture, from the root on, that the present one has as well.
    met: Cell<usize>,
}

const CLAIM: usize = 0;
/// The site, + 1; 0: not noted.
const SITE: usize = 1;
const GENERATION_SEEN: usize = 2;
const LENGTH: usize = 3;

impl Drop for LastCapture {
    fn drop(&mut self) {
        self.set(CLAIM, 0);
    }
}

impl LastCapture {
    /// The place of the calling thread, whose lane is given; `None`: it has none, or this is a signal handler that has
    /// interrupted a capture.
    pub(crate) fn claim(lane: Lane) -> Option<LastCapture> {
        if !lane.is_own() {
            return None;
        }
        let last = LastCapture {
            place: POOL.get(lane.number() as usize)?,
            ahead: Cell::new(0),
            met: Cell::new(0),
        };
        // No exchange: no other thread uses this place, and a handler that comes in between is done before this goes on.
        if last.get(CLAIM) != 0 {
            std::mem::forget(last);
            return None;
        }
        last.set(CLAIM, 1);
        // Acquire: see `forget`.
        let generation = GENERATION.load(Ordering::Acquire);
        if last.get(GENERATION_SEEN) != generation {
            last.set(GENERATION_SEEN, generation);
            last.set_len(0);
        }
        last.ahead.set(last.len());
        Some(last)
    }

    // Relaxed throughout: a place is one thread's own.
    #[inline]
    fn get(&self, word: usize) -> u64 {
        self.place.header[word].load(Ordering::Relaxed)
    }

    #[inline]
    fn set(&self, word: usize, value: u64) {
        self.place.header[word].store(value, Ordering::Relaxed);
    }

    fn len(&self) -> usize {
        (self.get(LENGTH) as usize).min(DEPTH)
    }

    fn set_len(&self, len: usize) {
        self.set(LENGTH, len as u64);
        self.set(SITE, 0);
    }

    /// For a walk that begins or goes on: the frames of the last capture that it has not gone past, root first, and where
    /// it is to [`note`] those that it finds.
    #[inline]
    pub(super) fn open(&self) -> (&'static [Row], &'static [Row]) {
        let ahead = self.place.kept.get(..self.ahead.get()).unwrap_or(&[]);
        (ahead, &self.place.fresh)
    }

    /// The walk pauses or ends with these frames ahead, and `met` the last of them or not.
    #[inline]
    pub(super) fn close(&self, ahead: &[Row], met: bool) {
        self.ahead.set(ahead.len());
        if met {
            self.met.set(ahead.len());
        }
    }

    /// The walk found `fresh` frames and then met the last capture (or not: then it reached the stack's end). From now on
    /// this is the last capture.
    pub(super) fn keep(&self, fresh: usize) {
        let met = self.met.get();
        if fresh == 0 && met == self.len() {
            return; // the very same stack, and its site
        }
        let (Some(from), Some(to)) = (
            self.place.fresh.get(..fresh),
            self.place.kept.get(met..met + fresh),
        ) else {
            return self.set_len(0);
        };
        self.set_len(met + fresh);
        let mut hash = match met.checked_sub(1).and_then(|n| self.place.kept.get(n)) {
            None => stack_hash::START,
            Some(row) => row[3].load(Ordering::Relaxed),
        };
        // Root first: the frame found last comes first. A plain loop over slices: a debug build pays for each adaptor
        // with stack, and this runs on small ones.
        let (mut from, mut to) = (from, to);
        while let ([first @ .., row], [kept, rest @ ..]) = (from, to) {
            (from, to) = (first, rest);
            let pc = row[0].load(Ordering::Relaxed);
            hash = stack_hash::step(hash, pc & PC);
            kept[0].store(pc, Ordering::Relaxed);
            kept[1].store(row[1].load(Ordering::Relaxed), Ordering::Relaxed);
            kept[2].store(row[2].load(Ordering::Relaxed), Ordering::Relaxed);
            kept[3].store(hash, Ordering::Relaxed);
        }
    }

    /// The present stack is not one to go on from: its frames, as many as have been noted, go to `frames`.
    #[cold]
    pub(super) fn give(&self, frames: &[Cell<u64>]) {
        self.set_len(0);
        for (frame, row) in frames.iter().zip(&self.place.fresh) {
            frame.set(row[0].load(Ordering::Relaxed) & PC);
        }
    }

    /// The stack, leaf first, and its [hash](stack_hash); `None`: it was not kept.
    pub(crate) fn stack(
        &self,
    ) -> Option<(
        impl ExactSizeIterator<Item = u64> + DoubleEndedIterator + Clone,
        u64,
    )> {
        let rows = self.place.kept.get(..self.len())?;
        let hash = rows.last()?[3].load(Ordering::Relaxed);
        let frames = rows.iter().rev();
        Some((frames.map(|row| row[0].load(Ordering::Relaxed) & PC), hash))
    }

    /// The site of this very stack, if it was noted.
    pub(crate) fn site(&self) -> Option<u32> {
        (self.get(SITE) as u32).checked_sub(1)
    }

    /// Notes the site of the stack that was kept.
    pub(crate) fn set_site(&self, site: u32) {
        self.set(SITE, u64::from(site) + 1);
    }
}

/// Notes a frame that the present walk has found, with a pc below 2^47. `rule`: 0, or of a plain rule bit 63, and from bit
/// 52 on how many words below the CFA the caller's rbp is (0: unchanged).
#[inline]
pub(super) fn note(row: &Row, pc: u64, rsp: u64, rbp: u64, rule: u64) {
    row[0].store(pc | rule, Ordering::Relaxed);
    row[1].store(rsp, Ordering::Relaxed);
    row[2].store(rbp, Ordering::Relaxed);
}

/// Whether the last capture had this frame, and everything from here on is as it was. `before`: frames that the present
/// walk has found already; the whole must not be deeper than can be kept.
#[inline]
pub(super) fn meets(
    ahead: &mut &[Row],
    before: usize,
    pc: u64,
    rsp: u64,
    rbp: u64,
    stack: &mut impl Read,
) -> bool {
    // Towards the root rsp grows: what lies below has been left behind.
    let mut rows = *ahead;
    let met = loop {
        let [rest @ .., row] = rows else { break false };
        let at = row[1].load(Ordering::Relaxed);
        if at >= rsp {
            break at == rsp
                && row[0].load(Ordering::Relaxed) & PC == pc
                && row[2].load(Ordering::Relaxed) == rbp
                && before + rows.len() <= DEPTH;
        }
        rows = rest;
    };
    if !met {
        *ahead = rows;
        return false;
    }
    let left = unchanged(rows, stack);
    let met = left == rows.len();
    *ahead = rows.get(..left).unwrap_or(rows);
    met
}

/// The stack's words.
pub(super) trait Read {
    /// The word at this address; `None`: it cannot be read.
    fn word(&mut self, address: u64) -> Option<u64>;
}

/// All the rows, if the callers of their last are what they were; otherwise fewer, without those of which that is known not
/// to be so: the walk may still come upon what lies further on.
#[inline(never)]
fn unchanged(rows: &[Row], stack: &mut impl Read) -> usize {
    let mut left = rows;
    while let [rest @ .., row] = left {
        let Some(caller) = rest.last() else { break };
        let rule = row[0].load(Ordering::Relaxed);
        let cfa = caller[1].load(Ordering::Relaxed);
        let slot = (rule >> SLOT_SHIFT & 0x7ff) << 3;
        // The return address lies one past the address that is kept.
        let pc = caller[0].load(Ordering::Relaxed) & PC;
        let same = rule & PLAIN != 0
            && stack.word(cfa.wrapping_sub(8)) == Some(pc.wrapping_add(1))
            && (slot == 0
                || stack.word(cfa.wrapping_sub(slot)) == Some(caller[2].load(Ordering::Relaxed)));
        if !same {
            return rest.len();
        }
        left = rest;
    }
    rows.len()
}
