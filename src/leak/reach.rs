//! What is held by something that lives as long as the program: as LeakSanitizer does it, by looking for words that could
//! be pointers, from the roots through every block that is known.
//!
//! A block is reached by a pointer to its start, or to any multiple of 16 within it: hash tables point at their
//! middle. Not to any byte of it, because what memory held before it was allocated may still be there where nobody has
//! written yet: a short text in an old pointer's place points anywhere near. (Blocks of a check are cleared when they are
//! allocated; older ones are as they were.) A number that looks like a pointer may hide
//! a leak nevertheless; a pointer that is stored in a scrambled way, or in memory that is not recorded, is not seen. Memory is read through `/proc/self/mem`: what another thread unmaps meanwhile is an error there, and no fault.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::snapshot::scope::Block;
use crate::sys::roots::{Root, RootKind};

/// Read at once, bytes.
const CHUNK: usize = 64 << 10;
const PAGE: u64 = 4096;
const WORD: u64 = 8;
const INNER_ALIGNMENT: u64 = 16;

/// What holds a block: the root's place in the list, and where in it the pointer is that leads there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Holder {
    pub(super) root: usize,
    pub(super) address: u64,
}

/// For each block (sorted by address) what holds it, if anything does.
///
/// # Errors
/// The process's memory cannot be read this way.
pub(super) fn holders(blocks: &[Block], roots: &[Root]) -> io::Result<Vec<Option<Holder>>> {
    let memory = File::open("/proc/self/mem")?;
    let mut search = Search {
        memory,
        blocks,
        holders: vec![None; blocks.len()],
        found: Vec::new(),
        own_only: false,
    };
    for (number, root) in roots.iter().enumerate() {
        // Within `block_on` the runtime, which is older, holds tasks that do not end, and a thread-local the runtime.
        search.own_only = root.kind == RootKind::Locals;
        search.look_through(root.start, root.end, |address| Holder {
            root: number,
            address,
        });
        // Root by root, so that the first one that leads to a block is the one that is named.
        while let Some(at) = search.found.pop() {
            let Block { address, bytes, .. } = blocks[at];
            if let Some(holder) = search.holders[at] {
                search.look_through(address, address + bytes, |_| holder);
            }
        }
    }
    Ok(search.holders)
}

struct Search<'a> {
    memory: File,
    blocks: &'a [Block],
    holders: Vec<Option<Holder>>,
    /// Reached, and not looked through yet.
    found: Vec<usize>,
    /// Whether only blocks of the scope lead on.
    own_only: bool,
}

impl Search<'_> {
    fn look_through(&mut self, start: u64, end: u64, holder: impl Fn(u64) -> Holder) {
        let mut at = start.next_multiple_of(WORD);
        let mut buffer = [0u8; CHUNK];
        while at + WORD <= end {
            let wanted = (end - at).min(CHUNK as u64) as usize & !(WORD as usize - 1);
            let read = self.memory.read_at(&mut buffer[..wanted], at).unwrap_or(0);
            for (word, bytes) in buffer[..read].chunks_exact(WORD as usize).enumerate() {
                let mut value = [0; WORD as usize];
                value.copy_from_slice(bytes);
                self.follow(u64::from_le_bytes(value), || {
                    holder(at + word as u64 * WORD)
                });
            }
            // A page that cannot be read is passed over.
            let read = read as u64 & !(WORD - 1);
            at = match read {
                0 => (at + 1).next_multiple_of(PAGE),
                _ => at + read,
            };
        }
    }

    fn follow(&mut self, value: u64, holder: impl FnOnce() -> Holder) {
        let after = self.blocks.partition_point(|block| block.address <= value);
        let Some(at) = after.checked_sub(1) else {
            return;
        };
        let Block {
            address,
            bytes,
            in_scope,
            ..
        } = self.blocks[at];
        if self.own_only && !in_scope {
            return;
        }
        let is_pointer =
            value == address || value.is_multiple_of(INNER_ALIGNMENT) && value < address + bytes;
        if is_pointer && self.holders[at].is_none() {
            self.holders[at] = Some(holder());
            self.found.push(at);
        }
    }
}

/// The roots without these stretches (start, bytes).
pub(super) fn without(roots: Vec<Root>, holes: &[(usize, usize)]) -> Vec<Root> {
    let mut parts = roots;
    for &(start, bytes) in holes {
        let (from, to) = (start as u64, (start + bytes) as u64);
        parts = parts
            .into_iter()
            .flat_map(|part| {
                let before = Root {
                    end: part.end.min(from),
                    ..part.clone()
                };
                let after = Root {
                    start: part.start.max(to),
                    ..part
                };
                [before, after]
            })
            .filter(|part| part.start < part.end)
            .collect();
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(of: &[u64]) -> Block {
        Block {
            address: of.as_ptr() as u64,
            bytes: size_of_val(of) as u64,
            site: 0,
            birth: 0,
            in_scope: true,
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "reads its own memory as a file")]
    fn blocks_are_reached_through_others_and_by_their_middle() {
        #[repr(align(16))]
        struct Aligned([u64; 4]);
        let Aligned(ref last) = Aligned([0; 4]);
        let middle = [0, &raw const last[2] as u64, 0];
        let lost = [&raw const *last as u64, 0];
        let only_by_odd_bytes = Aligned([0; 4]).0;
        let odd = &raw const only_by_odd_bytes[1] as u64;
        let root = [1, &raw const middle as u64, odd];
        let mut blocks = vec![
            block(last),
            block(&middle),
            block(&lost),
            block(&only_by_odd_bytes),
        ];
        blocks.sort_unstable_by_key(|block| block.address);
        let roots = [Root {
            start: root.as_ptr() as u64,
            end: root.as_ptr() as u64 + 24,
            kind: RootKind::Locals,
        }];
        let holders = holders(&blocks, &roots).unwrap();
        for (block, holder) in blocks.iter().zip(holders) {
            let is_lost = [lost.as_ptr(), only_by_odd_bytes.as_ptr()]
                .contains(&(block.address as *const u64));
            assert_eq!(holder.is_none(), is_lost);
            if let Some(holder) = holder {
                assert_eq!(holder.address, &raw const root[1] as u64);
            }
        }
    }

    #[test]
    fn holes_are_left_out() {
        let root = |start, end| Root {
            start,
            end,
            kind: RootKind::Locals,
        };
        let parts = without(
            vec![root(0, 100), root(200, 300)],
            &[(40, 20), (190, 20), (290, 99)],
        );
        assert_eq!(parts, [root(0, 40), root(60, 100), root(210, 290)]);
    }
}
