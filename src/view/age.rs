//! Ages in bins that people think in.
#![forbid(unsafe_code)]

const SECOND: u64 = 1_000_000_000;

/// Upper ends, nanoseconds, and names; what is older than all of them is in the last.
const BINS: [(u64, &str); 9] = [
    (SECOND, "under 1 s"),
    (10 * SECOND, "1 s to 10 s"),
    (60 * SECOND, "10 s to 1 min"),
    (600 * SECOND, "1 min to 10 min"),
    (3_600 * SECOND, "10 min to 1 h"),
    (6 * 3_600 * SECOND, "1 h to 6 h"),
    (24 * 3_600 * SECOND, "6 h to 1 day"),
    (7 * 24 * 3_600 * SECOND, "1 day to 1 week"),
    (u64::MAX, "over 1 week"),
];

/// The bin of an age in nanoseconds.
pub(super) fn name(age: u64) -> &'static str {
    let bin = BINS.iter().find(|(end, _)| age < *end);
    bin.unwrap_or(&BINS[BINS.len() - 1]).1
}

/// The place of a bin among all, youngest first.
pub(super) fn rank(name: &str) -> usize {
    let place = BINS.iter().position(|(_, bin)| *bin == name);
    place.unwrap_or(BINS.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_age_has_a_bin_and_older_ones_come_later() {
        let ages = [
            0,
            SECOND,
            59 * SECOND,
            60 * SECOND,
            86_400 * SECOND,
            u64::MAX,
        ];
        let ranks = ages.map(|age| rank(name(age)));
        assert_eq!(ranks, [0, 1, 2, 3, 7, 8]);
    }
}
