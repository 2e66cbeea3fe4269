//! A thousand profiles from a thousand processes, added up one at a time: to the byte, and no larger than what differs.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};

use heapsite::format::{self, Format};
use heapsite::profile::merge::Merger;
use heapsite::profile::*;

use crate::fleet::Fleet;

const PROCESSES: u64 = 1_000;

/// What a sum must have, counted the obvious way.
#[derive(Default)]
struct Expected {
    /// By build, and by places of the stack in it.
    stacks: BTreeMap<(String, Vec<u64>), Vec<i64>>,
    live: Tally,
    alloc: Tally,
    rss: u64,
    sockets: u64,
    survivors: f64,
}

impl Expected {
    fn add(&mut self, profile: &Profile) {
        for (stack, values) in stacks(profile) {
            let sum = self.stacks.entry(stack).or_insert(vec![0; values.len()]);
            sum.iter_mut()
                .zip(values)
                .for_each(|(sum, value)| *sum += value);
        }
        self.survivors += survivors(profile);
        let heap = profile.heap.as_ref().unwrap();
        (self.live, self.alloc) = (self.live.plus(heap.live), self.alloc.plus(heap.alloc));
        let resources = heap.resources.as_ref().unwrap();
        self.rss += resources.memory.rss_bytes;
        self.sockets += resources.fd_count();
    }
}

fn stacks(profile: &Profile) -> impl Iterator<Item = ((String, Vec<u64>), Vec<i64>)> + '_ {
    profile.samples.iter().map(|sample| {
        let location = |id: &LocationId| &profile.locations[id.0 as usize];
        let mapping = |id: &LocationId| &profile.mappings[location(id).mapping.unwrap().0 as usize];
        let places = sample
            .locations
            .iter()
            .map(|id| location(id).address - mapping(id).start);
        let build = mapping(&sample.locations[0]).build_id.clone();
        ((build, places.collect()), sample.values.clone())
    })
}

fn survivors(profile: &Profile) -> f64 {
    let details = profile
        .samples
        .iter()
        .filter_map(|sample| sample.detail.as_ref());
    let cohorts = details.flat_map(|detail| &detail.cohorts);
    cohorts.map(|cohort| cohort.live.bytes_estimate).sum()
}

fn again(profile: &Profile, format: Format) -> Profile {
    let mut bytes = Vec::new();
    format.write(profile, &mut bytes).unwrap();
    format::read(&bytes).unwrap()
}

#[test]
fn dumps_add_up_to_the_byte() {
    let (fleet, mut merger, mut expected) = (Fleet::new(), Merger::default(), Expected::default());
    for number in 0..PROCESSES {
        let mut profile = fleet.process(number);
        expected.add(&profile);
        if number % 20 == 0 {
            profile = again(&profile, Format::Json);
        }
        merger.add(&profile).unwrap();
    }
    let sum = again(&merger.finish().unwrap(), Format::Json);
    sum.check().unwrap();
    assert_eq!(stacks(&sum).collect::<BTreeMap<_, _>>(), expected.stacks);
    // Three builds of one program, 120 stacks each.
    assert_eq!((sum.mappings.len(), sum.samples.len()), (3, 360));
    let functions: BTreeSet<&str> = sum.functions.iter().map(|f| f.name.as_str()).collect();
    assert_eq!(functions.len(), sum.functions.len());

    let heap = sum.heap.as_ref().unwrap();
    assert_eq!((heap.live, heap.alloc), (expected.live, expected.alloc));
    let variances = sum.samples.iter().map(|sample| {
        let detail = sample.detail.as_ref().unwrap();
        detail.live.bytes_variance
    });
    assert_eq!(variances.sum::<f64>(), expected.live.bytes_variance);
    let resources = sum.resources().unwrap();
    assert_eq!(
        (resources.memory.rss_bytes, resources.fd_count()),
        (expected.rss, expected.sockets)
    );
    assert_eq!(resources.thread_count(), 3 * PROCESSES);
    assert_eq!(heap.process.pid, 0);
    assert_eq!(
        sum.comments[0],
        "949500 of 1000000 addresses named, 949500 with source lines"
    );
    assert_eq!(sum.comments.len(), 2, "{:?}", sum.comments);
    let of = sum.sum().unwrap();
    assert_eq!(
        (of.profiles, of.processes, of.with_memory),
        (PROCESSES, Some(PROCESSES), PROCESSES)
    );
    assert_eq!(of.span_nanos, 299_000_000_000);
}

#[test]
fn survivors_keep_their_ages_and_become_no_more() {
    let fleet = Fleet::new();
    let cohorts = |profile: &Profile| -> usize {
        let details = profile
            .samples
            .iter()
            .filter_map(|sample| sample.detail.as_ref());
        details.map(|detail| detail.cohorts.len()).sum()
    };
    let (mut hundred, mut merger) = (0, Merger::default());
    let (mut added, mut expected) = (0, 0.0);
    for number in 0..PROCESSES {
        let profile = fleet.process(number);
        added += cohorts(&profile);
        expected += survivors(&profile);
        merger.add(&profile).unwrap();
        if number < 100 {
            hundred = added;
        }
    }
    let thousand = merger.finish().unwrap();
    assert_eq!(survivors(&thousand), expected);
    // Ten thread names with 8 cohorts at most per doubling of up to 100,060 s, of which few are younger than 2 s.
    let most = 360 * 10 * 8 * 17;
    assert!(cohorts(&thousand) < most, "{}", cohorts(&thousand));
    assert!(
        cohorts(&thousand) > hundred / 2 && 2 * cohorts(&thousand) < added,
        "{added}"
    );

    // One process of 100 s, and one of 40 s whose block was born at its start.
    let one = |uptime: u64, born: u64| {
        let mut profile = fleet.process(0);
        let heap = profile.heap.as_mut().unwrap();
        (heap.uptime_nanos, heap.threads) = (uptime, vec!["main".into()]);
        profile.samples.truncate(1);
        let detail = profile.samples[0].detail.as_mut().unwrap();
        detail.cohorts.truncate(1);
        (detail.cohorts[0].from_nanos, detail.cohorts[0].to_nanos) = (born, born);
        profile
    };
    for (first, second) in [(one(100, 20), one(40, 0)), (one(40, 0), one(100, 20))] {
        let sum = Profile::merge(&[&first, &second]).unwrap();
        let births: BTreeSet<u64> = sum.samples[0]
            .detail
            .as_ref()
            .unwrap()
            .cohorts
            .iter()
            .map(|cohort| cohort.from_nanos)
            .collect();
        assert_eq!(births, BTreeSet::from([20, 60]));
    }
}

#[test]
fn pprof_files_tell_sums_in_their_comments() {
    const FILES: u64 = 150;
    let fleet = Fleet::new();
    let (mut merger, mut mixed) = (Merger::default(), Merger::default());
    let (mut inuse, mut stacks_bytes) = (0, 0);
    for number in 0..FILES {
        let mut dump = fleet.process(number);
        let mut loss = Loss::default();
        (loss.reason, loss.meaning, loss.count) = ("live-map-full".into(), "lost".into(), number);
        dump.heap.as_mut().unwrap().losses = vec![loss];
        let file = again(&dump, Format::Pprof);
        inuse += dump
            .samples
            .iter()
            .map(|sample| sample.values[3])
            .sum::<i64>();
        stacks_bytes += 1 << 20;
        merger.add(&file).unwrap();
        mixed
            .add(if number % 2 == 0 { &dump } else { &file })
            .unwrap();
    }
    for sum in [merger.finish().unwrap(), mixed.finish().unwrap()] {
        let sum = again(&sum, Format::Pprof);
        assert!(sum.heap.is_none() && sum.pid().is_none());
        assert_eq!(
            sum.samples
                .iter()
                .map(|sample| sample.values[3])
                .sum::<i64>(),
            inuse
        );
        // How it was sampled and named, the memory, the loss, and what it is a sum of.
        assert_eq!(sum.comments.len(), 5, "{:?}", sum.comments);
        let losses = sum.losses();
        assert_eq!(
            (losses.len(), losses[0].count),
            (1, FILES * (FILES - 1) / 2)
        );
        let resources = sum.resources().unwrap();
        assert_eq!(resources.memory.stacks_bytes, stacks_bytes);
        assert_eq!(resources.thread_count(), 3 * FILES);
        let of = sum.sum().unwrap();
        // Every process of a container is number 1.
        assert_eq!(
            (of.profiles, of.processes, of.with_memory),
            (FILES, None, FILES)
        );

        // A sum of sums counts what they count.
        let twice = Profile::merge(&[&sum, &sum]).unwrap();
        assert_eq!(twice.sum().unwrap().profiles, 2 * FILES);
        assert_eq!(twice.losses()[0].count, 2 * losses[0].count);
        assert_eq!(twice.comments.len(), 5, "{:?}", twice.comments);
    }
}

#[test]
fn what_is_refused_leaves_the_sum_as_it_was() {
    let fleet = Fleet::new();
    let mut merger = Merger::default();
    merger.add(&fleet.process(0)).unwrap();
    let mut broken = fleet.process(1);
    broken.samples[5].locations[0] = LocationId(u32::MAX);
    let mut other = fleet.process(2);
    other.period_type = None;
    for bad in [broken, other] {
        merger.add(&bad).unwrap_err();
    }
    merger.add(&fleet.process(3)).unwrap();
    let sum = merger.finish().unwrap();
    let expected = Profile::merge(&[&fleet.process(0), &fleet.process(3)]).unwrap();
    assert_eq!(sum, expected);
}
