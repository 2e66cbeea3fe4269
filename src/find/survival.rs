//! How much of what was allocated is still there at an age: a survival curve, from one snapshot.
//!
//! Freed samples tell how long they lived, to a factor of two. Live ones tell that they have lived as long as they are
//! old: their lifetimes are right-censored. Both together are what Kaplan and Meier's estimate (1958) takes. No sample
//! enters late, since all are seen from their birth on.
//!
//! The edges of the buckets are the steps. Within a bucket it is not known who was freed before whom became too
//! young to tell, so those censored in it count as half at risk: the actuarial estimate (Cutler and Ederer, 1958).
//! `S` goes down by `1 − d/(n − c/2)` per bucket. Its variance is Greenwood's (1926), `S² Σ d/(n(n − d))`; the band is made
//! for `ln(−ln S)` and turned back (Kalbfleisch and Prentice, 1980), which keeps it between 0 and 1. Before the first
//! death, where that has no width, it is Clopper and Pearson's.
//!
//! Each sample counts once. Allocations are sampled with a chance of `1 − exp(−size/interval)`, so this is the curve of
//! the allocations weighted by that: of bytes where they are small beside the interval, of allocations where they are large. In
//! return the counts are plain counts, and the errors those of a binomial.
#![forbid(unsafe_code)]

use super::odds;

/// The curve from one age to the next.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Point {
    /// The age at which the survival below holds, nanoseconds.
    pub age_nanos: u64,
    /// Estimated share that is still there at this age.
    pub survival: f64,
    /// Lower end of the 95 % band at this age.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Samples that were at risk up to this age; those censored in between count as half.
    pub at_risk: f64,
    /// Of them freed, as counted.
    pub freed: f64,
}

/// What happened to samples between two ages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) age_nanos: u64,
    pub(super) at_risk: f64,
    pub(super) freed: f64,
}

const LEVEL: f64 = 0.05;

/// The product-limit estimate over steps in order of age.
pub(super) fn product_limit(steps: impl IntoIterator<Item = Step>) -> Vec<Point> {
    let z = odds::normal_quantile(LEVEL);
    let (mut survival, mut greenwood) = (1.0f64, 0.0f64);
    let mut points = Vec::new();
    for Step {
        age_nanos,
        at_risk,
        freed,
    } in steps
    {
        if at_risk <= 0.0 {
            break;
        }
        let freed = freed.min(at_risk);
        survival *= 1.0 - freed / at_risk;
        greenwood += freed / (at_risk * (at_risk - freed));
        let (low, high) = match survival {
            s if s >= 1.0 => (1.0 - odds::share_below(0.0, at_risk, LEVEL / 2.0), 1.0),
            s if s <= 0.0 => (0.0, odds::share_below(0.0, at_risk, LEVEL / 2.0)),
            s => {
                let width = (z * greenwood.sqrt() / s.ln().abs()).exp();
                (s.powf(width), s.powf(1.0 / width))
            }
        };
        points.push(Point {
            age_nanos,
            survival,
            low,
            high,
            at_risk,
            freed,
        });
    }
    points
}

/// The curve of freed samples `(from, to, count)` by lifetime, in buckets that do not overlap, and live ones given by
/// how many are older than an age.
pub(super) fn curve(
    freed: &[(u64, u64, f64)],
    older_than: impl Fn(u64) -> f64,
    oldest: u64,
) -> Vec<Point> {
    let mut edges: Vec<u64> = freed.iter().flat_map(|&(from, to, _)| [from, to]).collect();
    // Where nothing was freed the curve is flat, but its band is not: doubling steps up to the oldest.
    edges.extend((0..6).map(|halved| oldest >> halved));
    edges.retain(|&edge| edge > 0 && edge <= oldest);
    edges.sort_unstable();
    edges.dedup();
    let all: f64 = freed.iter().map(|bucket| bucket.2).sum();
    let mut died_before = 0.0;
    let mut start = 0;
    let mut steps = Vec::new();
    for &end in &edges {
        // A bucket that an edge cuts in two counts where it ends; the last one where the oldest is.
        let ended = |&&(_, to, _): &&(u64, u64, f64)| {
            (to > start && to <= end) || (end == oldest && to > end)
        };
        let died: f64 = freed.iter().filter(ended).map(|bucket| bucket.2).sum();
        let at_start = all - died_before + older_than(start);
        let censored = older_than(start) - older_than(end);
        steps.push(Step {
            age_nanos: end,
            at_risk: at_start - censored / 2.0,
            freed: died,
        });
        died_before += died;
        start = end;
    }
    product_limit(steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Weeks of remission under 6-MP: Freireich and others (1963), as every textbook has them. 1: relapse, 0: censored.
    const REMISSION: [(u64, u8); 21] = [
        (6, 1),
        (6, 1),
        (6, 1),
        (6, 0),
        (7, 1),
        (9, 0),
        (10, 1),
        (10, 0),
        (11, 0),
        (13, 1),
        (16, 1),
        (17, 0),
        (19, 0),
        (20, 0),
        (22, 1),
        (23, 1),
        (25, 0),
        (32, 0),
        (32, 0),
        (34, 0),
        (35, 0),
    ];

    fn exact_steps(data: &[(u64, u8)]) -> Vec<Step> {
        let mut times: Vec<u64> = data.iter().filter(|d| d.1 == 1).map(|d| d.0).collect();
        times.dedup();
        let step = |&time: &u64| Step {
            age_nanos: time,
            at_risk: data.iter().filter(|d| d.0 >= time).count() as f64,
            freed: data.iter().filter(|d| **d == (time, 1)).count() as f64,
        };
        times.iter().map(step).collect()
    }

    #[test]
    fn the_published_curve_comes_out() {
        // Survival and Greenwood's error as printed in Kalbfleisch and Prentice, and by R's survfit; bands by
        // `conf.type = "log-log"`.
        let published = [
            (6, 0.8571),
            (7, 0.8067),
            (10, 0.7529),
            (13, 0.6902),
            (16, 0.6275),
            (22, 0.5378),
            (23, 0.4482),
        ];
        let points = product_limit(exact_steps(&REMISSION));
        assert_eq!(points.len(), published.len());
        for (point, (time, survival)) in points.iter().zip(published) {
            assert_eq!(point.age_nanos, time);
            assert!((point.survival - survival).abs() < 6e-5, "{point:?}");
            assert!(point.low < survival && survival < point.high);
        }
        let first = points[0];
        assert!(
            (first.low - 0.6197).abs() < 1e-3 && (first.high - 0.9516).abs() < 1e-3,
            "{first:?}"
        );
        let last = points[6];
        assert!(
            (last.low - 0.1881).abs() < 1e-3 && (last.high - 0.6801).abs() < 1e-3,
            "{last:?}"
        );
    }

    #[test]
    fn without_censoring_it_is_the_share_that_is_left() {
        let freed = [(1, 2, 4.0), (2, 4, 3.0), (4, 8, 2.0), (8, 16, 1.0)];
        let points = curve(&freed, |_| 0.0, 16);
        let left: Vec<f64> = points
            .iter()
            .map(|point| (point.survival * 10.0).round())
            .collect();
        assert_eq!(left, [10.0, 6.0, 3.0, 1.0, 0.0]);
    }

    #[test]
    fn what_is_never_freed_stays_at_one_with_a_band() {
        let points = curve(&[], |age| 100.0 * (1.0 - age as f64 / 1000.0), 1000);
        assert!(
            points
                .iter()
                .all(|point| point.survival == 1.0 && point.high == 1.0)
        );
        assert!(points[0].low > 0.95 && points.windows(2).all(|pair| pair[1].low <= pair[0].low));
    }
}
