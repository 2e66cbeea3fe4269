#![forbid(unsafe_code)]

use super::*;
use crate::leak::testing::{Row, profile};

/// Snapshots of one process with a level per line and moment, each of which rests on `variance` per live byte.
fn snapshots(lines: &[&[i64]], variance: f64) -> Vec<Profile> {
    (0..lines[0].len())
        .map(|at| {
            let row = |(line, levels): (i64, &&[i64])| Row {
                live: levels[at],
                variance: variance * levels[at] as f64,
                ..Row::new("shop::serve", line)
            };
            let rows: Vec<Row> = (1..).zip(lines).map(row).collect();
            profile(at as u64, &rows)
        })
        .collect()
}

/// The lines accused at 10⁻⁶.
fn accused(profiles: &[Profile]) -> Vec<i64> {
    let accused = accuse(profiles, 1e-6).unwrap();
    accused.iter().map(|accused| accused.frame.line).collect()
}

const STEADY: [i64; 12] = [
    100, 200, 300, 400, 500, 600, 700, 800, 900, 1000, 1100, 1200,
];

#[test]
fn steady_growth_is_accused_the_fastest_first() {
    let twice = STEADY.map(|level| 2 * level);
    let lines = [&STEADY[..], &[7; 12], &twice];
    let profiles = snapshots(&lines, 0.0);
    assert_eq!(accused(&profiles), [3, 1]);
    let first = &accuse(&profiles, 1e-6).unwrap()[0];
    assert_eq!((first.growth, first.std_error), (2200, 0.0));
    assert_eq!(first.levels, twice);
    // Two lines could have risen by chance, in one of 12! orders each.
    assert!((first.p * 479_001_600.0 - 2.0).abs() < 1e-9, "{}", first.p);
}

#[test]
fn caches_and_working_sets_are_not() {
    // Fills up and stays; fills up exponentially; goes up and down; rises but for one moment; jumps once.
    let full = [
        100, 500, 900, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000,
    ];
    let saturating: Vec<i64> = (0..12)
        .map(|n| (1e6 * (1.0 - (-f64::from(n) / 4.0).exp())) as i64)
        .collect();
    let busy = [5, 9, 4, 8, 6, 10, 3, 7, 11, 2, 12, 1];
    let mut nearly = STEADY;
    nearly.swap(8, 9);
    let mut jump = [0; 12];
    jump[9..].fill(1000);
    let lines = [&full[..], &saturating, &busy, &nearly, &jump];
    assert_eq!(accused(&snapshots(&lines, 0.0)), [0i64; 0]);
    // Less than two time constants: nobody can tell yet.
    let slow: Vec<i64> = (0..12)
        .map(|n| (1e6 * (1.0 - (-f64::from(n) / 7.0).exp())) as i64)
        .collect();
    assert_eq!(accused(&snapshots(&[&slow], 0.0)), [1]);
}

#[test]
fn growth_has_to_exceed_its_error() {
    // Independent ends: the variance of the later half is that of both, 700 + 1200 per unit of variance, its growth 500.
    // 500/√(1900 v) is 6 standard errors at v = 3.65.
    assert_eq!(accused(&snapshots(&[&STEADY], 3.0)), [1]);
    assert_eq!(accused(&snapshots(&[&STEADY], 8.0)), [0i64; 0]);
}

#[test]
fn a_function_of_two_names_is_one_line() {
    // A value is replaced: from code compiled by itself to code that was inlined.
    let moment = |at: u64| {
        let row = |name, live| Row {
            live,
            ..Row::new(name, 7)
        };
        let moved = 100 * at as i64;
        profile(
            at,
            &[row("shop::copy", 2000 - moved), row("copy", 100 + moved)],
        )
    };
    let profiles: Vec<Profile> = (0..12).map(moment).collect();
    assert_eq!(accused(&profiles), [0i64; 0]);
}

#[test]
fn says_why_it_cannot_tell() {
    let profiles = snapshots(&[&STEADY], 0.0);
    let why = |profiles: &[Profile], level| accuse(profiles, level).unwrap_err().to_string();
    assert!(
        why(&profiles[..9], 1e-6)
            .contains("9 profiles cannot show a trend at level 0.000001: 10 can")
    );
    assert!(why(&[], 0.5).contains("0 profiles"));
    assert!(why(&profiles[..2], 1.0).contains("3 can"));
    let mut turned = profiles.clone();
    turned.reverse();
    assert!(
        why(&turned, 1e-6).contains("profile 1 of 12 and the last: they are not of one process")
    );
    let mut unknown = profiles;
    for profile in &mut unknown {
        profile.heap.as_mut().unwrap().interval = 0;
        profile.period = 0;
        profile.samples[0].detail = None;
    }
    assert!(why(&unknown, 1e-6).contains("how they were sampled"));
}

/// Noise without a trend, as bad as it gets: every level is drawn anew. At level 1/24 four profiles of one line rise in
/// one of 24 orders. Of 24,000 runs 1,000 are expected, and more than 1,155 have odds below 10⁻⁶ (5 standard deviations
/// of 31).
#[test]
fn false_alarms_keep_to_the_level() {
    let mut seed = 1u64;
    let mut random = || {
        // A linear congruential generator (Knuth); its upper bits are good enough to put four numbers in order.
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 24) as i64 & 0xffff_ffff
    };
    let mut alarms = 0;
    for _ in 0..24_000 {
        let mut line = Line::new(4);
        line.levels.fill_with(&mut random);
        alarms += u32::from(line.all_differ() && line.rises());
    }
    assert!((845..=1155).contains(&alarms), "{alarms}");
}
