//! Snapshot → profile of addresses.
#![forbid(unsafe_code)]

use std::collections::HashMap;

use super::{Site, Snapshot};
use crate::profile::addresses::Builder;
use crate::profile::told;
use crate::profile::{
    Cut, Function, FunctionId, Line, Location, LocationId, Profile, SiteDetail, Tally, ValueType,
};

/// The four value types of a heap profile, in pprof's order.
const SAMPLE_TYPES: [(&str, &str); 4] = [
    ("alloc_objects", "count"),
    ("alloc_space", "bytes"),
    ("inuse_objects", "count"),
    ("inuse_space", "bytes"),
];

/// Frames that viewers drop from the leaf: heapsite's own and the compiler's shims. In pprof's form: matched
/// against the whole name up to its first parenthesis.
const DROP_FRAMES: &str = r"__rust_alloc|__rust_alloc_zeroed|__rust_realloc|__rustc::__rust_.*|<heapsite::(alloc::)?Heapsite<.*|heapsite::(alloc|record|unwind)::.*";

pub(super) fn build(snapshot: &Snapshot) -> Profile {
    let sample_types = SAMPLE_TYPES
        .iter()
        .map(|(kind, unit)| ValueType {
            kind: (*kind).to_owned(),
            unit: (*unit).to_owned(),
        })
        .collect();
    let mut builder = Builder::new(sample_types, snapshot.mappings.clone());
    for (site, detail) in distinct(snapshot) {
        builder.sample(
            snapshot.stack(site),
            values(&detail),
            Vec::new(),
            Some(Box::new(detail)),
        );
    }
    let mut profile = builder.finish();
    name_what_has_no_address(&mut profile, snapshot);
    profile.default_sample_type = "inuse_space".to_owned();
    profile.period_type = Some(ValueType {
        kind: "space".to_owned(),
        unit: "bytes".to_owned(),
    });
    let interval = snapshot.facts.interval.max(snapshot.live_interval);
    profile.period = i64::try_from(interval).unwrap_or(i64::MAX);
    if snapshot.largest_interval > interval {
        let note = told::largest_interval(snapshot.largest_interval);
        profile.comments.push(note);
    }
    profile.time_nanos = snapshot.time_nanos;
    profile.drop_frames = DROP_FRAMES.to_owned();
    profile.heap = Some(Box::new(snapshot.facts.clone()));
    profile
}

/// Sites by stack: two threads that bring the same new stack at one moment may each make a site of it.
fn distinct(snapshot: &Snapshot) -> Vec<(&Site, SiteDetail)> {
    let mut places: HashMap<(&[u64], bool, Option<Cut>), usize> = HashMap::new();
    let mut distinct: Vec<(&Site, SiteDetail)> = Vec::with_capacity(snapshot.sites.len());
    for site in &snapshot.sites {
        let key = (snapshot.stack(site), site.is_overflow, site.detail.cut);
        match places.get(&key) {
            Some(place) => distinct[*place].1.add(&site.detail),
            None => {
                places.insert(key, distinct.len());
                distinct.push((site, site.detail.clone()));
            }
        }
    }
    distinct
}

/// Estimates rounded to whole numbers, in the order of [`SAMPLE_TYPES`].
fn values(detail: &SiteDetail) -> Vec<i64> {
    let pair = |tally: &Tally| {
        [
            tally.objects_estimate.round() as i64,
            tally.bytes_estimate.round() as i64,
        ]
    };
    [pair(&detail.alloc), pair(&detail.live)].concat()
}

/// Gives a rootmost frame in words to stacks that were cut, and a frame to samples without any, so that
/// every viewer shows what happened. Their addresses are small numbers where no code can be, the same in every
/// snapshot: some backends tell stacks apart by nothing but addresses.
fn name_what_has_no_address(profile: &mut Profile, snapshot: &Snapshot) {
    let overflow = snapshot.sites.iter().any(|site| site.is_overflow);
    let mut notes: Vec<(u64, LocationId)> = Vec::new();
    let mut samples = std::mem::take(&mut profile.samples);
    for sample in &mut samples {
        let (address, note) = match sample.detail.as_ref().and_then(|detail| detail.cut) {
            Some(Cut::Depth) => (1, "[stack cut: deeper than heapsite keeps]"),
            Some(Cut::NoUnwindInfo) => (2, "[stack cut: code without unwind information]"),
            Some(Cut::UnknownRule) => (3, "[stack cut: unwind information not understood]"),
            Some(Cut::BadStack) => (4, "[stack cut: stack memory not readable]"),
            None if sample.locations.is_empty() && overflow => {
                (5, "[stack not kept: site table full]")
            }
            None if sample.locations.is_empty() => (6, "[no stack]"),
            None => continue,
        };
        let location = match notes.iter().find(|(known, _)| *known == address) {
            Some((_, location)) => *location,
            None => {
                let location = add_note(profile, note, address);
                notes.push((address, location));
                location
            }
        };
        sample.locations.push(location);
    }
    profile.samples = samples;
}

fn add_note(profile: &mut Profile, note: &str, address: u64) -> LocationId {
    let function = FunctionId(profile.functions.len() as u32);
    profile.functions.push(Function {
        name: note.to_owned(),
        ..Function::default()
    });
    let location = LocationId(profile.locations.len() as u32);
    profile.locations.push(Location {
        address,
        lines: vec![Line {
            function,
            line: 0,
            column: 0,
        }],
        ..Location::default()
    });
    location
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_has_the_same_address_whatever_comes_before_it() {
        let snapshot = |cuts: &[Option<Cut>]| Snapshot {
            sites: cuts
                .iter()
                .map(|&cut| Site {
                    detail: SiteDetail {
                        cut,
                        ..SiteDetail::default()
                    },
                    is_overflow: false,
                    first_frame: 0,
                    frame_count: 0,
                })
                .collect(),
            ..Snapshot::default()
        };
        let address_of = |cuts: &[Option<Cut>], part: &str| {
            let profile = build(&snapshot(cuts));
            let is_it = |location: &&Location| {
                profile.functions[location.lines[0].function.0 as usize]
                    .name
                    .contains(part)
            };
            profile
                .locations
                .iter()
                .find(is_it)
                .map(|location| location.address)
        };
        let (depth, bad, none) = (Some(Cut::Depth), Some(Cut::BadStack), None);
        assert_eq!(
            address_of(&[depth, bad], "not readable"),
            address_of(&[none, bad, depth], "not readable")
        );
        assert_eq!(
            address_of(&[none], "no stack"),
            address_of(&[bad, none], "no stack")
        );
        assert_ne!(
            address_of(&[none], "no stack"),
            address_of(&[bad], "not readable")
        );
    }
}
