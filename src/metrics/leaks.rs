//! What the leak watch has found.
#![forbid(unsafe_code)]

use std::fmt;

use prometheus_client::registry::Unit;

use super::families::Families;
use crate::stats::LeakWatch;

/// Leaks with a series of their own; all others are one more.
const SITES: usize = 10;

pub(super) fn encode(out: &mut Families<'_>, watch: &LeakWatch) -> fmt::Result {
    out.gauge(
        "heapsite_leak_suspects",
        "Places that are announced as leaks.",
        None,
        watch.suspects.len() as f64,
    )?;
    out.gauge(
        "heapsite_leak_filling",
        "Places that grow and may have a cap, ten at most; none of them is announced.",
        None,
        watch.filling.len() as f64,
    )?;
    let sites = sites(watch);
    out.gauges(
        "heapsite_leak_bytes_per_second",
        "How fast places grow that are announced as leaks, estimated. The fastest ones; all others together are (others).",
        None,
        sites.iter().map(|(site, rate)| ([("site", *site)], *rate)),
    )?;
    out.counter(
        "heapsite_leak_looks",
        "Looks of the leak watch.",
        None,
        watch.looks as f64,
    )?;
    out.counter(
        "heapsite_leak_look_time",
        "What the looks of the leak watch took, naming included.",
        Some(Unit::Seconds),
        watch.took_nanos as f64 / 1e9,
    )?;
    let failures = [
        ("look", watch.failed_looks),
        ("callback", watch.callback_panics),
    ];
    out.counters(
        "heapsite_leak_watch_failures",
        "Looks that came to nothing, and panics of the program's callback.",
        failures.map(|(what, count)| ([("what", what)], count as f64)),
    )?;
    out.gauge(
        "heapsite_leak_last_look_timestamp_seconds",
        "When the leak watch last looked, seconds since the Unix epoch; 0: it has not.",
        None,
        watch.last_look_nanos as f64 / 1e9,
    )
}

/// The fastest, and one for the rest; a site that has two places (of two generic functions, say) is one series.
fn sites(watch: &LeakWatch) -> Vec<(&str, f64)> {
    let mut sites: Vec<(&str, f64)> = Vec::new();
    let mut others = 0.0;
    for suspect in &watch.suspects {
        let known = sites.iter().position(|(site, _)| *site == suspect.site);
        match known {
            Some(at) => sites[at].1 += suspect.bytes_per_second,
            None if sites.len() < SITES => sites.push((&suspect.site, suspect.bytes_per_second)),
            None => others += suspect.bytes_per_second,
        }
    }
    sites.push(("(others)", others));
    sites
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::GrowingSite;

    #[test]
    fn there_are_eleven_series_at_most_and_their_sum_is_whole() {
        let mut watch = LeakWatch::default();
        assert_eq!(sites(&watch), [("(others)", 0.0)]);
        for number in 0..40 {
            watch.suspects.push(GrowingSite {
                site: format!("a.rs:{}", number / 2),
                bytes_per_second: 40.0 - f64::from(number),
                ..GrowingSite::default()
            });
        }
        let sites = sites(&watch);
        assert_eq!(sites.len(), 11);
        assert_eq!(sites[0], ("a.rs:0", 79.0));
        assert_eq!(sites.iter().map(|site| site.1).sum::<f64>(), 820.0);
    }
}
