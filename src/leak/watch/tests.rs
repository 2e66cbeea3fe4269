//! Looks at made-up processes: what is announced, what is named, what is kept.
#![forbid(unsafe_code)]

use std::cell::Cell;

use super::Watch;
use super::change::{Change, Kind};
use super::engine::{Engine, Settings};
use std::time::Duration;

use super::names::tests::namer;
use super::testing::{FOR_EVER, Rule, SECOND, snapshot};
use crate::profile::Profile;

const SETTINGS: Settings = Settings {
    looks: 32,
    places: 256,
    level: 0.001,
    longest_fill: Duration::ZERO,
    hold: 3,
    clear: 5,
};

/// A line that allocates once a second, for ever.
fn steady(stack: &[u64]) -> Rule<'_> {
    Rule {
        stack,
        from: 0,
        until: FOR_EVER,
        every: 1,
        lives: FOR_EVER,
    }
}

/// Looks once a minute, at these processes of each minute; what was told, by minute.
fn told(
    engine: &mut Engine,
    minutes: std::ops::Range<u64>,
    rules: impl Fn(u64) -> Vec<Rule<'static>>,
) -> Vec<(u64, Change)> {
    let look = |minute: u64| {
        let take = || snapshot(60 * minute, &rules(minute));
        let changes = engine.look(take, None, &namer).unwrap();
        changes.into_iter().map(move |change| (minute, change))
    };
    minutes.flat_map(look).collect()
}

fn brief(told: &[(u64, Change)]) -> Vec<(u64, Kind, i64)> {
    let brief = |(minute, it): &(u64, Change)| (*minute, it.kind, it.suspect.place.line);
    told.iter().map(brief).collect()
}

#[test]
fn a_leak_is_announced_and_withdrawn_when_it_has_gone() {
    let mut engine = Engine::new(SETTINGS);
    // From the 20th minute on a line leaks, until the 60th; then all of it is freed.
    let leak = Rule {
        from: 20 * 60,
        ..steady(&[200, 7, 8])
    };
    let start = Rule {
        until: 60,
        ..steady(&[200, 9])
    };
    let churn = Rule {
        lives: 90,
        ..steady(&[200, 10])
    };
    let rules = |minute: u64| match minute {
        0..60 => vec![leak, start, churn],
        _ => vec![start, churn],
    };
    let told = told(&mut engine, 1..80, rules);
    let kinds = brief(&told);
    let begin = kinds[0];
    assert!((22..30).contains(&begin.0), "{kinds:?}");
    assert_eq!((begin.1, begin.2), (Kind::Begin, 7));
    let (_, first) = &told[0];
    assert_eq!(first.looks, 3);
    let rate = first.suspect.rate.unwrap();
    assert!(rate.low <= 1024.0 && 1024.0 <= rate.high, "{rate:?}");
    assert!(first.to_string().starts_with("leak: "), "{first}");
    assert!(
        first.to_string().contains("shop.rs:7 (shop::f7)"),
        "{first}"
    );
    // Silent from the 60th on: the fifth in a row.
    assert_eq!(*kinds.last().unwrap(), (64, Kind::End, 7), "{kinds:?}");
    let between = &kinds[1..kinds.len() - 1];
    assert!(between.iter().all(|it| it.1 == Kind::Still && it.2 == 7));
    assert!(
        (1..=6).contains(&between.len()),
        "doublings, not looks: {kinds:?}"
    );
    assert!(engine.status().suspects.is_empty());
}

#[test]
fn callers_of_one_line_are_one_suspect() {
    // A hundred callers, each of which alone has too few samples to be judged.
    let stacks: Vec<[u64; 3]> = (0..100)
        .map(|caller| [200, 7, 10 + caller % 80 + 200 * (caller / 80)])
        .collect();
    let mut engine = Engine::new(SETTINGS);
    let mut begun = None;
    for minute in 1..20 {
        let rule = |(at, stack): (u64, &'_ [u64; 3])| -> Rule<'_> {
            Rule {
                from: at,
                every: 100,
                ..steady(Box::leak(Box::new(*stack)))
            }
        };
        let rules: Vec<Rule<'_>> = (0..).zip(&stacks).map(rule).collect();
        let changes = engine
            .look(|| snapshot(60 * minute, &rules), None, &namer)
            .unwrap();
        begun = begun.or(changes.into_iter().next().map(|it| (minute, it)));
    }
    let (minute, change) = begun.expect("a leak of a KiB per second");
    assert_eq!((change.kind, change.suspect.place.line), (Kind::Begin, 7));
    // After 16 minutes the most busy caller has ten samples.
    assert!(minute < 10, "{minute}");
    assert!(engine.status().named_stacks <= 100);
}

/// Every allocation is recorded, so chance has no part in this: all that reach half of the run are freed.
#[test]
fn a_bounded_cache_is_never_announced() {
    let mut engine = Engine::new(SETTINGS);
    let cache = Rule {
        lives: 100,
        ..steady(&[200, 7])
    };
    let told = told(&mut engine, 1..200, |_| vec![cache]);
    // While it fills it is no different from a leak; it is full before the second look.
    assert_eq!(brief(&told), []);
}

/// A cache of a fixed time to live fills for 40 minutes, and a leak beside it. Everything is recorded and comes at a steady
/// pace, so that chance has no part in this either.
#[test]
fn what_may_fill_for_an_hour_is_shown_and_not_announced() {
    let mut engine = Engine::new(Watch::new().settings);
    let cache = Rule {
        lives: 40 * 60,
        every: 6,
        ..steady(&[200, 7])
    };
    let leak = Rule {
        every: 6,
        ..steady(&[200, 8])
    };
    let early = told(&mut engine, 1..60, |_| vec![cache, leak]);
    assert_eq!(brief(&early), []);
    let filling = engine.status().filling;
    assert!(filling[0].site.starts_with("shop.rs:8 "), "{filling:?}");
    assert!(filling[0].looks_like_leak && filling[0].confidence == 0.0);
    let later = brief(&told(&mut engine, 60..150, |_| vec![cache, leak]));
    assert_eq!((later[0].1, later[0].2), (Kind::Begin, 8), "{later:?}");
    assert!(later.iter().all(|news| news.2 == 8), "{later:?}");
}

#[test]
fn what_is_not_accused_is_not_named() {
    let asked = Cell::new(0);
    let counting = |profile: Profile| {
        asked.set(asked.get() + profile.samples.len());
        namer(profile)
    };
    let mut engine = Engine::new(SETTINGS);
    let stacks: Vec<[u64; 3]> = (0..500).map(|n| [1000 + n, 7, 8]).collect();
    let mut look = |minute: u64, leak: bool| {
        let mut rules: Vec<Rule<'_>> = stacks
            .iter()
            .map(|stack| Rule {
                // Half of them are of the start, the others of the last few seconds.
                until: if stack[0] < 1250 { 60 } else { FOR_EVER },
                every: 20,
                lives: if stack[0] < 1250 { FOR_EVER } else { 30 },
                ..steady(stack)
            })
            .collect();
        rules.push(steady(&[200, 5]));
        rules.truncate(if leak { 501 } else { 500 });
        engine
            .look(|| snapshot(60 * minute, &rules), None, &counting)
            .unwrap();
    };
    (10..40).for_each(|minute| look(minute, false));
    assert_eq!(asked.get(), 0);
    (40..60).for_each(|minute| look(minute, true));
    assert_eq!(asked.get(), 1, "once, and the one that leaks");
    assert_eq!(engine.status().suspects.len(), 1);
}

#[test]
fn what_is_kept_does_not_grow_over_ten_thousand_looks() {
    let settings = Settings {
        looks: 8,
        places: 4,
        hold: 1,
        ..SETTINGS
    };
    let mut engine = Engine::new(settings);
    let stacks: Vec<[u64; 2]> = (0..16).map(|n| [200, n]).collect();
    let mut most = [0, 0];
    for look in 0..10_000_u64 {
        // Lines come and go, and are called leaks in their time.
        let rule = |stack| Rule {
            every: 30,
            ..steady(stack)
        };
        let rules: Vec<Rule<'_>> = stacks[(look % 8) as usize..][..8]
            .iter()
            .map(|stack| rule(stack))
            .collect();
        let now = look * 60 * SECOND;
        engine
            .look(|| snapshot(600, &rules), Some(now), &namer)
            .unwrap();
        // The archives hold nothing that is older than 1024 looks.
        let most = &mut most[usize::from(look >= 2048)];
        let status = engine.status();
        *most = status.own_bytes.max(*most);
        assert!(status.kept_looks <= 8);
    }
    assert!(most[1] <= most[0] && most[1] < 50_000, "{most:?}");
}

#[test]
fn clocks_that_stand_still_do_not_stop_the_watch() {
    let mut engine = Engine::new(SETTINGS);
    for looks in 1..6 {
        engine
            .look(|| snapshot(600, &[steady(&[200, 7])]), Some(7), &namer)
            .unwrap();
        assert_eq!(engine.status().looks, looks);
    }
}
