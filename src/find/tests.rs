//! The door: several snapshots, caps, exact profiles, other people's profiles, bad input.
#![forbid(unsafe_code)]

use super::simulate::{Behaviour, profile};
use super::*;

const NEVER: f64 = f64::INFINITY;

fn line(rate: f64, lifetime: impl Fn(f64, f64, f64) -> f64 + 'static) -> [Behaviour; 1] {
    [Behaviour {
        name: "line",
        sizes: &[1024],
        rate: Box::new(move |_| rate),
        fastest: rate,
        lifetime: Box::new(lifetime),
    }]
}

/// One process at several moments: the same seed draws the same births.
fn series(moments: &[f64], line: &[Behaviour]) -> Vec<Profile> {
    let at = |&seconds: &f64| {
        let mut profile = profile(line, seconds, 64 << 10, 7);
        let process = &mut profile.heap.as_mut().expect("made with facts").process;
        (process.pid, process.start_time_nanos) = (1, 1);
        profile
    };
    moments.iter().map(at).collect()
}

fn without_ages(mut profiles: Vec<Profile>) -> Vec<Profile> {
    for profile in &mut profiles {
        profile.heap = None;
        profile
            .samples
            .iter_mut()
            .for_each(|sample| sample.detail = None);
    }
    profiles
}

/// Caches are full after five minutes, so that twenty minutes suffice.
fn quick() -> Options {
    Options {
        longest_fill: Duration::from_secs(300),
        ..Options::default()
    }
}

const MOMENTS: [f64; 10] = [
    300.0, 400.0, 500.0, 600.0, 700.0, 800.0, 900.0, 1000.0, 1100.0, 1200.0,
];

fn near(value: f64, expected: f64, relative: f64) {
    assert!(
        (value / expected - 1.0).abs() < relative,
        "{value} is not {expected}"
    );
}

#[test]
fn a_leak_is_described() {
    let profiles = series(&MOMENTS, &line(100.0, |_, _, _| NEVER));
    let found = leaks(&profiles, &quick()).expect("ten moments of one process");
    let leak = &found.leaks[0];
    assert_eq!(
        (leak.place.line, leak.class, leak.share),
        (7, Class::Leak, 1.0)
    );
    assert!(leak.may_be_filling && leak.confidence > 0.999_999);
    // Some 1,800 samples: 2.4 % of error, here up to four of it.
    let rate = leak.rate.expect("a leak has one");
    near(rate.bytes, 102_400.0, 0.1);
    let trend = leak.trend.expect("ten snapshots");
    near(trend.slope.bytes, 102_400.0, 0.1);
    assert_eq!(trend.s, 45);
    assert!(leak.survival.iter().all(|point| point.survival == 1.0));
    let cohorts: f64 = leak.cohorts.iter().map(|window| window.bytes).sum();
    near(cohorts, leak.live_bytes, 0.001);
    let json = serde_json::to_value(&found).expect("plain data");
    assert_eq!(json["leaks"][0]["class"], "leak");
    assert_eq!(json["per"], "second");
}

#[test]
fn growth_is_told_per_request_where_they_are_counted() {
    let profiles = series(&MOMENTS, &line(100.0, |_, _, _| NEVER));
    let per = |values: Vec<f64>| Options {
        per: Some(Counter {
            unit: "request".into(),
            values,
        }),
        ..quick()
    };
    let fifty_a_second = MOMENTS.iter().map(|seconds| seconds * 50.0).collect();
    let found = leaks(&profiles, &per(fifty_a_second)).expect("as many counts as profiles");
    near(
        found.leaks[0].rate.expect("a leak has one").bytes,
        2048.0,
        0.1,
    );
    near(found.leaks[0].trend.expect("ten").slope.bytes, 2048.0, 0.1);
    assert_eq!(found.per, "request");
    let one = leaks(&profiles[9..], &per(vec![60_000.0])).expect("one of each");
    near(
        one.leaks[0].rate.expect("a leak has one").bytes,
        2048.0,
        0.1,
    );
    let bad = leaks(&profiles, &per(vec![1.0, 2.0])).expect_err("two counts, ten profiles");
    assert!(bad.to_string().contains("10 ascending values"), "{bad}");
}

/// One sample an hour and a half: what came in the hour that a cache may take is next to nothing.
#[test]
fn a_slow_leak_of_a_week_is_accused() {
    let week = 7.0 * 86_400.0;
    let profiles = series(&[week], &line(0.0135, |_, _, _| NEVER));
    let found = leaks(&profiles, &Options::default()).expect("one moment");
    // Some 128 samples, each later than the hour or not: odds of a half to that power.
    assert!((90..180).contains(&found.leaks[0].samples));
    assert!(found.leaks[0].confidence > 0.999_999);
}

#[test]
fn profiles_without_births_are_told_by_their_trend() {
    let leaking = without_ages(series(&MOMENTS, &line(100.0, |_, _, _| NEVER)));
    let found = leaks(&leaking, &quick()).expect("ten moments");
    near(
        found.leaks[0].rate.expect("the slope").bytes,
        102_400.0,
        0.1,
    );
    assert!(found.leaks[0].survival.is_empty() && found.leaks[0].cohorts.is_empty());
    let soon = leaks(&leaking, &Options::default()).expect("ten moments");
    assert!(soon.leaks.is_empty() && soon.filling[0].looks_like_leak);
    let steady = without_ages(series(
        &MOMENTS,
        &line(100.0, |_, random, _| -random.ln() * 20.0),
    ));
    let found = leaks(&steady, &Options::default()).expect("ten moments");
    assert!(found.leaks.is_empty() && found.filling.is_empty());
    assert_eq!(found.cannot_tell[0].why, Why::NoAges);
    let one = leaks(&leaking[9..], &Options::default()).expect("one is allowed");
    assert_eq!(one.cannot_tell[0].why, Why::NoAges);
}

#[test]
fn exact_profiles_count_clumps_once() {
    // A hundred objects per request that live and die together, and one request in ten that leaks: at regular times, so
    // counts vary less than those of random clumps of a hundred, and more than those of independent births.
    let request = |birth: f64| (birth / 0.5).floor();
    let lifetime = move |birth: f64, _: f64, _: f64| {
        if request(birth) % 10.0 == 0.0 {
            NEVER
        } else {
            1.0
        }
    };
    let found = leaks(&[profile(&line(200.0, lifetime), 1200.0, 1, 3)], &quick());
    let found = found.expect("one profile");
    let leak = &found.leaks[0];
    near(leak.rate.expect("a leak has one").bytes, 20_480.0, 0.2);
    assert!(leak.clumping > 4.0, "{}", leak.clumping);
    assert_eq!(leak.live_error, 0.0);
    assert!(!leak.may_be_filling);
}

#[test]
fn a_leak_is_told_from_a_cache_by_time_or_size() {
    let hours = |hours: f64, lines: &[Behaviour], options: &Options| {
        leaks(&[profile(lines, hours * 3600.0, 512 << 10, 5)], options).expect("one profile")
    };
    let leak = line(20.0, |_, _, _| NEVER);
    let soon = hours(1.0, &leak, &Options::default());
    assert!(soon.leaks.is_empty());
    assert!(soon.filling[0].looks_like_leak && soon.filling[0].confidence == 0.0);
    assert_eq!(hours(2.0, &leak, &Options::default()).leaks.len(), 1);
    // It has 70 MiB by then.
    let smaller_caches = |bytes| Options {
        largest_cache: Some(bytes),
        ..Options::default()
    };
    assert_eq!(hours(1.0, &leak, &smaller_caches(4e7)).leaks.len(), 1);
    assert!(hours(1.0, &leak, &smaller_caches(1e8)).leaks.is_empty());
    // A cache that fills within the hour, whenever one looks.
    for tenths in 5..40 {
        let mut cache = line(20.0, |_, _, _| NEVER);
        cache[0].rate = Box::new(|t| if t < 3500.0 { 20.0 } else { 0.0 });
        let found = hours(f64::from(tenths) / 10.0, &cache, &Options::default());
        assert!(found.leaks.is_empty(), "{tenths}");
    }
}

#[test]
fn a_queue_that_is_drained_too_slowly_is_suspected() {
    // A tenth more comes than goes, first in, first out: everything that grows old is taken.
    let queue = series(&MOMENTS, &line(400.0, |t, _, _| t / 9.0));
    let one = leaks(&queue[9..], &quick()).expect("one profile");
    assert_eq!(one.others[0].class, Class::WorkingSet);
    let found = leaks(&queue, &quick()).expect("ten moments");
    assert!(found.leaks.is_empty() && found.filling[0].looks_like_leak);
    // More traffic is as much more live, for as long as before.
    let mut traffic = line(400.0, |_, random, _| -random.ln() * 20.0);
    traffic[0].rate = Box::new(|t| t / 3.0);
    let found = leaks(&series(&MOMENTS, &traffic), &quick()).expect("ten moments");
    assert!(found.leaks.is_empty() && found.filling.is_empty());
}

#[test]
fn differences_and_sums_are_refused() {
    let profiles = series(&MOMENTS[..2], &line(100.0, |_, _, _| NEVER));
    let refused = |profile: Profile| {
        let error = leaks(&[profile], &Options::default()).expect_err("not of one moment");
        error.to_string()
    };
    let options = crate::profile::diff::Options::default();
    let diff = crate::profile::diff::diff(&profiles[0], &profiles[1], &options);
    let said = refused(diff.expect("two of one process").profile);
    assert!(said.contains("a difference"), "{said}");
    let mut falls = profiles[0].clone();
    falls.samples[0].values[3] = -1;
    assert!(refused(falls).contains("a difference"));
    let mut other = profiles[1].clone();
    other.heap.as_mut().expect("made with facts").process.pid = 2;
    let sum = Profile::merge(&[&profiles[0], &other]);
    let said = refused(sum.expect("alike"));
    assert!(said.contains("a sum of several processes"), "{said}");
}

#[test]
fn bad_input_is_told() {
    assert!(leaks(&[], &Options::default()).is_err());
    let mut profiles = series(&[300.0, 200.0], &line(10.0, |_, _, _| NEVER));
    let error = leaks(&profiles, &Options::default()).expect_err("not in order");
    assert!(error.to_string().contains("not in order"), "{error}");
    profiles.reverse();
    profiles[1]
        .heap
        .as_mut()
        .expect("made with facts")
        .process
        .pid = 2;
    assert!(leaks(&profiles, &Options::default()).is_err());
    let empty = leaks(&[Profile::default()], &Options::default()).expect("an empty profile is one");
    assert!(empty.leaks.is_empty() && empty.cannot_tell.is_empty());
}

proptest::proptest! {
    /// Whatever numbers a file holds, nothing panics, and what is said is finite and in order.
    #[test]
    fn odd_numbers_are_survived(
        cohorts in proptest::collection::vec((proptest::num::u64::ANY, proptest::num::u64::ANY, 0u64..1000), 0..20),
        lifetimes in proptest::collection::vec((proptest::num::u64::ANY, proptest::num::u64::ANY, 0u64..1000), 0..10),
        uptime in proptest::num::u64::ANY,
    ) {
        let mut profile = profile(&line(1.0, |_, _, _| NEVER), 10.0, 512 << 10, 1);
        profile.heap.as_mut().expect("made with facts").uptime_nanos = uptime;
        let detail = profile.samples[0].detail.as_mut().expect("made with detail");
        for (from_nanos, to_nanos, objects) in cohorts {
            let live = crate::profile::Tally { objects, bytes_estimate: objects as f64, ..Default::default() };
            detail.cohorts.push(crate::profile::Cohort { from_nanos, to_nanos, thread: 0, live });
        }
        for (from_nanos, to_nanos, objects) in lifetimes {
            detail.lifetimes.push(crate::profile::LifetimeBucket { from_nanos, to_nanos, objects, bytes_estimate: 0.0 });
        }
        let found = leaks(&[profile], &Options::default()).expect("one profile");
        for suspect in found.leaks.iter().chain(&found.filling).chain(&found.others) {
            for point in &suspect.survival {
                proptest::prop_assert!(point.low <= point.survival && point.survival <= point.high, "{point:?}");
            }
            if let Some(rate) = suspect.rate {
                proptest::prop_assert!(rate.low <= rate.high && rate.high.is_finite(), "{rate:?}");
            }
        }
    }
}
