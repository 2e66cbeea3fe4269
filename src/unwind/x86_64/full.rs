//! The full tier: all 16 registers, rows taken as they are, expressions evaluated. Some 300 ns per frame, so it only
//! goes as far as a frame that the fast tier cannot pass, and remembers where it stopped.
#![forbid(unsafe_code)]

use super::cfi::{self, Cfa, How, Machine, RBP, RBX, REGISTERS, RIP, RSP, Row};
use super::entry::{self, Entry};
use super::stack::Reader;
use super::{Frame, Start, expr};
use crate::profile::Cut;
use crate::sys::objects::{self, Object};

/// A frame with all its registers. Those that calls may clobber hold their values only above a signal frame, which is
/// also the only place where rules refer to them.
pub(super) struct Full {
    pub(super) regs: [u64; REGISTERS],
    pub(super) exact: bool,
    /// How many frames were passed.
    pub(super) passed: usize,
}

impl Full {
    pub(super) const EMPTY: Full = Full {
        regs: [0; REGISTERS],
        exact: false,
        passed: 0,
    };

    /// Becomes the frame that the walk starts with. In place, because unoptimised code copies what it returns, and there
    /// is little room.
    pub(super) fn begin(&mut self, s: &Start) {
        self.regs[RBX] = s.rbx;
        self.regs[RBP] = s.rbp;
        self.regs[RSP] = s.rsp;
        self.regs[12] = s.r12;
        self.regs[13] = s.r13;
        self.regs[14] = s.r14;
        self.regs[15] = s.r15;
        self.regs[RIP] = s.rip;
    }

    pub(super) fn frame(&self) -> Frame {
        Frame {
            rip: self.regs[RIP],
            rsp: self.regs[RSP],
            rbp: self.regs[RBP],
            exact: self.exact,
        }
    }

    /// Goes on until `frames` frames are passed. `Ok(false)`: the stack ended.
    #[inline(never)]
    pub(super) fn advance(&mut self, frames: usize, reader: &mut Reader<'_>) -> Result<bool, Cut> {
        while self.passed < frames {
            if !self.step(reader)? {
                return Ok(false);
            }
            self.passed = self.passed.wrapping_add(1);
        }
        Ok(true)
    }

    fn step(&mut self, reader: &mut Reader<'_>) -> Result<bool, Cut> {
        let pc = self.frame().lookup();
        let object = objects::find(pc).ok_or(Cut::NoUnwindInfo)?;
        let mut row = Row::EMPTY;
        let exact = look_up(&object, pc, &mut row)?;
        match row.how(RIP) {
            How::Undefined => return Ok(false),
            How::Same => return Err(Cut::UnknownRule), // it would return to itself
            _ => {}
        }
        self.apply(&row, &object, reader)?;
        self.exact = exact;
        Ok(self.regs[RIP] != 0)
    }

    /// Replaces the registers by the caller's.
    #[inline(never)]
    fn apply(&mut self, row: &Row, object: &Object, reader: &mut Reader<'_>) -> Result<(), Cut> {
        let old = self.regs;
        let cfa = cfa(row.cfa, &old, object, reader)?;
        self.regs[RSP] = cfa;
        let mut reg = 0;
        while let Some(slot) = self.regs.get_mut(reg) {
            recover(slot, row.how(reg), cfa, &old, object, reader)?;
            reg = reg.wrapping_add(1);
        }
        reader.enter(self.regs[RSP]);
        Ok(())
    }
}

/// The row of `pc`, and whether its caller was interrupted. Apart, so that the stack it needs is free again when
/// expressions are evaluated.
#[inline(never)]
fn look_up(object: &Object, pc: u64, row: &mut Row) -> Result<bool, Cut> {
    let mut entry = Entry::EMPTY;
    entry::find(object, pc, &mut entry)?;
    if interpret(object, &entry, pc, row) {
        Ok(entry.exact)
    } else {
        Err(Cut::UnknownRule)
    }
}

#[inline(never)]
fn interpret(object: &Object, entry: &Entry, pc: u64, row: &mut Row) -> bool {
    let mut machine = Machine::new();
    let known = machine.interpret(object, entry, pc).is_some();
    *row = machine.row;
    known
}

#[inline(never)]
fn cfa(
    rule: Cfa,
    old: &[u64; REGISTERS],
    object: &Object,
    reader: &mut Reader<'_>,
) -> Result<u64, Cut> {
    match rule {
        Cfa::Plus(reg, n) => {
            let base = old.get(usize::from(reg)).ok_or(Cut::UnknownRule)?;
            let cfa = base.wrapping_add(i64::from(n) as u64);
            // A plain rule stays on the stack and goes up, but for a frame pointer that leads to another stack; an
            // expression may do so as well (a coroutine's parent).
            if cfa < old[RSP] && !(usize::from(reg) == RBP && reader.switch(*base)) {
                Err(Cut::BadStack)
            } else {
                Ok(cfa)
            }
        }
        Cfa::Expr(at) => evaluate(at, old, None, object, reader),
        Cfa::Unset => Err(Cut::UnknownRule),
    }
}

/// Puts the caller's register into `slot`, which holds this frame's.
#[inline(never)]
fn recover(
    slot: &mut u64,
    how: How,
    cfa: u64,
    old: &[u64; REGISTERS],
    object: &Object,
    reader: &mut Reader<'_>,
) -> Result<(), Cut> {
    let place = match how {
        How::Same | How::Undefined => return Ok(()),
        How::At(n) => cfa.wrapping_add(i64::from(n) as u64),
        How::AtExpr(at) => evaluate(at, old, Some(cfa), object, reader)?,
        How::Is(n) => {
            *slot = cfa.wrapping_add(i64::from(n) as u64);
            return Ok(());
        }
        How::In(from) => {
            *slot = *old.get(usize::from(from)).ok_or(Cut::UnknownRule)?;
            return Ok(());
        }
        How::IsExpr(at) => {
            *slot = evaluate(at, old, Some(cfa), object, reader)?;
            return Ok(());
        }
    };
    *slot = reader.read_anywhere(place).ok_or(Cut::BadStack)?;
    Ok(())
}

fn evaluate(
    at: i32,
    regs: &[u64; REGISTERS],
    first: Option<u64>,
    object: &Object,
    reader: &mut Reader<'_>,
) -> Result<u64, Cut> {
    let code = cfi::expression(object, at).ok_or(Cut::UnknownRule)?;
    expr::eval(code, regs, first, reader).ok_or(Cut::UnknownRule)
}
