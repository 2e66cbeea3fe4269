//! When the survivors of a place were born: how they clump, and since when they come.
#![forbid(unsafe_code)]

use super::place::History;

/// The run is cut into as many windows as a snapshot has.
pub(super) const WINDOWS: usize = 64;

/// Live samples by window of birth.
pub(super) fn windows(history: &History, uptime: f64) -> [f64; WINDOWS] {
    let mut counts = [0.0; WINDOWS];
    for born in &history.born {
        let middle = f64::midpoint(born.from, born.to) / uptime * WINDOWS as f64;
        counts[(middle.max(0.0) as usize).min(WINDOWS - 1)] += born.live.objects as f64;
    }
    counts
}

/// How many samples come and go as one: the factor by which counts vary more than independent ones.
///
/// Of two neighbouring windows that hold `s` independent births of a steady or slowly changing rate, the difference
/// squared is `s` on average. So the mean of `(a − b)²/s` over pairs is 1, and `k` for births in clumps of `k`. A count
/// of `n` then says as much as `n/k` independent ones. Never taken below 1.
pub(super) fn clumping(counts: &[f64]) -> f64 {
    let (mut sum, mut pairs) = (0.0, 0.0);
    for pair in counts.chunks_exact(2) {
        let together = pair[0] + pair[1];
        if together > 0.0 {
            sum += (pair[0] - pair[1]).powi(2) / together;
            pairs += 1.0;
        }
    }
    if pairs > 0.0 {
        (sum / pairs).max(1.0)
    } else {
        1.0
    }
}

/// The window from which on survivors come at a higher rate than before, at least four times: the most likely change point
/// of a Poisson process (Akman and Raftery, 1986). 0 where no change is more likely by `e^10`, which chance makes of a steady
/// rate at any of the 63 points with odds below 63·10⁻⁵.
///
/// What came before must be next to nothing, or a single burst. Otherwise survivors came all along, and the many young ones
/// of a working set at the same line must not hide them.
pub(super) fn onset(counts: &[f64], clumping: f64) -> usize {
    let total: f64 = counts.iter().sum();
    let length = counts.len() as f64;
    let likelihood = |count: f64, length: f64| match count > 0.0 {
        true => count * (count / length).ln(),
        false => 0.0,
    };
    let steady = likelihood(total, length);
    let (mut best, mut onset, mut before) = (10.0, 0, 0.0);
    for at in 1..counts.len() {
        before += counts[at - 1];
        let (early, late) = (at as f64, length - at as f64);
        let gain =
            (likelihood(before, early) + likelihood(total - before, late) - steady) / clumping;
        let is_new = before < 8.0 * clumping || spread(&counts[..at]) < 2.0;
        if gain > best && is_new && before / early * 4.0 < (total - before) / late {
            (best, onset) = (gain, at);
        }
    }
    onset
}

/// Over how many of these groups a sum is spread: `(Σc)²/Σc²`. All equal: their number; all in one: 1.
pub(super) fn spread(counts: &[f64]) -> f64 {
    let squares: f64 = counts.iter().map(|count| count * count).sum();
    let sum: f64 = counts.iter().sum();
    if squares > 0.0 {
        sum * sum / squares
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clumps_are_seen() {
        assert_eq!(clumping(&[5.0; 64]), 1.0);
        let bursts: Vec<f64> = (0..64)
            .map(|i| if i % 4 == 0 { 40.0 } else { 0.0 })
            .collect();
        assert_eq!(clumping(&bursts), 40.0);
        assert_eq!(clumping(&[0.0; 8]), 1.0);
    }

    #[test]
    fn the_onset_is_found() {
        let mut counts = vec![0.0; 64];
        counts[40..].fill(4.0);
        assert_eq!(onset(&counts, 1.0), 40);
        assert_eq!(onset(&[3.0; 64], 1.0), 0);
        // Survivors all along, and a working set in the last window.
        let mut both = vec![3.0; 64];
        both[63] = 50.0;
        assert_eq!(onset(&both, 1.0), 0);
        // A falling rate is no onset.
        counts.reverse();
        assert_eq!(onset(&counts, 1.0), 0);
    }

    #[test]
    fn spread_counts_groups() {
        assert_eq!(spread(&[2.0; 8]), 8.0);
        assert_eq!(spread(&[0.0, 9.0, 0.0]), 1.0);
        assert_eq!(spread(&[]), 0.0);
    }
}
