//! From a [`Profile`] to messages, sample by sample into the compressor.
#![forbid(unsafe_code)]

use std::io::{self, Write};

use flate2::{Compression, write::GzEncoder};
use hashbrown::HashMap;
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint};

use super::{facts, proto};
use crate::error::{Error, Result};
use crate::profile::{Label, LabelValue, Mapping, Profile, ValueType};

// Field numbers of the messages that are written one by one.
const SAMPLE_TYPE: u32 = 1;
const SAMPLE: u32 = 2;
const MAPPING: u32 = 3;
const LOCATION: u32 = 4;
const FUNCTION: u32 = 5;
const STRING_TABLE: u32 = 6;

/// How much is collected before it goes to the compressor.
const CHUNK: usize = 64 << 10;

/// Returns how many bytes it was before it was compressed.
pub(super) fn write(profile: &Profile, out: &mut dyn Write) -> Result<u64> {
    profile.check()?;
    // As Go does: a profile is written on a busy machine and read on an idle one.
    let gz = GzEncoder::new(out, Compression::fast());
    let failed = |error: io::Error| Error::io("cannot write the pprof profile", error);
    let comments = facts::comments(profile);
    let mut writer = Writer {
        out: gz,
        buffer: Vec::with_capacity(CHUNK + 4096),
        flushed: 0,
    };
    write_all(profile, &comments, &mut writer).map_err(failed)?;
    writer.flush().map_err(failed)?;
    writer
        .out
        .finish()
        .map_err(failed)?
        .flush()
        .map_err(failed)?;
    Ok(writer.flushed)
}

fn write_all<W: Write>(
    profile: &Profile,
    comments: &[String],
    out: &mut Writer<W>,
) -> io::Result<()> {
    let mut strings = Strings::new();
    for kind in &profile.sample_types {
        out.message(SAMPLE_TYPE, &value_type(kind, &mut strings))?;
    }

    let mut message = proto::Sample::default();
    for sample in &profile.samples {
        message.location_id.clear();
        message
            .location_id
            .extend(sample.locations.iter().map(|id| u64::from(id.0) + 1));
        message.value.clear();
        message.value.extend_from_slice(&sample.values);
        message.label.clear();
        message
            .label
            .extend(sample.labels.iter().filter_map(|l| label(l, &mut strings)));
        out.message(SAMPLE, &message)?;
    }

    let flags = flags(profile);
    for ((mapping, flags), id) in profile.mappings.iter().zip(flags).zip(1..) {
        let [
            has_functions,
            has_filenames,
            has_line_numbers,
            has_inline_frames,
        ] = flags;
        out.message(
            MAPPING,
            &proto::Mapping {
                id,
                memory_start: mapping.start,
                memory_limit: mapping.limit,
                file_offset: mapping.offset,
                filename: strings.index(&mapping.file),
                build_id: strings.index(&mapping.build_id),
                has_functions,
                has_filenames,
                has_line_numbers,
                has_inline_frames,
            },
        )?;
    }
    for (location, id) in profile.locations.iter().zip(1..) {
        let line = |line: &crate::profile::Line| proto::Line {
            function_id: u64::from(line.function.0) + 1,
            line: line.line,
            column: line.column,
        };
        out.message(
            LOCATION,
            &proto::Location {
                id,
                mapping_id: location
                    .mapping
                    .map_or(0, |mapping| u64::from(mapping.0) + 1),
                address: location.address,
                line: location.lines.iter().map(line).collect(),
                is_folded: location.is_folded,
            },
        )?;
    }
    for (function, id) in profile.functions.iter().zip(1..) {
        let system_name = match function.system_name == function.name {
            true => "", // pprof would shorten the name.
            false => &function.system_name,
        };
        out.message(
            FUNCTION,
            &proto::Function {
                id,
                name: strings.index(&function.name),
                system_name: strings.index(system_name),
                filename: strings.index(&function.filename),
                start_line: function.start_line,
            },
        )?;
    }

    let rest = proto::Profile {
        drop_frames: strings.index(&profile.drop_frames),
        keep_frames: strings.index(&profile.keep_frames),
        time_nanos: profile.time_nanos,
        duration_nanos: profile.duration_nanos,
        period_type: profile
            .period_type
            .as_ref()
            .map(|kind| value_type(kind, &mut strings)),
        period: profile.period,
        comment: comments
            .iter()
            .map(|comment| strings.index(comment))
            .collect(),
        default_sample_type: strings.index(default_sample_type(profile)),
        doc_url: match is_absolute(&profile.doc_url) {
            true => strings.index(&profile.doc_url),
            false => 0,
        },
        ..proto::Profile::default()
    };
    for text in &strings.table {
        out.bytes(STRING_TABLE, text.as_bytes())?;
    }
    rest.encode_raw(&mut out.buffer);
    Ok(())
}

/// Encoded fields on their way to the compressor.
struct Writer<W: Write> {
    out: GzEncoder<W>,
    buffer: Vec<u8>,
    /// What has gone to the compressor, bytes.
    flushed: u64,
}

impl<W: Write> Writer<W> {
    fn message(&mut self, field: u32, message: &impl Message) -> io::Result<()> {
        encode_key(field, WireType::LengthDelimited, &mut self.buffer);
        encode_varint(message.encoded_len() as u64, &mut self.buffer);
        message.encode_raw(&mut self.buffer);
        self.flush_if_full()
    }

    fn bytes(&mut self, field: u32, bytes: &[u8]) -> io::Result<()> {
        encode_key(field, WireType::LengthDelimited, &mut self.buffer);
        encode_varint(bytes.len() as u64, &mut self.buffer);
        self.buffer.extend_from_slice(bytes);
        self.flush_if_full()
    }

    fn flush_if_full(&mut self) -> io::Result<()> {
        match self.buffer.len() >= CHUNK {
            true => self.flush(),
            false => Ok(()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.write_all(&self.buffer)?;
        self.flushed += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

/// The string table while it grows; texts are borrowed from the profile.
struct Strings<'a> {
    table: Vec<&'a str>,
    index: HashMap<&'a str, i64>,
}

impl<'a> Strings<'a> {
    fn new() -> Strings<'a> {
        Strings {
            table: vec![""],
            index: HashMap::from_iter([("", 0)]),
        }
    }

    fn index(&mut self, text: &'a str) -> i64 {
        *self.index.entry(text).or_insert_with(|| {
            self.table.push(text);
            self.table.len() as i64 - 1
        })
    }
}

fn value_type<'a>(kind: &'a ValueType, strings: &mut Strings<'a>) -> proto::ValueType {
    proto::ValueType {
        r#type: strings.index(&kind.kind),
        unit: strings.index(&kind.unit),
    }
}

/// `None`: the format cannot hold it, since an empty text means "none".
fn label<'a>(label: &'a Label, strings: &mut Strings<'a>) -> Option<proto::Label> {
    if label.key.is_empty() {
        return None;
    }
    let mut message = proto::Label {
        key: strings.index(&label.key),
        ..proto::Label::default()
    };
    match &label.value {
        LabelValue::Str(text) if text.is_empty() => return None,
        LabelValue::Str(text) => message.str = strings.index(text),
        LabelValue::Num(number, unit) => {
            message.num = *number;
            // Without a unit pprof takes any key to count bytes.
            message.num_unit = strings.index(match unit.as_str() {
                "" if label.key.contains("bytes") => "bytes",
                "" => "count",
                unit => unit,
            });
        }
    }
    Some(message)
}

/// What a mapping says about its locations: functions, file names, line numbers, inlined frames.
type Flags = [bool; 4];

/// Per mapping the flags it has, and those that its locations call for.
fn flags(profile: &Profile) -> Vec<Flags> {
    let own = |m: &Mapping| {
        [
            m.has_functions,
            m.has_filenames,
            m.has_line_numbers,
            m.has_inline_frames,
        ]
    };
    let mut flags: Vec<Flags> = profile.mappings.iter().map(own).collect();
    for location in &profile.locations {
        let Some(id) = location.mapping else { continue };
        let [functions, filenames, line_numbers, inline_frames] = &mut flags[id.0 as usize];
        *functions |= !location.lines.is_empty();
        *inline_frames |= location.lines.len() > 1;
        for line in &location.lines {
            *filenames |= !profile.functions[line.function.0 as usize]
                .filename
                .is_empty();
            *line_numbers |= line.line != 0;
        }
    }
    flags
}

fn default_sample_type(profile: &Profile) -> &str {
    if !profile.default_sample_type.is_empty() {
        return &profile.default_sample_type;
    }
    let mut types = profile.sample_types.iter();
    match types
        .clone()
        .find(|kind| kind.kind == "inuse_space")
        .or_else(|| types.next_back())
    {
        Some(kind) => &kind.kind,
        None => "",
    }
}

fn is_absolute(url: &str) -> bool {
    url.starts_with("http://") || url.starts_with("https://")
}
