//! `heapsite report`: one file with everything, to attach to a ticket.
#![forbid(unsafe_code)]

mod data;
mod file;
mod flames;

use std::io::Write;
use std::process::ExitCode;

use serde_json::json;

use super::inputs::Inputs;
use super::{Failure, args, input, json, output};
use crate::verdict::{self, Verdict};
use crate::{Error, Profile};

/// Profiles with their names, the oldest first.
struct Series {
    names: Vec<String>,
    profiles: Vec<Profile>,
    /// `Err`: why there is none, in words.
    verdict: Result<Verdict, String>,
    notes: Vec<String>,
}

pub(super) fn run(
    args: &args::Report,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<ExitCode, Failure> {
    if args.json.json && output::is_stdout_or_dash(&args.output) {
        return Err(Error::input(
            "--json says on stdout what was written, and the report would go there, too: -o FILE takes it elsewhere",
        )
        .into());
    }
    let series = Series::read(args)?;
    let bytes = file::page(&data::data(&series)?);
    output::bytes(&args.output, bytes.as_bytes(), out)?;
    for note in series.notes.iter().filter(|_| !args.json.json) {
        let _ = writeln!(
            err,
            "heapsite: note: {}",
            crate::view::name::printable(note)
        );
    }
    if args.json.json {
        let sources = series.names.iter().zip(&series.profiles);
        let document = json!({
            "heapsite": "report",
            "version": 1,
            "inputs": sources.map(|(name, profile)| json::source(name, profile)).collect::<Vec<_>>(),
            "output": { "path": args.output.to_string_lossy(), "format": "html", "bytes": bytes.len() },
            "cause": series.verdict.as_ref().ok().map(Verdict::cause),
            "sentence": series.verdict.as_ref().ok().map(Verdict::sentence),
            "notes": series.notes,
        });
        json::write(&document, out)?;
    }
    Ok(ExitCode::SUCCESS)
}

impl Series {
    fn read(args: &args::Report) -> Result<Series, Failure> {
        let inputs = Inputs::expand(&args.profiles, &args.output)?;
        let mut both = Vec::new();
        for name in inputs.names {
            let profile = input::read(&name)?;
            both.push((name, profile));
        }
        both.sort_by_key(|(_, profile): &(String, Profile)| profile.time_nanos);
        let (names, profiles): (Vec<String>, Vec<Profile>) = both.into_iter().unzip();
        let mut notes = inputs.notes;
        let verdict = verdict::judge(&profiles, &verdict::Options::default());
        let verdict = verdict.map_err(|error| format!("without a verdict: {error}"));
        notes.extend(verdict.as_ref().err().cloned());
        Ok(Series {
            names,
            profiles,
            verdict,
            notes,
        })
    }
}
