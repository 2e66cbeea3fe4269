//! Makes as many sites and live samples as asked for.

use std::hint::black_box;

/// Fills `kept` with `live` blocks, made at `sites` different stacks by turns; exact meanwhile.
pub(crate) fn fill(kept: &mut Vec<Vec<u8>>, sites: u64, live: usize) {
    assert!(kept.capacity() >= live, "growing would be sampled too");
    kept.clear();
    heapsite::set_sample_interval(1);
    for number in 0.. {
        if kept.len() == live {
            break;
        }
        kept.push(at_stack(number % sites));
    }
    heapsite::set_sample_interval(0);
    let made = heapsite::stats::heap().footprint.sites;
    assert!(made >= sites, "{made} sites, not {sites}");
}

/// A block made at the stack with this number, below 4^12; all are of the same depth.
pub(crate) fn at_stack(number: u64) -> Vec<u8> {
    CALLS[number as usize % 4](number / 4, 11)
}

type Call = fn(u64, u32) -> Vec<u8>;
static CALLS: [Call; 4] = [call::<0>, call::<1>, call::<2>, call::<3>];

/// Two bits of the path choose who is called next.
#[inline(never)]
fn call<const WHICH: u64>(path: u64, levels: u32) -> Vec<u8> {
    let block = match levels {
        0 => black_box(Vec::with_capacity(16)),
        _ => CALLS[path as usize % 4](path / 4, levels - 1),
    };
    // Different code in each, so that they stay four functions; after the call, so that it keeps its frame.
    black_box(WHICH);
    block
}
