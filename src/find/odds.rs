//! The distributions that decisions rest on: binomial and gamma, with real-valued counts.
//!
//! Counts are real because clumped samples count for less than one each (see [`births`](super::births)). Formulas by
//! their numbers in the Digital Library of Mathematical Functions (dlmf.nist.gov).
#![forbid(unsafe_code)]

use crate::profile::growth::two_sided_p;

/// The chance of at most `k` successes in `n` trials of chance `p`: `I(1−p; n−k, k+1)` (DLMF 8.17.5).
pub(super) fn at_most(k: f64, n: f64, p: f64) -> f64 {
    match k {
        k if k >= n => 1.0,
        k if k < 0.0 => 0.0,
        k => incomplete_beta(1.0 - p, n - k, k + 1.0),
    }
}

/// The chance of at least `k` successes in `n` trials of chance `p`.
pub(super) fn at_least(k: f64, n: f64, p: f64) -> f64 {
    match k {
        k if k <= 0.0 => 1.0,
        k if k > n => 0.0,
        k => incomplete_beta(p, k, n - k + 1.0),
    }
}

/// The largest chance of success at which `k` or fewer of `n` still have a chance of `level`: Clopper and Pearson's
/// upper bound (1934), one-sided.
pub(super) fn share_below(k: f64, n: f64, level: f64) -> f64 {
    if k >= n {
        return 1.0;
    }
    bisect(0.0, 1.0, |p| at_most(k, n, p) > level)
}

/// The lower bound, likewise.
pub(super) fn share_above(k: f64, n: f64, level: f64) -> f64 {
    if k <= 0.0 {
        return 0.0;
    }
    bisect(0.0, 1.0, |p| at_least(k, n, p) < level)
}

/// The value that a gamma variable of this shape and of scale 1 stays below with chance `p`.
pub(super) fn gamma_quantile(shape: f64, p: f64) -> f64 {
    if shape <= 0.0 {
        return 0.0;
    }
    let far = shape + 40.0 * shape.sqrt() + 60.0;
    bisect(0.0, far, |x| incomplete_gamma(shape, x) < p)
}

/// The value that a standard normal exceeds in size with chance `p`.
pub(super) fn normal_quantile(p: f64) -> f64 {
    bisect(0.0, 40.0, |z| two_sided_p(z) > p)
}

/// Where `below` turns from true to false, to the last bits of the range.
fn bisect(mut low: f64, mut high: f64, below: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..80 {
        let middle = f64::midpoint(low, high);
        match below(middle) {
            true => low = middle,
            false => high = middle,
        }
    }
    f64::midpoint(low, high)
}

/// Holm's correction (1979): with these the chance that any true null hypothesis has a p below a level is at most the
/// level, whatever the tests have to do with each other.
pub(super) fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let mut adjusted = vec![1.0; p.len()];
    let mut largest = 0.0f64;
    for (rank, &at) in order.iter().enumerate() {
        largest = largest.max(p[at] * (p.len() - rank) as f64).min(1.0);
        adjusted[at] = largest;
    }
    adjusted
}

/// `ln Γ(x)` for `x > 0`, by Stirling's series (DLMF 5.11.1) above 10, to some 13 digits.
fn ln_gamma(x: f64) -> f64 {
    let (mut x, mut shift) = (x, 0.0);
    while x < 10.0 {
        shift += x.ln();
        x += 1.0;
    }
    let y = 1.0 / (x * x);
    let series =
        (1.0 / 12.0 - y * (1.0 / 360.0 - y * (1.0 / 1260.0 - y * (1.0 / 1680.0 - y / 1188.0)))) / x;
    (x - 0.5) * x.ln() - x + 0.5 * (2.0 * std::f64::consts::PI).ln() + series - shift
}

/// The regularised lower gamma function `P(a, x)`: the series DLMF 8.7.1 below `a + 1`, the continued fraction 8.9.2
/// above.
fn incomplete_gamma(a: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    let front = (a * x.ln() - x - ln_gamma(a)).exp();
    if x < a + 1.0 {
        let (mut term, mut sum, mut next) = (1.0 / a, 1.0 / a, a);
        for _ in 0..100_000 {
            next += 1.0;
            term *= x / next;
            sum += term;
            if term < sum * 1e-16 {
                break;
            }
        }
        return front * sum;
    }
    let fraction = lentz(x + 1.0 - a, |i| (-i * (i - a), x + 2.0 * i + 1.0 - a));
    1.0 - front / fraction
}

/// The regularised beta function `I(x; a, b)` by the continued fraction DLMF 8.17.22, on the side where it is fast.
fn incomplete_beta(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return f64::from(x >= 1.0);
    }
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - incomplete_beta_slow_side(1.0 - x, b, a);
    }
    incomplete_beta_slow_side(x, a, b)
}

fn incomplete_beta_slow_side(x: f64, a: f64, b: f64) -> f64 {
    let ln_beta = ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b);
    let front = (a * x.ln() + b * (-x).ln_1p() - ln_beta).exp() / a;
    let fraction = lentz(1.0, |i| {
        let m = (i / 2.0).floor();
        let d = match i % 2.0 == 0.0 {
            true => m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m)),
            false => -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0)),
        };
        (d, 1.0)
    });
    front / fraction
}

/// `b₀ + a₁/(b₁ + a₂/(b₂ + …))` by Lentz's method (1976).
fn lentz(first: f64, term: impl Fn(f64) -> (f64, f64)) -> f64 {
    const TINY: f64 = 1e-300;
    let apart = |x: f64| if x.abs() < TINY { TINY } else { x };
    let mut value = apart(first);
    let (mut c, mut d) = (value, 0.0);
    for i in 1..100_000 {
        let (a, b) = term(f64::from(i));
        d = 1.0 / apart(b + a * d);
        c = apart(b + a / c);
        value *= c * d;
        if (c * d - 1.0).abs() < 1e-15 {
            break;
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(value: f64, expected: f64) {
        assert!(
            (value - expected).abs() <= 1e-9 * expected.abs().max(1e-3),
            "{value} is not {expected}"
        );
    }

    #[test]
    fn tails_are_sums_of_binomial_terms() {
        for n in [1u32, 2, 7, 30, 64] {
            for p in [0.01, 0.2, 0.5, 0.93] {
                let term = |k: u32| {
                    let ways: f64 = (0..k)
                        .map(|i| f64::from(n - i) / f64::from(i + 1))
                        .product();
                    ways * f64::powi(p, k as i32) * f64::powi(1.0 - p, (n - k) as i32)
                };
                for k in 0..=n {
                    let below: f64 = (0..=k).map(term).sum();
                    near(at_most(f64::from(k), f64::from(n), p), below);
                    let above: f64 = (k..=n).map(term).sum();
                    near(at_least(f64::from(k), f64::from(n), p), above);
                }
            }
        }
    }

    #[test]
    fn bounds_are_those_of_tables() {
        // Clopper and Pearson's two-sided 95 % bounds for 4 of 20.
        assert!((share_above(4.0, 20.0, 0.025) - 0.0573).abs() < 5e-5);
        assert!((share_below(4.0, 20.0, 0.025) - 0.4366).abs() < 5e-5);
        near(
            share_below(0.0, 30.0, 0.05),
            1.0 - f64::powf(0.05, 1.0 / 30.0),
        );
        // Chi squared with 10 degrees of freedom: 18.307 is its 95 % point.
        assert!((2.0 * gamma_quantile(5.0, 0.95) - 18.307).abs() < 1e-3);
        // Garwood's 95 % bounds of a Poisson count of 10: 4.795 to 18.39.
        assert!((gamma_quantile(10.0, 0.025) - 4.795).abs() < 1e-3);
        assert!((gamma_quantile(11.0, 0.975) - 18.390).abs() < 1e-3);
        assert!((normal_quantile(0.05) - 1.959_963_984_540).abs() < 1e-9);
    }

    #[test]
    fn holm_steps_down() {
        // Holm's own scheme: the smallest times m, the next times m − 1, never falling.
        assert_eq!(holm(&[0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02]);
        assert_eq!(holm(&[0.9, 0.8]), [1.0, 1.0]);
        assert!(holm(&[]).is_empty());
    }
}
