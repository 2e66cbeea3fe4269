//! The chunks of an arena.

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

use crate::check;
use crate::mem::chunks::{Chunks, For};

/// One chunk, and the memory of its two blocks: loom fails where two threads touch one with nothing between them that
/// orders it.
struct Arena {
    chunks: Chunks<1>,
    blocks: [UnsafeCell<u32>; 2],
}

impl Arena {
    fn new() -> Arc<Arena> {
        Arc::new(Arena { chunks: Chunks::new(), blocks: [0, 0].map(UnsafeCell::new) })
    }

    fn touch(&self, block: usize) {
        // SAFETY: loom checks that nobody else does at the same time.
        self.blocks[block].with_mut(|memory| unsafe { *memory += 1 });
    }

    fn touch_all(&self) {
        self.touch(0);
        self.touch(1);
    }

    /// Uses a block and frees it; who frees the last one gives the pages back, or keeps them.
    fn use_and_free(&self, block: usize, keep: bool) -> bool {
        self.touch(block);
        let last = self.chunks.give_up(0) == Some(0);
        if last {
            self.touch_all();
            self.chunks.free(0, keep);
        }
        last
    }
}

/// Of two threads that free the last two blocks of a chunk, one has it alone, and everything was done before.
#[test]
fn one_is_last() {
    check(|| {
        let arena = Arena::new();
        assert_eq!(arena.chunks.take(0, For::Use), Some(false));
        arena.chunks.hold(0);
        let other = {
            let arena = arena.clone();
            thread::spawn(move || arena.use_and_free(1, false))
        };
        let mine = arena.use_and_free(0, true);
        assert!(mine ^ other.join().unwrap());
        assert_eq!(arena.chunks.is_dirty(0), mine);
    });
}

/// The owner takes a chunk again while another thread gives its pages back: before or after, never in between.
#[test]
fn never_taken_while_it_is_released() {
    check(|| {
        let arena = Arena::new();
        assert_eq!(arena.chunks.take(0, For::Use), Some(false));
        let other = {
            let arena = arena.clone();
            thread::spawn(move || assert!(arena.use_and_free(0, false)))
        };
        if arena.chunks.take(0, For::Use).is_some() {
            arena.touch_all();
        }
        other.join().unwrap();
    });
}

/// The owner ends its job and seizes what is dirty, while another thread frees the last block.
#[test]
fn released_once() {
    check(|| {
        let arena = Arena::new();
        assert_eq!(arena.chunks.take(0, For::Use), Some(false));
        let other = {
            let arena = arena.clone();
            thread::spawn(move || assert!(arena.use_and_free(0, true)))
        };
        if arena.chunks.seize_dirty(0) {
            arena.touch_all();
            arena.chunks.free(0, false);
        }
        other.join().unwrap();
        assert!(arena.chunks.is_free(0));
    });
}
