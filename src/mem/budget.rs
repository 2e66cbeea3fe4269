//! How much address space the recorder has taken, and how much it may take.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::sys;

/// Mapped, not resident: tables double, so at most twice what is used, and untouched pages cost nothing.
const DEFAULT_LIMIT: u64 = 512 << 20;
/// Regions remembered for measuring what is resident. Tables double, so 100 is beyond any address space.
const REGIONS: usize = 128;

static LIMIT: AtomicU64 = AtomicU64::new(DEFAULT_LIMIT);
static MAPPED: AtomicU64 = AtomicU64::new(0);
static REGION_COUNT: AtomicUsize = AtomicUsize::new(0);
static REGION: [(AtomicUsize, AtomicUsize); REGIONS] =
    [const { (AtomicUsize::new(0), AtomicUsize::new(0)) }; REGIONS];

/// Maps zeroed memory within the bound; `None`: the bound or the system says no.
pub(super) fn map(bytes: usize) -> Option<NonNull<u8>> {
    let bytes_taken = bytes as u64;
    // Relaxed throughout: the sum is all that counts. Taken only if it fits, so that a request that is refused
    // never stands in the way of a smaller one.
    MAPPED
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |mapped| {
            let sum = mapped.checked_add(bytes_taken)?;
            (sum <= LIMIT.load(Ordering::Relaxed)).then_some(sum)
        })
        .ok()?;
    let start = sys::map_zeroed(bytes);
    if start.is_none() {
        MAPPED.fetch_sub(bytes_taken, Ordering::Relaxed);
    }
    start
}

/// Gives back a mapping that lost the race to be published.
///
/// # Safety
/// `start` and `bytes` come from one [`map`]; nobody refers to the memory.
#[cfg_attr(loom, expect(dead_code, reason = "models take their memory from Box"))]
pub(super) unsafe fn unmap(start: NonNull<u8>, bytes: usize) {
    // SAFETY: handed over whole by the caller.
    unsafe { sys::unmap(start, bytes) };
    MAPPED.fetch_sub(bytes as u64, Ordering::Relaxed);
}

/// Remembers a mapping that stays, for [`resident_bytes`].
pub(super) fn keep(start: NonNull<u8>, bytes: usize) {
    // Relaxed claim of a number of its own; beyond the table a region is not measured (never reached).
    let number = REGION_COUNT.fetch_add(1, Ordering::Relaxed);
    if let Some((address, length)) = REGION.get(number) {
        length.store(bytes, Ordering::Relaxed);
        // Release: who sees the address sees the length.
        address.store(start.as_ptr() as usize, Ordering::Release);
    }
}

/// Bytes of address space taken: an upper bound of the memory used.
pub(crate) fn mapped_bytes() -> u64 {
    MAPPED.load(Ordering::Relaxed)
}

/// Bytes of it that are resident, as `mincore` tells; asked from outside the wall only.
pub(crate) fn resident_bytes() -> u64 {
    regions()
        .filter_map(|(start, bytes)| sys::resident_bytes(start, bytes))
        .sum()
}

/// Address and length of every mapping that stays.
pub(crate) fn regions() -> impl Iterator<Item = (usize, usize)> {
    REGION.iter().filter_map(|(address, length)| {
        // Acquire: pairs with `keep`.
        let start = address.load(Ordering::Acquire);
        (start != 0).then(|| (start, length.load(Ordering::Relaxed)))
    })
}

/// The bound, bytes of address space.
pub(crate) fn limit_bytes() -> u64 {
    LIMIT.load(Ordering::Relaxed)
}

/// Changes the bound; what is mapped already stays.
pub(crate) fn set_limit_bytes(bytes: u64) {
    LIMIT.store(bytes, Ordering::Relaxed);
}
