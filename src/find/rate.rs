//! How fast a place grows, with an interval.
//!
//! If survivors come as a Poisson process, what they add up to is a weighted sum of Poisson counts: each sample is an event
//! of weight `x = w·s` bytes. Its variance is estimated by `v = Σx²`. For the interval Fay and Feuer (1997) fit a
//! gamma distribution: with `y = Σx` and the largest weight `x₁` it reaches from the `α/2` quantile of shape `y²/v` and scale
//! `v/y` to the `1 − α/2` quantile of shape `(y + x₁)²/(v + x₁²)` and scale `(v + x₁²)/(y + x₁)`. For equal weights this is
//! Garwood's exact interval of a Poisson count. It covers at least what it says in all cases that they tried.
//! With clumps of `k`, `v` and `x₁` are `k` times as large.
#![forbid(unsafe_code)]

use super::odds;
use super::place::History;

/// Growth per second, or per count of [`Options::per`](super::Options::per). Estimated.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Rate {
    /// Bytes.
    pub bytes: f64,
    /// Standard error, bytes.
    pub std_error: f64,
    /// Lower end of the 95 % interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Rate {
    /// In other units of time.
    pub(super) fn times(self, factor: f64) -> Rate {
        Rate {
            bytes: self.bytes * factor,
            std_error: self.std_error * factor,
            low: self.low * factor,
            high: self.high * factor,
        }
    }
}

/// Bytes per second that were born in `[from, to]` (nanoseconds) and are still there.
pub(super) fn rate(history: &History, from: f64, to: f64, clumping: f64) -> Rate {
    let seconds = (to - from) / 1e9;
    if seconds <= 0.0 {
        return Rate::default();
    }
    let sum = history.born_in(from, to);
    let y = sum.bytes_estimate;
    // Σ w²s² = Σ w(w−1)s² + Σ ws·s: the recorded variance, and bytes times the mean size.
    let mean_size = y / sum.objects_estimate.max(1.0);
    let v = (sum.bytes_variance + y * mean_size) * clumping;
    let heaviest = |largest: f64, born: &super::place::Born| match born.live.objects {
        0 => largest,
        count => largest.max(born.live.bytes_estimate / count as f64),
    };
    let x = history.born.iter().fold(0.0, heaviest) * clumping;
    let low = if y > 0.0 {
        v / y * odds::gamma_quantile(y * y / v, 0.025)
    } else {
        0.0
    };
    let high = match y + x > 0.0 {
        true => (v + x * x) / (y + x) * odds::gamma_quantile((y + x).powi(2) / (v + x * x), 0.975),
        false => 0.0,
    };
    Rate {
        bytes: y,
        std_error: v.sqrt(),
        low,
        high,
    }
    .times(1.0 / seconds)
}
