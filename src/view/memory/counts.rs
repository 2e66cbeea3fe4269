//! Threads, descriptors and tasks: how many of which, and what grew.
#![forbid(unsafe_code)]

use std::io::{self, Write};

use super::{line, signed};
use crate::profile::resources::{Count, Resources};
use crate::view::name::printable;
use crate::view::units;

/// `12: tokio-worker 8, main 1, and 3 more`
pub(super) fn counts(all: &[Count]) -> String {
    const SHOWN: usize = 8;
    let total: u64 = all
        .iter()
        .fold(0, |sum, part| sum.saturating_add(part.count));
    let number = |count: u64| units::count(signed(count));
    let named = all.iter().filter(|part| !part.name.is_empty());
    let mut parts: Vec<String> = named
        .clone()
        .take(SHOWN)
        .map(|part| format!("{} {}", part.name, number(part.count)))
        .collect();
    let others = named.skip(SHOWN);
    match others.fold(0u64, |sum, part| sum.saturating_add(part.count)) {
        0 => {}
        more => parts.push(format!("others {}", number(more))),
    }
    match parts.is_empty() {
        true => number(total),
        false => format!("{}: {}", number(total), parts.join(", ")),
    }
}

/// `12 → 40 (+28): tokio-worker +28`
pub(super) fn count_change(
    out: &mut dyn Write,
    name: &str,
    base: &[Count],
    now: &[Count],
) -> io::Result<()> {
    let total = |all: &[Count]| {
        all.iter()
            .fold(0i64, |sum, part| sum.saturating_add(signed(part.count)))
    };
    let of = |all: &[Count], name: &str| {
        all.iter()
            .find(|part| part.name == name)
            .map_or(0, |part| signed(part.count))
    };
    let [before, after] = [total(base), total(now)];
    let mut text = format!("{} → {}", units::count(before), units::count(after));
    // Where one of the two has a total only, what has a name did not grow from nothing.
    let is_bare = |all: &[Count]| all.iter().all(|part| part.name.is_empty());
    let both_named = [base, now]
        .iter()
        .all(|all| all.is_empty() || !is_bare(all));
    let named = base.iter().chain(now).filter(|_| both_named);
    let known: std::collections::BTreeSet<&str> = named.map(|part| part.name.as_str()).collect();
    let mut changes: Vec<(i64, &str)> = known
        .into_iter()
        .filter(|name| !name.is_empty())
        .map(|name| (of(now, name).saturating_sub(of(base, name)), name))
        .filter(|&(change, _)| change != 0)
        .collect();
    changes.sort_by_key(|&(change, name)| (-change.saturating_abs(), name));
    let shown: Vec<String> = changes
        .iter()
        .take(8)
        .map(|(change, name)| format!("{name} {}", units::change(*change, None, "count")))
        .collect();
    if !shown.is_empty() {
        text += &format!(": {}", shown.join(", "));
    }
    line(out, name, &text)
}

/// `tasks grew from 10 to 4,000, most of them spawned at src/x.rs:7:5 (+3,990)`; `None`: not by four and by a tenth, or they
/// are not known.
pub fn tasks_grew(base: &Resources, now: &Resources) -> Option<String> {
    let (base, now) = base.tasks.as_ref().zip(now.tasks.as_ref())?;
    if !has_grown(base.alive, now.alive) {
        return None;
    }
    let of = |name: &str| {
        let known = base.by_spawn_site.iter().find(|site| site.name == name);
        known.map_or(0, |site| signed(site.count))
    };
    let more = now
        .by_spawn_site
        .iter()
        .map(|site| (signed(site.count) - of(&site.name), site));
    let (more, site) = more.max_by_key(|&(more, _)| more)?;
    Some(format!(
        "tasks grew from {} to {}, most of them spawned at {} ({})",
        units::count(signed(base.alive)),
        units::count(signed(now.alive)),
        printable(&site.name),
        units::change(more, None, "count")
    ))
}

pub(crate) fn has_grown(before: u64, after: u64) -> bool {
    let more = after.saturating_sub(before);
    more >= 4 && more >= before / 10
}

pub(super) fn alive(resources: &Resources) -> u64 {
    resources.tasks.as_ref().map_or(0, |tasks| tasks.alive)
}

#[cfg(test)]
mod tests {
    use super::super::{others, write_change, write_now};
    use super::*;
    use crate::profile::resources::TaskCounts;
    use crate::view::table::Paint;

    #[test]
    fn tasks_that_grew_are_told_with_their_line() {
        let of = |sites: &[(&str, u64)]| {
            let mut tasks = TaskCounts::default();
            let sites = sites.iter().map(|(name, count)| Count {
                name: (*name).to_owned(),
                count: *count,
            });
            tasks.set_spawn_sites(sites.collect());
            tasks.started = tasks.alive + 5;
            Resources {
                tasks: Some(tasks),
                ..Resources::default()
            }
        };
        let (base, now) = (
            of(&[("a.rs:1:1", 8), ("x.rs:7:5", 2)]),
            of(&[("a.rs:1:1", 8), ("x.rs:7:5", 3992)]),
        );
        assert_eq!(
            tasks_grew(&base, &now).unwrap(),
            "tasks grew from 10 to 4,000, most of them spawned at x.rs:7:5 (+3,990)"
        );
        assert_eq!(others(&base, &now), ["tasks +3,990"]);
        assert_eq!(tasks_grew(&now, &base), None);
        assert_eq!(tasks_grew(&Resources::default(), &now), None, "unknown");
        let mut out = Vec::new();
        let paint = Paint::default();
        write_change(&base, &now, &paint, &mut out).unwrap();
        write_now(&now, &paint, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(
            text.contains("tasks           10 → 4,000: x.rs:7:5 +3,990\n"),
            "{text}"
        );
        assert!(
            text.contains("tasks           4,000: x.rs:7:5 3,992, a.rs:1:1 8; 5 have ended\n"),
            "{text}"
        );
    }

    #[test]
    fn counts_show_the_most_numerous_and_the_change() {
        let count = |name: &str, count| Count {
            name: name.into(),
            count,
        };
        let all: Vec<Count> = (0..10).map(|n| count(&format!("t{n}"), 10 - n)).collect();
        let text = counts(&all);
        assert!(
            text.starts_with("55: t0 10, ") && text.ends_with("t7 3, others 3"),
            "{text}"
        );
        let mut out = Vec::new();
        count_change(
            &mut out,
            "threads",
            &[count("a", 1), count("b", 2)],
            &[count("b", 5)],
        )
        .unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "threads         3 → 5: b +3, a −1\n"
        );
    }
}
