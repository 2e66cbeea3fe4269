//! How many cells beyond the living tasks are more than chance.
//!
//! Let `N` cells be recorded as an estimate `n`, and let `A` tasks be alive, which is exact. A task that is alive has a cell, so
//! `n − A` estimates how many cells are left over. Were there none, `N = A`, then `n` would be a sum of `A` independent
//! terms, each the weight `w` with probability `1/w` or nothing: mean `A`, variance `A(w − 1)`, no term further from its mean than
//! `w`. Bernstein's inequality bounds how often that is off by `t` or more:
//!
//! `P(n − A ≥ t) ≤ exp(−t² / (2(V + w·t/3)))`, `V = A(w − 1)`.
//!
//! It holds for any number of samples, few ones too, unlike a number of standard errors. What is reported has `t` beyond where
//! this is 10⁻⁶, and the smallest `A` that is not beyond is the number of cells there are at least. `w` is the largest weight of
//! the recorded cells: where sizes are mixed the bound is too wide, never too narrow. With two moments the growth of what is left
//! over is asked as well, with `V` from the recorded variances of both.
#![forbid(unsafe_code)]

/// How often a comparison may accuse by chance: `exp(−ODDS)`, 10⁻⁶.
const ODDS: f64 = 13.82;

/// `t` of the module's inequality where both of its terms are what the odds allow.
pub(super) fn bound(variance: f64, weight: f64) -> f64 {
    // t² = 2·ODDS·(V + w·t/3), solved for t.
    let linear = ODDS * weight / 3.0;
    linear + (linear * linear + 2.0 * ODDS * variance).sqrt()
}

/// The smallest number of cells of which as many as `estimate` would be recorded more often than the odds allow.
pub(super) fn least(estimate: f64, weight: f64) -> f64 {
    let (mut low, mut high) = (0.0, estimate.max(0.0));
    // The bound grows with the number: halving finds where they meet, to far less than one.
    for _ in 0..100 {
        let middle = (low + high) / 2.0;
        match estimate - middle >= bound(middle * (weight - 1.0), weight) {
            true => low = middle,
            false => high = middle,
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_is_what_the_odds_allow() {
        for (variance, weight) in [(0.0, 1.0), (1e4, 200.0), (1e9, 3.0)] {
            let t = bound(variance, weight);
            let exponent = t * t / (2.0 * (variance + weight * t / 3.0));
            assert!((exponent - ODDS).abs() < 1e-6, "{exponent}");
        }
        assert!((-ODDS).exp() <= 1e-6);
        for (estimate, weight) in [(40_000.0, 247.0), (600.0, 30.0), (10.0, 247.0)] {
            let least = least(estimate, weight);
            let off = estimate - least - bound(least * (weight - 1.0), weight);
            assert!(least == 0.0 || off.abs() < 1e-3, "{off}");
        }
        assert_eq!(least(10.0, 247.0), 0.0, "one sample proves nothing");
    }
}
