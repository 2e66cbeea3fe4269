//! The formats that a profile is written in: which one is meant, what of the profile goes into it, what it leaves out.
#![forbid(unsafe_code)]

use super::args::{Output, Target};
use crate::format::{Format, callgrind, dhat, folded, speedscope};
use crate::{Error, Profile, Result};
use std::io::Write;

/// Endings of file names, and what they mean; longer ones first.
const ENDINGS: [(&str, Format); 9] = [
    (".speedscope.json", Format::Speedscope),
    (".dhat.json", Format::Dhat),
    (".pb.gz", Format::Pprof),
    (".pb", Format::Pprof),
    (".pprof", Format::Pprof),
    (".json", Format::Json),
    (".folded", Format::Folded),
    (".callgrind", Format::Callgrind),
    (".heap", Format::Legacy),
];
/// What Valgrind calls its files: `callgrind.out.4711`.
const BEGINNINGS: [(&str, Format); 2] = [
    ("callgrind.out", Format::Callgrind),
    ("dhat.out", Format::Dhat),
];

/// The format that `--to` or the file's name asks for.
///
/// # Errors
/// Neither tells.
pub(super) fn find(output: &Output) -> Result<Format> {
    if let Some(target) = output.to {
        return Ok(match target {
            Target::Pprof => Format::Pprof,
            Target::Json => Format::Json,
            Target::Folded => Format::Folded,
            Target::Speedscope => Format::Speedscope,
            Target::Dhat => Format::Dhat,
            Target::Callgrind => Format::Callgrind,
            Target::Legacy => Format::Legacy,
        });
    }
    let name = output
        .output
        .file_name()
        .map(|name| name.to_string_lossy().to_lowercase())
        .unwrap_or_default();
    let ends = ENDINGS.iter().find(|(ending, _)| name.ends_with(ending));
    let begins = BEGINNINGS.iter().find(|(start, _)| name.starts_with(start));
    ends.or(begins).map(|&(_, format)| format).ok_or_else(|| {
        Error::input(format!(
            "the name {} does not tell the format: .pb.gz, .pb, .pprof, .json, .folded, .speedscope.json, .dhat.json, \
             .callgrind and .heap do, or --to {}",
            output.output.display(),
            Format::ALL.map(Format::name).join("|")
        ))
    })
}

/// What of the profile is written.
#[derive(Clone, Copy, Default)]
pub(super) struct Content<'a> {
    /// For formats that do not hold them all.
    pub(super) sample_type: Option<&'a str>,
    /// The values are differences, even if none is negative.
    pub(super) is_difference: bool,
}

impl Content<'_> {
    /// # Errors
    /// A sample type is chosen for a format that holds them all.
    pub(super) fn check(&self, format: Format) -> Result<()> {
        match (self.sample_type, format) {
            (None, _) | (_, Format::Folded | Format::Dhat) => Ok(()),
            _ => Err(Error::input(format!(
                "--sample-type chooses the one that folded stacks hold, or the pair of a DHAT file; {} holds them all",
                format.name()
            ))),
        }
    }

    /// # Errors
    /// Those of the format.
    pub(super) fn write(
        &self,
        profile: &Profile,
        format: Format,
        out: &mut dyn Write,
    ) -> Result<()> {
        match format {
            Format::Folded => folded::write(profile, self.sample_type, out),
            Format::Dhat => dhat::write(profile, self.sample_type, out),
            Format::Speedscope if self.is_difference => speedscope::write_difference(profile, out),
            Format::Callgrind if self.is_difference => callgrind::write_difference(profile, out),
            format => format.write(profile, out),
        }
    }

    /// Whether what grew and what shrank stand side by side, because the format knows no negative values.
    pub(super) fn is_split(&self, profile: &Profile, format: Format) -> bool {
        let mut values = profile.samples.iter().flat_map(|sample| &sample.values);
        matches!(format, Format::Speedscope | Format::Callgrind)
            && (self.is_difference || values.any(|&value| value < 0))
    }

    /// The sample types that the file holds.
    pub(super) fn sample_types<'p>(&self, profile: &'p Profile, format: Format) -> Vec<&'p str> {
        let all = profile.sample_types.iter().map(|it| it.kind.as_str());
        let one = |index: usize| profile.sample_types[index].kind.as_str();
        match format {
            Format::Folded => {
                let index = profile.sample_type_index(self.sample_type).ok();
                index.map(one).into_iter().collect()
            }
            Format::Dhat => match dhat::bytes_and_blocks(profile, self.sample_type) {
                Ok((bytes, blocks)) => vec![one(bytes), one(blocks)],
                Err(_) => Vec::new(),
            },
            Format::Legacy => all
                .filter(|kind| kind.starts_with("alloc_") || kind.starts_with("inuse_"))
                .collect(),
            _ => all.collect(),
        }
    }

    /// What the format leaves out or shows in its own way, for people.
    pub(super) fn notes(&self, profile: &Profile, format: Format) -> Vec<String> {
        let note = match format {
            Format::Json => "",
            Format::Folded => {
                "folded stacks hold names and one sample type; values of other types, addresses, labels and errors are \
                 left out"
            }
            Format::Speedscope => {
                "speedscope holds stacks and values; addresses, labels and errors are left out"
            }
            Format::Dhat => {
                "a DHAT file holds bytes and blocks of one kind; values of other types, addresses, labels and errors are \
                 left out"
            }
            Format::Callgrind => {
                "callgrind's format holds functions and the calls between them; whole stacks, addresses, labels and \
                 errors are left out, and numbers of calls are numbers of stacks"
            }
            Format::Legacy => {
                "legacy text holds addresses and counts as sampled; build ids, labels and errors are left out"
            }
            _ if profile.samples.iter().any(|sample| sample.detail.is_some()) => {
                "pprof holds values only; raw counts, variances, lifetimes and birth times are left out (JSON keeps them)"
            }
            _ => "",
        };
        let split = match self.is_split(profile, format) {
            true => {
                "what grew and what shrank stand side by side: the format knows no negative values"
            }
            false => "",
        };
        let notes = [note, split].into_iter().filter(|note| !note.is_empty());
        notes.map(str::to_owned).collect()
    }
}
