//! Made-up processes whose leaks are known, seen through the sampler's own law.
//!
//! Allocations of a size come as a Poisson process. Those that are sampled are one too, thinned by the sampler's
//! probability, so only they are drawn. Each gets the weight that the recorder gives it; freed ones go into its buckets of
//! lifetimes, live ones into its 64 windows of births.
#![forbid(unsafe_code)]

use crate::profile::{
    Cohort, Function, FunctionId, HeapFacts, LifetimeBucket, Line, Location, LocationId,
    ProcessFacts, Profile, Sample, SiteDetail, Tally, ValueType,
};
use crate::record::sampler::{Weight, probability};

pub(super) const SECOND: f64 = 1e9;

/// How one line of the program behaves.
pub(super) struct Behaviour {
    pub(super) name: &'static str,
    /// Sizes, each as likely as the others, bytes.
    pub(super) sizes: &'static [u64],
    /// Allocations per second at a time (seconds), at most `fastest`.
    pub(super) rate: Box<dyn Fn(f64) -> f64>,
    pub(super) fastest: f64,
    /// How long one lives that is born at a time (seconds), by two random numbers from 0 to 1.
    pub(super) lifetime: Box<dyn Fn(f64, f64, f64) -> f64>,
}

/// The sampler's generator (splitmix64), seeded: every run of a test sees the same numbers.
pub(super) struct Random(pub(super) u64);

/// A number from 0 to 1, without the ends.
pub(super) fn uniform(random: &mut Random) -> f64 {
    random.0 = random.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = random.0;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    ((mixed >> 11) as f64 + 0.5) / (1u64 << 53) as f64
}

/// A profile of a process that has run for `seconds` with these lines, at an interval.
pub(super) fn profile(lines: &[Behaviour], seconds: f64, interval: u64, seed: u64) -> Profile {
    let mut random = Random(seed.wrapping_mul(0xd1b5_4a32_d192_ed03));
    let mut profile = Profile {
        sample_types: [
            "alloc_objects",
            "alloc_space",
            "inuse_objects",
            "inuse_space",
        ]
        .map(|kind| ValueType {
            kind: kind.into(),
            unit: "bytes".into(),
        })
        .to_vec(),
        period: interval as i64,
        time_nanos: (seconds * SECOND) as i64,
        heap: Some(Box::new(HeapFacts {
            interval,
            uptime_nanos: (seconds * SECOND) as u64,
            process: ProcessFacts {
                pid: 1,
                start_time_nanos: 1,
                ..ProcessFacts::default()
            },
            threads: vec!["main".into()],
            ..HeapFacts::default()
        })),
        ..Profile::default()
    };
    for (at, line) in (0u32..).zip(lines) {
        let detail = simulate(line, seconds, interval, &mut random);
        profile.functions.push(Function {
            name: format!("shop::{}", line.name),
            filename: format!("/home/me/shop/src/{}.rs", line.name),
            ..Function::default()
        });
        profile.locations.push(Location {
            address: u64::from(at) + 1,
            lines: vec![Line {
                function: FunctionId(at),
                line: 7,
                column: 0,
            }],
            ..Location::default()
        });
        let values = [detail.alloc, detail.live]
            .map(|t| [t.objects_estimate as i64, t.bytes_estimate as i64]);
        profile.samples.push(Sample {
            locations: vec![LocationId(at)],
            values: values.concat(),
            detail: Some(Box::new(detail)),
            ..Sample::default()
        });
    }
    profile
}

fn simulate(line: &Behaviour, seconds: f64, interval: u64, random: &mut Random) -> SiteDetail {
    let mut detail = SiteDetail::default();
    let mut live: Vec<(u64, u64)> = Vec::new();
    let mut freed = [(0u64, 0.0f64); 40];
    for &size in line.sizes {
        let chance = probability(size, interval);
        let fastest = line.fastest / line.sizes.len() as f64 * chance;
        let mut now = 0.0;
        loop {
            now -= uniform(random).ln() / fastest;
            if now >= seconds {
                break;
            }
            // Thinned to the rate of the moment (Lewis and Shedler, 1979).
            if uniform(random) * line.fastest >= (line.rate)(now) {
                continue;
            }
            let one = tally(size, interval);
            detail.alloc = detail.alloc.plus(one);
            let lifetime = (line.lifetime)(now, uniform(random), uniform(random));
            if now + lifetime >= seconds {
                detail.live = detail.live.plus(one);
                live.push(((now * SECOND) as u64, size));
                continue;
            }
            detail.free = detail.free.plus(one);
            let ticks = (lifetime * SECOND / 8192.0) as u64;
            let bucket = &mut freed[crate::record::lifetimes::bucket(ticks)];
            *bucket = (bucket.0 + 1, bucket.1 + one.bytes_estimate);
        }
    }
    let uptime = seconds * SECOND;
    live.sort_unstable();
    let window_of = |birth: u64| (birth as f64 / uptime * 64.0) as u64;
    for born in live.chunk_by(|a, b| window_of(a.0) == window_of(b.0)) {
        detail.cohorts.push(Cohort {
            from_nanos: born[0].0,
            to_nanos: born[born.len() - 1].0,
            thread: 0,
            live: born.iter().fold(Tally::default(), |sum, &(_, size)| {
                sum.plus(tally(size, interval))
            }),
        });
    }
    for (bucket, &(objects, bytes_estimate)) in
        freed.iter().enumerate().filter(|(_, sums)| sums.0 > 0)
    {
        let (from_nanos, to_nanos) = crate::record::lifetimes::bounds_nanos(bucket);
        detail.lifetimes.push(LifetimeBucket {
            from_nanos,
            to_nanos,
            objects,
            bytes_estimate,
        });
    }
    detail
}

fn tally(size: u64, interval: u64) -> Tally {
    let weight = Weight::new(size, interval);
    let variance = weight.count_variance();
    Tally {
        objects: 1,
        bytes: size,
        objects_estimate: weight.objects() as f64 / 65536.0,
        bytes_estimate: weight.bytes(size) as f64,
        objects_variance: variance,
        bytes_variance: variance * (size as f64).powi(2),
    }
}
