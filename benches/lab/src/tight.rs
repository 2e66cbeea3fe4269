//! The shortest life: allocate 64 bytes, free them.

use std::alloc::{Layout, alloc, dealloc};
use std::hint::black_box;

use crate::{Time, in_parts};

pub(crate) fn run(operations: u64, threads: usize) -> Time {
    if threads == 1 {
        return in_parts(operations, pairs);
    }
    in_parts(operations, |operations| {
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| pairs(operations));
            }
        });
    })
}

#[inline(never)]
fn pairs(operations: u64) {
    let layout = Layout::new::<[u8; 64]>();
    for _ in 0..operations {
        // SAFETY: the layout has a size, and the block is freed once, with the layout it was made with.
        unsafe {
            let block = black_box(alloc(layout));
            dealloc(block, layout);
        }
    }
}
