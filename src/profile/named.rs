//! Puts a [`Profile`] together from stacks that have names already and no addresses.
#![forbid(unsafe_code)]

use hashbrown::HashMap;

use super::addresses::FunctionIndex;
use super::{Function, FunctionId, Label, Line, Location, LocationId, Profile, Sample, ValueType};

/// How the comment of a profile of tasks begins, by which they are told apart from goroutines.
pub(crate) const TASKS: &str = "async tasks of ";

/// Builds a profile sample by sample.
pub(crate) struct NamedBuilder {
    profile: Profile,
    functions: FunctionIndex,
    locations: HashMap<(FunctionId, i64), LocationId>,
}

impl NamedBuilder {
    /// A profile that counts one kind of thing, as Go's goroutine profile does: its period is 1.
    pub(crate) fn counting(kind: &str) -> NamedBuilder {
        let kind = ValueType {
            kind: kind.to_owned(),
            unit: "count".to_owned(),
        };
        NamedBuilder {
            profile: Profile {
                default_sample_type: kind.kind.clone(),
                sample_types: vec![kind.clone()],
                period_type: Some(kind),
                period: 1,
                ..Profile::default()
            },
            functions: FunctionIndex::new(&[]),
            locations: HashMap::new(),
        }
    }

    /// A frame: function, file (empty: unknown), line (0: unknown).
    pub(crate) fn location(&mut self, function: &str, file: &str, line: i64) -> LocationId {
        let function = Function {
            name: function.to_owned(),
            filename: file.to_owned(),
            ..Function::default()
        };
        let function = self.functions.intern(&mut self.profile.functions, function);
        let next = LocationId(self.profile.locations.len() as u32);
        let id = *self.locations.entry((function, line)).or_insert(next);
        if id == next {
            let line = Line {
                function,
                line,
                column: 0,
            };
            self.profile.locations.push(Location {
                lines: vec![line],
                ..Location::default()
            });
        }
        id
    }

    /// So many of this stack, leaf first.
    pub(crate) fn sample(&mut self, stack: Vec<LocationId>, count: u64, labels: Vec<Label>) {
        self.profile.samples.push(Sample {
            locations: stack,
            values: vec![i64::try_from(count).unwrap_or(i64::MAX)],
            labels,
            detail: None,
        });
    }

    /// The profile so far; time and comments are the caller's to set.
    pub(crate) fn finish(self) -> Profile {
        self.profile
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_shared() {
        let mut builder = NamedBuilder::counting("goroutine");
        let a = builder.location("f", "a.rs", 1);
        assert_eq!(builder.location("f", "a.rs", 1), a);
        let b = builder.location("f", "a.rs", 2);
        let c = builder.location("f", "b.rs", 1);
        assert!(a != b && b != c && a != c);
        builder.sample(vec![a, b, c], 3, Vec::new());
        let profile = builder.finish();
        profile.check().unwrap();
        assert_eq!((profile.functions.len(), profile.locations.len()), (2, 3));
        assert_eq!(profile.samples[0].values, [3]);
    }
}
