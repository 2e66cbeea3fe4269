//! What a stack should look like in the formats for other viewers, worked out anew and without haste.
#![forbid(unsafe_code)]

use heapsite::profile::*;

/// A frame.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    pub(crate) name: String,
    pub(crate) file: String,
    pub(crate) line: i64,
}

/// Leaf first.
pub(crate) fn stack(profile: &Profile, sample: &Sample) -> Vec<Place> {
    let mut stack = Vec::new();
    for id in &sample.locations {
        let location = &profile.locations[id.0 as usize];
        let unnamed = || match location.mapping.map(|id| &profile.mappings[id.0 as usize]) {
            Some(mapping) if !mapping.file.is_empty() => {
                let file = mapping.file.split('/').next_back().unwrap();
                let offset = location
                    .address
                    .wrapping_sub(mapping.start)
                    .wrapping_add(mapping.offset);
                format!(
                    "[{}]+{offset:#x}",
                    file.trim_start_matches('[').trim_end_matches(']')
                )
            }
            _ => format!("{:#x}", location.address),
        };
        for line in &location.lines {
            let function = &profile.functions[line.function.0 as usize];
            stack.push(Place {
                name: if function.name.is_empty() {
                    unnamed()
                } else {
                    function.name.clone()
                },
                file: function.filename.clone(),
                line: line.line.max(0),
            });
        }
        if location.lines.is_empty() {
            stack.push(Place {
                name: unnamed(),
                file: String::new(),
                line: 0,
            });
        }
    }
    if stack.is_empty() {
        stack.push(Place {
            name: "[no stack]".to_owned(),
            file: String::new(),
            line: 0,
        });
    }
    stack
}

/// Control characters are spaces where a format is made of lines.
pub(crate) fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// The four types of a heap profile in place of any, with values that are not negative and whose sums fit.
pub(crate) fn as_heap(mut profile: Profile) -> Profile {
    let types = [
        ("alloc_objects", "count"),
        ("alloc_space", "bytes"),
        ("inuse_objects", "count"),
        ("inuse_space", "bytes"),
    ];
    profile.sample_types = types
        .map(|(kind, unit)| ValueType {
            kind: kind.into(),
            unit: unit.into(),
        })
        .to_vec();
    profile.default_sample_type = "inuse_space".into();
    for sample in &mut profile.samples {
        let known = sample.values.iter().cycle().take(4);
        sample.values = known
            .map(|value| value.unsigned_abs() as i64 & 0xff_ffff_ffff)
            .collect();
    }
    profile
}

/// The sum of one sample type.
pub(crate) fn total(profile: &Profile, kind: &str) -> i64 {
    let index = profile.sample_type_index(Some(kind)).unwrap();
    profile
        .samples
        .iter()
        .map(|sample| sample.values[index])
        .sum()
}
