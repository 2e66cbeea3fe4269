//! Memory for heapsite's own large jobs, apart from the program's heap: an arena per job, given back when it is over,
//! whatever allocator the program uses.
//!
//! Symbolising makes millions of small blocks. In the program's allocator they would leave tens of MiB of free pages
//! behind, or a `malloc_trim` would have to take the program's own free pages along. So the allocator serves a thread
//! that holds a [`Scratch`] guard from here.
//!
//! An arena is address space in chunks of 64 KiB. Its owner cuts small blocks off the current chunk, and large ones are
//! runs of chunks; a chunk is used again once all its blocks are gone (`mem/chunks.rs`). Blocks may be freed by any thread
//! at any time: while the arena has pages, the live filter counts them as holding a sample, so a free comes by here on its
//! way. A block that outlives the job keeps its chunk and nothing else.

mod arena;
mod guard;

use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::local;
use crate::sys;
pub(crate) use arena::Arena;
pub(crate) use guard::{Scratch, outside_of_all};

/// Jobs that can have one at the same time.
const ARENAS: usize = 4;

static ARENA: [Arena; ARENAS] = [const { Arena::new() }; ARENAS];
/// How many arenas have address space: usually none, and then a free need not look for them.
static MAPPED: AtomicUsize = AtomicUsize::new(0);

/// What a thread's cell says when its memory comes from the program's allocator; otherwise it holds the number of the
/// thread's arena, from 1.
pub(super) const NONE: u8 = 0;

/// Memory for the calling thread's request, not zeroed; `None`: it has no arena, or not for this.
///
/// Asked at every look-up, so that a thread without an arena is told here, and not after a call.
#[inline]
pub(crate) fn allocate(size: usize, align: usize) -> Option<NonNull<u8>> {
    match own() {
        None => None,
        Some(arena) => allocate_in(arena, size, align),
    }
}

#[cold]
#[inline(never)]
fn allocate_in(arena: &Arena, size: usize, align: usize) -> Option<NonNull<u8>> {
    let address = arena.allocate(size, align)?;
    NonNull::new(std::ptr::with_exposed_provenance_mut(address))
}

/// The arena that the calling thread takes its memory from.
#[inline]
fn own() -> Option<&'static Arena> {
    numbered(local::with(|local| local.scratch.get()))
}

#[inline]
fn numbered(number: u8) -> Option<&'static Arena> {
    ARENA.get(usize::from(number).checked_sub(1)?)
}

/// The number of an arena that is the caller's from now on, until [`end`]; [`NONE`]: there is none to have.
fn claim() -> u8 {
    if !sys::CAN_RECORD || !super::is_installed() {
        return NONE;
    }
    (1u8..)
        .zip(&ARENA)
        .find(|(_, arena)| arena.claim())
        .map_or(NONE, |(number, _)| number)
}

/// A job is over: its arena, if it got one, goes back.
fn end(number: u8) {
    if let Some(arena) = numbered(number) {
        arena.end();
    }
}

/// The arena that this block belongs to.
#[inline]
pub(crate) fn holding(block: *mut u8) -> Option<&'static Arena> {
    // Relaxed, as in `Arena::contains`: whoever holds a block got it, by the program's own synchronisation, from the
    // thread that had mapped its arena before; and an address that is not in an arena any more was unmapped, and mapped
    // again for somebody else, after the arena had forgotten it.
    if MAPPED.load(Ordering::Relaxed) == 0 {
        return None;
    }
    ARENA.iter().find(|arena| arena.contains(block as usize))
}

/// Where arenas have been used: address and length of each.
pub(super) fn places() -> impl Iterator<Item = (usize, usize)> {
    ARENA.iter().map(Arena::place)
}

/// Bytes of address space that arenas use, and how many of them are resident.
pub(super) fn memory() -> (u64, u64) {
    ARENA.iter().fold((0, 0), |(mapped, resident), arena| {
        let (more_mapped, more_resident) = arena.memory();
        (mapped + more_mapped, resident + more_resident)
    })
}
