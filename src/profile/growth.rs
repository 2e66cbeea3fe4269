//! How much something grew, how far off that number may be, and whether chance explains it.
//!
//! # Where the error comes from
//! Allocation `i` of size `s` is sampled with probability `p = 1 − exp(−s/R)`, independently of all others
//! (`R` is the mean interval), and then stands for `1/p` allocations. The sum over the sampled ones,
//! `Σ s/p`, is unbiased; its variance is `Σ s²(1−p)/p` over all allocations, which `Σ s²(1−p)/p²` over the
//! sampled ones estimates without bias (Horvitz and Thompson, 1952). A recorder keeps that sum per site, and
//! because samples are independent, variances of different allocations add up.
//!
//! # Growth within one process
//! Let `K` be what was live at both ends, `F` what was live at the base and freed since, `A` what was
//! allocated since and is live now, `C` what came and went between. Each allocation keeps the weight it was
//! born with, so `K` cancels out of the difference of the two estimates, error and all:
//! `Δlive = A − F` and `Var(Δlive) = Var A + Var F`. That is not recorded as such, but bounded twice:
//! * `Var live_new + Var live_base = Var A + Var F + 2 Var K`,
//! * `(Var alloc_new − Var alloc_base) + (Var free_new − Var free_base) = Var A + Var F + 2 Var C`.
//!
//! The smaller bound is used: a large old cache (`K`) does not blur a small leak, nor does traffic (`C`).
//! For what was ever allocated, `Var(Δalloc) = Var alloc_new − Var alloc_base` exactly.
//!
//! # Growth between processes
//! Nothing is shared: the variances of the two ends add up.
//!
//! # Profiles that do not record variances
//! From a period `R`, an estimate `n` of objects and their bytes `S`, with the mean size `s = S/n` for every
//! size: `Var objects ≈ n(1−p)/p`, `Var bytes ≈ n s²(1−p)/p`. Without a count of objects,
//! `s(1−p)/p = s/(exp(s/R)−1) ≤ R` gives `Var bytes ≤ S·R`. Both are marked [`Basis::Approximate`].
#![forbid(unsafe_code)]

use std::ops::AddAssign;

/// The latest birth that a live sample can have, nanoseconds since the recorder's start (417 days): births after it
/// are recorded as this.
pub(crate) const LAST_BIRTH_NANOS: u64 = ((1 << 42) - 1) << 13;

/// What a [`Growth`]'s error rests on, best first. A sum is as good as its worst part.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Basis {
    /// Every allocation was recorded: there is no error.
    #[default]
    Exact,
    /// Variances that a heapsite recorder kept.
    Recorded,
    /// Variances guessed from the period and the mean size.
    Approximate,
    /// The profile says nothing from which an error could be told.
    Unknown,
}

/// A value before and after.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Growth {
    /// In the base, in the unit of the sample type.
    pub base: i64,
    /// In the new profile.
    pub new: i64,
    /// `new - base`, at the end of the range where that overflows.
    pub delta: i64,
    /// Standard error of `delta` (one σ, an upper bound within one process); 0: exact; NaN: unknown.
    pub std_error: f64,
    /// `delta / std_error`; infinite for an exact growth, 0 for none at all, NaN: unknown.
    pub z: f64,
    /// What `std_error` rests on.
    pub basis: Basis,
}

impl Growth {
    /// Puts a growth together from its ends and the variance of their difference.
    pub fn new(base: i64, new: i64, variance: f64, basis: Basis) -> Growth {
        let delta = new.saturating_sub(base);
        let std_error = match basis {
            Basis::Exact => 0.0,
            Basis::Unknown => f64::NAN,
            Basis::Recorded | Basis::Approximate => variance.max(0.0).sqrt(),
        };
        let z = match delta {
            0 if basis != Basis::Unknown => 0.0,
            delta => delta as f64 / std_error,
        };
        Growth {
            base,
            new,
            delta,
            std_error,
            z,
            basis,
        }
    }

    /// Variance of `delta`: the square of the standard error.
    pub fn variance(&self) -> f64 {
        self.std_error * self.std_error
    }

    /// How likely chance alone makes a growth or shrinkage as large as this: two-sided, for a normal error.
    /// `None`: unknown. Few samples are not normal; below about ten the value is a guide, not a proof.
    pub fn p_value(&self) -> Option<f64> {
        (!self.z.is_nan()).then(|| two_sided_p(self.z))
    }

    /// Whether `delta` differs from 0 at `level` (say 0.01) although it was picked from `rows` rows:
    /// Bonferroni's correction of [`Growth::p_value`]. Unknown errors are never significant.
    pub fn is_significant(&self, level: f64, rows: usize) -> bool {
        self.p_value().is_some_and(|p| bonferroni(p, rows) <= level)
    }
}

/// Adds the growth of other stacks. They are sampled independently: variances add up.
impl AddAssign for Growth {
    fn add_assign(&mut self, other: Growth) {
        *self = Growth::new(
            self.base.saturating_add(other.base),
            self.new.saturating_add(other.new),
            self.variance() + other.variance(),
            self.basis.max(other.basis),
        );
    }
}

/// Bonferroni's correction: the chance that any of `rows` rows is as extreme is at most `p × rows`.
pub fn bonferroni(p: f64, rows: usize) -> f64 {
    (p * rows as f64).min(1.0)
}

/// Two-sided p-value of a standard normal: `erfc(|z|/√2)`, to a relative error of about 1e-10.
pub fn two_sided_p(z: f64) -> f64 {
    erfc(z.abs() * std::f64::consts::FRAC_1_SQRT_2)
}

/// The complementary error function for `x ≥ 0`. Below 3 by the series `erf x = 2/√π e^(−x²) Σ 2ⁿx^(2n+1)/(2n+1)!!`,
/// whose terms are all positive; above by the continued fraction
/// `erfc x = e^(−x²)/√π · 1/(x + (1/2)/(x + (2/2)/(x + (3/2)/(x + …))))` (Abramowitz and Stegun 7.1.6, 7.1.14).
fn erfc(x: f64) -> f64 {
    let gauss = (-x * x).exp();
    let sqrt_pi = std::f64::consts::PI.sqrt();
    if x < 3.0 {
        let mut term = x;
        let mut sum = x;
        let mut odd = 1.0;
        while term > sum * 1e-17 {
            odd += 2.0;
            term *= 2.0 * x * x / odd;
            sum += term;
        }
        1.0 - 2.0 / sqrt_pi * gauss * sum
    } else if x < 28.0 {
        let tail = (1..=60)
            .rev()
            .fold(x, |tail, k| x + f64::from(k) / 2.0 / tail);
        gauss / (sqrt_pi * tail)
    } else {
        0.0 // Below the smallest f64.
    }
}

/// Variance of an estimate of `objects` and `bytes` from profiles that do not keep it; `None` for a number
/// that the profile does not have. First of the objects, then of the bytes.
pub(crate) fn guess_variance(
    objects: Option<i64>,
    bytes: Option<i64>,
    period: f64,
) -> (Option<f64>, Option<f64>) {
    let positive = |value: i64| (value as f64).abs();
    match (objects.map(positive), bytes.map(positive)) {
        (Some(objects), Some(bytes)) if objects > 0.0 => {
            let size = bytes / objects;
            // (1−p)/p = 1/(exp(s/R)−1), without loss of digits for small s.
            let odds = 1.0 / (size / period).exp_m1();
            let odds = if odds.is_finite() { odds } else { 0.0 };
            (Some(objects * odds), Some(objects * size * size * odds))
        }
        (Some(_), Some(bytes)) => (Some(0.0), Some(bytes * period)),
        (None, Some(bytes)) => (None, Some(bytes * period)),
        (Some(_) | None, None) => (None, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(value: f64, expected: f64, relative: f64) {
        assert!(
            (value / expected - 1.0).abs() < relative,
            "{value} is not {expected}"
        );
    }

    #[test]
    fn p_values_agree_with_tables() {
        // Quantiles of the normal distribution, from tables.
        near(two_sided_p(1.0), 0.317_310_507_862_914, 1e-12);
        near(two_sided_p(-1.959_963_984_540_054), 0.05, 1e-12);
        near(two_sided_p(3.290_526_731_491_926), 0.001, 1e-11);
        near(two_sided_p(5.0), 5.733_031_437_583_878e-7, 1e-9);
        near(two_sided_p(10.0), 1.523_970_604_832_094e-23, 1e-9);
        assert_eq!(two_sided_p(0.0), 1.0);
        assert_eq!(two_sided_p(f64::INFINITY), 0.0);
        // Both formulas meet at 3.
        near(erfc(3.0 - 1e-12), erfc(3.0), 1e-9);
    }

    #[test]
    fn growth_knows_its_quality() {
        let exact = Growth::new(10, 25, 0.0, Basis::Exact);
        assert_eq!(
            (exact.delta, exact.std_error, exact.z),
            (15, 0.0, f64::INFINITY)
        );
        assert!(exact.is_significant(1e-9, 1_000_000));
        let none = Growth::new(10, 10, 0.0, Basis::Exact);
        assert_eq!((none.delta, none.z, none.p_value()), (0, 0.0, Some(1.0)));
        let unknown = Growth::new(10, 25, 1.0, Basis::Unknown);
        assert!(unknown.std_error.is_nan() && unknown.p_value().is_none());
        assert!(!unknown.is_significant(1.0, 1));

        let mut sum = Growth::new(0, 30, 9.0, Basis::Recorded);
        sum += Growth::new(0, 10, 16.0, Basis::Approximate);
        assert_eq!((sum.delta, sum.std_error, sum.z), (40, 5.0, 8.0));
        assert_eq!(sum.basis, Basis::Approximate);
        sum += unknown;
        assert!(sum.std_error.is_nan());
        assert_eq!(
            Growth::new(i64::MIN, i64::MAX, 0.0, Basis::Exact).delta,
            i64::MAX
        );
    }

    #[test]
    fn many_rows_ask_for_more() {
        let growth = Growth::new(0, 3, 1.0, Basis::Recorded); // p = 0.0027
        assert!(growth.is_significant(0.01, 3));
        assert!(!growth.is_significant(0.01, 4));
        assert_eq!(bonferroni(0.5, 10), 1.0);
    }

    #[test]
    fn guesses_follow_the_formula() {
        let period = 524_288.0;
        let (objects, bytes) = guess_variance(Some(1000), Some(64_000), period);
        let p = 1.0 - (-64.0f64 / period).exp();
        near(objects.unwrap(), 1000.0 * (1.0 - p) / p, 1e-9);
        near(bytes.unwrap(), 1000.0 * 64.0 * 64.0 * (1.0 - p) / p, 1e-9);
        // Without a count: never less than with one.
        let (none, bound) = guess_variance(None, Some(64_000), period);
        assert!(none.is_none() && bound.unwrap() >= bytes.unwrap());
        // Far above the period nothing is missed.
        assert_eq!(
            guess_variance(Some(1), Some(1 << 40), period),
            (Some(0.0), Some(0.0))
        );
        assert_eq!(
            guess_variance(Some(0), Some(0), period),
            (Some(0.0), Some(0.0))
        );
    }
}
