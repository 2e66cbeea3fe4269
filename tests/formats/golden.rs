//! Texts to compare by eye, and sample files for readers outside of this repository.
#![forbid(unsafe_code)]

use heapsite::format::{Format, folded};
use heapsite::profile::{FunctionId, LocationId};

use crate::generate::by_hand;
use crate::round_trip::written;

fn folded(profile: &heapsite::Profile, sample_type: Option<&str>) -> String {
    let mut text = Vec::new();
    folded::write(profile, sample_type, &mut text).unwrap();
    String::from_utf8(text).unwrap()
}

#[test]
fn folded_stacks() {
    let mut profile = by_hand();
    let clone = "<alloc::vec::Vec<T> as core::clone::Clone>::clone";
    // The default type; the second sample is 0 there.
    assert_eq!(
        folded(&profile, None),
        format!("[libc.so.6]+0x4001;server::main;server::cache::insert;{clone} 57600\n")
    );
    assert_eq!(
        folded(&profile, Some("alloc_objects")),
        format!(
            "[libc.so.6]+0x4001;server::main 10\n\
             [libc.so.6]+0x4001;server::main;server::cache::insert;{clone} 1000\n"
        )
    );
    // Equal texts become one line, separators do not split frames, unknown code shows its address.
    profile.functions[2].name = "odd;name\nhere".into();
    profile.locations[2].mapping = None;
    profile.samples[0].locations = vec![LocationId(1), LocationId(2)];
    profile.samples[0].labels.clear();
    assert_eq!(
        folded(&profile, Some("alloc_objects")),
        "0x7fff00004001;odd:name here 1010\n"
    );
    profile.samples[1].values = vec![-1000, 0, 0, -5];
    assert_eq!(
        folded(&profile, Some("alloc_objects")),
        "",
        "sums of 0 are left out"
    );
    profile.samples[0].locations.clear();
    assert!(folded(&profile, None).contains("[no stack] 57600\n"));

    let error = folded::write(&profile, Some("cpu"), &mut Vec::new())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("\"cpu\"") && error.contains("inuse_space/bytes"),
        "{error}"
    );
    assert_eq!(folded(&heapsite::Profile::default(), None), "");
}

/// The example in `src/guide/formats.md` is a real file: it reads, and is what the writer writes.
#[test]
fn the_example_in_the_guide_reads() {
    let guide = include_str!("../../src/guide/formats.md");
    let example = guide
        .split("```json\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .unwrap();
    let profile = heapsite::format::read(example.as_bytes()).unwrap();
    assert_eq!(profile.samples.len(), 1);
    let detail = profile.samples[0].detail.as_ref().unwrap();
    assert_eq!((detail.alloc.objects, detail.cohorts.len()), (12, 1));
    assert_eq!(
        profile.functions[profile.locations[0].lines[0].function.0 as usize].name,
        "app::cache::insert"
    );
    assert_eq!(profile.heap.as_ref().unwrap().process.pid, 4321);
    let again = written(Format::Json, &profile);
    assert_eq!(heapsite::format::read(&again).unwrap(), profile);
    let compact: String = example.split_whitespace().collect();
    let written: String = String::from_utf8(again)
        .unwrap()
        .split_whitespace()
        .collect();
    assert_eq!(written, compact, "the example is not what is written");
}

/// A base and a grown profile in every format, into the folder that `HEAPSITE_TEST_OUT` names.
#[test]
#[ignore = "writes files; set HEAPSITE_TEST_OUT to a folder"]
fn writes_golden_files() {
    let folder = std::env::var_os("HEAPSITE_TEST_OUT").expect("HEAPSITE_TEST_OUT names a folder");
    let folder = std::path::Path::new(&folder);
    std::fs::create_dir_all(folder).unwrap();
    let base = by_hand();
    let mut grown = by_hand();
    grown.time_nanos += 60_000_000_000;
    grown.samples[0].values = vec![3000, 192_000, 2900, 185_600];
    let mut address = by_hand();
    address.functions.clear();
    address
        .locations
        .iter_mut()
        .for_each(|location| location.lines.clear());
    // Functions that no location refers to are allowed: pprof must not mind.
    let mut spare = by_hand();
    spare.functions.push(spare.functions[0].clone());
    spare.locations[1].lines[0].function = FunctionId(3);
    for (name, profile) in [
        ("base", &base),
        ("grown", &grown),
        ("address", &address),
        ("spare", &spare),
    ] {
        for format in Format::ALL {
            let path = folder.join(format!("{name}.{}", format.extension()));
            std::fs::write(path, written(format, profile)).unwrap();
        }
    }
}
