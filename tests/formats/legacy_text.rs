//! Legacy text read back: it holds the values and the addresses. Go's pprof, google-pprof and jeprof read it in
//! `tests/exports`.
#![forbid(unsafe_code)]

use heapsite::format::{self, Format};
use heapsite::profile::*;

use crate::call_tree::{Shape, one};
use crate::exported::total;
use crate::generate::by_hand;
use crate::round_trip::written;

const KINDS: [&str; 4] = [
    "alloc_objects",
    "alloc_space",
    "inuse_objects",
    "inuse_space",
];

fn again(profile: &Profile) -> Profile {
    format::read(&written(Format::Legacy, profile)).unwrap()
}

#[test]
fn exact_totals_survive() {
    let mut profile = one(Shape::of(300));
    profile.period = 1;
    let read = again(&profile);
    for kind in KINDS {
        assert_eq!(total(&read, kind), total(&profile, kind), "{kind}");
    }
    assert_eq!(read.period, 1);
    assert_eq!(read.samples.len(), profile.samples.len());
    let addresses = |profile: &Profile| {
        let stack = |sample: &Sample| -> Vec<u64> {
            let at = sample
                .locations
                .iter()
                .map(|id| profile.locations[id.0 as usize].address);
            at.collect()
        };
        let mut stacks: Vec<_> = profile.samples.iter().map(stack).collect();
        stacks.sort();
        stacks
    };
    assert_eq!(addresses(&read), addresses(&profile));
}

/// One sample of 64 bytes stands for 8,192 of them, one of 409 for 1,280.
#[test]
fn estimates_survive_to_half_a_sample() {
    let profile = by_hand();
    let read = again(&profile);
    for kind in ["inuse_objects", "alloc_objects"] {
        let (read, value) = (total(&read, kind), total(&profile, kind));
        assert!(
            (read - value).abs() <= 8192 + 1280,
            "{kind}: {read}, not {value}"
        );
    }
    assert_eq!(read.mappings.len(), 2);
    assert_eq!(
        (&read.mappings[0].file, read.mappings[0].offset),
        (&profile.mappings[0].file, 0x1000)
    );
    assert!(
        read.functions
            .iter()
            .any(|it| it.name == "server::cache::insert")
    );
    let text = String::from_utf8(written(Format::Legacy, &profile)).unwrap();
    assert!(text.contains("\n# loss: 3 x live-map-full"), "{text}");
}

/// jemalloc's profiles often know nothing of what is gone.
#[test]
fn in_use_alone_is_written_as_such() {
    let mut profile = by_hand();
    profile.period = 1;
    profile.sample_types.drain(..2);
    profile
        .samples
        .iter_mut()
        .for_each(|it| drop(it.values.drain(..2)));
    let read = again(&profile);
    assert_eq!(read.sample_type_index(Some("inuse_space")).unwrap(), 1);
    assert_eq!(total(&read, "inuse_space"), 57_600);
}

#[test]
fn nothing_reads_back() {
    let mut profile = by_hand();
    profile.samples.clear();
    assert_eq!(again(&profile).samples, []);
}

#[test]
fn what_it_cannot_hold_is_refused() {
    let refusal = |change: fn(&mut Profile)| {
        let mut profile = by_hand();
        change(&mut profile);
        Format::Legacy
            .write(&profile, &mut Vec::new())
            .unwrap_err()
            .to_string()
    };
    assert!(refusal(|it| it.samples[0].values[3] = -1).contains("no place for what shrank"));
    assert!(refusal(|it| it.locations[1].address = 0).contains("places without one"));
    assert!(
        refusal(|it| it.sample_types[3].kind = "cpu".into())
            .contains("inuse_objects/count, cpu/bytes")
    );
}
