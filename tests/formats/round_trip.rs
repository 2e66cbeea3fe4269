//! What is written reads back: JSON all of it, pprof what the format can hold.
#![forbid(unsafe_code)]

use heapsite::format::{self, Format, json, pprof};
use heapsite::profile::*;
use proptest::prelude::*;

use crate::generate::{by_hand, wild};

pub(crate) fn written(format: Format, profile: &Profile) -> Vec<u8> {
    let mut bytes = Vec::new();
    format.write(profile, &mut bytes).unwrap();
    bytes
}

/// A wild profile whose cohorts have a table of threads to point at.
fn whole(profile: Profile) -> Profile {
    profile.check().unwrap();
    profile
}

/// The profile as pprof's format can hold it, by the list in the documentation of `format::pprof`.
fn as_pprof_holds(profile: &Profile) -> Profile {
    let mut held = profile.clone();
    held.heap = None;
    if !held.doc_url.starts_with("http://") && !held.doc_url.starts_with("https://") {
        held.doc_url.clear();
    }
    if held.default_sample_type.is_empty() {
        let names: Vec<&str> = profile
            .sample_types
            .iter()
            .map(|t| t.kind.as_str())
            .collect();
        let last = names.last().copied().unwrap_or_default();
        held.default_sample_type = if names.contains(&"inuse_space") {
            "inuse_space"
        } else {
            last
        }
        .to_owned();
    }
    for function in &mut held.functions {
        if function.system_name == function.name {
            function.system_name.clear();
        }
    }
    for location in &profile.locations {
        let Some(id) = location.mapping else { continue };
        let mapping = &mut held.mappings[id.0 as usize];
        mapping.has_functions |= !location.lines.is_empty();
        mapping.has_inline_frames |= location.lines.len() > 1;
        mapping.has_line_numbers |= location.lines.iter().any(|line| line.line != 0);
        mapping.has_filenames |= (location.lines.iter()).any(|line| {
            !profile.functions[line.function.0 as usize]
                .filename
                .is_empty()
        });
    }
    for sample in &mut held.samples {
        sample.detail = None;
        sample
            .labels
            .retain(|label| !label.key.is_empty() && label.value != LabelValue::Str(String::new()));
        for label in &mut sample.labels {
            if let LabelValue::Num(_, unit) = &mut label.value
                && unit.is_empty()
            {
                *unit = if label.key.contains("bytes") {
                    "bytes"
                } else {
                    "count"
                }
                .to_owned();
            }
        }
    }
    held
}

proptest! {
    #![proptest_config(crate::generate::cases(300))]

    #[test]
    fn json_holds_everything(profile in wild()) {
        let profile = whole(profile);
        let bytes = written(Format::Json, &profile);
        prop_assert_eq!(format::sniff(&bytes), Some(Format::Json));
        prop_assert_eq!(json::read(&bytes).unwrap(), profile);
    }

    #[test]
    fn pprof_holds_what_its_format_can(profile in wild()) {
        let profile = whole(profile);
        let mut read = pprof::read(&written(Format::Pprof, &profile)).unwrap();
        let held = as_pprof_holds(&profile);
        // Facts follow the profile's own comments.
        let comments = profile.comments.len();
        prop_assert_eq!(read.comments.len() > comments, profile.heap.is_some());
        read.comments.truncate(comments);
        prop_assert_eq!(&read, &held);
        // A second trip changes nothing.
        let bytes = written(Format::Pprof, &read);
        prop_assert_eq!(format::sniff(&bytes), Some(Format::Pprof));
        prop_assert_eq!(format::read(&bytes).unwrap(), read);
    }

    #[test]
    fn uncompressed_pprof_and_compressed_json_are_read_too(profile in wild()) {
        let profile = whole(profile);
        let plain = crate::walker::unpack(&written(Format::Pprof, &profile));
        prop_assert_eq!(format::sniff(&plain), Some(Format::Pprof));
        prop_assert_eq!(format::read(&plain).unwrap(), pprof::read(&plain).unwrap());
        let packed = crate::walker::pack(&written(Format::Json, &profile));
        prop_assert_eq!(format::read(&packed).unwrap(), profile);
    }
}

#[test]
fn numbers_beyond_53_bits_and_odd_floats_survive_json() {
    let mut profile = by_hand();
    profile.locations[0].address = u64::MAX - 1;
    profile.samples[0].values[0] = i64::MIN;
    let mut detail = SiteDetail::default();
    detail.alloc.bytes = (1 << 53) + 1;
    detail.alloc.bytes_estimate = 0.1 + 0.2;
    detail.alloc.bytes_variance = f64::INFINITY;
    detail.live.bytes_estimate = f64::MIN_POSITIVE / 3.0; // subnormal
    profile.samples[0].detail = Some(Box::new(detail));
    let text = String::from_utf8(written(Format::Json, &profile)).unwrap();
    assert!(
        text.contains("18446744073709551614") && text.contains("\"inf\""),
        "{text}"
    );
    assert_eq!(json::read(text.as_bytes()).unwrap(), profile);
}

#[test]
fn facts_become_comments() {
    let read = pprof::read(&written(Format::Pprof, &by_hand())).unwrap();
    let comments = read.comments.join("\n");
    for part in [
        "one allocation sampled per 524288 bytes",
        "process 4321, up 3.5 s",
        "server --port 80",
        "loss: 3 x live-map-full: frees of these are not seen",
        "heapsite's own memory",
    ] {
        assert!(comments.contains(part), "no {part:?} in {comments}");
    }
}

#[test]
fn writing_is_deterministic() {
    for format in Format::ALL {
        assert_eq!(
            written(format, &by_hand()),
            written(format, &by_hand()),
            "{format}"
        );
    }
}
