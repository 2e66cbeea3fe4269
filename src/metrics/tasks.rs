//! Which spawn sites of tasks have a series of their own: see [`shown`](super::shown).
#![forbid(unsafe_code)]

use super::shown::Shown;
use crate::profile::resources::{Count, OTHER_LINES, TaskCounts};

/// Spawn sites with a series of their own; all others are one more.
const SPAWN_SITES: usize = 20;

/// The spawn sites that the last scrape showed.
pub(super) type ShownSites = Shown<String>;

impl ShownSites {
    /// Living tasks by spawn site, and one more for all that have no series; their sum is the number of those alive.
    pub(super) fn sites(&mut self, tasks: &TaskCounts) -> Vec<Count> {
        let named = tasks.by_spawn_site.iter();
        let named = named.filter(|site| site.name != OTHER_LINES);
        let largest: Vec<(String, f64)> = named
            .clone()
            .map(|site| (site.name.clone(), site.count as f64))
            .collect();
        self.choose(&largest, SPAWN_SITES);
        let mut series: Vec<Count> = named.filter(|site| self.has(&site.name)).cloned().collect();
        let shown: u64 = series.iter().map(|site| site.count).sum();
        series.push(Count {
            name: OTHER_LINES.to_owned(),
            count: tasks.alive.saturating_sub(shown),
        });
        series
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tasks(sites: impl IntoIterator<Item = (u64, u64)>) -> TaskCounts {
        let mut tasks = TaskCounts::default();
        let sites = sites.into_iter().map(|(line, count)| Count {
            name: format!("src/a.rs:{line}:9"),
            count,
        });
        tasks.set_spawn_sites(sites.collect());
        tasks
    }

    #[test]
    fn bounded_and_their_sum_is_the_number_alive() {
        let tasks = tasks((1..=500).map(|n| (n, n)));
        let series = ShownSites::default().sites(&tasks);
        assert_eq!(series.len(), SPAWN_SITES + 1);
        assert_eq!(series[0].name, "src/a.rs:500:9");
        assert_eq!(series[SPAWN_SITES].name, OTHER_LINES);
        let sum: u64 = series.iter().map(|site| site.count).sum();
        assert_eq!(sum, 500 * 501 / 2);
    }

    #[test]
    fn a_line_stays_while_another_has_little_more() {
        let mut shown = ShownSites::default();
        shown.sites(&tasks((1..=20).map(|n| (n, 10))));
        let few = (1..=20).map(|n| (n, 10)).chain([(21, 15)]);
        let series = shown.sites(&tasks(few));
        assert!(series.iter().all(|site| site.name != "src/a.rs:21:9"));
        assert_eq!(series[SPAWN_SITES].count, 15);
        let many = (1..=20).map(|n| (n, 10)).chain([(21, 21)]);
        let series = shown.sites(&tasks(many));
        assert_eq!(series[0].name, "src/a.rs:21:9");
        // No task at all: every series is 0, and there is one.
        assert_eq!(shown.sites(&TaskCounts::default()).len(), 1);
    }
}
