//! Which names of threads have a series of their own.
//!
//! A pool calls its threads `worker-0` to `worker-63`, a server `conn-48213` after its connection: as labels these would be
//! series without end. What such names have in common is the series.
#![forbid(unsafe_code)]

use crate::profile::resources::Count;

/// Names with a series of their own; all others are one more.
const NAMES: usize = 30;

/// The threads by name, the most numerous first; a number in a name counts as `*`. Their sum is the number of threads.
pub(super) fn series(threads: &[Count]) -> Vec<Count> {
    let mut series: Vec<Count> = Vec::new();
    for threads in threads {
        let name = without_numbers(&threads.name);
        match series.iter_mut().find(|known| known.name == name) {
            Some(known) => known.count = known.count.saturating_add(threads.count),
            None => series.push(Count {
                name,
                count: threads.count,
            }),
        }
    }
    Count::sort(&mut series);
    Count::keep_most(&mut series, NAMES, "(others)");
    series
}

fn without_numbers(name: &str) -> String {
    let mut short = String::with_capacity(name.len());
    let mut in_number = false;
    for character in name.chars() {
        let is_digit = character.is_ascii_digit();
        if !is_digit {
            short.push(character);
        } else if !in_number {
            short.push('*');
        }
        in_number = is_digit;
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(name: impl Into<String>, count: u64) -> Count {
        Count {
            name: name.into(),
            count,
        }
    }

    #[test]
    fn a_pool_is_one_series() {
        let threads = [
            count("main", 1),
            count("worker-0", 1),
            count("io-7-of-12", 1),
            count("worker-15", 1),
            count("io-8-of-12", 1),
            count("worker-", 1),
            count("7", 1),
            count("worker-16", 1),
        ];
        let expected = [
            count("worker-*", 3),
            count("io-*-of-*", 2),
            count("*", 1),
            count("main", 1),
            count("worker-", 1),
        ];
        assert_eq!(series(&threads), expected);
    }

    #[test]
    fn names_are_bounded_and_add_up() {
        let name = |n: u8| "x".repeat(usize::from(n) + 1);
        let threads: Vec<Count> = (0..100).map(|n| count(name(n), 2)).collect();
        let series = series(&threads);
        assert_eq!(series.len(), NAMES + 1);
        assert_eq!(series[NAMES], count("(others)", 140));
    }
}
