//! What the tests see of the interpreter and the table.
#![allow(missing_docs)]
#![allow(clippy::disallowed_types)] // runs in tests, not inside malloc

use super::cfi::{self, Cfa, How, Machine, REGISTERS};
use super::entry::{self, Entry};
use super::rule::{self, Rule};
use crate::profile::Cut;
use crate::sys::objects::Object;

/// Where a register of the caller is; expressions by their bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Where {
    Same,
    Undefined,
    At(i64),
    Is(i64),
    In(u16),
    AtExpr(Vec<u8>),
    IsExpr(Vec<u8>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Base {
    Unset,
    Plus(u16, i64),
    Expr(Vec<u8>),
}

/// One row, and the rule made of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub cfa: Base,
    pub regs: [Where; REGISTERS],
    pub exact: bool,
    /// CFA register and offset, and the offset of rbp from the CFA (0: unchanged), if the rule is of the plain kind.
    pub plain: Option<(u16, i64, i64)>,
    /// The rule needs the full tier.
    pub complex: bool,
}

/// The row of `pc` in the object mapped at `[start, end)`.
///
/// # Safety
/// `[start, end)` is readable and does not change during the call.
pub unsafe fn row(start: u64, end: u64, eh_frame_hdr: u64, pc: u64) -> Result<Row, Cut> {
    let object = Object {
        start,
        end,
        eh_frame_hdr,
    };
    let mut m = Machine::new();
    let mut entry = Entry::EMPTY;
    entry::find(&object, pc, &mut entry)?;
    m.interpret(&object, &entry, pc).ok_or(Cut::UnknownRule)?;
    let bytes = |at: i32| {
        let mut c = cfi::expression(&object, at).expect("the expression was parsed before");
        std::iter::from_fn(|| c.u8()).collect::<Vec<u8>>()
    };
    let rule = Rule::of(&object, &m);
    Ok(Row {
        cfa: match m.row.cfa {
            Cfa::Unset => Base::Unset,
            Cfa::Plus(reg, n) => Base::Plus(reg.into(), n.into()),
            Cfa::Expr(at) => Base::Expr(bytes(at)),
        },
        regs: std::array::from_fn(|reg| match m.row.how(reg) {
            How::Same => Where::Same,
            How::Undefined => Where::Undefined,
            How::At(n) => Where::At(n.into()),
            How::Is(n) => Where::Is(n.into()),
            How::In(reg) => Where::In(reg.into()),
            How::AtExpr(at) => Where::AtExpr(bytes(at)),
            How::IsExpr(at) => Where::IsExpr(bytes(at)),
        }),
        exact: m.exact,
        plain: match rule {
            Rule::Rsp { cfa, slot } => Some((7, i64::from(cfa) * 8, i64::from(slot) * -8)),
            Rule::Rbp { cfa, slot } => Some((6, i64::from(cfa) * 8, i64::from(slot) * -8)),
            _ => None,
        },
        complex: rule == Rule::Complex,
    })
}

/// Plants a wrong rule for `pc`: a frame of eight bytes more. False if none was kept for it, or none of the plain kind.
pub fn corrupt(pc: u64) -> bool {
    let wrong = match rule::cached(pc).map(rule::Packed::rule) {
        Some(Rule::Rsp { cfa, slot }) => Rule::Rsp { cfa: cfa + 1, slot },
        Some(Rule::Rbp { cfa, slot }) => Rule::Rbp { cfa: cfa + 1, slot },
        _ => return false,
    };
    rule::keep(pc, wrong);
    true
}

/// Plants whatever rule `bits` unpack to.
pub fn plant(pc: u64, bits: u64) {
    rule::keep(pc, Rule::unpack(bits));
}
