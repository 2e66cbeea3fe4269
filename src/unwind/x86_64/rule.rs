//! A row reduced to 31 bits, for the walk that tracks only rip, rsp and rbp; and the table of them by address.
#![forbid(unsafe_code)]

use super::cfi::{self, Cfa, How, Machine, RBP, RIP, RSP};
use crate::sys::objects::Object;
use std::sync::atomic::{AtomicU64, Ordering};

/// How to get from a frame to its caller. The return address is at CFA − 8 in all but the last three kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// CFA = rsp + 8 `cfa`; the caller's rbp at CFA − 8 `slot`, or unchanged if 0.
    Rsp { cfa: u32, slot: u32 },
    /// CFA = rbp + 8 `cfa`; likewise.
    Rbp { cfa: u32, slot: u32 },
    /// A realigned stack (gcc's DRAP): CFA = *(rbp + 8 `cfa`), rbp = *(rbp + 8 `slot`).
    Realigned { cfa: i32, slot: i32 },
    /// A procedure linkage table: CFA = rsp + 8, and 8 more once `rip % 16` reaches the push's end.
    Plt { pushed_from: u32 },
    /// Nothing called this: `_start`, a thread's start.
    End,
    /// The kernel's signal frame: all registers in the `ucontext` at rsp.
    Signal,
    /// Whatever else: for the full tier.
    Complex,
}

const KIND_BITS: u32 = 3;
const CFA_BITS: u32 = 17;
const SLOT_BITS: u32 = 11;
const SIGNED_BITS: u32 = 14;
const RULE_BITS: u32 = KIND_BITS + CFA_BITS + SLOT_BITS;

const KIND: u64 = (1 << KIND_BITS) - 1;
const RSP_KIND: u64 = 1;
const RBP_KIND: u64 = 2;

impl Rule {
    pub(super) fn packed(self) -> Packed {
        Packed(self.pack())
    }

    fn pack(self) -> u64 {
        let fields =
            |kind: u64, a: u64, b: u64| kind | a << KIND_BITS | b << (KIND_BITS + CFA_BITS);
        let signed = |n: i32| (n as u64) & ((1 << SIGNED_BITS) - 1);
        match self {
            Rule::Rsp { cfa, slot } => fields(RSP_KIND, cfa.into(), slot.into()),
            Rule::Rbp { cfa, slot } => fields(RBP_KIND, cfa.into(), slot.into()),
            Rule::Realigned { cfa, slot } => {
                3 | signed(cfa) << KIND_BITS | signed(slot) << (KIND_BITS + SIGNED_BITS)
            }
            Rule::Plt { pushed_from } => fields(4, pushed_from.into(), 0),
            Rule::End => 5,
            Rule::Signal => 6,
            Rule::Complex => 7,
        }
    }

    #[inline]
    pub(super) fn unpack(bits: u64) -> Rule {
        let cfa = (bits >> KIND_BITS) as u32 & ((1 << CFA_BITS) - 1);
        let slot = (bits >> (KIND_BITS + CFA_BITS)) as u32 & ((1 << SLOT_BITS) - 1);
        let signed = |at: u32| ((bits >> at) as i32) << (32 - SIGNED_BITS) >> (32 - SIGNED_BITS);
        match bits & KIND {
            RSP_KIND => Rule::Rsp { cfa, slot },
            RBP_KIND => Rule::Rbp { cfa, slot },
            3 => Rule::Realigned {
                cfa: signed(KIND_BITS),
                slot: signed(KIND_BITS + SIGNED_BITS),
            },
            4 => Rule::Plt { pushed_from: cfa },
            5 => Rule::End,
            6 => Rule::Signal,
            _ => Rule::Complex,
        }
    }

    /// The machine's row as a rule.
    pub(super) fn of(object: &Object, m: &Machine) -> Rule {
        let row = &m.row;
        if m.exact {
            return if kernel_frame(object, m) {
                Rule::Signal
            } else {
                Rule::Complex
            };
        }
        if row.how(RIP) == How::Undefined {
            return Rule::End;
        }
        if row.how(RIP) != How::At(-8) || row.how(RSP) != How::Same {
            return Rule::Complex;
        }
        Rule::simple(object, m).unwrap_or(Rule::Complex)
    }

    fn simple(object: &Object, m: &Machine) -> Option<Rule> {
        let saved = m.row.how(RBP);
        match m.row.cfa {
            Cfa::Plus(reg, n) => {
                let cfa = eighths(n, CFA_BITS)?;
                let slot = match saved {
                    How::Same | How::Undefined => 0,
                    How::At(n) => eighths(n.checked_neg()?, SLOT_BITS)?,
                    _ => return None,
                };
                match usize::from(reg) {
                    RSP => Some(Rule::Rsp { cfa, slot }),
                    RBP => Some(Rule::Rbp { cfa, slot }),
                    _ => None,
                }
            }
            Cfa::Expr(at) => {
                // breg7 8, breg16 0, lit15, and, lit N, ge, lit3, shl, plus: what every linker writes for .plt.
                if let Some(n) = matches(object, at, &PLT) {
                    return (saved == How::Same).then_some(Rule::Plt {
                        pushed_from: u32::from(n.wrapping_sub(0x30)),
                    });
                }
                let How::AtExpr(slot) = saved else {
                    return None;
                };
                Some(Rule::Realigned {
                    cfa: rbp_based(object, at, true)?,
                    slot: rbp_based(object, slot, false)?,
                })
            }
            Cfa::Unset => None,
        }
    }
}

/// `n` / 8 if that is whole, positive and fits.
fn eighths(n: i32, bits: u32) -> Option<u32> {
    let n = u32::try_from(n).ok()?;
    (n != 0 && n % 8 == 0 && n / 8 < 1 << bits).then_some(n / 8)
}

/// `breg6 n`, then `deref` or nothing: n / 8.
fn rbp_based(object: &Object, at: i32, deref: bool) -> Option<i32> {
    let mut c = cfi::expression(object, at)?;
    if c.u8()? != 0x70 + RBP as u8 {
        return None;
    }
    let n = i32::try_from(c.sleb()?).ok()?;
    if deref && c.u8()? != 0x06 {
        return None;
    }
    let limit = 8 << (SIGNED_BITS - 1);
    (c.is_empty() && n % 8 == 0 && n >= -limit && n < limit).then_some(n / 8)
}

/// Stands for any byte in a pattern, and is what [`matches`] returns.
const ANY: u8 = 0xff;
const PLT: [u8; 11] = [
    0x77, 0x08, 0x80, 0x00, 0x3f, 0x1a, ANY, 0x2a, 0x33, 0x24, 0x22,
];

/// The byte under [`ANY`] (or 0) if the expression is exactly `pattern`.
fn matches(object: &Object, at: i32, pattern: &[u8]) -> Option<u8> {
    let mut c = cfi::expression(object, at)?;
    let mut any = 0;
    for &want in pattern {
        let got = c.u8()?;
        if want == ANY {
            any = got;
        } else if got != want {
            return None;
        }
    }
    c.is_empty().then_some(any)
}

/// Offsets from rsp in the kernel's x86-64 `rt_sigframe`, once its return address is popped: `uc_mcontext` starts at 40.
pub(super) const SIGNAL_RBP: u64 = 120;
pub(super) const SIGNAL_RSP: u64 = 160;
pub(super) const SIGNAL_RIP: u64 = 168;

/// Whether the row is glibc's `__restore_rt`: each of the expressions that the fast tier replaces, byte by byte.
fn kernel_frame(object: &Object, m: &Machine) -> bool {
    let saved = |reg: usize, want: [u8; 3]| matches!(m.row.how(reg), How::AtExpr(at) if matches(object, at, &want).is_some());
    matches!(m.row.cfa, Cfa::Expr(at) if matches(object, at, &[0x77, 0xa0, 0x01, 0x06]).is_some())
        && saved(RBP, [0x77, 0xf8, 0x00])
        && saved(RSP, [0x77, 0xa0, 0x01])
        && saved(RIP, [0x77, 0xa8, 0x01])
}

const INDEX_BITS: u32 = 14;
const PC_BITS: u32 = 47;
const TAG_BITS: u32 = PC_BITS - INDEX_BITS;
const _: () = assert!(TAG_BITS + RULE_BITS == 64);

/// 128 KiB of .bss, filled as addresses are first seen. An entry is tag and rule; 0 is empty, because no rule packs to 0.
static TABLE: [AtomicU64; 1 << INDEX_BITS] = [const { AtomicU64::new(0) }; 1 << INDEX_BITS];

/// Slot and tag together are the whole address, so no other address can answer for it. Cheaper than a multiplication, and
/// every frame of a walk waits for it.
#[inline]
fn place(pc: u64) -> (&'static AtomicU64, u64) {
    let tag = pc >> INDEX_BITS;
    // Neighbours keep their distance; the pages of a program are spread.
    let slot = (pc ^ tag) as usize & (TABLE.len() - 1);
    (&TABLE[slot], tag)
}

/// The rule kept for `pc`.
#[inline]
pub(super) fn cached(pc: u64) -> Option<Packed> {
    let (slot, tag) = place(pc);
    // Relaxed: an entry is one word and says everything itself; nothing else is published with it.
    let entry = slot.load(Ordering::Relaxed);
    (entry >> RULE_BITS == tag && entry != 0).then_some(Packed(entry))
}

/// A rule as the table has it, for the steps that most frames take.
#[derive(Clone, Copy)]
pub(super) struct Packed(u64);

impl Packed {
    #[inline]
    pub(super) fn is_rsp(self) -> bool {
        self.0 & KIND == RSP_KIND
    }

    #[inline]
    pub(super) fn is_rbp(self) -> bool {
        self.0 & KIND == RBP_KIND
    }

    /// It needs no more than rsp, rbp and two words of the stack.
    #[inline]
    pub(super) fn is_plain(self) -> bool {
        (self.0 & KIND).wrapping_sub(RSP_KIND) < 2
    }

    /// Of the two plain kinds: how far above rsp or rbp the CFA is.
    #[inline]
    pub(super) fn cfa_bytes(self) -> u64 {
        // The field starts at bit 3: in place it is multiplied by 8.
        self.0 & ((1 << CFA_BITS) - 1) << KIND_BITS
    }

    /// Of the two plain kinds: how far below the CFA rbp was saved; 0: nowhere.
    #[inline]
    pub(super) fn slot_bytes(self) -> u64 {
        self.0 >> (KIND_BITS + CFA_BITS) << 3 & ((1 << SLOT_BITS) - 1) << 3
    }

    /// Of the two plain kinds: the slot as it is remembered above a pc, see [`last`](super::super::last).
    #[inline]
    pub(super) fn remembered(self) -> u64 {
        let slot = self.0 as u32 & ((1 << SLOT_BITS) - 1) << (KIND_BITS + CFA_BITS);
        // The rule's 31 bits go to the word's top, with the highest to say that there is a slot.
        u64::from(slot | 1 << 31) << 32
    }

    /// All of it.
    #[inline]
    pub(super) fn rule(self) -> Rule {
        Rule::unpack(self.0)
    }
}

/// Keeps `rule` for `pc`, in place of whatever shared its slot.
pub(super) fn keep(pc: u64, rule: Rule) {
    if pc >> PC_BITS == 0 {
        let (slot, tag) = place(pc);
        // Relaxed: see `cached`; two threads that race write equal entries or evict one another.
        slot.store(tag << RULE_BITS | rule.pack(), Ordering::Relaxed);
    }
}

/// Where the table lies and how long it is, bytes.
pub(super) fn place_of_table() -> (usize, usize) {
    (TABLE.as_ptr() as usize, size_of_val(&TABLE))
}

/// Empties the table.
pub(super) fn forget() {
    for slot in &TABLE {
        // Relaxed: a walk that still sees an old entry is no worse off than one that ran a moment earlier.
        slot.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_survives_packing() {
        let mut rules = vec![
            Rule::End,
            Rule::Signal,
            Rule::Complex,
            Rule::Plt { pushed_from: 11 },
        ];
        for cfa in [1, 2, 1000, (1 << CFA_BITS) - 1] {
            for slot in [0, 2, 7, (1 << SLOT_BITS) - 1] {
                rules.extend([Rule::Rsp { cfa, slot }, Rule::Rbp { cfa, slot }]);
                rules.push(Rule::Realigned {
                    cfa: -(slot as i32),
                    slot: slot as i32,
                });
            }
        }
        rules.push(Rule::Realigned {
            cfa: -(1 << 13),
            slot: (1 << 13) - 1,
        });
        for rule in rules {
            assert!(rule.pack() != 0 && rule.pack() >> RULE_BITS == 0);
            assert_eq!(Rule::unpack(rule.pack()), rule);
            let packed = rule.packed();
            let plain = match rule {
                Rule::Rsp { cfa, slot } | Rule::Rbp { cfa, slot } => Some((cfa, slot)),
                _ => None,
            };
            assert_eq!(packed.is_plain(), plain.is_some());
            if let Some((cfa, slot)) = plain {
                assert_eq!(packed.is_rsp(), !packed.is_rbp());
                assert_eq!(packed.cfa_bytes(), u64::from(cfa) * 8);
                assert_eq!(packed.slot_bytes(), u64::from(slot) * 8);
                assert_eq!(packed.remembered(), 1 << 63 | u64::from(slot) << 52);
            }
        }
    }

    #[test]
    fn slot_and_tag_are_the_whole_address() {
        for pc in [1u64, 0x5555_5555_4321, 0x7fff_ffff_ffff, 0x7f12_3456_789a] {
            let (slot, tag) = place(pc);
            let index = (slot as *const AtomicU64 as usize - TABLE.as_ptr() as usize) / 8;
            let low = (index as u64 ^ tag) & (TABLE.len() as u64 - 1);
            assert_eq!(tag << INDEX_BITS | low, pc);
        }
        // What is no address of a program has a tag that no entry can have.
        assert!(place(1 << PC_BITS).1 >> TAG_BITS != 0 && place(u64::MAX).1 >> TAG_BITS != 0);
    }
}
