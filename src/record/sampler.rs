//! Which allocations are sampled, and how many each of them stands for.
//!
//! Think of every requested byte as carrying an independent chance of about 1/R to be marked, R being the
//! interval: the distance to the next marked byte is exponential with mean R. An allocation is sampled if
//! one of its bytes is marked, so an allocation of s bytes is sampled with probability
//! p(s) = 1 − exp(−s/R), whatever came before it (the distribution has no memory). Counting each sampled
//! allocation 1/p(s) times makes every sum over allocations unbiased (Horvitz and Thompson, 1952), and
//! Σ (1−p)/p² · value² over the sampled ones is an unbiased estimate of that sum's variance. The chapter
//! on sampling in the guide derives both.
#![forbid(unsafe_code)]

/// Interval at which every allocation is recorded and every number is exact.
pub(crate) const EXACT: u64 = 1;
/// Interval at which nothing is recorded.
pub(crate) const OFF: u64 = 0;
/// Longest interval: keeps weights below 2^36, so that sums of them fit (see [`Weight`]).
pub(crate) const MAX_INTERVAL: u64 = 1 << 36;

/// How many allocations one sampled allocation stands for, in 1/2^16.
///
/// Fixed point, and a pure function of size and interval: a free subtracts exactly what its allocation
/// added, so a site whose allocations are all freed shows exactly zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Weight(u64);

const ONE: u64 = 1 << 16;

impl Weight {
    /// An allocation that stands for itself alone.
    pub(crate) const ONE: Weight = Weight(ONE);

    /// Whether estimates are counts.
    pub(crate) fn is_one(self) -> bool {
        self.0 == ONE
    }

    /// The weight of an allocation of `size` bytes sampled at `interval`: 1/(1 − exp(−size/interval)).
    pub(crate) fn new(size: u64, interval: u64) -> Weight {
        if interval <= EXACT {
            return Weight(ONE);
        }
        let weight = 1.0 / probability(size, interval);
        Weight((weight * ONE as f64).round() as u64)
    }

    /// Allocations, in 1/2^16.
    pub(crate) fn objects(self) -> u64 {
        self.0
    }

    /// Bytes, rounded to the nearest.
    pub(crate) fn bytes(self, size: u64) -> u64 {
        ((u128::from(self.0) * u128::from(size) + u128::from(ONE / 2)) >> 16) as u64
    }

    /// What this sampled allocation adds to the variance of an estimated count: (1−p)/p² = w·(w−1).
    pub(crate) fn count_variance(self) -> f64 {
        let weight = self.0 as f64 / ONE as f64;
        weight * (weight - 1.0)
    }
}

/// Allocations from a sum of [`Weight::objects`].
pub(crate) fn objects_from_fixed(sum: u64) -> f64 {
    sum as f64 / ONE as f64
}

/// The probability that an allocation of `size` bytes is sampled.
pub(crate) fn probability(size: u64, interval: u64) -> f64 {
    if interval <= EXACT {
        1.0
    } else {
        -(-(size as f64) / interval as f64).exp_m1()
    }
}

/// A small random generator (splitmix64; Steele, Lea and Flood 2014): one per thread, seeded apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// The generator of a thread, given the recorder's seed and the thread's number.
    pub(crate) fn for_thread(seed: u64, thread_number: u32) -> Random {
        let mut random =
            Random(seed ^ u64::from(thread_number).wrapping_mul(0xd1b5_4a32_d192_ed03));
        random.next();
        random
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Whole bytes before the next marked one: the floor of an exponential variable of mean `interval`.
    ///
    /// The floor keeps the probability exact: for a whole number s, ⌊E⌋ < s if and only if E < s.
    pub(crate) fn gap(&mut self, interval: u64) -> i64 {
        // In (0, 1]: 53 random bits, never 0, whose logarithm would be infinite.
        let uniform = ((self.next() >> 11) + 1) as f64 / (1u64 << 53) as f64;
        (-uniform.ln() * interval as f64) as i64
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn weights_are_one_over_the_probability() {
        assert_eq!(Weight::new(64, EXACT).objects(), ONE);
        assert_eq!(Weight::new(64, EXACT).count_variance(), 0.0);
        for (size, interval, expected) in [
            (1u64, 524_288u64, 524_288.5),
            (64, 524_288, 8192.5),
            (524_288, 524_288, 1.0 / (1.0 - (-1.0f64).exp())),
            (64 << 20, 4096, 1.0),
        ] {
            let weight = Weight::new(size, interval);
            let objects = objects_from_fixed(weight.objects());
            assert!(
                (objects / expected - 1.0).abs() < 1e-5,
                "{size} at {interval}: {objects}"
            );
            assert!((weight.bytes(size) as f64 / (expected * size as f64) - 1.0).abs() < 1e-5);
        }
    }

    #[test]
    fn the_largest_weight_leaves_room_for_many() {
        // 2^52 in a sum of 2^64: 4,096 one-byte samples at 64 GiB each, 256 TiB of single bytes.
        assert!(Weight::new(1, MAX_INTERVAL).objects() <= 1 << 53);
    }

    /// P(⌊E⌋ < s) must be 1 − exp(−s/R) for every s: compared at several s over 2^20 draws. Each
    /// comparison is a binomial proportion; 6 standard errors are exceeded with probability 2e-9.
    #[test]
    fn gaps_are_exponential() {
        let (interval, draws) = (4096u64, 1 << 20);
        let mut random = Random::for_thread(7, 1);
        let gaps: Vec<i64> = (0..draws).map(|_| random.gap(interval)).collect();
        for size in [1u64, 16, 100, 1000, 4096, 10_000, 40_000] {
            let hit = gaps.iter().filter(|gap| **gap < size as i64).count() as f64;
            let p = probability(size, interval);
            let standard_error = (p * (1.0 - p) * draws as f64).sqrt();
            assert!(
                (hit - p * draws as f64).abs() < 6.0 * standard_error,
                "size {size}: {hit}"
            );
        }
    }

    #[test]
    fn threads_draw_different_numbers() {
        let first = Random::for_thread(7, 1).next();
        assert_ne!(first, Random::for_thread(7, 2).next());
        assert_eq!(first, Random::for_thread(7, 1).next());
    }
}
