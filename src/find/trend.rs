//! Levels at several moments: how fast they rise, and whether that is more than their order by chance.
#![forbid(unsafe_code)]

use super::odds::normal_quantile;
use super::rate::Rate;
use crate::profile::growth::two_sided_p;

/// A trend over several snapshots.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Trend {
    /// Theil and Sen's slope: the median of the slopes between all pairs, per second or per count.
    pub slope: Rate,
    /// Mann and Kendall's `S`: pairs that rise less pairs that fall.
    pub s: i64,
    /// The chance that levels without a trend rise as much: one-sided, exact up to 40 snapshots, not corrected.
    pub p: f64,
    /// Bytes from the first level to the last.
    pub rise: f64,
    /// The later half's part of the growth, 0 to 1 for levels that only rise.
    pub later_share: f64,
}

/// Up to here the distribution of `S` is counted out.
const EXACT_UP_TO: usize = 40;

/// The trend of `levels` at ascending `moments`. `None` for fewer than three, or moments that do not ascend.
pub fn trend(moments: &[f64], levels: &[f64]) -> Option<Trend> {
    let n = levels.len();
    if n < 3 || moments.len() != n || !moments.windows(2).all(|pair| pair[0] < pair[1]) {
        return None;
    }
    let (s, p) = mann_kendall(levels);
    let halves = (levels[n - 1] - levels[n / 2], levels[n - 1] - levels[0]);
    Some(Trend {
        slope: theil_sen(moments, levels),
        s,
        p,
        rise: halves.1,
        later_share: if halves.1 == 0.0 {
            0.0
        } else {
            halves.0 / halves.1
        },
    })
}

/// Sen's estimate (1968) and his interval: of the `N` sorted slopes those at ranks `(N ∓ C)/2`, where `C` is 1.96 standard
/// deviations of `S`. Moments differ, so ties are of levels alone.
fn theil_sen(moments: &[f64], levels: &[f64]) -> Rate {
    let n = levels.len();
    let pairs = (0..n).flat_map(|i| (i + 1..n).map(move |j| (i, j)));
    let mut slopes: Vec<f64> = pairs
        .map(|(i, j)| (levels[j] - levels[i]) / (moments[j] - moments[i]))
        .collect();
    slopes.sort_unstable_by(f64::total_cmp);
    let last = slopes.len() - 1;
    let median = f64::midpoint(slopes[last / 2], slopes[slopes.len() / 2]);
    let z = normal_quantile(0.05);
    let reach = z * variance(levels).sqrt();
    let low = ((slopes.len() as f64 - reach) / 2.0).floor().max(1.0) as usize - 1;
    let (low, high) = (slopes[low.min(last)], slopes[last - low.min(last)]);
    Rate {
        bytes: median,
        std_error: (high - low) / (2.0 * z),
        low,
        high,
    }
}

/// Sizes of groups of equal levels.
fn ties(levels: &[f64]) -> Vec<usize> {
    let mut sorted = levels.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.chunk_by(|a, b| a == b).map(<[f64]>::len).collect()
}

/// Of `S`, where levels are tied (Kendall, 1970): `(n(n−1)(2n+5) − Σ t(t−1)(2t+5))/18`.
fn variance(levels: &[f64]) -> f64 {
    let term = |n: usize| (n * (n - 1) * (2 * n + 5)) as f64;
    let tied: f64 = ties(levels).into_iter().map(term).sum();
    (term(levels.len()) - tied) / 18.0
}

/// `S`, and the chance of as large a one if all orders of these levels are equally likely.
fn mann_kendall(levels: &[f64]) -> (i64, f64) {
    let n = levels.len();
    let sign =
        |i: usize, j: usize| i64::from(levels[j] > levels[i]) - i64::from(levels[j] < levels[i]);
    let s: i64 = (0..n)
        .flat_map(|i| (i + 1..n).map(move |j| (i, j)))
        .map(|(i, j)| sign(i, j))
        .sum();
    if n > EXACT_UP_TO {
        let deviation = variance(levels).sqrt();
        let z = (s as f64 - s.signum() as f64) / deviation;
        let half = if deviation > 0.0 {
            two_sided_p(z) / 2.0
        } else {
            0.5
        };
        return (s, if s > 0 { half } else { 1.0 - half });
    }
    // S = untied pairs − 2 × inversions, so a large S is few inversions.
    let odds = inversions(&ties(levels));
    let untied = odds.len() as i64 - 1;
    let most = ((untied - s) / 2).max(0) as usize;
    (s, odds.iter().take(most + 1).sum::<f64>().min(1.0))
}

/// The chance of each number of inversions in a random order of groups of equal values.
///
/// A group of `t` is put among the `m` smaller ones one value at a time; its inversions are distributed as those of
/// the Gaussian binomial `[m+t over t]` (MacMahon, 1913): products of `(1 − q^(m+i))/(1 − q^i)`.
fn inversions(groups: &[usize]) -> Vec<f64> {
    let mut odds = vec![1.0];
    let mut placed = 0;
    for &group in groups {
        let ways = gaussian_binomial(placed, group);
        let mut next = vec![0.0; odds.len() + ways.len() - 1];
        for (i, a) in odds.iter().enumerate() {
            for (j, b) in ways.iter().enumerate() {
                next[i + j] += a * b;
            }
        }
        odds = next;
        placed += group;
    }
    odds
}

/// The odds of the inversions between `m` smaller and `t` equal larger values in random order. Whoever comes last is a
/// larger one, with odds `t/(m+t)` and no inversions, or a smaller one, which has all `t` before it.
fn gaussian_binomial(m: usize, t: usize) -> Vec<f64> {
    let mut row: Vec<Vec<f64>> = (0..=m).map(|_| vec![1.0]).collect(); // no larger ones
    for larger in 1..=t {
        let mut next: Vec<Vec<f64>> = vec![vec![1.0]];
        for smaller in 1..=m {
            let chance = larger as f64 / (larger + smaller) as f64;
            let mut odds = vec![0.0; larger * smaller + 1];
            for (k, p) in row[smaller].iter().enumerate() {
                odds[k] += chance * p;
            }
            for (k, p) in next[smaller - 1].iter().enumerate() {
                odds[k + larger] += (1.0 - chance) * p;
            }
            next.push(odds);
        }
        row = next;
    }
    row.swap_remove(m)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(value: f64, expected: f64, error: f64) {
        assert!(
            (value - expected).abs() < error,
            "{value} is not {expected}"
        );
    }

    #[test]
    fn odds_are_those_of_the_tables() {
        // Hollander and Wolfe (1973), table A.30; Gilbert (1987), table A18: upper tails of S.
        for (n, s, p) in [
            (4, 4, 0.167),
            (4, 6, 0.042),
            (5, 6, 0.117),
            (5, 10, 0.0083),
            (8, 16, 0.031),
            (9, 18, 0.038),
            (10, 21, 0.036),
            (10, 45, 2.8e-7),
        ] {
            let odds = inversions(&vec![1; n]);
            let most = (n * (n - 1) / 2 - s) / 2;
            near(odds[..=most].iter().sum(), p, 5.1e-4_f64.max(0.0));
        }
    }

    #[test]
    fn ties_are_counted_out() {
        // All orders of these, by brute force.
        for levels in [
            vec![1.0, 1.0, 2.0, 3.0, 3.0],
            vec![1.0, 2.0, 2.0, 2.0, 4.0, 5.0],
            vec![7.0; 4],
        ] {
            let (s, p) = mann_kendall(&levels);
            let mut order: Vec<usize> = (0..levels.len()).collect();
            let (mut all, mut as_large) = (0.0, 0.0);
            permute(&mut order, 0, &mut |order| {
                let shuffled: Vec<f64> = order.iter().map(|&at| levels[at]).collect();
                all += 1.0;
                as_large += f64::from(u8::from(mann_kendall(&shuffled).0 >= s));
            });
            near(p, as_large / all, 1e-12);
        }
    }

    fn permute(order: &mut Vec<usize>, from: usize, visit: &mut impl FnMut(&[usize])) {
        if from == order.len() {
            return visit(order);
        }
        for at in from..order.len() {
            order.swap(from, at);
            permute(order, from + 1, visit);
            order.swap(from, at);
        }
    }

    #[test]
    fn exact_and_normal_odds_meet() {
        let levels: Vec<f64> = (0..40)
            .map(|i| f64::from((i * 7919) % 101) + f64::from(i))
            .collect();
        let (s, exact) = mann_kendall(&levels);
        let z = (s as f64 - 1.0) / variance(&levels).sqrt();
        near(exact, two_sided_p(z) / 2.0, 0.003);
    }

    #[test]
    fn slopes_are_medians() {
        // One wild value does not move it.
        let moments: Vec<f64> = (0..11).map(f64::from).collect();
        let mut levels: Vec<f64> = moments.iter().map(|t| 5.0 + 3.0 * t).collect();
        levels[5] = 1e9;
        let found = trend(&moments, &levels).expect("eleven moments ascend");
        near(found.slope.bytes, 3.0, 1e-9);
        assert!(found.slope.low <= 3.0 && found.slope.high >= 3.0 && found.p < 1e-4);
        assert!(trend(&[1.0, 1.0, 2.0], &[0.0; 3]).is_none());
        let flat = trend(&[1.0, 2.0, 3.0], &[4.0; 3]).expect("three moments");
        assert_eq!((flat.s, flat.p), (0, 1.0));
    }
}
