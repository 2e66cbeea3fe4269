//! From messages to a [`Profile`]: every reference is followed once and checked. Samples are `samples.rs`.
#![forbid(unsafe_code)]

use hashbrown::HashMap;
use prost::Message;

use super::samples::Samples;
use super::{proto, scan};
use crate::error::{Error, Result};
use crate::format::budget::Budget;
use crate::profile::{
    Function, FunctionId, Line, Location, LocationId, Mapping, MappingId, Profile, ValueType,
};

/// Reads an uncompressed profile.
pub(super) fn read(bytes: &[u8]) -> Result<Profile> {
    if bytes.is_empty() {
        return Err(Error::input("the profile is empty: 0 bytes, unpacked"));
    }
    let budget = Budget::new(bytes.len());
    let parts = scan::check(bytes, &budget)?;
    let raw = proto::Profile::decode(bytes)
        .map_err(|error| Error::input("not a pprof profile").caused_by(error))?;
    convert(raw, &parts, &budget)
}

fn convert(raw: proto::Profile, parts: &scan::Parts<'_>, budget: &Budget) -> Result<Profile> {
    let strings = Strings::new(&parts.strings, budget)?;
    let mapping_ids = Ids::new("mapping", raw.mapping.iter().map(|mapping| mapping.id))?;
    let function_ids = Ids::new("function", raw.function.iter().map(|function| function.id))?;
    let location_ids = Ids::new("location", raw.location.iter().map(|location| location.id))?;

    let value_type = |what: &str, raw: &proto::ValueType| -> Result<ValueType> {
        Ok(ValueType {
            kind: strings.get(what, raw.r#type)?,
            unit: strings.get(what, raw.unit)?,
        })
    };
    let mut profile = Profile {
        sample_types: collect(&raw.sample_type, |raw| value_type("sample_type", raw))?,
        default_sample_type: strings.get("default_sample_type", raw.default_sample_type)?,
        mappings: collect(&raw.mapping, |raw| mapping(raw, &strings))?,
        functions: collect(&raw.function, |raw| function(raw, &strings))?,
        period_type: match &raw.period_type {
            Some(raw) => Some(value_type("period_type", raw)?),
            None => None,
        },
        period: raw.period,
        time_nanos: raw.time_nanos,
        duration_nanos: raw.duration_nanos,
        drop_frames: strings.get("drop_frames", raw.drop_frames)?,
        keep_frames: strings.get("keep_frames", raw.keep_frames)?,
        comments: collect(&raw.comment, |&comment| strings.get("comment", comment))?,
        doc_url: strings.get("doc_url", raw.doc_url)?,
        ..Profile::default()
    };
    profile.locations = collect(&raw.location, |raw| {
        location(raw, &mapping_ids, &function_ids)
    })?;
    if profile.sample_types.is_empty() && !parts.samples.is_empty() {
        return Err(Error::input(format!(
            "the profile has {} samples but no sample_type: it must say what their values mean",
            parts.samples.len()
        )));
    }
    let mut samples = Samples::new(profile.sample_types.len(), &location_ids, &strings);
    profile.samples.reserve_exact(parts.samples.len());
    for (index, message) in parts.samples.iter().enumerate() {
        let sample = samples.read(message);
        profile
            .samples
            .push(sample.map_err(|error| error.context(format_args!("sample {index}")))?);
    }
    Ok(profile)
}

fn collect<T, U>(raw: &[T], convert: impl FnMut(&T) -> Result<U>) -> Result<Vec<U>> {
    raw.iter().map(convert).collect()
}

fn location(raw: &proto::Location, mapping_ids: &Ids, function_ids: &Ids) -> Result<Location> {
    let place = |error: Error| error.context(format_args!("location {}", raw.id));
    // Go's reader takes a line without a function, and a mapping that is not there, for none.
    let known = raw.line.iter().filter(|line| line.function_id != 0);
    let lines = known.map(|line| {
        let function = FunctionId(function_ids.index(line.function_id)?);
        Ok(Line {
            function,
            line: line.line,
            column: line.column,
        })
    });
    Ok(Location {
        mapping: mapping_ids.index(raw.mapping_id).ok().map(MappingId),
        address: raw.address,
        lines: lines.collect::<Result<_>>().map_err(place)?,
        is_folded: raw.is_folded,
    })
}

fn mapping(raw: &proto::Mapping, strings: &Strings<'_>) -> Result<Mapping> {
    let text = |what, index| {
        let text = strings.get(what, index);
        text.map_err(|error| error.context(format_args!("mapping {}", raw.id)))
    };
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

fn function(raw: &proto::Function, strings: &Strings<'_>) -> Result<Function> {
    let text = |what, index| {
        let text = strings.get(what, index);
        text.map_err(|error| error.context(format_args!("function {}", raw.id)))
    };
    Ok(Function {
        name: text("name", raw.name)?,
        system_name: text("system_name", raw.system_name)?,
        filename: text("filename", raw.filename)?,
        start_line: raw.start_line,
    })
}

/// The string table. Bytes that are not UTF-8 are shown with replacement characters.
pub(super) struct Strings<'a>(&'a [&'a [u8]], &'a Budget);

impl<'a> Strings<'a> {
    fn new(table: &'a [&'a [u8]], budget: &'a Budget) -> Result<Strings<'a>> {
        match table.first() {
            Some(first) if !first.is_empty() => Err(Error::input(format!(
                "string_table[0] is \"{}\", but must be empty",
                String::from_utf8_lossy(&first[..first.len().min(40)])
            ))),
            _ => Ok(Strings(table, budget)),
        }
    }

    pub(super) fn get(&self, what: &str, index: i64) -> Result<String> {
        let bytes = usize::try_from(index)
            .ok()
            .and_then(|index| self.0.get(index));
        match bytes {
            Some(bytes) => {
                self.1.take(1, bytes.len())?;
                Ok(String::from_utf8_lossy(bytes).into_owned())
            }
            // A profile without any text has no table.
            None if index == 0 => Ok(String::new()),
            None => Err(Error::input(format!(
                "{what} is string {index}, but the string table has {} entries",
                self.0.len()
            ))),
        }
    }
}

/// Where the entry with an id is in its table.
pub(super) enum Ids {
    /// Ids are 1, 2, 3, …: what every known writer does.
    InOrder(&'static str, usize),
    Mixed(&'static str, HashMap<u64, u32>),
}

impl Ids {
    fn new(what: &'static str, ids: impl ExactSizeIterator<Item = u64> + Clone) -> Result<Ids> {
        let len = ids.len();
        // Indexes are 32 bits wide; the file's size keeps tables far below that.
        if ids.clone().zip(1..).all(|(id, expected)| id == expected) {
            return Ok(Ids::InOrder(what, len));
        }
        let mut known = HashMap::with_capacity(len);
        for (index, id) in ids.enumerate() {
            if id == 0 {
                return Err(Error::input(format!(
                    "{what} number {} has id 0, which means \"none\"",
                    index + 1
                )));
            }
            if known.insert(id, index as u32).is_some() {
                return Err(Error::input(format!("{what} id {id} is given twice")));
            }
        }
        Ok(Ids::Mixed(what, known))
    }

    /// Where all of these are.
    pub(super) fn stack(&self, ids: &[u64]) -> Result<Vec<LocationId>> {
        let all_in = |len: usize| ids.iter().all(|id| id.wrapping_sub(1) < len as u64);
        match self {
            Ids::InOrder(_, len) if all_in(*len) => {
                Ok(ids.iter().map(|&id| LocationId(id as u32 - 1)).collect())
            }
            _ => ids
                .iter()
                .map(|&id| self.index(id).map(LocationId))
                .collect(),
        }
    }

    fn index(&self, id: u64) -> Result<u32> {
        let (what, found) = match self {
            Ids::InOrder(what, len) => {
                (what, (1..=*len as u64).contains(&id).then(|| id as u32 - 1))
            }
            Ids::Mixed(what, known) => (what, known.get(&id).copied()),
        };
        found.ok_or_else(|| unknown(what, id))
    }
}

#[cold]
fn unknown(what: &str, id: u64) -> Error {
    Error::input(format!(
        "it refers to {what} id {id}, which is not in the profile"
    ))
}
