//! How often the judgement is right, over made-up processes. `cargo test --lib find::quality -- --nocapture` prints the
//! table.
#![forbid(unsafe_code)]

use std::f64::consts::TAU;

use super::simulate::{Behaviour, profile};
use super::*;

const HOUR: f64 = 3600.0;
const NEVER: f64 = f64::INFINITY;
const MIXED: &[u64] = &[64, 200, 1024, 4096, 20_000];

fn behaviour(
    name: &'static str,
    sizes: &'static [u64],
    fastest: f64,
    rate: impl Fn(f64) -> f64 + 'static,
    lifetime: impl Fn(f64, f64, f64) -> f64 + 'static,
) -> Behaviour {
    Behaviour {
        name,
        sizes,
        rate: Box::new(rate),
        fastest,
        lifetime: Box::new(lifetime),
    }
}

/// Exponential with this mean.
fn exponential(mean: f64) -> impl Fn(f64, f64, f64) -> f64 {
    move |_, random, _| -random.ln() * mean
}

/// What a line is, so far as anybody could know at this moment.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Truth {
    Leaks,
    /// Every two minutes, for six seconds.
    LeaksInBursts,
    /// Grows now, and has a cap.
    Fills,
    Innocent,
}

/// All lines in one process, at `end` seconds, with sizes of bytes per second set for intervals of 512 KiB.
fn suite(end: f64) -> Vec<(Behaviour, Truth)> {
    use Truth::{Fills, Innocent, Leaks, LeaksInBursts};
    let at_least = |from: f64, rate: f64| move |t: f64| if t >= from { rate } else { 0.0 };
    let filling = |truth_until: f64| if end < truth_until { Fills } else { Innocent };
    vec![
        (
            behaviour("leak_fast", &[1024], 400.0, |_| 400.0, |_, _, _| NEVER),
            Leaks,
        ),
        (
            behaviour("leak_slow", &[256], 60.0, |_| 60.0, |_, _, _| NEVER),
            Leaks,
        ),
        (
            behaviour("leak_mixed", MIXED, 10.0, |_| 10.0, |_, _, _| NEVER),
            Leaks,
        ),
        (
            behaviour(
                "leak_one_of_ten",
                &[2048],
                200.0,
                |_| 200.0,
                |_, a, b| if a < 0.1 { NEVER } else { -b.ln() * 2.0 },
            ),
            Leaks,
        ),
        (
            behaviour(
                "leak_bursts",
                &[4096],
                600.0,
                |t| if t % 120.0 < 6.0 { 600.0 } else { 0.0 },
                |_, _, _| NEVER,
            ),
            LeaksInBursts,
        ),
        (
            behaviour(
                "leak_by_day",
                &[1024],
                200.0,
                |t| 100.0 * (1.0 + (t / HOUR * TAU).sin()),
                |_, _, _| NEVER,
            ),
            Leaks,
        ),
        (
            behaviour(
                "leak_after_start_cache",
                &[1024],
                9000.0,
                |t| if t < 20.0 { 9000.0 } else { 60.0 },
                |_, _, _| NEVER,
            ),
            Leaks,
        ),
        (
            behaviour("leak_large", &[3 << 20], 0.2, |_| 0.2, |_, _, _| NEVER),
            Leaks,
        ),
        (
            behaviour(
                "start_cache",
                &[512],
                50_000.0,
                |t| if t < 15.0 { 50_000.0 } else { 0.0 },
                |_, _, _| NEVER,
            ),
            Innocent,
        ),
        (
            behaviour(
                "pool",
                &[16_384],
                500.0,
                |t| 500.0 * (-t / 20.0).exp(),
                |_, _, _| NEVER,
            ),
            Innocent,
        ),
        (
            behaviour("requests", &[1500], 1000.0, |_| 1000.0, exponential(0.05)),
            Innocent,
        ),
        (
            behaviour("sessions", &[8192], 200.0, |_| 200.0, exponential(60.0)),
            Innocent,
        ),
        (
            behaviour("long_sessions", &[8192], 40.0, |_| 40.0, exponential(200.0)),
            Innocent,
        ),
        (
            behaviour(
                "sawtooth",
                &[1024],
                800.0,
                |_| 800.0,
                |t, _, _| 60.0 - t % 60.0,
            ),
            Innocent,
        ),
        (
            behaviour(
                "daily_requests",
                &[4096],
                500.0,
                |t| 250.0 * (1.0 + (t / HOUR * TAU).sin()),
                exponential(5.0),
            ),
            Innocent,
        ),
        (
            behaviour(
                "growing_traffic",
                &[4096],
                500.0,
                move |t| 500.0 * t / end,
                exponential(5.0),
            ),
            Innocent,
        ),
        (
            behaviour("lru_linear", &[2048], 200.0, |_| 200.0, |_, _, _| 400.0),
            filling(400.0),
        ),
        (
            behaviour(
                "cache_random_keys",
                &[2048],
                400.0,
                |t| 400.0 * (-t / 300.0).exp(),
                |_, _, _| NEVER,
            ),
            filling(1e9),
        ),
        (
            behaviour("ttl_cache", &[700], 900.0, |_| 900.0, |_, _, _| 120.0),
            filling(120.0),
        ),
        (
            behaviour(
                "one_burst",
                &[2048],
                4000.0,
                move |t| {
                    if (t - end * 0.4).abs() < end * 0.005 {
                        4000.0
                    } else {
                        0.0
                    }
                },
                |_, _, _| NEVER,
            ),
            Innocent,
        ),
        (
            behaviour("tiny", &[16], 20_000.0, |_| 20_000.0, exponential(1.0)),
            Innocent,
        ),
        (
            behaviour(
                "late_start",
                &[1024],
                300.0,
                at_least(end * 0.5, 300.0),
                exponential(3.0),
            ),
            Innocent,
        ),
    ]
}

/// The class of a line, and whether it looks like a leak.
fn said(findings: &Findings, name: &str) -> Option<(Class, bool)> {
    let all = findings
        .leaks
        .iter()
        .chain(&findings.filling)
        .chain(&findings.others);
    all.into_iter()
        .find(|suspect| suspect.place.function.ends_with(&format!("::{name}")))
        .map(|suspect| (suspect.class, suspect.looks_like_leak))
}

/// Live samples that the start of the program did not make.
fn samples_after_start(sample: &crate::profile::Sample) -> u64 {
    let cohorts = sample.detail.iter().flat_map(|detail| &detail.cohorts);
    cohorts
        .filter(|cohort| cohort.from_nanos > 20_000_000_000)
        .map(|cohort| cohort.live.objects)
        .sum()
}

/// How often the judgement was right, over several processes.
#[derive(Default)]
struct Score {
    /// Steady leaks: all, those found, those with 64 live samples of their own, those of them that were found, and those accused.
    steady: [u32; 5],
    /// Leaks in bursts, likewise.
    bursts: [u32; 5],
    /// What grows to a cap: all, those suspected, those accused.
    fills: [u32; 3],
    /// The rest, likewise.
    innocent: [u32; 3],
    wrong: Vec<String>,
}

impl Score {
    fn add(&mut self, name: &str, truth: Truth, said: Option<(Class, bool)>, samples: u64) {
        let is_accused = matches!(said, Some((Class::Leak, _)));
        let is_found = is_accused || matches!(said, Some((_, true)));
        let large = samples >= 64;
        let leaks = [true, is_found, large, large && is_found, is_accused].map(u32::from);
        let others = [true, is_found, is_accused].map(u32::from);
        let sum = |all: &mut [u32], new: &[u32]| {
            all.iter_mut().zip(new).for_each(|(all, new)| *all += new)
        };
        match truth {
            Truth::Leaks => sum(&mut self.steady, &leaks),
            Truth::LeaksInBursts => sum(&mut self.bursts, &leaks),
            Truth::Fills => sum(&mut self.fills, &others),
            Truth::Innocent => sum(&mut self.innocent, &others),
        }
        let is_innocent = matches!(truth, Truth::Innocent | Truth::Fills);
        if is_innocent && is_accused || truth == Truth::Leaks && large && !is_found {
            self.wrong
                .push(format!("{name}: {said:?} with {samples} samples"));
        }
    }
}

fn score(interval: u64, minutes: f64, runs: u64) -> Score {
    let end = minutes * 60.0;
    let mut score = Score::default();
    for seed in 0..runs {
        let (lines, truths): (Vec<Behaviour>, Vec<Truth>) = suite(end).into_iter().unzip();
        let seed = seed * 1000 + minutes as u64 + interval;
        let profile = profile(&lines, end, interval, seed);
        let samples: Vec<u64> = profile.samples.iter().map(samples_after_start).collect();
        let findings = leaks(&[profile], &Options::default()).expect("one profile");
        for ((line, truth), samples) in lines.iter().zip(truths).zip(samples) {
            score.add(line.name, truth, said(&findings, line.name), samples);
        }
    }
    score
}

#[test]
fn nobody_is_accused_and_leaks_of_64_samples_are_found() {
    println!(
        "| interval | minutes | steady leaks found | of those with 64 samples | steady leaks accused | in bursts found | caches that fill: suspected | accused | other innocent: suspected | accused |"
    );
    println!("|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
    let mut wrong: Vec<String> = Vec::new();
    for interval in [64 << 10, 512 << 10, 2 << 20] {
        for minutes in [5.0, 20.0, 100.0] {
            let Score {
                steady: s,
                bursts: b,
                fills: f,
                innocent: i,
                wrong: names,
            } = score(interval, minutes, 20);
            println!(
                "| {} KiB | {minutes} | {} of {} | {} of {} | {} of {} | {} of {} | {} of {} | {} of {} | {} of {} | {} of {} |",
                interval >> 10,
                s[1],
                s[0],
                s[3],
                s[2],
                s[4],
                s[0],
                b[1],
                b[0],
                f[1],
                f[0],
                f[2],
                f[0],
                i[1],
                i[0],
                i[2],
                i[0]
            );
            wrong.extend(names);
        }
    }
    println!("{wrong:#?}");
    // In each of 180 processes the odds of an accusation are at most 1 %, so more than 11 of them have odds of 4·10⁻⁷. A steady
    // leak is said to thin out in 2 of 1,000. The seeds are fixed, and with them there is one of the latter, none of the former.
    assert!(wrong.len() <= 1, "{wrong:#?}");
    assert!(
        wrong.iter().all(|wrong| !wrong.contains("Leak")),
        "{wrong:#?}"
    );
}

#[test]
fn rates_are_covered_by_their_intervals() {
    // The true rate lies within the 95 % interval in at least 95 % of the runs: an interval that covers 95 % covers fewer than
    // 541 of 600 with odds of 4·10⁻⁷ (binomial). The seeds are fixed, so the odds are of another generator.
    let bytes = |sizes: &[u64]| sizes.iter().sum::<u64>() as f64 / sizes.len() as f64;
    for (name, sizes, per_second) in [
        ("small", &[1024u64][..], 400.0),
        ("mixed", MIXED, 60.0),
        ("large", &[3 << 20], 0.2),
    ] {
        let (mut covered, mut told, mut sum) = (0, 0, 0.0);
        let truth = bytes(sizes) * per_second;
        for seed in 0..200 {
            for interval in [64 << 10, 512 << 10, 2 << 20] {
                let leak = behaviour(
                    name,
                    sizes,
                    per_second,
                    move |_| per_second,
                    |_, _, _| NEVER,
                );
                let found = leaks(
                    &[profile(&[leak], 1800.0, interval, seed * 7 + interval)],
                    &Options::default(),
                );
                let found = found.expect("one profile");
                let mut all = found.leaks.iter().chain(&found.filling);
                let Some(rate) = all.next().and_then(|leak| leak.rate) else {
                    continue;
                };
                told += 1;
                sum += rate.bytes / truth;
                covered += u32::from(rate.low <= truth && truth <= rate.high);
            }
        }
        println!(
            "{name}: {covered} of {told} covered, mean {:.3} of the truth",
            sum / f64::from(told)
        );
        assert!(
            told > 590 && f64::from(covered) > 0.9 * f64::from(told),
            "{name}: {covered} of {told}"
        );
    }
}

#[test]
fn sessions_as_long_as_the_run_are_not_accused() {
    // Their number still grows, but old ones end: a seventh to a quarter of those that reach half of the run. That alone has to
    // clear them, so caches are taken to fill in no time.
    let options = Options {
        longest_fill: Duration::ZERO,
        ..Options::default()
    };
    for times in [1.0, 1.5] {
        for seed in 0..20 {
            let end = 1200.0;
            let lifetime = exponential(times * end);
            let sessions = behaviour("sessions", &[4096], 150.0, |_| 150.0, lifetime);
            let found = leaks(&[profile(&[sessions], end, 512 << 10, seed)], &options);
            let said = said(&found.expect("one profile"), "sessions");
            assert_eq!(said, Some((Class::Filling, false)), "{times} {seed}");
        }
    }
}
