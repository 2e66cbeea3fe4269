//! Is a profile whole? Its fields are public, so every verb and writer asks before it follows an index.
#![forbid(unsafe_code)]

use super::Profile;
use crate::error::{Error, Result};

impl Profile {
    /// Checks that every index points at something and that every sample has one value per sample type.
    ///
    /// # Errors
    /// Names the first entry that is wrong, what it says, and what there is.
    pub fn check(&self) -> Result<()> {
        self.check_locations()?;
        self.check_samples()?;
        if let Some(heap) = &self.heap {
            for (index, sample) in self.samples.iter().enumerate() {
                let cohorts = sample.detail.iter().flat_map(|detail| &detail.cohorts);
                for cohort in cohorts {
                    let thread = cohort.thread as usize;
                    if thread >= heap.threads.len() {
                        return Err(missing(
                            format_args!("sample {index}, cohorts"),
                            "thread",
                            thread,
                            heap.threads.len(),
                        ));
                    }
                }
            }
        }
        Ok(())
    }

    fn check_locations(&self) -> Result<()> {
        for (index, location) in self.locations.iter().enumerate() {
            if let Some(mapping) = location.mapping
                && mapping.0 as usize >= self.mappings.len()
            {
                return Err(missing(
                    format_args!("location {index}"),
                    "mapping",
                    mapping.0 as usize,
                    self.mappings.len(),
                ));
            }
            for line in &location.lines {
                if line.function.0 as usize >= self.functions.len() {
                    return Err(missing(
                        format_args!("location {index}"),
                        "function",
                        line.function.0 as usize,
                        self.functions.len(),
                    ));
                }
            }
        }
        Ok(())
    }

    fn check_samples(&self) -> Result<()> {
        let types = self.sample_types.len();
        if types == 0 && !self.samples.is_empty() {
            return Err(Error::input(format!(
                "the profile has {} samples but no sample types: it must say what their values mean",
                self.samples.len()
            )));
        }
        for (index, sample) in self.samples.iter().enumerate() {
            if sample.values.len() != types {
                return Err(Error::input(format!(
                    "sample {index} has {} values, but there are {types} sample types: \
                     one value per type is needed",
                    sample.values.len()
                )));
            }
            for location in &sample.locations {
                if location.0 as usize >= self.locations.len() {
                    return Err(missing(
                        format_args!("sample {index}"),
                        "location",
                        location.0 as usize,
                        self.locations.len(),
                    ));
                }
            }
        }
        Ok(())
    }

    /// The position in [`Profile::sample_types`] of the type called `name`; `None`: of the type shown first,
    /// which is [`Profile::default_sample_type`] or, where that names none, the last one.
    ///
    /// # Errors
    /// The name is unknown (the error lists those that exist), or the profile has no types.
    pub fn sample_type_index(&self, name: Option<&str>) -> Result<usize> {
        let find = |name: &str| self.sample_types.iter().position(|kind| kind.kind == name);
        match name {
            Some(name) => find(name).ok_or_else(|| {
                Error::input(format!(
                    "the profile has no sample type \"{name}\"; it has {}",
                    self.sample_type_names()
                ))
            }),
            None => find(&self.default_sample_type)
                .or(self.sample_types.len().checked_sub(1))
                .ok_or_else(|| Error::input("the profile has no sample types")),
        }
    }

    /// `alloc_objects/count, alloc_space/bytes`, for errors.
    pub(crate) fn sample_type_names(&self) -> String {
        if self.sample_types.is_empty() {
            return "no sample types".to_owned();
        }
        let names: Vec<String> = self
            .sample_types
            .iter()
            .map(|kind| format!("{}/{}", kind.kind, kind.unit))
            .collect();
        names.join(", ")
    }
}

#[cold]
fn missing(place: std::fmt::Arguments<'_>, what: &str, index: usize, len: usize) -> Error {
    Error::input(format!(
        "{place} refers to {what} {index}, but there are {len} (counted from 0)"
    ))
}

#[cfg(test)]
mod tests {
    use super::super::{
        Cohort, HeapFacts, Line, Location, LocationId, Sample, SiteDetail, ValueType,
    };
    use super::super::{FunctionId, MappingId, Profile};

    fn one_sample() -> Profile {
        Profile {
            sample_types: vec![ValueType {
                kind: "inuse_space".into(),
                unit: "bytes".into(),
            }],
            samples: vec![Sample {
                locations: vec![LocationId(0)],
                values: vec![1],
                ..Sample::default()
            }],
            locations: vec![Location::default()],
            ..Profile::default()
        }
    }

    #[test]
    fn names_the_entry_that_is_wrong() {
        let good = one_sample();
        good.check().unwrap();
        let says = |change: &dyn Fn(&mut Profile)| {
            let mut bad = good.clone();
            change(&mut bad);
            bad.check().unwrap_err().to_string()
        };
        assert_eq!(
            says(&|p| p.samples[0].locations[0] = LocationId(7)),
            "sample 0 refers to location 7, but there are 1 (counted from 0)"
        );
        assert_eq!(
            says(&|p| p.locations[0].mapping = Some(MappingId(3))),
            "location 0 refers to mapping 3, but there are 0 (counted from 0)"
        );
        assert_eq!(
            says(&|p| p.locations[0].lines = vec![Line {
                function: FunctionId(2),
                line: 0,
                column: 0
            }]),
            "location 0 refers to function 2, but there are 0 (counted from 0)"
        );
        assert!(says(&|p| p.samples[0].values.clear()).contains("sample 0 has 0 values"));
        assert!(says(&|p| p.sample_types.clear()).contains("no sample types"));
        assert!(
            says(&|p| {
                p.heap = Some(Box::new(HeapFacts::default()));
                p.samples[0].detail = Some(Box::new(SiteDetail {
                    cohorts: vec![Cohort::default()],
                    ..SiteDetail::default()
                }));
            })
            .contains("thread 0")
        );
    }

    #[test]
    fn the_type_shown_first() {
        let mut profile = one_sample();
        profile.sample_types.insert(
            0,
            ValueType {
                kind: "inuse_objects".into(),
                unit: "count".into(),
            },
        );
        assert_eq!(profile.sample_type_index(None).unwrap(), 1);
        profile.default_sample_type = "inuse_objects".into();
        assert_eq!(profile.sample_type_index(None).unwrap(), 0);
        assert_eq!(profile.sample_type_index(Some("inuse_space")).unwrap(), 1);
        let error = profile
            .sample_type_index(Some("cpu"))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("inuse_objects/count, inuse_space/bytes"),
            "{error}"
        );
    }
}
