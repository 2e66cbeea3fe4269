//! What a scrape shows, of a program that is recorded as a whole.

use std::collections::{BTreeMap, HashSet};
use std::hint::black_box;

use heapsite::Heapsite;
use heapsite::metrics::{Collector, Options, open_metrics, register, text};
use prometheus_client::registry::Registry;

#[global_allocator]
static HEAP: Heapsite = Heapsite::system().sample_interval(1);

/// Every sample of a text by name and labels; complains about a line that is none.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            (series.to_owned(), value.parse().unwrap())
        })
        .collect()
}

fn sum(samples: &BTreeMap<String, f64>, family: &str) -> f64 {
    let family = format!("{family}{{");
    let of = samples.iter().filter(|(name, _)| name.starts_with(&family));
    of.map(|(_, value)| value).sum()
}

#[inline(never)]
fn keep(bytes: usize) -> Vec<u8> {
    black_box(vec![1; bytes])
}

/// One test, because its sums are those of the whole process.
#[test]
fn sums_add_up_and_the_leak_is_named() {
    let kept = keep(7 << 20);
    let collector = Collector::default();
    let first = samples(&open_metrics(&collector));
    let live = first["heapsite_live_bytes"];
    assert!(live >= (7 << 20) as f64);
    assert_eq!(first["heapsite_live_error_bytes"], 0.0, "exact");
    assert_eq!(first["heapsite_sample_interval_bytes"], 1.0);
    // Both are of one snapshot.
    assert_eq!(sum(&first, "heapsite_function_live_bytes"), live);
    let own = first
        .iter()
        .find(|(name, _)| name.contains("function=\"metrics::keep\",file=\"metrics.rs\""));
    assert_eq!(*own.expect("the line is blamed").1, (7 << 20) as f64);
    assert_eq!(
        sum(&first, "heapsite_resident_part_bytes"),
        first["heapsite_resident_bytes"]
    );
    // A counter that appears with its first loss would hide that one from `increase`.
    assert_eq!(
        first["heapsite_losses_total{reason=\"live-map-full\"}"],
        0.0
    );
    assert!(first["heapsite_process_cpu_seconds_total"] > 0.0);
    assert!(sum(&first, "heapsite_threads") >= 2.0);
    assert!(sum(&first, "heapsite_fds") >= 3.0);
    drop(kept);
    let second = samples(&open_metrics(&collector));
    assert!(second["heapsite_live_bytes"] < live - (6 << 20) as f64);
    for (name, before) in &first {
        if name.contains("_total") {
            assert!(second[name] >= *before, "{name} is a counter, and fell");
        }
    }
    #[cfg(feature = "task")]
    tasks(&collector);
    formats(&collector);
    bounded();
    explained();
}

/// Alive by line, and what became of the others.
#[cfg(feature = "task")]
fn tasks(collector: &Collector) {
    let before = samples(&open_metrics(collector));
    assert_eq!(before["heapsite_tasks{spawned_at=\"(other lines)\"}"], 0.0);
    let alive: Vec<_> = (0..5)
        .map(|_| heapsite::task::track(std::future::pending::<()>()))
        .collect();
    let line = format!("tests/metrics.rs:{}:", line!() - 2);
    drop(heapsite::task::track(async {}));
    let now = samples(&open_metrics(collector));
    let mut own = now.iter().filter(|(name, _)| name.contains(&line));
    assert_eq!(own.next().map(|(_, alive)| *alive), Some(5.0), "{now:?}");
    assert_eq!(sum(&now, "heapsite_tasks"), 5.0);
    assert_eq!(now["heapsite_tasks_started_total"], 6.0);
    assert_eq!(now["heapsite_tasks_ended_total{how=\"cancelled\"}"], 1.0);
    assert_eq!(now["heapsite_tasks_unlisted"], 0.0);
    let stats = heapsite::stats::heap().tasks.expect("the feature is on");
    assert_eq!((stats.alive, stats.started, stats.cancelled), (5, 6, 1));
    assert_eq!(heapsite::stats().tasks, Some(stats));
    drop(alive);
    assert_eq!(
        sum(&samples(&open_metrics(collector)), "heapsite_tasks"),
        0.0
    );
}

/// The two formats tell the same, each in its own way.
fn formats(collector: &Collector) {
    let (open, plain) = (open_metrics(collector), text(collector));
    assert!(open.ends_with("# EOF\n"));
    assert!(!plain.contains("# EOF") && !plain.contains("# UNIT"));
    let names = |text: &str| -> HashSet<String> { samples(text).into_keys().collect() };
    assert_eq!(names(&open), names(&plain));
    let mut families = HashSet::new();
    for line in open.lines() {
        if let Some(rest) = line.strip_prefix("# UNIT ") {
            let (name, unit) = rest.split_once(' ').unwrap();
            assert!(name.ends_with(&format!("_{unit}")), "{line}");
        }
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let name = rest.split_once(' ').unwrap().0;
            assert!(families.insert(name), "{name} twice");
            assert!(
                open.contains(&format!("# HELP {name} ")),
                "{name} without help"
            );
        }
    }
    assert!(plain.contains("# TYPE heapsite_allocated_bytes_total counter\n"));
    assert!(open.contains("# TYPE heapsite_allocated_bytes counter\n"));
    assert!(!plain.contains("\nprocess_"), "only if asked for");
}

/// Options, and the user's own registry.
fn bounded() {
    let none = open_metrics(&Options::new().functions(0).process(true).collector());
    assert!(!none.contains("heapsite_function_live_bytes"));
    for name in [
        "process_cpu_seconds_total",
        "process_start_time_seconds",
        "process_resident_memory_bytes",
        "process_virtual_memory_bytes",
        "process_open_fds",
    ] {
        assert!(samples(&none)[name] > 0.0, "{name}");
    }
    let two = open_metrics(&Options::new().functions(2).collector());
    assert_eq!(two.matches("heapsite_function_live_bytes{").count(), 3);
    let mut registry = Registry::with_prefix("shop");
    register(&mut registry);
    let mut theirs = String::new();
    prometheus_client::encoding::text::encode(&mut theirs, &registry).unwrap();
    assert!(theirs.contains("\nshop_heapsite_live_bytes "));
}

/// The guide lists what is exported, with its type: no more, no less.
fn explained() {
    let guide = include_str!("../src/guide/metrics.md");
    let row = |line: &str| -> Option<(String, String)> {
        let (name, rest) = line.strip_prefix("| `")?.split_once("` | ")?;
        let (kind, _) = rest.split_once(" | ")?;
        Some((name.to_owned(), kind.to_owned()))
    };
    let mut told: BTreeMap<String, String> = guide.lines().filter_map(row).collect();
    told.retain(|name, _| cfg!(feature = "task") || !name.starts_with("heapsite_tasks"));
    // Some are of a watch, while there is one.
    let watch = heapsite::leak::Watch::new().start().expect("the first one");
    let plain = text(&Collector::default());
    let exported: BTreeMap<String, String> = plain
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
        .collect();
    assert_eq!(told, exported);
    drop(watch);
    let usual = text(&Options::new().process(true).collector());
    let usual = usual.lines().filter_map(|line| {
        let name = line.strip_prefix("# TYPE ")?.split(' ').next()?;
        name.starts_with("process_").then_some(name)
    });
    for name in usual {
        assert!(guide.contains(&format!("`{name}`")), "{name}");
    }
}
