//! From a [`Profile`] to JSON, row by row, without a copy of the whole.
#![forbid(unsafe_code)]

use std::io;

use hashbrown::HashMap;
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::rows::{
    CutName, DetailObject, FunctionRow, HeapObject, LabelObject, LineRow, LocationObject,
    MappingObject, ValueTypeRow,
};
use super::{SCHEMA_NAME, SCHEMA_VERSION};
use crate::profile::{
    Function, Label, LabelValue, Location, Mapping, Profile, Sample, SiteDetail, ValueType,
};

pub(super) fn write(profile: &Profile, out: &mut dyn io::Write) -> io::Result<()> {
    let mut out = io::BufWriter::with_capacity(64 << 10, out);
    let document = Document {
        profile,
        strings: Strings::of(profile),
    };
    serde_json::to_writer(&mut out, &document)?;
    io::Write::write_all(&mut out, b"\n")?;
    io::Write::flush(&mut out)
}

struct Document<'a> {
    profile: &'a Profile,
    strings: Strings<'a>,
}

impl Serialize for Document<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Document { profile, strings } = self;
        let mut map = serializer.serialize_map(None)?;
        // The schema first: readers and `sniff` look for it near the beginning.
        map.serialize_entry("schema", &format_args!("{SCHEMA_NAME}{SCHEMA_VERSION}"))?;
        map.serialize_entry("sample_types", &each(&profile.sample_types, value_type))?;
        map.serialize_entry("default_sample_type", &profile.default_sample_type)?;
        map.serialize_entry("period_type", &profile.period_type.as_ref().map(value_type))?;
        map.serialize_entry("period", &profile.period)?;
        map.serialize_entry("time_nanos", &profile.time_nanos)?;
        map.serialize_entry("duration_nanos", &profile.duration_nanos)?;
        map.serialize_entry("drop_frames", &profile.drop_frames)?;
        map.serialize_entry("keep_frames", &profile.keep_frames)?;
        map.serialize_entry("comments", &profile.comments)?;
        map.serialize_entry("doc_url", &profile.doc_url)?;
        if let Some(heap) = &profile.heap {
            map.serialize_entry("heap", &HeapObject((**heap).clone()))?;
        }
        map.serialize_entry("strings", &strings.table)?;
        map.serialize_entry("mappings", &each(&profile.mappings, mapping))?;
        map.serialize_entry(
            "functions",
            &each(&profile.functions, |f| function(f, strings)),
        )?;
        map.serialize_entry("locations", &each(&profile.locations, location))?;
        map.serialize_entry(
            "samples",
            &each(&profile.samples, |sample| Row { sample, strings }),
        )?;
        map.end()
    }
}

/// Serialises a slice through a function, item by item.
struct Each<'a, T, F>(&'a [T], F);

fn each<'a, T, U: Serialize, F: Fn(&'a T) -> U>(items: &'a [T], row: F) -> Each<'a, T, F> {
    Each(items, row)
}

impl<'a, T, U: Serialize, F: Fn(&'a T) -> U> Serialize for Each<'a, T, F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(&self.1))
    }
}

struct Row<'a> {
    sample: &'a Sample,
    strings: &'a Strings<'a>,
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("stack", &each(&self.sample.locations, |id| id.0))?;
        map.serialize_entry("values", &self.sample.values)?;
        if !self.sample.labels.is_empty() {
            let label = |row| label(row, self.strings);
            map.serialize_entry("labels", &each(&self.sample.labels, label))?;
        }
        if let Some(site) = &self.sample.detail {
            map.serialize_entry("detail", &detail(site))?;
        }
        map.end()
    }
}

/// Every text that functions and labels have, once.
struct Strings<'a> {
    table: Vec<&'a str>,
    index: HashMap<&'a str, u32>,
}

impl<'a> Strings<'a> {
    fn of(profile: &'a Profile) -> Strings<'a> {
        let mut strings = Strings {
            table: Vec::new(),
            index: HashMap::new(),
        };
        for function in &profile.functions {
            strings.add(&function.name);
            strings.add(&function.system_name);
            strings.add(&function.filename);
        }
        for label in profile.samples.iter().flat_map(|sample| &sample.labels) {
            strings.add(&label.key);
            match &label.value {
                LabelValue::Str(text) | LabelValue::Num(_, text) => strings.add(text),
            }
        }
        strings
    }

    fn add(&mut self, text: &'a str) {
        self.index.entry(text).or_insert_with(|| {
            self.table.push(text);
            self.table.len() as u32 - 1
        });
    }

    /// Only for texts that were added.
    fn at(&self, text: &str) -> u32 {
        self.index[text]
    }
}

fn value_type(kind: &ValueType) -> ValueTypeRow {
    ValueTypeRow(kind.kind.clone(), kind.unit.clone())
}

fn mapping(mapping: &Mapping) -> MappingObject {
    MappingObject {
        start: mapping.start,
        limit: mapping.limit,
        offset: mapping.offset,
        file: mapping.file.clone(),
        build_id: mapping.build_id.clone(),
        has_functions: mapping.has_functions,
        has_filenames: mapping.has_filenames,
        has_line_numbers: mapping.has_line_numbers,
        has_inline_frames: mapping.has_inline_frames,
    }
}

fn function(function: &Function, strings: &Strings<'_>) -> FunctionRow {
    let Function {
        name,
        system_name,
        filename,
        start_line,
    } = function;
    FunctionRow(
        strings.at(name),
        strings.at(system_name),
        strings.at(filename),
        *start_line,
    )
}

fn location(location: &Location) -> LocationObject {
    LocationObject {
        mapping: location.mapping.map(|mapping| mapping.0),
        address: location.address,
        lines: location
            .lines
            .iter()
            .map(|l| LineRow(l.function.0, l.line, l.column))
            .collect(),
        is_folded: location.is_folded,
    }
}

fn label(label: &Label, strings: &Strings<'_>) -> LabelObject {
    let (text, number, unit) = match &label.value {
        LabelValue::Str(text) => (Some(strings.at(text)), None, None),
        LabelValue::Num(number, unit) => (None, Some(*number), Some(strings.at(unit))),
    };
    LabelObject {
        key: strings.at(&label.key),
        text,
        number,
        unit,
    }
}

fn detail(site: &SiteDetail) -> DetailObject {
    DetailObject {
        alloc: site.alloc,
        free: site.free,
        live: site.live,
        peak: site.peak,
        lifetimes: site.lifetimes.iter().map(Into::into).collect(),
        cohorts: site.cohorts.iter().map(Into::into).collect(),
        cut: site.cut.map(CutName),
    }
}
