//! Sums and differences undo each other, and errors of growth follow their formulas.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use heapsite::profile::diff::{Diff, Matching, Options, diff};
use heapsite::profile::growth::Basis;
use heapsite::profile::*;
use proptest::prelude::*;

use crate::generate::{by_hand, orderly_pair, wild};

/// Values by stack (build and place of each frame) and labels, stacks without a value left out.
fn content(profile: &Profile) -> BTreeMap<(Vec<String>, Vec<Label>), Vec<i64>> {
    let mut content = BTreeMap::new();
    for sample in &profile.samples {
        let frame = |id: &LocationId| {
            let location = &profile.locations[id.0 as usize];
            let mapping = &profile.mappings[location.mapping.unwrap().0 as usize];
            let name = &profile.functions[location.lines[0].function.0 as usize].name;
            format!(
                "{}+{:#x} {name}",
                mapping.build_id,
                location.address - mapping.start
            )
        };
        let stack = sample.locations.iter().map(frame).collect();
        let sum = content
            .entry((stack, sample.labels.clone()))
            .or_insert(vec![0; sample.values.len()]);
        for (sum, value) in sum.iter_mut().zip(&sample.values) {
            *sum += value;
        }
    }
    content.retain(|_, values: &mut Vec<i64>| values.iter().any(|&value| value != 0));
    content
}

fn difference(base: &Profile, new: &Profile) -> Diff {
    diff(base, new, &Options::default()).unwrap()
}

/// The same program in another address space.
fn moved(mut profile: Profile, by: u64) -> Profile {
    for mapping in &mut profile.mappings {
        (mapping.start, mapping.limit) = (mapping.start + by, mapping.limit + by);
    }
    profile
        .locations
        .iter_mut()
        .for_each(|location| location.address += by);
    profile
}

proptest! {
    #![proptest_config(crate::generate::cases(300))]

    #[test]
    fn a_part_taken_from_the_sum_leaves_the_other((a, b) in orderly_pair(), slide in 0..1u64 << 40) {
        let b = moved(b, slide & !0xfff);
        let sum = Profile::merge(&[&a, &b]).unwrap();
        let rest = difference(&b, &sum).profile;
        prop_assert_eq!(content(&rest), content(&a));
        prop_assert_eq!(content(&rest.drop_zeros().unwrap()), content(&a));
        prop_assert_eq!(content(&difference(&a, &sum).profile), content(&b));
    }

    #[test]
    fn sums_do_not_depend_on_the_order((a, b) in orderly_pair()) {
        let (ab, ba) = (Profile::merge(&[&a, &b]).unwrap(), Profile::merge(&[&b, &a]).unwrap());
        prop_assert_eq!(content(&ab), content(&ba));
        // Each stack once.
        let again = Profile::merge(&[&ab]).unwrap();
        prop_assert_eq!(again.samples.len(), ab.samples.len());
    }

    #[test]
    fn nothing_grows_against_itself(profile in wild(), matching in 0..3u8) {
        let matching = [Matching::Auto, Matching::Line, Matching::Function][usize::from(matching)];
        let same = diff(&profile, &profile, &Options::matching(matching)).unwrap();
        prop_assert!(same.profile.samples.iter().all(|s| s.values.iter().all(|&value| value == 0)));
        prop_assert!(same.total().iter().all(|growth| growth.delta == 0 && growth.z.abs().max(0.0) == 0.0));
        same.profile.check().unwrap();
        let merged = Profile::merge(&[&profile, &profile]).unwrap();
        merged.check().unwrap();
    }

    #[test]
    fn rows_add_up_to_the_total((a, b) in orderly_pair()) {
        let diff = difference(&a, &b);
        let rows = diff.rows(|_, sample| sample.locations.first().copied());
        for (column, total) in diff.total().iter().enumerate() {
            prop_assert_eq!(rows.iter().map(|row| row.growth[column].delta).sum::<i64>(), total.delta);
            let variance: f64 = rows.iter().map(|row| row.growth[column].variance()).sum();
            prop_assert!((variance - total.variance()).abs() <= 1e-9 * variance);
        }
    }
}

#[test]
fn different_builds_match_by_name_and_line() {
    let base = by_hand();
    let mut new = moved(by_hand(), 0x3000);
    new.mappings[0].build_id.push('f');
    // Another compiler did not inline: one location per function instead of one for both.
    let inner = new.locations[0].lines.remove(0);
    let mut split = Location::default();
    (split.mapping, split.address, split.lines) =
        (Some(MappingId(0)), 0x5555_0000_9999, vec![inner]);
    new.locations.push(split);
    new.samples[0].locations.insert(0, LocationId(3));
    new.samples[0].values = vec![1100, 70_400, 1000, 64_000];
    // libc is not symbolised, and the same: its offset decides.
    let delta = difference(&base, &new);
    assert_eq!(delta.profile.samples.len(), 2);
    assert_eq!(delta.profile.samples[0].values, [100, 6400, 100, 6400]);
    assert_eq!(delta.profile.samples[1].values, [0; 4]);

    // Another checkout, and the other mangling: paths match by their end, names without arguments.
    for function in &mut new.functions {
        function.filename = format!("/ci/124{}", function.filename);
        function.name.push_str("::<u8>");
    }
    assert_eq!(difference(&base, &new).profile.samples.len(), 2);
    // Offsets in another build of libc are other code.
    new.mappings[1].build_id.push('f');
    assert_eq!(difference(&base, &new).profile.samples.len(), 4);
    new.mappings[1].build_id.pop();

    // A line that moved splits the stack, unless lines are not to count.
    new.locations[1].lines[0].line += 3;
    assert_eq!(difference(&base, &new).profile.samples.len(), 4);
    let by_function = diff(&base, &new, &Options::matching(Matching::Function)).unwrap();
    assert_eq!(by_function.profile.samples.len(), 2);
}

#[test]
fn same_build_matches_by_address_whatever_the_names() {
    let base = by_hand();
    let mut new = moved(by_hand(), 0x7000);
    new.locations
        .iter_mut()
        .for_each(|location| location.lines.clear());
    let delta = difference(&base, &new);
    assert!(
        delta
            .profile
            .samples
            .iter()
            .all(|sample| sample.values == [0; 4])
    );
    // Shown by name they are four different stacks.
    let by_line = diff(&base, &new, &Options::matching(Matching::Line)).unwrap();
    assert_eq!(by_line.profile.samples.len(), 4);
}

#[test]
fn only_common_sample_types_are_compared() {
    let base = by_hand();
    let mut new = by_hand();
    new.sample_types.remove(0);
    for sample in &mut new.samples {
        sample.values.remove(0);
    }
    new.samples[0].values[2] += 7;
    let delta = difference(&base, &new);
    assert_eq!(delta.profile.sample_types, new.sample_types);
    assert_eq!(delta.profile.samples[0].values, [0, 0, 7]);

    let kind = ValueType {
        kind: "cpu".into(),
        unit: "nanoseconds".into(),
    };
    new.sample_types = vec![kind; 3];
    for error in [
        diff(&base, &new, &Options::default())
            .map(drop)
            .unwrap_err()
            .to_string(),
        Profile::merge(&[&base, &new])
            .map(drop)
            .unwrap_err()
            .to_string(),
    ] {
        assert!(
            error.contains("cpu/nanoseconds") && error.contains("inuse_space/bytes"),
            "{error}"
        );
    }
    assert!(
        Profile::merge(&[])
            .unwrap_err()
            .to_string()
            .contains("nothing to merge")
    );
}

/// `by_hand` with a tally for its first sample, at a process start.
fn with_detail(live: [f64; 2], alloc: f64, free: f64, pid: u32) -> Profile {
    let mut profile = by_hand();
    let mut detail = SiteDetail::default();
    [detail.live.bytes_variance, detail.live.objects_variance] = live;
    detail.alloc.bytes_variance = alloc;
    detail.free.bytes_variance = free;
    profile.samples.truncate(1);
    profile.samples[0].detail = Some(Box::new(detail));
    let process = &mut profile.heap.as_mut().unwrap().process;
    (process.pid, process.start_ticks, process.boot_id) = (pid, 7, "boot".to_owned());
    profile
}

#[test]
fn errors_cancel_within_a_process_only() {
    const SPACE: usize = 3;
    let base = with_detail([400.0, 4.0], 1000.0, 600.0, 1);
    let mut new = with_detail([409.0, 5.0], 1012.0, 603.0, 1);
    new.samples[0].values[SPACE] += 150;
    new.time_nanos += 60_000_000_000;
    // 12 + 3 since the base is less than 400 + 409.
    let growth = difference(&base, &new).growth(0, SPACE);
    assert_eq!((growth.delta, growth.basis), (150, Basis::Recorded));
    assert!(
        (growth.std_error - 15f64.sqrt()).abs() < 1e-12,
        "{growth:?}"
    );
    assert_eq!(
        difference(&base, &new).profile.duration_nanos,
        60_000_000_000
    );
    // What was ever allocated: 12.
    assert!((difference(&base, &new).growth(0, 1).std_error - 12f64.sqrt()).abs() < 1e-12);
    // Heavy traffic: the two ends bound it better.
    let busy = with_detail([409.0, 5.0], 9000.0, 8600.0, 1);
    assert!((difference(&base, &busy).growth(0, SPACE).std_error - 809f64.sqrt()).abs() < 1e-12);
    // Another process.
    new.heap.as_mut().unwrap().process.pid = 2;
    let other = difference(&base, &new);
    assert!(!other.same_process && other.profile.duration_nanos == 0);
    assert!((other.growth(0, SPACE).std_error - 809f64.sqrt()).abs() < 1e-12);
    // A stack that is new.
    let mut empty = base.clone();
    empty.samples.clear();
    assert!((difference(&empty, &base).growth(0, SPACE).std_error - 400f64.sqrt()).abs() < 1e-12);
}

#[test]
fn profiles_from_elsewhere_get_an_approximate_error() {
    let mut base = by_hand();
    base.heap = None;
    let mut new = base.clone();
    new.samples[0].values = vec![2000, 128_000, 1800, 115_200];
    let growth = difference(&base, &new).growth(0, 3);
    // 900 and 1800 objects of 64 bytes, from different processes for all we know.
    let odds = 1.0 / (64.0f64 / 524_288.0).exp_m1();
    let expected = (2700.0 * 64.0 * 64.0 * odds).sqrt();
    assert!(
        (growth.std_error / expected - 1.0).abs() < 1e-9,
        "{growth:?}"
    );
    assert_eq!(growth.basis, Basis::Approximate);

    (base.period, new.period) = (1, 1);
    assert_eq!(difference(&base, &new).growth(0, 3).std_error, 0.0);
    (base.period, new.period) = (0, 0);
    assert_eq!(difference(&base, &new).growth(0, 3).basis, Basis::Unknown);
}

#[test]
fn details_and_facts_add_up() {
    let (mut a, mut b) = (
        with_detail([1.0, 2.0], 3.0, 4.0, 1),
        with_detail([10.0, 20.0], 30.0, 40.0, 2),
    );
    let bucket = |from_nanos, objects| LifetimeBucket {
        from_nanos,
        to_nanos: 2 * from_nanos,
        objects,
        bytes_estimate: 1.0,
    };
    let detail = |profile: &mut Profile, lifetimes, nanos| {
        let detail = profile.samples[0].detail.as_mut().unwrap();
        detail.lifetimes = lifetimes;
        detail.cohorts = vec![Cohort {
            from_nanos: nanos,
            ..Cohort::default()
        }];
    };
    detail(&mut a, vec![bucket(2, 5), bucket(8, 1)], 70);
    detail(&mut b, vec![bucket(4, 1), bucket(8, 2)], 80);
    a.heap.as_mut().unwrap().threads = vec!["main".into(), "worker".into()];
    let sum = Profile::merge(&[&a, &b]).unwrap();
    let detail = sum.samples[0].detail.as_ref().unwrap();
    assert_eq!(
        (detail.live.bytes_variance, detail.free.bytes_variance),
        (11.0, 44.0)
    );
    let counts: Vec<_> = detail
        .lifetimes
        .iter()
        .map(|b| (b.from_nanos, b.objects))
        .collect();
    assert_eq!(counts, [(2, 5), (4, 1), (8, 3)]);
    // A thread of the same name counts as the same, and ages that differ by less than an eighth become one.
    let cohorts: Vec<_> = detail
        .cohorts
        .iter()
        .map(|c| (c.from_nanos, c.thread))
        .collect();
    assert_eq!(cohorts, [(70, 0)]);
    let heap = sum.heap.as_ref().unwrap();
    assert_eq!(heap.threads, ["main", "worker"]);
    assert_eq!(
        (heap.process.pid, heap.losses.len(), heap.losses[0].count),
        (0, 1, 6)
    );

    // Where one side knows nothing, the sum would be a half-truth.
    b.samples[0].detail = None;
    b.heap = None;
    let sum = Profile::merge(&[&a, &b]).unwrap();
    assert!(sum.heap.is_none() && sum.samples[0].detail.is_none());
}
