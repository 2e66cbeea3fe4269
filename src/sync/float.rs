//! A sum of floating-point numbers that several threads add to.
#![forbid(unsafe_code)]

use super::primitive::{AtomicU64, Ordering};

/// Adds `amount` to the `f64` whose bits `cell` holds. Lock-free: a lost race means another thread's
/// addition went through. All-zero bits are 0.0.
pub(crate) fn add(cell: &AtomicU64, amount: f64) {
    if amount == 0.0 {
        return;
    }
    // Relaxed: a statistic of its own; nothing is published through it.
    let mut bits = cell.load(Ordering::Relaxed);
    loop {
        let sum = (f64::from_bits(bits) + amount).to_bits();
        match cell.compare_exchange_weak(bits, sum, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => return,
            Err(current) => bits = current,
        }
    }
}

/// The sum so far.
pub(crate) fn load(cell: &AtomicU64) -> f64 {
    // Relaxed: as in `add`.
    f64::from_bits(cell.load(Ordering::Relaxed))
}
