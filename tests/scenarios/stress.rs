//! Everything at once, from more threads than processors, and nothing left at the end.

use std::alloc::{Layout, alloc, alloc_zeroed, dealloc, realloc};
use std::sync::Mutex;
use std::thread;

use crate::checks::{Numbers, assert_adds_up, assert_all_settled, join_all, start};
use crate::inner;

/// A block with the layout it has to be freed with.
pub(crate) struct Block {
    pub(crate) address: *mut u8,
    pub(crate) layout: Layout,
}

// SAFETY: a block belongs to whoever holds this value.
unsafe impl Send for Block {}

impl Block {
    /// A new block, zeroed if so asked.
    pub(crate) fn new(layout: Layout, zeroed: bool) -> Block {
        // SAFETY: callers' layouts have a size.
        let address = unsafe {
            if zeroed {
                alloc_zeroed(layout)
            } else {
                alloc(layout)
            }
        };
        // Or the optimiser leaves out allocations that it sees the end of.
        let address = std::hint::black_box(address);
        assert!(!address.is_null() && (address as usize).is_multiple_of(layout.align()));
        if zeroed {
            // SAFETY: the block's first and last byte.
            let ends = unsafe { (*address, *address.add(layout.size() - 1)) };
            assert_eq!(ends, (0, 0));
        }
        // SAFETY: within the block.
        unsafe { address.write_bytes(0xa5, layout.size().min(64)) };
        Block { address, layout }
    }

    /// Changes the size; what was there stays there.
    pub(crate) fn resize(&mut self, size: usize) {
        // SAFETY: ours, with this layout; the size is not 0 and far from the limit.
        let address = unsafe { realloc(self.address, self.layout, size) };
        assert!(!address.is_null());
        // SAFETY: both sizes are at least 1.
        assert_eq!(unsafe { *address }, 0xa5, "the contents moved along");
        self.address = address;
        self.layout = Layout::from_size_align(size, self.layout.align()).unwrap();
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: ours, with this layout, and gone afterwards.
        unsafe { dealloc(self.address, self.layout) }
    }
}

/// A layout of 1 byte to 64 KiB; one in eight is aligned more strictly than `malloc` does by itself.
pub(crate) fn any_layout(numbers: &mut Numbers) -> Layout {
    let align = if numbers.below(8) == 0 {
        32 << numbers.below(8)
    } else {
        1 << numbers.below(5)
    };
    Layout::from_size_align(numbers.size(), align).unwrap()
}

/// Ten threads that allocate, zeroed or not, resize, free, and take over each other's blocks.
pub(crate) fn stress(interval: u64) {
    const THREADS: u64 = 10;
    const STEPS: u64 = 6_000;
    start(interval);
    let before = inner::granted();
    let shared: [Mutex<Option<Block>>; 32] = [const { Mutex::new(None) }; 32];
    thread::scope(|scope| {
        let threads = (0..THREADS).map(|seed| {
            let shared = &shared;
            scope.spawn(move || {
                let mut numbers = Numbers(seed);
                let mut own: [Option<Block>; 64] = [const { None }; 64];
                for _ in 0..STEPS {
                    let slot = &mut own[numbers.below(64) as usize];
                    match (numbers.below(4), slot.as_mut()) {
                        (0, Some(block)) => block.resize(numbers.size()),
                        (1, Some(_)) => *slot = None,
                        (2, _) => {
                            let place = &shared[numbers.below(32) as usize];
                            std::mem::swap(slot, &mut place.lock().unwrap());
                        }
                        _ => {
                            *slot =
                                Some(Block::new(any_layout(&mut numbers), numbers.below(2) == 0))
                        }
                    }
                }
            })
        });
        join_all(threads.collect::<Vec<_>>());
    });
    drop(shared);
    if interval == 1 {
        assert_adds_up(before, &[]);
    }
    let allocated = heapsite::snapshot().facts.alloc;
    assert!(allocated.objects > 200, "{} sampled", allocated.objects);
    assert_all_settled();
}
