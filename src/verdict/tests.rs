#![forbid(unsafe_code)]

use super::*;
use crate::find::{Class, Place, Process, Rate, Suspect, Thing, Untold, Why};
use crate::profile::resources::{Count, HeldMemory, TaskCounts};

const MIB: u64 = 1 << 20;

fn suspect(class: Class, thing: Thing, mib: f64) -> Suspect {
    let bytes = mib * MIB as f64;
    Suspect {
        place: Place {
            function: "shop::cache::MetricsCache<K>::set".into(),
            file: "src/cache.rs".into(),
            line: 42,
            crate_name: "shop".into(),
        },
        thing,
        class,
        confidence: 1.0 - 1e-9,
        looks_like_leak: false,
        may_be_filling: false,
        live_bytes: bytes,
        live_error: bytes / 50.0,
        samples: 900,
        rate: Some(Rate {
            bytes: 1.9 * MIB as f64 / 60.0,
            std_error: 0.1 * MIB as f64 / 60.0,
            low: 1.7 * MIB as f64 / 60.0,
            high: 2.1 * MIB as f64 / 60.0,
        }),
        share: 0.94,
        since_nanos: 720_000_000_000,
        clumping: 1.0,
        survival: Vec::new(),
        cohorts: Vec::new(),
        trend: None,
        advice: Vec::new(),
    }
}

/// A process of 100 MiB, 50 of them live.
fn held(change: impl FnOnce(&mut Resources)) -> Resources {
    let mut held = Resources::default();
    held.memory.rss_bytes = 100 * MIB;
    held.memory.live_bytes = 50 * MIB;
    held.allocators.push(HeldMemory {
        name: "glibc".into(),
        is_global: true,
        ..HeldMemory::default()
    });
    held.threads.push(count("worker", 8));
    held.fds.push(count("socket", 20));
    change(&mut held);
    held
}

fn count(name: &str, count: u64) -> Count {
    Count {
        name: name.into(),
        count,
    }
}

/// As [`judge`] puts it together, with findings made up.
fn verdict(findings: Findings, before: Option<Resources>, now: Resources) -> Verdict {
    let before = before.map(|held| Before::new(0, held));
    let mut process = process::known(Process::default(), before.as_ref(), Some(&now));
    if process.heap_grows.is_none() {
        process.heap_grows = process::heap_grows(&findings);
    }
    let mut verdict = Verdict {
        causes: Vec::new(),
        crates: by_crate(&findings),
        process,
        before,
        live_bytes: now.memory.live_bytes as f64,
        live_error: 0.5 * MIB as f64,
        now: Some(now),
        span_nanos: 3_600_000_000_000,
        longest_fill_nanos: 3_600_000_000_000,
        exact: false,
        peak_bytes: 52.0 * MIB as f64,
        peak_nanos: 60_000_000_000,
        trim: None,
        findings: Findings {
            uptime_nanos: 19_440_000_000_000,
            judged: 12,
            per: "second".into(),
            advice: find::rules::advise_process(process),
            ..findings
        },
    };
    verdict.causes = cause::causes(&verdict);
    verdict
}

fn of(class: Class, thing: Thing) -> Findings {
    let mut findings = Findings::default();
    let suspect = suspect(class, thing, 30.0);
    match class {
        Class::Leak => findings.leaks.push(suspect),
        Class::Filling => findings.filling.push(suspect),
        _ => findings.others.push(suspect),
    }
    findings
}

#[test]
fn a_leak_is_told_with_line_rate_and_time() {
    let leak = verdict(of(Class::Leak, Thing::MapEntry), None, held(|_| ()));
    assert_eq!(leak.cause(), Cause::Leak);
    assert_eq!(
        leak.sentence(),
        "Leaking: 1.9 ± 0.1 MiB/min at src/cache.rs:42 (MetricsCache::set), entries of a map, for 5h 12m, 94% of all growth"
    );
    assert_eq!(leak.crates[0].name, "shop");
    let mut unsure = of(Class::Filling, Thing::Other);
    unsure.filling[0].looks_like_leak = true;
    let unsure = verdict(unsure, None, held(|_| ()));
    assert_eq!(unsure.cause(), Cause::Suspicion);
    assert!(unsure.sentence().starts_with("Growing like a leak: 1.9"));
    assert!(
        unsure
            .sentence()
            .contains("after 1h 00m of growth only (--longest-fill")
    );
    let filling = verdict(of(Class::Filling, Thing::Other), None, held(|_| ()));
    assert_eq!(filling.cause(), Cause::Filling);
    assert!(
        filling
            .sentence()
            .starts_with("Growing, and perhaps a cache on its way to its cap: 1.9")
    );
}

#[test]
fn tasks_are_told_apart_from_what_they_hold() {
    let tasks = |alive, started| {
        move |held: &mut Resources| {
            let mut tasks = TaskCounts::default();
            tasks.set_spawn_sites(vec![count("src/api.rs:7:5", alive)]);
            tasks.started = started;
            held.tasks = Some(tasks);
        }
    };
    let of_two = |before, now| {
        let findings = of(Class::Leak, Thing::TaskCell);
        verdict(
            findings,
            Some(held(tasks(before, 100))),
            held(tasks(now, 9000)),
        )
    };
    assert_eq!(of_two(10, 4000).cause(), Cause::Tasks);
    assert!(
        of_two(10, 4000)
            .sentence()
            .starts_with("Tasks pile up that never end: 1.9")
    );
    assert!(
        of_two(10, 10)
            .sentence()
            .starts_with("Tasks that have ended are kept: 1.9")
    );
    let no_line = verdict(
        Findings::default(),
        Some(held(tasks(10, 100))),
        held(tasks(4000, 9000)),
    );
    assert_eq!(
        no_line.sentence(),
        "Tasks pile up: tasks grew from 10 to 4,000, most of them spawned at src/api.rs:7:5 (+3,990) within 1h 00m"
    );
}

#[test]
fn what_the_allocator_keeps_is_no_leak() {
    let keeps = |held: &mut Resources| {
        held.memory.rss_bytes = 400 * MIB;
        held.memory.free_bytes = 310 * MIB;
    };
    let calm = || of(Class::WorkingSet, Thing::Other);
    let kept = verdict(calm(), None, held(keeps));
    assert_eq!(kept.cause(), Cause::Allocator);
    assert_eq!(kept.causes[0].rule, Some("allocator-holds"));
    assert!(
        kept.sentence().starts_with(
            "Not a leak: glibc holds 310.0 MiB of freed memory; the live heap is flat at 50.0 MiB; try MALLOC_ARENA_MAX=2"
        ),
        "{}",
        kept.sentence()
    );
    let mut peaked = verdict(calm(), None, held(keeps));
    peaked.peak_bytes = 350.0 * MIB as f64;
    peaked.trim = Some(Trim::new(
        &held(keeps),
        &held(|held| held.memory.free_bytes = 10 * MIB),
    ));
    peaked.causes = cause::causes(&peaked);
    assert_eq!(peaked.cause(), Cause::Peak);
    assert_eq!(
        peaked.sentence(),
        "Not a leak: glibc holds 310.0 MiB of freed memory; the heap was 350.0 MiB at its peak after 1m 00s, and 50.0 MiB of \
         it is live now; asked for it, the allocator gave 300.0 MiB of 310.0 MiB back (resident 400.0 MiB → 100.0 MiB): it was \
         kept for later, and is not lost"
    );
    // A small leak beside it is told second, a large one first.
    let mut both = of(Class::Leak, Thing::Other);
    let causes = |findings: Findings| {
        let verdict = verdict(findings, Some(held(|_| ())), held(keeps));
        verdict.causes.iter().map(|it| it.cause).collect::<Vec<_>>()
    };
    assert_eq!(causes(both.clone()), [Cause::Allocator, Cause::Leak]);
    both.leaks[0].live_bytes = 900.0 * MIB as f64;
    assert_eq!(causes(both), [Cause::Leak, Cause::Allocator]);
    // A little is always free.
    let little = verdict(calm(), None, held(|held| held.memory.free_bytes = 15 * MIB));
    assert_eq!(little.cause(), Cause::None);
}

#[test]
fn memory_from_elsewhere_threads_and_files_need_two_moments() {
    let more = |held: &mut Resources| {
        held.memory.unexplained_bytes = 90 * MIB as i64;
        held.memory.rss_bytes = 190 * MIB;
        held.memory.stacks_bytes = 10 * MIB;
        held.threads[0].count = 40;
        held.fds.push(count("pipe", 50));
    };
    let calm = || of(Class::WorkingSet, Thing::Other);
    let all = verdict(calm(), Some(held(|_| ())), held(more));
    let causes: Vec<Cause> = all.causes.iter().map(|it| it.cause).collect();
    assert_eq!(causes, [Cause::Foreign, Cause::Threads, Cause::Descriptors]);
    let sentences: Vec<&str> = all.causes.iter().map(|it| it.sentence.as_str()).collect();
    assert_eq!(
        sentences,
        [
            "Growing, but not in Rust's heap: 90.0 MiB more from C code or mmap within 1h 00m; `heapsite info BASE NOW` has \
             the parts",
            "Threads pile up: 8 → 40, most of them called worker within 1h 00m; `heapsite threads` tells where they are",
            "Open files pile up: 20 → 70, most of them of the kind pipe within 1h 00m"
        ]
    );
    assert_eq!(verdict(calm(), None, held(more)).cause(), Cause::None);
}

#[test]
fn nothing_is_not_the_same_as_not_known() {
    let calm = verdict(of(Class::StartUp, Thing::Other), None, held(|_| ()));
    assert_eq!(
        calm.sentence(),
        "No leak found: none of the 12 lines that could be judged grows; the live heap is 50.0 ± 0.5 MiB after 5h 24m"
    );
    let untold = |why| {
        let mut findings = Findings::default();
        findings.cannot_tell.push(Untold {
            place: Place::default(),
            why,
            live_bytes: 40.0 * MIB as f64,
            samples: 3,
            advice: Vec::new(),
        });
        verdict(findings, None, held(|_| ()))
    };
    for (why, said) in [
        (Why::NoAges, "take a JSON dump"),
        (Why::FewSamples, "sample more often"),
        (Why::FewOld, "old enough"),
        (Why::FewBursts, "a few bursts"),
        (Why::WithinChance, "may be chance"),
    ] {
        assert_eq!(untold(why).cause(), Cause::Unknown, "{why:?}");
        assert!(
            untold(why).sentence().contains(said),
            "{}",
            untold(why).sentence()
        );
    }
    let empty = verdict(Findings::default(), None, held(|_| ()));
    assert_eq!(empty.cause(), Cause::Unknown);
    // The heap grew, and no line stands out.
    let grown = verdict(
        of(Class::StartUp, Thing::Other),
        Some(held(|it| it.memory.live_bytes = 0)),
        held(|_| ()),
    );
    assert_eq!(grown.cause(), Cause::Unknown);
}

#[test]
fn reports_fit_and_never_cut_a_line_number() {
    let mut findings = of(Class::Leak, Thing::MapEntry);
    findings
        .others
        .push(suspect(Class::Burst, Thing::Other, 3.0));
    let verdict = verdict(findings, Some(held(|_| ())), held(|_| ()));
    let layout = Layout {
        width: 72,
        ..Layout::default()
    };
    let mut out = Vec::new();
    verdict.write_answer(&layout, &mut out).unwrap();
    verdict.write_evidence(&layout, &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    // The table of memory has columns of its own.
    let wide = text.lines().filter(|line| {
        line.chars().count() > 72 && !line.contains("MiB  ") && !line.contains(" B  ")
    });
    assert_eq!(wide.collect::<Vec<_>>(), Vec::<&str>::new(), "{text}");
    assert!(text.contains("src/cache.rs:42"));
    assert!(text.contains("growth by crate: shop 94%"));
    assert!(text.contains("burst"));
}
