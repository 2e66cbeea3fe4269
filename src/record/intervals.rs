//! The intervals in use, by number: a live sample remembers the one it was born with in eight bits.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering};

use super::sampler::EXACT;

/// Distinct intervals remembered. A program that switches among more gets the nearest remembered one. "Off" is
/// not among them, because nothing is born while it holds; "exact" always is.
const COUNT: usize = 256;

/// Intervals + 1; 0: free. Entries never change once set.
static INTERVALS: [AtomicU64; COUNT] = {
    let mut intervals = [const { AtomicU64::new(0) }; COUNT];
    intervals[0] = AtomicU64::new(EXACT + 1);
    intervals
};

/// The number of `interval`, remembering it if it is new; the nearest one if the table is full.
pub(crate) fn number_of(interval: u64) -> u8 {
    let wanted = interval + 1;
    let mut nearest = 0;
    for (number, slot) in INTERVALS.iter().enumerate() {
        // Relaxed throughout: an entry is one number and guards nothing else.
        let mut current = slot.load(Ordering::Relaxed);
        if current == 0 {
            match slot.compare_exchange(0, wanted, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return number as u8,
                Err(winner) => current = winner,
            }
        }
        if current == wanted {
            return number as u8;
        }
        if current.abs_diff(wanted) < INTERVALS[nearest].load(Ordering::Relaxed).abs_diff(wanted) {
            nearest = number;
        }
    }
    nearest as u8
}

/// The interval with this number.
pub(crate) fn interval(number: u8) -> u64 {
    INTERVALS[number as usize]
        .load(Ordering::Relaxed)
        .saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_name_intervals_and_a_full_table_gives_the_nearest() {
        let number = number_of(524_288);
        assert_eq!(interval(number), 524_288);
        assert_eq!(number_of(524_288), number);
        for other in 0..300u64 {
            number_of(1_000_000 + other * 1000);
        }
        let near = interval(number_of(1_000_000_000));
        assert!(
            near < 1_000_000_000 && near > 1_200_000,
            "the largest remembered: {near}"
        );
        assert_eq!(interval(number_of(524_288)), 524_288);
        assert_eq!(interval(number_of(EXACT)), EXACT, "always at hand");
    }
}
