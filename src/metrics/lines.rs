//! Which functions have a series of their own: see [`shown`](super::shown).
#![forbid(unsafe_code)]

use std::collections::HashMap;

use super::shown::Shown;
use crate::snapshot::lines::{LineLevel, NOT_NAMED_YET};
use crate::view::name::fit_function;

/// Longer names are cut in the middle of their path, as tables do it.
const NAME_CHARACTERS: usize = 120;

/// A function in its file, as labels.
pub(super) type Name = (String, String);

/// One series.
#[derive(Debug, PartialEq)]
pub(super) struct Series {
    pub(super) function: String,
    pub(super) file: String,
    pub(super) live_bytes: f64,
}

/// The functions that the last scrape showed.
pub(super) type ShownFunctions = Shown<Name>;

impl ShownFunctions {
    /// At most `most` series and one for all others; their sum is what is live.
    pub(super) fn series(&mut self, levels: &[LineLevel], most: usize) -> Vec<Series> {
        let mut by_function: HashMap<Name, f64> = HashMap::new();
        let mut not_named = 0.0;
        for level in levels {
            if level.line.function == NOT_NAMED_YET {
                not_named += level.live.bytes_estimate;
                continue; // it will have been something else, so it gets no series
            }
            let file = level.line.file.rsplit(['/', '\\']).next().unwrap_or("");
            let name = fit_function(&level.line.function, NAME_CHARACTERS);
            *by_function.entry((name, file.to_owned())).or_default() += level.live.bytes_estimate;
        }
        let total = not_named + by_function.values().sum::<f64>();
        let mut largest: Vec<(Name, f64)> = by_function.into_iter().collect();
        largest.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        self.choose(&largest, most);
        let mut series: Vec<Series> = largest
            .into_iter()
            .filter(|(name, _)| self.has(name))
            .map(|((function, file), live_bytes)| Series {
                function,
                file,
                live_bytes,
            })
            .collect();
        let others = total - series.iter().map(|one| one.live_bytes).sum::<f64>();
        series.push(Series {
            function: "(others)".to_owned(),
            file: String::new(),
            // Sums of sums may differ in their last bits.
            live_bytes: others.max(0.0).round(),
        });
        series
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::profile::Tally;
    use crate::view::Frame;

    fn levels(functions: &[(&str, f64)]) -> Vec<LineLevel> {
        let level = |&(function, bytes): &(&str, f64)| LineLevel {
            line: Arc::new(Frame {
                function: function.to_owned(),
                file: "/src/shop/cache.rs".to_owned(),
                line: 7,
            }),
            live: Tally {
                bytes_estimate: bytes,
                ..Tally::default()
            },
            alloc: Tally::default(),
        };
        functions.iter().map(level).collect()
    }

    fn names(series: &[Series]) -> Vec<&str> {
        series.iter().map(|one| one.function.as_str()).collect()
    }

    #[test]
    fn sums_are_the_total_and_their_number_is_bounded() {
        let many: Vec<(String, f64)> = (1..=500).map(|n| (format!("f{n}"), f64::from(n))).collect();
        let many: Vec<(&str, f64)> = many.iter().map(|(name, n)| (name.as_str(), *n)).collect();
        let series = ShownFunctions::default().series(&levels(&many), 20);
        assert_eq!(series.len(), 21);
        assert_eq!(series[0].function, "f500");
        assert_eq!(series[0].file, "cache.rs");
        let sum: f64 = series.iter().map(|one| one.live_bytes).sum();
        assert_eq!(sum, 500.0 * 501.0 / 2.0);
    }

    #[test]
    fn what_has_no_name_yet_is_among_the_others() {
        let series =
            ShownFunctions::default().series(&levels(&[(NOT_NAMED_YET, 70.0), ("a", 7.0)]), 20);
        assert_eq!(names(&series), ["a", "(others)"]);
        assert_eq!(series[1].live_bytes, 70.0);
    }

    #[test]
    fn what_is_shown_does_not_flicker() {
        let mut shown = ShownFunctions::default();
        let of = |a, b, c, d| levels(&[("a", a), ("b", b), ("c", c), ("d", d)]);
        let first = shown.series(&of(50.0, 40.0, 30.0, 1.0), 2);
        assert_eq!(names(&first), ["a", "b", "(others)"]);
        // A little more than one that is shown: it stays out.
        let same = shown.series(&of(50.0, 40.0, 45.0, 1.0), 2);
        assert_eq!(names(&same), ["a", "b", "(others)"]);
        // Much more: it comes, for the least.
        let more = shown.series(&of(50.0, 40.0, 90.0, 1.0), 2);
        assert_eq!(names(&more), ["c", "a", "(others)"]);
        // No longer among the first four: it goes.
        let gone = shown.series(
            &levels(&[("c", 9.0), ("d", 8.0), ("e", 7.0), ("f", 6.0), ("a", 1.0)]),
            2,
        );
        assert_eq!(names(&gone), ["c", "d", "(others)"]);
    }
}
