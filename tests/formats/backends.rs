//! Rules of backends that cannot be installed here, as far as they concern a file: Parca's validator, the
//! address-and-label identity of Grafana Alloy's delta, and what pprof itself needs. Call [`check_file`] on any
//! pprof file that heapsite has written.
#![forbid(unsafe_code)]

use std::collections::HashSet;

use crate::walker::{all, fields, number, numbers, unpack};

/// Checks the rules that hold for every file. Panics with the rule that is broken.
pub(crate) fn check_file(bytes: &[u8]) {
    let profile = fields(&unpack(bytes));
    let strings = all(&profile, 6);
    assert_eq!(
        strings.first().map(Vec::len),
        Some(0),
        "string_table[0] is not empty"
    );
    let unique: HashSet<&Vec<u8>> = strings.iter().collect();
    assert_eq!(unique.len(), strings.len(), "a string comes twice");
    let text = |index: u64| -> &[u8] {
        strings
            .get(index as usize)
            .unwrap_or_else(|| panic!("string {index} of {}", strings.len()))
    };

    for (field, name) in [(3, "mapping"), (4, "location"), (5, "function")] {
        for (message, id) in all(&profile, field).iter().zip(1..) {
            assert_eq!(
                number(&fields(message), 1),
                id,
                "{name} ids are not 1..n in order"
            );
        }
    }
    let mappings: Vec<_> = all(&profile, 3).iter().map(|m| fields(m)).collect();
    let functions: Vec<_> = all(&profile, 5).iter().map(|f| fields(f)).collect();
    let locations: Vec<_> = all(&profile, 4).iter().map(|l| fields(l)).collect();
    for mapping in &mappings {
        let _exist = (text(number(mapping, 5)), text(number(mapping, 6)));
    }
    for function in &functions {
        let (name, system_name) = (text(number(function, 2)), text(number(function, 3)));
        text(number(function, 4));
        assert!(
            system_name.is_empty() || system_name != name,
            "system_name equals name"
        );
    }
    for location in &locations {
        let mapping = number(location, 2) as usize;
        assert!(
            mapping <= mappings.len(),
            "a location's mapping does not exist"
        );
        let lines = all(location, 4);
        for line in &lines {
            let function = number(&fields(line), 1) as usize;
            assert!(
                (1..=functions.len()).contains(&function),
                "a line's function does not exist"
            );
        }
        if mapping > 0 {
            let mapping = &mappings[mapping - 1];
            assert!(
                lines.is_empty() || number(mapping, 7) == 1,
                "has_functions is not set"
            );
            assert!(
                lines.len() < 2 || number(mapping, 10) == 1,
                "has_inline_frames is not set"
            );
        }
    }

    let types: Vec<_> = all(&profile, 1).iter().map(|t| fields(t)).collect();
    let names: Vec<&[u8]> = types.iter().map(|t| text(number(t, 1))).collect();
    for kind in &types {
        let _exists = text(number(kind, 2));
    }
    let default = text(number(&profile, 14));
    // A nameless last type cannot be named.
    let nameless = names.last().is_none_or(|name| name.is_empty());
    assert!(!default.is_empty() || nameless, "no default_sample_type");
    for sample in all(&profile, 2) {
        let sample = fields(&sample);
        assert_eq!(
            numbers(&sample, 2).len(),
            types.len(),
            "values do not fit the sample types"
        );
        for id in numbers(&sample, 1) {
            assert!(
                (1..=locations.len()).contains(&(id as usize)),
                "a location does not exist"
            );
        }
        for label in all(&sample, 3) {
            let label = fields(&label);
            assert_ne!(number(&label, 1), 0, "a label has no key");
            let (str, num_unit) = (number(&label, 2), number(&label, 4));
            assert!(
                (str == 0) != (num_unit == 0),
                "a label is neither a text nor a number with a unit"
            );
            assert!(
                str == 0 || number(&label, 3) == 0,
                "a label is both a text and a number"
            );
            let texts = (text(number(&label, 1)), text(str), text(num_unit));
            assert!(!texts.0.is_empty(), "a label's key is empty");
        }
    }
    let doc_url = text(number(&profile, 15));
    assert!(
        doc_url.is_empty() || doc_url.starts_with(b"http"),
        "doc_url is not absolute"
    );
    for comment in numbers(&profile, 13) {
        let _exists = text(comment);
    }
}

/// Checks the further rules for a snapshot of one process: stacks are told apart by addresses and labels alone,
/// and the header is that of a heap profile.
pub(crate) fn check_snapshot(bytes: &[u8]) {
    check_file(bytes);
    let profile = fields(&unpack(bytes));
    let strings = all(&profile, 6);
    let text = |index: u64| std::str::from_utf8(&strings[index as usize]).unwrap();
    let value_type = |message: &[u8]| {
        let kind = fields(message);
        format!("{}/{}", text(number(&kind, 1)), text(number(&kind, 2)))
    };
    let types: Vec<String> = all(&profile, 1)
        .iter()
        .map(|kind| value_type(kind))
        .collect();
    let expected = "alloc_objects/count alloc_space/bytes inuse_objects/count inuse_space/bytes";
    assert_eq!(types.join(" "), expected);
    assert_eq!(
        value_type(&all(&profile, 11)[0]),
        "space/bytes",
        "period_type"
    );
    assert_ne!(number(&profile, 12), 0, "period");

    let mappings: Vec<_> = all(&profile, 3).iter().map(|m| fields(m)).collect();
    let mut addresses = vec![0];
    for location in all(&profile, 4) {
        let location = fields(&location);
        let address = number(&location, 3);
        assert_ne!(address, 0, "a location has address 0");
        if let Some(mapping) = (number(&location, 2) as usize).checked_sub(1) {
            let (start, limit) = (number(&mappings[mapping], 2), number(&mappings[mapping], 3));
            assert!(
                (start..limit).contains(&address),
                "{address:#x} is outside of its mapping"
            );
        }
        addresses.push(address);
    }
    let unique: HashSet<&u64> = addresses.iter().collect();
    assert_eq!(
        unique.len(),
        addresses.len(),
        "two locations have one address"
    );

    let mut seen = HashSet::new();
    for sample in all(&profile, 2) {
        let sample = fields(&sample);
        let stack: Vec<u64> = numbers(&sample, 1)
            .iter()
            .map(|&id| addresses[id as usize])
            .collect();
        let mut labels = all(&sample, 3);
        labels.sort();
        assert!(
            seen.insert((stack, labels)),
            "two samples have the same addresses and labels"
        );
    }
}
