//! The walk on x86-64 with glibc.
//!
//! Two tiers. The fast one tracks rip, rsp and rbp and needs one load from the rule table per frame. Where a rule needs
//! more than that, the full one (`full`) replays the stack from the registers at entry up to and including that frame,
//! and the fast one goes on from there.

mod cfi;
mod cursor;
mod entry;
mod expr;
mod full;
mod rule;
mod stack;
#[cfg(feature = "internals")]
pub(super) mod testing;

pub(crate) use stack::StackCache;

use self::cfi::Machine;
use self::entry::Entry;
use self::full::Full;
use self::rule::{Packed, Rule, SIGNAL_RBP, SIGNAL_RIP, SIGNAL_RSP};
use self::stack::Reader;
use super::last::{self, LastCapture};
use super::{Captured, code_of_cut, cut_from_code};
use crate::profile::Cut;
use crate::sys::objects::{self, Object};
use std::arch::naked_asm;
use std::cell::Cell;

/// See [`super::capture`].
#[inline(always)]
pub(super) fn capture(
    frames: &[Cell<u64>],
    stack: &StackCache,
    last: Option<&LastCapture>,
) -> Captured {
    let last = last.map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: pointer and length are those of a live slice, `stack` is live, and so is `last` if it is not null.
    let packed = unsafe { enter(frames.as_ptr(), frames.len(), stack, last) };
    Captured {
        len: (packed & 0xffff_ffff) as usize,
        cut: cut_from_code((packed >> 32) as u8),
    }
}

/// Empties the rule table.
pub(super) fn forget() {
    rule::forget();
}

/// See [`super::place_of_rules`].
pub(super) fn place_of_rules() -> (usize, usize) {
    rule::place_of_table()
}

/// The registers as the caller of [`enter`] has them when it gets control back.
#[repr(C)]
struct Start {
    rbx: u64,
    rbp: u64,
    r12: u64,
    r13: u64,
    r14: u64,
    r15: u64,
    rip: u64,
    rsp: u64,
}

/// Takes the registers down and calls [`walk`]. Naked, so that the walk starts at the caller in any build, without a
/// frame of our own to unwind first.
///
/// # Safety
/// `frames` points to `len` cells; `stack` is live; `last` is null or live.
#[unsafe(naked)]
unsafe extern "C" fn enter(
    frames: *const Cell<u64>,
    len: usize,
    stack: *const StackCache,
    last: *const LastCapture,
) -> u64 {
    naked_asm!(
        ".cfi_startproc",
        "sub rsp, 72",
        ".cfi_adjust_cfa_offset 72",
        "mov [rsp], rbx",
        "mov [rsp + 8], rbp",
        "mov [rsp + 16], r12",
        "mov [rsp + 24], r13",
        "mov [rsp + 32], r14",
        "mov [rsp + 40], r15",
        "mov rax, [rsp + 72]",
        "mov [rsp + 48], rax",
        "lea rax, [rsp + 80]",
        "mov [rsp + 56], rax",
        "mov r8, rsp",
        "call {walk}",
        "add rsp, 72",
        ".cfi_adjust_cfa_offset -72",
        "ret",
        ".cfi_endproc",
        walk = sym walk,
    )
}

/// What the fast tier knows of a frame.
#[derive(Clone, Copy)]
struct Frame {
    rip: u64,
    rsp: u64,
    rbp: u64,
    /// It was interrupted, not left by a call.
    exact: bool,
}

impl Frame {
    /// An address inside the instruction being executed: a return address may already belong to the next line, or to
    /// the next function.
    #[inline]
    fn lookup(&self) -> u64 {
        if self.exact {
            self.rip
        } else {
            self.rip.wrapping_sub(1)
        }
    }
}

impl Frame {
    /// The frame that has this [`lookup`](Frame::lookup) address.
    #[inline]
    fn looked_up(pc: u64, rsp: u64, rbp: u64, exact: bool) -> Frame {
        let rip = if exact { pc } else { pc.wrapping_add(1) };
        Frame {
            rip,
            rsp,
            rbp,
            exact,
        }
    }
}

enum Stop {
    /// No return address: the stack's end.
    Whole,
    /// The stack's end, by the rule of its last frame.
    End,
    /// A frame that the last capture had as well, and everything from there on is unchanged.
    Met,
    Cut(Cut),
    /// The frame stored last needs the full tier.
    Complex,
    /// The next frame's rule is not in the table.
    Unknown,
    /// It does not stop: a frame that could not be sprinted over is behind it.
    Passed,
}

/// # Safety
/// As for [`enter`]; `start` is what it took down.
unsafe extern "C" fn walk(
    frames: *const Cell<u64>,
    len: usize,
    stack: *const StackCache,
    last: *const LastCapture,
    start: *const Start,
) -> u64 {
    // SAFETY: `enter`'s caller vouches for the first four; `start` lies in `enter`'s frame.
    let (frames, stack, last, start) = unsafe {
        (
            std::slice::from_raw_parts(frames, len),
            &*stack,
            last.as_ref(),
            &*start,
        )
    };
    let mut reader = Reader::new(stack, start.rsp);
    let mut frame = Frame {
        rip: start.rip,
        rsp: start.rsp,
        rbp: start.rbp,
        exact: false,
    };
    let mut n = 0;
    let stop = match plain(frames, &mut n, &mut frame, &mut reader, last) {
        Stop::Complex => with_full(start, frames, &mut n, &mut frame, &mut reader, last),
        stop => stop,
    };
    reader.finish();
    if let Some(last) = last {
        match stop {
            Stop::Met | Stop::End => last.keep(n),
            _ => last.give(frames.get(..n).unwrap_or(frames)),
        }
    }
    let cut = match stop {
        Stop::Whole | Stop::Met | Stop::End => None,
        Stop::Cut(cut) => Some(cut),
        Stop::Complex | Stop::Unknown | Stop::Passed => Some(Cut::UnknownRule),
    };
    u64::from(code_of_cut(cut)) << 32 | n as u64
}

/// The rest of a walk that has come to a frame for the full tier. Apart, because few walks need its room.
#[cold]
#[inline(never)]
fn with_full(
    start: &Start,
    frames: &[Cell<u64>],
    n: &mut usize,
    frame: &mut Frame,
    reader: &mut Reader<'_>,
    last: Option<&LastCapture>,
) -> Stop {
    let mut full = Full::EMPTY;
    full.begin(start);
    loop {
        // Past the frames found so far: from the walk's start, or from where the last such frame was.
        reader.enter(full.frame().rsp);
        match full.advance(*n, reader) {
            Ok(true) => *frame = full.frame(),
            Ok(false) => return Stop::Whole,
            Err(cut) => return Stop::Cut(cut),
        }
        match plain(frames, n, frame, reader, last) {
            Stop::Complex => {}
            stop => return stop,
        }
    }
}

/// [`fast`], and the rules that it does not find.
#[inline(always)]
fn plain(
    frames: &[Cell<u64>],
    n: &mut usize,
    frame: &mut Frame,
    reader: &mut Reader<'_>,
    last: Option<&LastCapture>,
) -> Stop {
    let mut known = None;
    loop {
        if last.is_none() && known.is_none() {
            sprint(frames, n, frame, reader);
        }
        match fast(frames, n, frame, reader, last, known) {
            Stop::Passed => known = None,
            Stop::Unknown if *n >= frames.len() => return Stop::Cut(Cut::Depth),
            // Here, so that finding a rule does not need its stack on top of the walk's.
            Stop::Unknown => match look_up(frame.lookup()) {
                Ok(rule) => known = Some(rule.packed()),
                Err(cut) => {
                    let (pc, rsp, rbp) = (frame.lookup(), frame.rsp, frame.rbp);
                    if let Some(row) = last.and_then(|last| last.open().1.get(*n)) {
                        last::note(row, pc & ((1 << 47) - 1), rsp, rbp, 0);
                        *n = n.wrapping_add(1);
                    } else if let Some(place) = frames.get(*n) {
                        place.set(pc);
                        *n = n.wrapping_add(1);
                    }
                    return Stop::Cut(cut);
                }
            },
            stop => return stop,
        }
    }
}

/// Stores `frame` and its callers' lookup addresses from `frames[*n]` on, or in `last` if there is one; without, those of one
/// frame. `known`: the first frame's rule.
#[inline(never)]
fn fast(
    frames: &[Cell<u64>],
    n: &mut usize,
    frame: &mut Frame,
    reader: &mut Reader<'_>,
    last: Option<&LastCapture>,
    mut known: Option<Packed>,
) -> Stop {
    let (mut ahead, fresh) = match last {
        Some(last) => last.open(),
        None => (EMPTY, EMPTY),
    };
    let fresh = fresh.get(..frames.len()).unwrap_or(fresh);
    let mut found = *n;
    let Frame {
        mut rsp, mut rbp, ..
    } = *frame;
    let mut exact = frame.exact;
    let mut pc = frame.lookup();
    let stop = loop {
        if last::meets(&mut ahead, found, pc, rsp, rbp, reader) {
            break Stop::Met;
        }
        let Some(rule) = known.take().or_else(|| rule::cached(pc)) else {
            if pc == u64::MAX && !exact {
                break Stop::Whole; // the return address is 0
            }
            *frame = Frame::looked_up(pc, rsp, rbp, exact);
            break Stop::Unknown;
        };
        let row = fresh.get(found);
        if let Some(row) = row {
            let remembered = if rule.is_plain() {
                rule.remembered()
            } else {
                0
            };
            last::note(row, pc, rsp, rbp, remembered);
        } else if let Some(place) = frames.get(found) {
            place.set(pc);
        } else {
            break Stop::Cut(Cut::Depth);
        }
        found = found.wrapping_add(1);
        if !rule.is_plain() {
            *frame = Frame::looked_up(pc, rsp, rbp, exact);
            match unusual(rule.rule(), frame, reader) {
                None if last.is_none() => break Stop::Passed,
                None => {
                    Frame {
                        rsp,
                        rbp,
                        exact,
                        ..
                    } = *frame;
                    pc = frame.lookup();
                    continue;
                }
                Some(stop) => break stop,
            }
        }
        let is_rbp = rule.is_rbp();
        let cfa = if is_rbp { rbp } else { rsp }.wrapping_add(rule.cfa_bytes());
        let mut ra = if cfa > rsp && !(is_rbp && reader.leads_home(rbp)) {
            reader.read(cfa.wrapping_sub(8))
        } else {
            None
        };
        if ra.is_none() && is_rbp && reader.switch(rbp) {
            if let Some(row) = row {
                last::note(row, pc, rsp, rbp, 0); // no plain step after all
            }
            ra = reader.read(cfa.wrapping_sub(8));
        }
        let Some(ra) = ra else {
            break Stop::Cut(Cut::BadStack);
        };
        let slot = rule.slot_bytes();
        if slot != 0 {
            match reader.read(cfa.wrapping_sub(slot)) {
                Some(saved) => rbp = saved,
                None => break Stop::Cut(Cut::BadStack),
            }
        }
        exact = false;
        rsp = cfa;
        pc = ra.wrapping_sub(1);
        if last.is_none() {
            *frame = Frame::looked_up(pc, rsp, rbp, exact);
            break Stop::Passed;
        }
    };
    *n = found;
    if let Some(last) = last {
        last.close(ahead, matches!(stop, Stop::Met));
    }
    stop
}

const EMPTY: &[last::Row] = &[];

/// The plain steps from `frame` on, as far as their rules are in the table and the stack is known to be readable. A frame
/// that needs anything else is left as it is.
///
/// A frame waits for its caller's address, and that for the frame before: what stands between two loads here is what a
/// capture costs.
#[inline]
fn sprint(frames: &[Cell<u64>], n: &mut usize, frame: &mut Frame, reader: &Reader<'_>) {
    let mut pc = frame.lookup();
    let (mut rsp, mut rbp) = (frame.rsp, frame.rbp);
    let mut at = *n;
    while let Some(rule) = rule::cached(pc) {
        let base = if rule.is_rsp() {
            rsp
        } else if rule.is_rbp() {
            rbp
        } else {
            break;
        };
        let cfa = base.wrapping_add(rule.cfa_bytes());
        if cfa <= rsp {
            break;
        }
        let Some(ra @ 1..) = reader.known(cfa.wrapping_sub(8)) else {
            break;
        };
        let slot = rule.slot_bytes();
        let mut saved = rbp;
        if slot != 0 {
            match reader.known(cfa.wrapping_sub(slot)) {
                Some(word) => saved = word,
                None => break,
            }
        }
        let Some(place) = frames.get(at) else {
            break;
        };
        place.set(pc);
        at = at.wrapping_add(1);
        (rsp, rbp, pc) = (cfa, saved, ra.wrapping_sub(1));
    }
    if at != *n {
        *n = at;
        *frame = Frame::looked_up(pc, rsp, rbp, false);
    }
}

/// The rules that few frames have: makes `frame` the caller, or says why not.
#[inline(never)]
fn unusual(rule: Rule, frame: &mut Frame, reader: &mut Reader<'_>) -> Option<Stop> {
    let caller = match rule {
        Rule::End => return Some(Stop::End),
        Rule::Signal => interrupted(frame, reader),
        Rule::Realigned { cfa, slot } => realigned(frame, cfa, slot, reader),
        Rule::Plt { pushed_from } => {
            let size = if frame.rip & 15 >= u64::from(pushed_from) {
                16
            } else {
                8
            };
            returned(frame, frame.rsp.wrapping_add(size), reader)
        }
        Rule::Complex | Rule::Rsp { .. } | Rule::Rbp { .. } => return Some(Stop::Complex),
    };
    match caller {
        None => Some(Stop::Cut(Cut::BadStack)),
        Some(()) if frame.rip == 0 => Some(Stop::Whole),
        Some(()) => None,
    }
}

fn interrupted(frame: &mut Frame, reader: &mut Reader<'_>) -> Option<()> {
    let rsp = frame.rsp;
    frame.rip = reader.read(rsp.wrapping_add(SIGNAL_RIP))?;
    frame.rbp = reader.read(rsp.wrapping_add(SIGNAL_RBP))?;
    frame.rsp = reader.read(rsp.wrapping_add(SIGNAL_RSP))?;
    frame.exact = true;
    reader.enter(frame.rsp); // the handler may have had a stack of its own
    Some(())
}

fn realigned(frame: &mut Frame, cfa: i32, slot: i32, reader: &mut Reader<'_>) -> Option<()> {
    let rbp = frame.rbp;
    let cfa = reader.read(rbp.wrapping_add((i64::from(cfa) << 3) as u64))?;
    frame.rbp = reader.read(rbp.wrapping_add((i64::from(slot) << 3) as u64))?;
    returned(frame, cfa, reader)
}

/// After a call: the return address is below the CFA.
fn returned(frame: &mut Frame, cfa: u64, reader: &mut Reader<'_>) -> Option<()> {
    if cfa <= frame.rsp {
        return None;
    }
    frame.rip = reader.read(cfa.wrapping_sub(8))?;
    frame.rsp = cfa;
    frame.exact = false;
    Some(())
}

/// The rule of an address not seen before. Code without unwind information is not kept: a later dlopen may bring some.
#[cold]
#[inline(never)]
fn look_up(pc: u64) -> Result<Rule, Cut> {
    if pc >> 47 != 0 {
        return Err(Cut::NoUnwindInfo);
    }
    let object = objects::find(pc).ok_or(Cut::NoUnwindInfo)?;
    let mut entry = Entry::EMPTY;
    entry::find(&object, pc, &mut entry)?;
    let rule = interpret(&object, &entry, pc);
    rule::keep(pc, rule);
    Ok(rule)
}

/// Apart from `look_up`, so that parsing the entry and running it do not need their stack at the same time.
#[inline(never)]
fn interpret(object: &Object, entry: &Entry, pc: u64) -> Rule {
    let mut machine = Machine::new();
    match machine.interpret(object, entry, pc) {
        Some(()) => Rule::of(object, &machine),
        None => Rule::Complex, // the full tier will fail likewise, and say why
    }
}
