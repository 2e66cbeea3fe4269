//! Profiles for the tests of views.
#![forbid(unsafe_code)]

use crate::profile::{
    Function, FunctionId, Line, Location, LocationId, Profile, Sample, ValueType,
};

/// Function, file and line.
pub(crate) type Frame = (&'static str, &'static str, i64);

/// Live bytes of stacks, leaf first; each element of a stack is a location, its innermost inlined function first.
pub(crate) fn profile(stacks: &[(&[&[Frame]], i64)]) -> Profile {
    let mut profile = Profile {
        sample_types: vec![ValueType {
            kind: "inuse_space".into(),
            unit: "bytes".into(),
        }],
        ..Profile::default()
    };
    for (stack, bytes) in stacks {
        let mut sample = Sample {
            values: vec![*bytes],
            ..Sample::default()
        };
        for frames in *stack {
            let mut location = Location {
                address: 0x1000 + profile.locations.len() as u64,
                ..Location::default()
            };
            for &(name, file, line) in *frames {
                let function = FunctionId(profile.functions.len() as u32);
                profile.functions.push(Function {
                    name: name.into(),
                    filename: file.into(),
                    ..Function::default()
                });
                location.lines.push(Line {
                    function,
                    line,
                    column: 0,
                });
            }
            sample
                .locations
                .push(LocationId(profile.locations.len() as u32));
            profile.locations.push(location);
        }
        profile.samples.push(sample);
    }
    profile
}
