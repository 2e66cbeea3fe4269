//! Additions to counters that one thread alone changes, while any may read them.

use super::primitive::{AtomicU64, Ordering};

/// Adds to a counter that no other thread adds to; who sees the sum sees what this thread did before.
///
/// One instruction without the lock prefix, which takes most of an addition's time: a signal handler that this thread
/// runs comes before it or after it, never in between, as it could between a load and a store.
#[inline(always)]
pub(crate) fn add(counter: &AtomicU64, amount: u64) {
    #[cfg(all(target_arch = "x86_64", not(miri), not(loom)))]
    // SAFETY: changes eight aligned bytes that a reference to an atomic vouches for, which x86-64 stores as one; readers
    // see the old or the new sum. Not `nomem`: stores before it stay before it, and the processor keeps their order.
    unsafe {
        std::arch::asm!(
            "add qword ptr [{counter}], {amount}",
            counter = in(reg) counter.as_ptr(),
            amount = in(reg) amount,
            options(nostack),
        );
    }
    // The model is of one thread's additions, which no handler interrupts: it shows what is lost where two threads do it.
    #[cfg(loom)]
    counter.store(
        counter.load(Ordering::Relaxed).wrapping_add(amount),
        Ordering::Release,
    );
    // Release: as said above.
    #[cfg(all(not(loom), any(not(target_arch = "x86_64"), miri)))]
    counter.fetch_add(amount, Ordering::Release);
}

/// [`add`] where `own` says that the counter is this thread's, and else an addition beside others'.
#[inline(always)]
pub(crate) fn add_if(own: bool, counter: &AtomicU64, amount: u64) {
    if own {
        add(counter, amount);
    } else {
        // Release: as in `add`.
        counter.fetch_add(amount, Ordering::Release);
    }
}
