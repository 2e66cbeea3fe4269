//! The call frame instructions (DWARF 5 section 6.4.2 and the GNU additions), run up to one address.

use super::cursor::Cursor;
use super::entry::Entry;
use crate::sys::objects::Object;

/// DWARF's numbers: rax rdx rcx rbx rsi rdi rbp rsp r8–r15, return address.
pub(super) const REGISTERS: usize = 17;
pub(super) const RBX: usize = 3;
pub(super) const RBP: usize = 6;
pub(super) const RSP: usize = 7;
pub(super) const RIP: usize = 16;

/// Where a register of the caller is. `i32`s of expressions are offsets from the object's `.eh_frame_hdr` to the
/// expression's length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    Same,
    Undefined,
    /// In memory at CFA + n.
    At(i32),
    /// It is CFA + n.
    Is(i32),
    /// In another register.
    In(u8),
    /// In memory at the expression's value.
    AtExpr(i32),
    /// It is the expression's value.
    IsExpr(i32),
}

/// The canonical frame address: the caller's rsp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cfa {
    Unset,
    Plus(u8, i32),
    Expr(i32),
}

/// One row of the unwind table. A register's rule is kept in 32 bits, kind in the low three: five rows have to fit on
/// small stacks.
#[derive(Clone, Copy)]
pub(super) struct Row {
    pub(super) cfa: Cfa,
    how: [i32; REGISTERS],
}

impl Row {
    pub(super) const EMPTY: Row = Row {
        cfa: Cfa::Unset,
        how: [0; REGISTERS],
    };

    pub(super) fn how(&self, reg: usize) -> How {
        let bits = self.how.get(reg).copied().unwrap_or(0);
        let n = bits >> 3;
        match bits & 7 {
            1 => How::Undefined,
            2 => How::At(n),
            3 => How::Is(n),
            4 => How::In(n as u8),
            5 => How::AtExpr(n),
            6 => How::IsExpr(n),
            _ => How::Same,
        }
    }

    /// `None`: an offset beyond 256 MiB. Vector and flag registers are dropped.
    fn set(&mut self, reg: u64, how: How) -> Option<()> {
        let (kind, n) = match how {
            How::Same => (0, 0),
            How::Undefined => (1, 0),
            How::At(n) => (2, n),
            How::Is(n) => (3, n),
            How::In(n) => (4, i32::from(n)),
            How::AtExpr(n) => (5, n),
            How::IsExpr(n) => (6, n),
        };
        if n << 3 >> 3 != n {
            return None;
        }
        if let Some(slot) = self.how.get_mut(reg as usize) {
            *slot = n << 3 | kind;
        }
        Some(())
    }

    fn restore(&mut self, reg: u64, from: &Row) {
        if let (Some(slot), Some(&how)) =
            (self.how.get_mut(reg as usize), from.how.get(reg as usize))
        {
            *slot = how;
        }
    }
}

/// gcc and clang nest one deep; hand-written code has been seen with two.
const NESTING: usize = 3;

/// An interpreter, used once. About 450 bytes: it lives on the capturing thread's stack.
pub(super) struct Machine {
    pub(super) row: Row,
    /// `S` augmentation, see [`Entry::exact`].
    pub(super) exact: bool,
    initial: Row,
    saved: [Row; NESTING],
    depth: usize,
    hdr: u64,
    loc: u64,
}

impl Machine {
    pub(super) const fn new() -> Machine {
        Machine {
            row: Row::EMPTY,
            exact: false,
            initial: Row::EMPTY,
            saved: [Row::EMPTY; NESTING],
            depth: 0,
            hdr: 0,
            loc: 0,
        }
    }

    /// Leaves the row of `pc`, which `entry` covers, in `self.row`. `None`: something in it is not understood.
    pub(super) fn interpret(&mut self, object: &Object, entry: &Entry, pc: u64) -> Option<()> {
        self.exact = entry.exact;
        self.hdr = object.eh_frame_hdr;
        self.loc = entry.start;
        self.run(entry.common, entry, pc)?;
        self.initial = self.row;
        self.depth = 0;
        self.run(entry.own, entry, pc)
    }

    fn run(&mut self, mut c: Cursor, e: &Entry, pc: u64) -> Option<()> {
        while !c.is_empty() {
            let op = c.u8()?;
            let low = op & 0x3f;
            match op >> 6 {
                1 => {
                    if self.advance(u64::from(low), e, pc) {
                        return Some(());
                    }
                }
                2 => {
                    let n = factored(c.uleb()? as i64, e)?;
                    self.row.set(u64::from(low), How::At(n))?;
                }
                3 => self.row.restore(u64::from(low), &self.initial),
                _ => {
                    if self.extended(low, &mut c, e, pc)? {
                        return Some(());
                    }
                }
            }
        }
        Some(())
    }

    /// The instructions whose top bits are zero; `Some(true)`: the row is complete.
    #[inline(never)]
    fn extended(&mut self, op: u8, c: &mut Cursor, e: &Entry, pc: u64) -> Option<bool> {
        // Operands first, by kind, so that this needs little stack in an unoptimised build too.
        let mut o = Operands { reg: 0, n: 0 };
        self.operands(op, c, e, &mut o)?;
        let Operands { reg, n } = o;
        match op {
            0x00 | 0x2e => {} // nop; GNU_args_size, of interest to landing pads only
            0x01 => {
                // set_loc
                if n as u64 > pc {
                    return Some(true);
                }
                self.loc = n as u64;
            }
            0x02..=0x04 => return Some(self.advance(n as u64, e, pc)), // advance_loc1, 2, 4
            0x06 => self.row.restore(reg, &self.initial),              // restore_extended
            0x0a => {
                *self.saved.get_mut(self.depth)? = self.row; // remember_state
                self.depth = self.depth.wrapping_add(1);
            }
            0x0b => {
                self.depth = self.depth.checked_sub(1)?; // restore_state
                self.row = *self.saved.get(self.depth)?;
            }
            0x0c..=0x0f | 0x12 | 0x13 => self.row.cfa = self.cfa(op, &o, e)?,
            _ => self.row.set(reg, register(op, n, e)?)?,
        }
        Some(false)
    }

    /// The instructions that define the CFA.
    #[inline(never)]
    fn cfa(&self, op: u8, o: &Operands, e: &Entry) -> Option<Cfa> {
        if op == 0x0f {
            return Some(Cfa::Expr(o.n as i32)); // def_cfa_expression
        }
        let n = if op >= 0x12 {
            factored(o.n, e)?
        } else {
            o.n as i32
        };
        match (op, self.row.cfa) {
            (0x0c | 0x12, _) => plus(o.reg, n),        // def_cfa, _sf
            (0x0d, Cfa::Plus(_, n)) => plus(o.reg, n), // def_cfa_register
            (0x0e | 0x13, Cfa::Plus(reg, _)) => Some(Cfa::Plus(reg, n)), // def_cfa_offset, _sf
            _ => None,
        }
    }

    /// Reads what follows `op`. Expressions become their place.
    #[inline(never)]
    fn operands(&self, op: u8, c: &mut Cursor, e: &Entry, o: &mut Operands) -> Option<()> {
        if matches!(op, 0x05..=0x09 | 0x0c | 0x0d | 0x10..=0x12 | 0x14..=0x16 | 0x2f) {
            o.reg = c.uleb()?;
        }
        o.n = match op {
            0x05 | 0x09 | 0x0c | 0x0e | 0x14 | 0x2e | 0x2f => c.uleb()? as i64,
            0x11 | 0x12 | 0x13 | 0x15 => c.sleb()?,
            0x01 => c.pointer(e.encoding)? as i64,
            0x02..=0x04 => c.unsigned(1 << op.wrapping_sub(2))? as i64,
            0x0f | 0x10 | 0x16 => self.expression(c)?.into(),
            _ => 0,
        };
        if op == 0x2f {
            o.n = o.n.checked_neg()?;
        }
        if matches!(op, 0x0c | 0x0e) {
            i32::try_from(o.n).ok()?;
        }
        Some(())
    }

    /// True: the next row starts above `pc`, so this one is it.
    fn advance(&mut self, delta: u64, e: &Entry, pc: u64) -> bool {
        let to = self.loc.wrapping_add(delta.wrapping_mul(e.code_align));
        if to > pc {
            return true;
        }
        self.loc = to;
        false
    }

    /// Skips an expression and says where it was.
    fn expression(&self, c: &mut Cursor) -> Option<i32> {
        let at = i32::try_from(c.at().wrapping_sub(self.hdr) as i64).ok()?;
        let n = c.uleb()?;
        c.skip(n)?;
        Some(at)
    }
}

/// What follows an instruction; expressions by their place.
struct Operands {
    reg: u64,
    n: i64,
}

fn factored(n: i64, e: &Entry) -> Option<i32> {
    i32::try_from(n.checked_mul(e.data_align)?).ok()
}

fn plus(reg: u64, n: i32) -> Option<Cfa> {
    (reg < RIP as u64).then_some(Cfa::Plus(reg as u8, n))
}

/// The instructions that give one register a rule.
#[inline(never)]
fn register(op: u8, n: i64, e: &Entry) -> Option<How> {
    Some(match op {
        0x05 | 0x11 | 0x2f => How::At(factored(n, e)?), // offset_extended, _sf, GNU_negative_offset_extended
        0x07 => How::Undefined,
        0x08 => How::Same,
        0x09 => How::In(u8::try_from(n).ok()?),  // register
        0x10 => How::AtExpr(n as i32),           // expression
        0x14 | 0x15 => How::Is(factored(n, e)?), // val_offset, _sf
        0x16 => How::IsExpr(n as i32),           // val_expression
        _ => return None,
    })
}

/// The bytes of the expression that a row points to.
pub(super) fn expression(object: &Object, at: i32) -> Option<Cursor> {
    let at = object.eh_frame_hdr.wrapping_add(i64::from(at) as u64);
    // SAFETY: `Machine::expression` recorded a place inside the object, whose end bounds the cursor.
    let mut c = unsafe { Cursor::new(at, object.end) };
    let n = c.uleb()?;
    c.split(n)
}
