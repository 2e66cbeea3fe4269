//! From fields to a [`Profile`], in one pass: samples become what they are in the profile as they come, and what they refer to
//! is followed and checked once all tables are there. No more of the file is in memory than a field.
#![forbid(unsafe_code)]

use std::io::Read;

use prost::Message;

use super::ids::{Ids, Small};
use super::samples::Samples;
use super::scan::{Field, Fields};
use super::strings::Strings;
use super::{entries, grow, proto};
use crate::error::{Error, Result};
use crate::format::budget::Budget;
use crate::profile::{
    Function, FunctionId, Line, Location, Mapping, MappingId, Profile, ValueType,
};

/// Reads an uncompressed profile.
pub(super) fn read(source: impl Read) -> Result<Profile> {
    let budget = Budget::growing();
    let mut fields = Fields::new(source);
    let mut parts = Parts::default();
    while let Some(field) = fields.next()? {
        budget.read(field.whole.len());
        parts.add(&field, &budget)?;
    }
    match fields.at() {
        0 => Err(Error::input("the profile is empty: 0 bytes, unpacked")),
        _ => parts.finish(&budget),
    }
}

/// A profile that is being read.
#[derive(Default)]
struct Parts {
    samples: Samples,
    /// With ids for mappings and functions.
    locations: Vec<Location>,
    location_ids: Vec<u64>,
    functions: Vec<proto::Function>,
    strings: Strings,
    small: Small,
    /// All other fields as they are: they are few.
    others: Vec<u8>,
}

impl Parts {
    fn add(&mut self, field: &Field<'_>, budget: &Budget) -> Result<()> {
        entries::take(field.number, field.contents, budget)?;
        match field.number {
            2 => {
                let index = self.samples.list.len();
                let added = self.samples.add(field.contents, &mut self.small, budget);
                added.map_err(|error| error.context(format_args!("sample {index}")))?;
            }
            4 => self.location(
                &proto::Location::decode(field.contents).map_err(no_profile)?,
                budget,
            )?,
            5 => {
                let function = proto::Function::decode(field.contents).map_err(no_profile)?;
                grow(&mut self.functions, 1);
                self.functions.push(function);
            }
            6 => self.strings.push(field.contents),
            _ => {
                grow(&mut self.others, field.whole.len());
                self.others.extend_from_slice(field.whole);
            }
        }
        Ok(())
    }

    fn location(&mut self, raw: &proto::Location, budget: &Budget) -> Result<()> {
        // Go's reader takes a line without a function for none.
        let known = raw.line.iter().filter(|line| line.function_id != 0);
        let mut lines = Vec::with_capacity(known.clone().count());
        for line in known {
            lines.push(Line {
                function: FunctionId(self.small.put(line.function_id, budget)?),
                line: line.line,
                column: line.column,
            });
        }
        let location = Location {
            mapping: match raw.mapping_id {
                0 => None,
                id => Some(MappingId(self.small.put(id, budget)?)),
            },
            address: raw.address,
            lines,
            is_folded: raw.is_folded,
        };
        grow(&mut self.locations, 1);
        self.locations.push(location);
        grow(&mut self.location_ids, 1);
        self.location_ids.push(raw.id);
        Ok(())
    }

    fn finish(self, budget: &Budget) -> Result<Profile> {
        let Parts {
            samples,
            mut locations,
            location_ids,
            functions,
            strings,
            small,
            others,
        } = self;
        let raw = proto::Profile::decode(&*others).map_err(no_profile)?;
        drop(others);
        strings.check()?;
        let text = |what: &str, index| strings.get(what, index, budget);
        let mapping_ids = Ids::new("mapping", raw.mapping.iter().map(|mapping| mapping.id))?;
        let function_ids = Ids::new("function", functions.iter().map(|function| function.id))?;
        let known_locations = Ids::new("location", location_ids.iter().copied())?;

        let value_type = |what: &str, raw: &proto::ValueType| -> Result<ValueType> {
            Ok(ValueType {
                kind: text(what, raw.r#type)?,
                unit: text(what, raw.unit)?,
            })
        };
        for (location, &id) in locations.iter_mut().zip(&location_ids) {
            resolve(location, &small, &mapping_ids, &function_ids)
                .map_err(|error| error.context(format_args!("location {id}")))?;
        }
        drop(location_ids);
        let mut profile = Profile {
            sample_types: collect(&raw.sample_type, |raw| value_type("sample_type", raw))?,
            default_sample_type: text("default_sample_type", raw.default_sample_type)?,
            mappings: collect(&raw.mapping, |raw| {
                mapping(raw, &text)
                    .map_err(|error| error.context(format_args!("mapping {}", raw.id)))
            })?,
            functions: collect(&functions, |raw| {
                function(raw, &text)
                    .map_err(|error| error.context(format_args!("function {}", raw.id)))
            })?,
            locations,
            period_type: match &raw.period_type {
                Some(raw) => Some(value_type("period_type", raw)?),
                None => None,
            },
            period: raw.period,
            time_nanos: raw.time_nanos,
            duration_nanos: raw.duration_nanos,
            drop_frames: text("drop_frames", raw.drop_frames)?,
            keep_frames: text("keep_frames", raw.keep_frames)?,
            comments: collect(&raw.comment, |&comment| text("comment", comment))?,
            doc_url: text("doc_url", raw.doc_url)?,
            ..Profile::default()
        };
        drop(functions);
        if profile.sample_types.is_empty() && !samples.list.is_empty() {
            return Err(Error::input(format!(
                "the profile has {} samples but no sample_type: it must say what their values mean",
                samples.list.len()
            )));
        }
        let types = profile.sample_types.len();
        profile.samples = samples.finish(types, &known_locations, &small, &text)?;
        Ok(profile)
    }
}

#[cold]
pub(super) fn no_profile(error: prost::DecodeError) -> Error {
    Error::input("not a pprof profile").caused_by(error)
}

fn collect<T, U>(raw: &[T], convert: impl FnMut(&T) -> Result<U>) -> Result<Vec<U>> {
    raw.iter().map(convert).collect()
}

/// Puts indexes in the place of ids. Go's reader takes a mapping that is not there for none.
fn resolve(
    location: &mut Location,
    small: &Small,
    mapping_ids: &Ids,
    function_ids: &Ids,
) -> Result<()> {
    location.mapping = location
        .mapping
        .and_then(|id| mapping_ids.index(small.get(id.0)).ok())
        .map(MappingId);
    for line in &mut location.lines {
        line.function = FunctionId(function_ids.index(small.get(line.function.0))?);
    }
    Ok(())
}

fn mapping(raw: &proto::Mapping, text: &impl Fn(&str, i64) -> Result<String>) -> Result<Mapping> {
    Ok(Mapping {
        start: raw.memory_start,
        limit: raw.memory_limit,
        offset: raw.file_offset,
        file: text("filename", raw.filename)?,
        build_id: text("build_id", raw.build_id)?,
        has_functions: raw.has_functions,
        has_filenames: raw.has_filenames,
        has_line_numbers: raw.has_line_numbers,
        has_inline_frames: raw.has_inline_frames,
    })
}

fn function(
    raw: &proto::Function,
    text: &impl Fn(&str, i64) -> Result<String>,
) -> Result<Function> {
    Ok(Function {
        name: text("name", raw.name)?,
        system_name: text("system_name", raw.system_name)?,
        filename: text("filename", raw.filename)?,
        start_line: raw.start_line,
    })
}
