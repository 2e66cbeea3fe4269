//! Blocks that grow: where they are, and whose they are.

use std::alloc::{GlobalAlloc, Layout};
use std::hint::black_box;

use crate::HEAP;
use crate::checks::{assert_all_settled, resident_bytes, start};
use crate::inner::Inner;

/// Grows a block of 64 MiB by 256 pages, touching only its first; how often it moved, and how many bytes
/// became resident.
fn grow(allocator: &impl GlobalAlloc) -> (u32, u64) {
    const BIG: usize = 64 << 20;
    let resident = resident_bytes();
    let mut layout = Layout::from_size_align(BIG, 16).unwrap();
    // SAFETY: a layout with a size.
    let mut block = unsafe { allocator.alloc(layout) };
    assert!(!block.is_null());
    // SAFETY: inside the block.
    unsafe { *block = 0x5a };
    let mut moves = 0;
    for page in 1..=256 {
        let size = BIG + page * 4096;
        // SAFETY: ours, with its current layout.
        let moved = unsafe { allocator.realloc(block, layout, size) };
        assert!(!moved.is_null());
        moves += u32::from(moved != block);
        layout = Layout::from_size_align(size, 16).unwrap();
        block = moved;
    }
    // SAFETY: inside the block; then freed the way it came.
    let grown = unsafe {
        assert_eq!(*block, 0x5a);
        let grown = resident_bytes().saturating_sub(resident);
        allocator.dealloc(block, layout);
        grown
    };
    (moves, grown)
}

/// Growing stays what the inner allocator makes of it: in place, or by moving pages, without a copy.
pub(crate) fn in_place(interval: u64) {
    start(interval);
    // Once for what the allocator sets up by itself.
    grow(&Inner);
    let (bare_moves, bare_bytes) = grow(&Inner);
    let (moves, bytes) = grow(&HEAP);
    println!("moves {bare_moves} {moves}, bytes {bare_bytes} {bytes}");
    // A mapping of our own may lie in the way once or twice.
    assert!(
        moves <= bare_moves + 2,
        "moved {moves} times, {bare_moves} without us"
    );
    assert!(
        bytes <= bare_bytes + (4 << 20),
        "{bytes} bytes became resident, {bare_bytes} without us"
    );
    assert_all_settled();
}

#[inline(never)]
fn push_all(list: &mut Vec<u64>, count: u64) {
    for number in 0..count {
        list.push(number);
    }
    black_box(());
}

#[inline(never)]
fn reserve_first() -> Vec<u64> {
    black_box(Vec::with_capacity(10))
}

/// Who makes a Vec grow has it: the site that pushes, with the final capacity and nothing else.
pub(crate) fn ladder(interval: u64) {
    start(interval);
    let mut list = reserve_first();
    push_all(&mut list, 100_000);
    let snapshot = heapsite::snapshot();
    let live: Vec<_> = snapshot
        .sites
        .iter()
        .filter(|site| site.detail.live.objects > 0)
        .collect();
    assert_eq!(live.len(), 1, "one block, one site");
    assert_eq!(live[0].detail.live.bytes, list.capacity() as u64 * 8);
    // Resolving keeps its tables for ever.
    heapsite::set_sample_interval(0);
    let mut names = Vec::new();
    for address in snapshot.stack(live[0]) {
        backtrace::resolve(*address as *mut _, |symbol| {
            names.extend(symbol.name().map(|n| n.to_string()))
        });
    }
    assert!(
        names.iter().any(|name| name.contains("push_all")),
        "{names:?}"
    );
    assert!(
        !names.iter().any(|name| name.contains("reserve_first")),
        "{names:?}"
    );
    drop(names);
    drop(live);
    // 10, 20, 40 … 163,840 elements: one allocation and one free each but for the last.
    let (alloc, free) = (snapshot.facts.alloc, snapshot.facts.free);
    drop(snapshot);
    let steps = (list.capacity() as u64 / 10).ilog2() as u64 + 1;
    assert_eq!((alloc.objects, free.objects), (steps, steps - 1));
    drop(list);
    assert_all_settled();
}
