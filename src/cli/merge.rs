//! `heapsite merge`: one profile at a time, so that a thousand need no more memory than what is different in them.
#![forbid(unsafe_code)]

use super::args;
use super::inputs::Inputs;
use super::{Failure, input, json, output, progress};
use crate::profile::merge::Merger;
use crate::view::name::printable;
use crate::{Error, Profile, Result};
use serde_json::{Value, json};
use std::io::Write;
use std::process::ExitCode;

pub(super) fn run(
    args: &args::Merge,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<ExitCode, Failure> {
    let json = args.json.json;
    output::check(&args.output, json)?;
    let Inputs { names, notes } = Inputs::expand(&args.profiles, &args.output.output)?;
    let mut merger = Merger::default();
    let mut sources = Vec::new();
    let mut left_out = Vec::new();
    let progress = progress::profiles(names.len());
    for name in &names {
        progress.step();
        match add(&mut merger, name, json) {
            Ok(source) => sources.extend(source),
            Err(error) if args.keep_going => {
                let _ = writeln!(err, "heapsite: left out: {}", printable(&error.to_string()));
                left_out.push(json!({ "name": input::display(name), "error": error.to_string() }));
            }
            Err(error) => return Err(error.into()),
        }
    }
    drop(progress);
    if left_out.len() == names.len() {
        let all = names.len();
        return Err(Error::input(format!("none of {all} inputs could be read")).into());
    }
    let mut merged = merger.finish()?;
    if !left_out.is_empty() {
        let (some, all) = (left_out.len(), names.len());
        // Whoever gets the sum alone is told, too.
        let line =
            format!("{some} of {all} inputs could not be read, and are left out of this sum");
        merged.comments.push(line);
    }
    for note in notes.iter().chain(&unknown_memory(&merged)) {
        let _ = writeln!(err, "heapsite: note: {}", printable(note));
    }
    let code = match left_out.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(1),
    };
    let written = output::write(&merged, &args.output, None, json, out, err)?;
    if json {
        let more = json!({ "left_out": left_out });
        let report = output::report("merge", sources, &merged, &args.output, &written, more);
        json::write(&report, out)?;
    }
    Ok(code)
}

/// Adds one input, and forgets it but for what the report says.
fn add(merger: &mut Merger, name: &str, json: bool) -> Result<Option<Value>> {
    let profile = input::read(name)?;
    let added = merger.add(&profile);
    added.map_err(|error| error.context(input::display(name)))?;
    Ok(json.then(|| json::source(name, &profile)))
}

/// The sum of some is shown as such, and mentioned where it is made.
fn unknown_memory(merged: &Profile) -> Option<String> {
    let sum = merged.sum()?;
    (sum.with_memory > 0 && sum.with_memory < sum.profiles).then(|| {
        format!(
            "{} of the {} profiles tell where their process had its memory: what `info` says of it is the sum of these",
            sum.with_memory, sum.profiles
        )
    })
}
