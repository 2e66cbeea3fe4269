//! Writing profiles: whole or not at all.
#![forbid(unsafe_code)]

use super::Failure;
use super::args::{Output, Target};
use crate::format::{Format, folded};
use crate::{Error, Profile, Result};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// The format that `--to` or the file's name asks for.
///
/// # Errors
/// Neither tells.
pub(super) fn format(output: &Output) -> Result<Format> {
    if let Some(target) = output.to {
        return Ok(match target {
            Target::Pprof => Format::Pprof,
            Target::Json => Format::Json,
            Target::Folded => Format::Folded,
        });
    }
    let name = output
        .output
        .file_name()
        .map(|name| name.to_string_lossy().to_lowercase())
        .unwrap_or_default();
    let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
    if ends(&[".pb.gz", ".pb", ".pprof"]) {
        Ok(Format::Pprof)
    } else if ends(&[".json"]) {
        Ok(Format::Json)
    } else if ends(&[".folded"]) {
        Ok(Format::Folded)
    } else {
        Err(Error::input(format!(
            "the name {} does not tell the format: .pb.gz, .pb, .pprof, .json and .folded do, or --to \
             pprof|json|folded",
            output.output.display()
        )))
    }
}

/// Writes the profile where `output` says, and notes on `err` what the format cannot hold.
pub(super) fn write(
    profile: &Profile,
    output: &Output,
    sample_type: Option<&str>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<(), Failure> {
    let format = format(output)?;
    if let (Some(_), false) = (sample_type, format == Format::Folded) {
        return Err(Error::input(format!(
            "--sample-type chooses the one that folded stacks hold; {} holds them all",
            format.name()
        ))
        .into());
    }
    let mut bytes = Vec::new();
    match format {
        Format::Folded => folded::write(profile, sample_type, &mut bytes)?,
        format => format.write(profile, &mut bytes)?,
    }
    if output.output.as_os_str() == "-" {
        out.write_all(&bytes)?;
    } else {
        replace(&output.output, &bytes)?;
    }
    for note in notes(profile, format) {
        // A note that cannot be shown is no reason to fail: the file is written.
        let _ = writeln!(err, "heapsite: note: {note}");
    }
    Ok(())
}

fn notes(profile: &Profile, format: Format) -> Vec<String> {
    let mut notes = Vec::new();
    match format {
        Format::Json => {}
        Format::Folded => notes.push(
            "folded stacks hold names and one sample type; values of other types, addresses, labels and errors \
             are left out"
                .to_owned(),
        ),
        _ if profile.samples.iter().any(|sample| sample.detail.is_some()) => notes.push(
            "pprof holds values only; raw counts, variances, lifetimes and birth times are left out (JSON keeps them)"
                .to_owned(),
        ),
        _ => {}
    }
    notes
}

/// Writes `bytes` beside `path` and renames, so that nobody ever sees half a file. What is no plain file
/// (`/dev/stdout`, a pipe) is written directly.
fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let failed = |error| Error::io(format!("cannot write {}", path.display()), error);
    if fs::metadata(path).is_ok_and(|facts| !facts.is_file()) {
        let mut file = OpenOptions::new().write(true).open(path).map_err(failed)?;
        return file.write_all(bytes).map_err(failed);
    }
    let temporary = Temporary(beside(path));
    let mut file = File::create_new(&temporary.0).map_err(failed)?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(failed)?;
    fs::rename(&temporary.0, path).map_err(failed)
}

fn beside(path: &Path) -> PathBuf {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    path.with_file_name(format!(".{name}.{}.tmp", std::process::id()))
}

/// Removed when dropped; after the rename there is nothing left to remove.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
