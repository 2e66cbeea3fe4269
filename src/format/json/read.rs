//! From rows to a [`Profile`], every index checked.
#![forbid(unsafe_code)]

use super::super::budget::Budget;
use super::rows::{DetailObject, Document, LabelObject, SampleObject, ValueTypeRow};
use crate::error::{Error, Result};
use crate::profile::{
    Function, FunctionId, Label, LabelValue, Line, Location, LocationId, Mapping, MappingId,
    Profile, Sample, SiteDetail, ValueType,
};

pub(super) fn profile(document: Document, budget: &Budget) -> Result<Profile> {
    let value_type = |ValueTypeRow(kind, unit)| ValueType { kind, unit };
    let strings = &Strings(&document.strings, budget);

    let mut functions = Vec::with_capacity(document.functions.len());
    for (index, row) in document.functions.iter().enumerate() {
        let text = |place| {
            let text = text(strings, place);
            text.map_err(|error| error.context(format_args!("function {index}")))
        };
        functions.push(Function {
            name: text(row.0)?,
            system_name: text(row.1)?,
            filename: text(row.2)?,
            start_line: row.3,
        });
    }
    let mut samples = Vec::with_capacity(document.samples.len());
    for (index, object) in document.samples.into_iter().enumerate() {
        let sample = sample(object, strings);
        samples.push(sample.map_err(|error| error.context(format_args!("sample {index}")))?);
    }
    let mappings = document.mappings.into_iter().map(|object| Mapping {
        start: object.start,
        limit: object.limit,
        offset: object.offset,
        file: object.file,
        build_id: object.build_id,
        has_functions: object.has_functions,
        has_filenames: object.has_filenames,
        has_line_numbers: object.has_line_numbers,
        has_inline_frames: object.has_inline_frames,
    });
    let locations = document.locations.into_iter().map(|object| Location {
        mapping: object.mapping.map(MappingId),
        address: object.address,
        lines: object
            .lines
            .into_iter()
            .map(|row| Line {
                function: FunctionId(row.0),
                line: row.1,
                column: row.2,
            })
            .collect(),
        is_folded: object.is_folded,
    });

    let profile = Profile {
        sample_types: document.sample_types.into_iter().map(value_type).collect(),
        default_sample_type: document.default_sample_type,
        samples,
        mappings: mappings.collect(),
        locations: locations.collect(),
        functions,
        period_type: document.period_type.map(value_type),
        period: document.period,
        time_nanos: document.time_nanos,
        duration_nanos: document.duration_nanos,
        drop_frames: document.drop_frames,
        keep_frames: document.keep_frames,
        comments: document.comments,
        doc_url: document.doc_url,
        heap: document.heap.map(|heap| Box::new(heap.0)),
    };
    profile.check()?;
    Ok(profile)
}

fn sample(object: SampleObject, strings: &Strings<'_>) -> Result<Sample> {
    Ok(Sample {
        locations: object.stack.into_iter().map(LocationId).collect(),
        values: object.values,
        labels: object
            .labels
            .iter()
            .map(|row| label(row, strings))
            .collect::<Result<_>>()?,
        detail: object.detail.map(|object| Box::new(detail(*object))),
    })
}

fn label(object: &LabelObject, strings: &Strings<'_>) -> Result<Label> {
    let key = text(strings, object.key)?;
    let value = match (object.text, object.number) {
        (Some(place), None) => LabelValue::Str(text(strings, place)?),
        (None, Some(number)) => {
            let unit = object.unit.map(|place| text(strings, place)).transpose()?;
            LabelValue::Num(number, unit.unwrap_or_default())
        }
        _ => {
            return Err(Error::input(format!(
                "label \"{key}\" needs either \"text\" or \"number\" (with a \"unit\")"
            )));
        }
    };
    Ok(Label { key, value })
}

fn detail(object: DetailObject) -> SiteDetail {
    SiteDetail {
        alloc: object.alloc,
        free: object.free,
        live: object.live,
        peak: object.peak,
        lifetimes: object.lifetimes.into_iter().map(Into::into).collect(),
        cohorts: object.cohorts.into_iter().map(Into::into).collect(),
        cut: object.cut.map(|name| name.0),
    }
}

/// The texts that rows refer to, and the room for copies of them.
struct Strings<'a>(&'a [String], &'a Budget);

fn text(strings: &Strings<'_>, index: u32) -> Result<String> {
    let Strings(table, budget) = strings;
    let text = table.get(index as usize).ok_or_else(|| {
        Error::input(format!(
            "it refers to string {index}, but \"strings\" has {} (counted from 0)",
            table.len()
        ))
    })?;
    budget.take(1, size_of::<String>() + text.len())?;
    Ok(text.clone())
}
