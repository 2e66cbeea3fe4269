//! Puts a [`Profile`] together from addresses: each address, mapping and function once.
#![forbid(unsafe_code)]

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashMap, HashTable};

use super::{
    Function, FunctionId, Label, Location, LocationId, Mapping, MappingId, Profile, Sample,
    SiteDetail, ValueType,
};

/// Builds a profile sample by sample.
///
/// Locations are shared by address, and find their mapping by themselves.
#[derive(Debug, Default)]
pub struct Builder {
    profile: Profile,
    /// `(start, limit, index)` of the mappings, by start.
    by_start: Vec<(u64, u64, u32)>,
    by_address: HashMap<u64, LocationId>,
}

impl Builder {
    /// A profile with these sample types, and nothing in it yet.
    pub fn new(sample_types: Vec<ValueType>, mappings: Vec<Mapping>) -> Builder {
        let mut by_start: Vec<_> = (0u32..)
            .zip(&mappings)
            .map(|(index, m)| (m.start, m.limit, index))
            .collect();
        by_start.sort_unstable();
        Builder {
            profile: Profile {
                sample_types,
                mappings,
                ..Profile::default()
            },
            by_start,
            by_address: HashMap::new(),
        }
    }

    /// The location of a code address (for a caller: the return address minus one).
    pub fn location(&mut self, address: u64) -> LocationId {
        if let Some(&id) = self.by_address.get(&address) {
            return id;
        }
        let id = LocationId(self.profile.locations.len() as u32);
        let mapping = self.mapping_of(address);
        self.profile.locations.push(Location {
            mapping,
            address,
            ..Location::default()
        });
        self.by_address.insert(address, id);
        id
    }

    /// Adds a sample with its stack, leaf first. `values` are one per sample type.
    ///
    /// Samples are not merged here: one per (stack, labels) is the caller's promise.
    pub fn sample(
        &mut self,
        stack: &[u64],
        values: Vec<i64>,
        labels: Vec<Label>,
        detail: Option<Box<SiteDetail>>,
    ) {
        debug_assert_eq!(values.len(), self.profile.sample_types.len());
        let locations = stack
            .iter()
            .map(|&address| self.location(address))
            .collect();
        self.profile.samples.push(Sample {
            locations,
            values,
            labels,
            detail,
        });
    }

    /// The profile so far. The fields that are not about stacks (period, time, comments, …) are the
    /// caller's to set.
    pub fn finish(self) -> Profile {
        self.profile
    }

    fn mapping_of(&self, address: u64) -> Option<MappingId> {
        let after = self
            .by_start
            .partition_point(|&(start, ..)| start <= address);
        let &(_, limit, index) = self.by_start.get(after.checked_sub(1)?)?;
        (address < limit).then_some(MappingId(index))
    }
}

/// Finds functions that are in a profile already, without keeping their texts twice.
pub(crate) struct FunctionIndex {
    table: HashTable<FunctionId>,
    hasher: DefaultHashBuilder,
}

impl FunctionIndex {
    /// Of the functions that are there.
    pub(crate) fn new(functions: &[Function]) -> FunctionIndex {
        let mut index = FunctionIndex {
            table: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
        };
        for (id, function) in (0u32..).zip(functions) {
            let hash = index.hasher.hash_one(function);
            let hasher = &index.hasher;
            index.table.insert_unique(hash, FunctionId(id), |id| {
                hasher.hash_one(&functions[id.0 as usize])
            });
        }
        index
    }

    /// The id of `function` in `functions`, which is the list this index was made of; appended if new.
    pub(crate) fn intern(
        &mut self,
        functions: &mut Vec<Function>,
        function: Function,
    ) -> FunctionId {
        let FunctionIndex { table, hasher } = self;
        let hash = hasher.hash_one(&function);
        if let Some(&id) = table.find(hash, |id| functions[id.0 as usize] == function) {
            return id;
        }
        let id = FunctionId(functions.len() as u32);
        functions.push(function);
        table.insert_unique(hash, id, |id| hasher.hash_one(&functions[id.0 as usize]));
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(start: u64, limit: u64) -> Mapping {
        Mapping {
            start,
            limit,
            ..Mapping::default()
        }
    }

    #[test]
    fn locations_are_shared_and_know_their_mapping() {
        // The main binary comes first although it lies higher.
        let mut builder = Builder::new(
            Vec::new(),
            vec![mapping(0x5000, 0x6000), mapping(0x1000, 0x2000)],
        );
        builder.sample(&[0x5000, 0x1fff, 0x2000], Vec::new(), Vec::new(), None);
        builder.sample(
            &[0x1fff, 0x5fff, 0x6000, 0xfff],
            Vec::new(),
            Vec::new(),
            None,
        );
        let profile = builder.finish();
        assert_eq!(
            profile.samples[0].locations[1],
            profile.samples[1].locations[0]
        );
        let found: Vec<_> = profile
            .locations
            .iter()
            .map(|l| (l.address, l.mapping.map(|m| m.0)))
            .collect();
        assert_eq!(
            found,
            [
                (0x5000, Some(0)),
                (0x1fff, Some(1)),
                (0x2000, None),
                (0x5fff, Some(0)),
                (0x6000, None),
                (0xfff, None)
            ]
        );
    }

    #[test]
    fn functions_are_shared_when_every_field_agrees() {
        let named = |name: &str, filename: &str| Function {
            name: name.into(),
            filename: filename.into(),
            ..Function::default()
        };
        let mut functions = vec![named("a", "x.rs")];
        let mut index = FunctionIndex::new(&functions);
        assert_eq!(
            index.intern(&mut functions, named("a", "x.rs")),
            FunctionId(0)
        );
        assert_eq!(
            index.intern(&mut functions, named("a", "y.rs")),
            FunctionId(1)
        );
        for i in 0..100 {
            index.intern(&mut functions, named(&i.to_string(), ""));
        }
        assert_eq!(
            index.intern(&mut functions, named("57", "")),
            FunctionId(59)
        );
        assert_eq!(functions.len(), 102);
    }
}
