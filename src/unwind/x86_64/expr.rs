//! DWARF expressions (DWARF 5 section 2.5) on a small stack: enough for every rule that compilers and libraries write.

use super::cfi::REGISTERS;
use super::cursor::Cursor;
use super::stack::Reader;

const STACK: usize = 16;

/// Branches can loop: this many operations are enough for anything honest.
const STEPS: u32 = 256;

struct Stack {
    slots: [u64; STACK],
    len: usize,
}

impl Stack {
    fn push(&mut self, v: u64) -> Option<()> {
        *self.slots.get_mut(self.len)? = v;
        self.len = self.len.wrapping_add(1);
        Some(())
    }

    fn pop(&mut self) -> Option<u64> {
        self.len = self.len.checked_sub(1)?;
        self.slots.get(self.len).copied()
    }

    /// The n-th from the top.
    fn peek(&self, n: usize) -> Option<u64> {
        self.slots
            .get(self.len.checked_sub(n)?.checked_sub(1)?)
            .copied()
    }
}

/// The value of `code` over a frame's registers; `first` is pushed before (the CFA, for a register's expression).
/// `None`: unknown operation, malformed, or it reads what cannot be read.
pub(super) fn eval(
    code: Cursor,
    regs: &[u64; REGISTERS],
    first: Option<u64>,
    reader: &mut Reader<'_>,
) -> Option<u64> {
    let mut s = Stack {
        slots: [0; STACK],
        len: 0,
    };
    if let Some(v) = first {
        s.push(v)?;
    }
    let mut c = code;
    let mut steps = STEPS;
    while !c.is_empty() {
        steps = steps.checked_sub(1)?;
        let op = c.u8()?;
        let done = match op {
            0x70..=0x8f | 0x92 => register(op, &mut c, regs, &mut s),
            0x06 | 0x94 => read(op, &mut c, &mut s, reader),
            0x19 | 0x1f | 0x20 | 0x23 => unary(op, &mut c, &mut s),
            0x1a..=0x1e | 0x21 | 0x22 | 0x24..=0x27 | 0x29..=0x2e => binary(op, &mut s),
            0x12..=0x17 => shuffle(op, &mut c, &mut s),
            0x28 | 0x2f => branch(op, code, &mut c, &mut s),
            0x96 => Some(()), // nop
            _ => constant(op, &mut c, &mut s),
        };
        done?;
    }
    s.pop()
}

/// lit0..31, addr, const*.
#[inline(never)]
fn constant(op: u8, c: &mut Cursor, s: &mut Stack) -> Option<()> {
    s.push(match op {
        0x30..=0x4f => u64::from(op.wrapping_sub(0x30)),
        0x08 => c.unsigned(1)?,
        0x09 => c.signed(1)? as u64,
        0x0a => c.unsigned(2)?,
        0x0b => c.signed(2)? as u64,
        0x0c => c.unsigned(4)?,
        0x0d => c.signed(4)? as u64,
        0x03 | 0x0e | 0x0f => c.unsigned(8)?,
        0x10 => c.uleb()?,
        0x11 => c.sleb()? as u64,
        _ => return None,
    })
}

/// breg0..31, bregx.
#[inline(never)]
fn register(op: u8, c: &mut Cursor, regs: &[u64; REGISTERS], s: &mut Stack) -> Option<()> {
    let reg = if op == 0x92 {
        c.uleb()?
    } else {
        u64::from(op.wrapping_sub(0x70))
    };
    let value = *regs.get(usize::try_from(reg).ok()?)?;
    s.push(value.wrapping_add(c.sleb()? as u64))
}

/// deref, deref_size.
#[inline(never)]
fn read(op: u8, c: &mut Cursor, s: &mut Stack, reader: &mut Reader<'_>) -> Option<()> {
    let size = if op == 0x94 { c.u8()? } else { 8 };
    let word = reader.read_anywhere(s.pop()?)?;
    s.push(match size {
        1 => word & 0xff,
        2 => word & 0xffff,
        4 => word & 0xffff_ffff,
        8 => word,
        _ => return None,
    })
}

/// abs, neg, not, plus_uconst.
#[inline(never)]
fn unary(op: u8, c: &mut Cursor, s: &mut Stack) -> Option<()> {
    let v = s.pop()?;
    s.push(match op {
        0x19 => (v as i64).wrapping_abs() as u64,
        0x1f => v.wrapping_neg(),
        0x20 => !v,
        _ => v.wrapping_add(c.uleb()?),
    })
}

/// dup, drop, over, pick, swap, rot.
#[inline(never)]
fn shuffle(op: u8, c: &mut Cursor, s: &mut Stack) -> Option<()> {
    match op {
        0x12 => s.push(s.peek(0)?),
        0x13 => s.pop().map(drop),
        0x14 => s.push(s.peek(1)?),
        0x15 => {
            let n = c.u8()?;
            s.push(s.peek(usize::from(n))?)
        }
        0x16 => {
            let (a, b) = (s.pop()?, s.pop()?);
            s.push(a)?;
            s.push(b)
        }
        _ => {
            let (a, b, d) = (s.pop()?, s.pop()?, s.pop()?);
            s.push(a)?;
            s.push(d)?;
            s.push(b)
        }
    }
}

/// skip; bra, if the top is not zero.
#[inline(never)]
fn branch(op: u8, code: Cursor, c: &mut Cursor, s: &mut Stack) -> Option<()> {
    let by = c.signed(2)?;
    if op == 0x2f || s.pop()? != 0 {
        let at = c.at().wrapping_add(by as u64);
        *c = code;
        c.skip(at.checked_sub(code.at())?)?;
    }
    Some(())
}

#[inline(never)]
fn binary(op: u8, s: &mut Stack) -> Option<()> {
    let (b, a) = (s.pop()?, s.pop()?);
    let (sa, sb) = (a as i64, b as i64);
    let shift = u32::try_from(b).ok().filter(|n| *n < 64);
    s.push(match op {
        0x1a => a & b,
        0x1b => sa.checked_div(sb)? as u64,
        0x1c => a.wrapping_sub(b),
        0x1d => a.checked_rem(b)?,
        0x1e => a.wrapping_mul(b),
        0x21 => a | b,
        0x22 => a.wrapping_add(b),
        0x24 => shift.map_or(0, |n| a << n),
        0x25 => shift.map_or(0, |n| a >> n),
        0x26 => (sa >> shift.unwrap_or(63)) as u64,
        0x27 => a ^ b,
        0x29 => u64::from(sa == sb),
        0x2a => u64::from(sa >= sb),
        0x2b => u64::from(sa > sb),
        0x2c => u64::from(sa <= sb),
        0x2d => u64::from(sa < sb),
        0x2e => u64::from(sa != sb),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unwind::StackCache;

    fn run(code: &[u8], regs: &[u64; REGISTERS], first: Option<u64>) -> Option<u64> {
        let at = code.as_ptr() as u64;
        // SAFETY: `code` outlives the call.
        let c = unsafe { Cursor::new(at, at + code.len() as u64) };
        let cache = StackCache::new();
        let here = 0u64;
        eval(
            c,
            regs,
            first,
            &mut Reader::new(&cache, &raw const here as u64),
        )
    }

    #[test]
    fn computes() {
        let mut regs = [0; REGISTERS];
        let cell = 40u64;
        regs[6] = &raw const cell as u64 - 16;
        assert_eq!(
            run(&[0x76, 16, 0x06, 0x23, 2], &regs, None),
            Some(42),
            "breg, deref, plus_uconst"
        );
        regs[7] = 1000;
        regs[16] = 0x5b;
        let plt = [0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22];
        assert_eq!(run(&plt, &regs, None), Some(1016));
        regs[16] = 0x5a;
        assert_eq!(run(&plt, &regs, None), Some(1008));
        assert_eq!(run(&[0x33, 0x32, 0x1c], &regs, None), Some(1), "3 - 2");
        assert_eq!(
            run(&[0x31, 0x32, 0x33, 0x17, 0x13, 0x1c], &regs, None),
            Some(2),
            "rot: 3 1 2, drop: 3 1, 3 - 1"
        );
        assert_eq!(
            run(&[0x31, 0x28, 1, 0, 0x35, 0x36], &regs, None),
            Some(6),
            "bra jumps over lit5"
        );
        assert_eq!(
            run(&[0x34, 0x22], &regs, Some(5)),
            Some(9),
            "the CFA is on the stack first"
        );
    }

    #[test]
    fn refuses() {
        let regs = [0; REGISTERS];
        assert_eq!(run(&[], &regs, None), None, "nothing left");
        assert_eq!(run(&[0x22], &regs, None), None, "underflow");
        assert_eq!(run(&[0x31; 17], &regs, None), None, "overflow");
        assert_eq!(run(&[0x2f, 0xfd, 0xff], &regs, None), None, "endless loop");
        assert_eq!(run(&[0x2f, 0x70, 0xff], &regs, None), None, "jump out");
        assert_eq!(run(&[0x30, 0x06], &regs, None), None, "reads address 0");
        assert_eq!(run(&[0x31, 0x30, 0x1b], &regs, None), None, "division by 0");
        assert_eq!(run(&[0x70], &regs, None), None, "operand missing");
        assert_eq!(run(&[0xe0], &regs, None), None, "unknown");
    }
}
