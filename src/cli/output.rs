//! Writing profiles: whole or not at all.
#![forbid(unsafe_code)]

use super::Failure;
use super::args::Output;
use super::formats::{self, Content};
use super::interrupt::Unfinished;
use crate::format::Format;
use crate::{Error, Profile, Result};
use serde_json::{Value, json};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// What was written, for `--json`.
pub(super) struct Written {
    format: Format,
    bytes: usize,
    notes: Vec<String>,
    sample_types: Vec<String>,
    is_split: bool,
}

/// Asked first, so that what is wrong with the output is told before a large profile is fetched.
///
/// # Errors
/// The format is not told, or both the profile and the report would go to stdout.
pub(super) fn check(output: &Output, json: bool) -> Result<()> {
    formats::find(output)?;
    if json && (output.output.as_os_str() == "-" || is_stdout(&output.output)) {
        return Err(Error::input(
            "--json writes its report to stdout, where the profile would go, too: -o FILE takes the profile elsewhere",
        ));
    }
    Ok(())
}

/// Writes the profile where `output` says. What the format cannot hold is noted on `err`, or with `json` kept for the
/// report. `content`: what of it, where it is not just everything.
pub(super) fn write(
    profile: &Profile,
    output: &Output,
    content: Option<&Content<'_>>,
    json: bool,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<Written, Failure> {
    let format = formats::find(output)?;
    let content = content.copied().unwrap_or_default();
    content.check(format)?;
    let mut bytes = 0;
    let to = &output.output;
    let mut write = |out: &mut dyn Write| {
        let mut out = Counted { out, bytes: 0 };
        content.write(profile, format, &mut out)?;
        bytes = out.bytes;
        Ok(())
    };
    match to.as_os_str() == "-" {
        true => write(out)?,
        false => replace_by(to, out, |file| {
            write(file).map_err(|error: Error| error.context(to.display()))
        })?,
    }
    let notes = content.notes(profile, format);
    for note in notes.iter().filter(|_| !json) {
        // A note that cannot be shown is no reason to fail: the file is written.
        let _ = writeln!(err, "heapsite: note: {note}");
    }
    Ok(Written {
        format,
        bytes,
        notes,
        sample_types: content
            .sample_types(profile, format)
            .into_iter()
            .map(str::to_owned)
            .collect(),
        is_split: content.is_split(profile, format),
    })
}

/// The report of a command that reads profiles and writes one; `more` has what only this command knows.
pub(super) fn report(
    command: &str,
    inputs: Vec<Value>,
    profile: &Profile,
    output: &Output,
    written: &Written,
    more: Value,
) -> Value {
    let named = profile
        .locations
        .iter()
        .filter(|location| !location.lines.is_empty());
    let mut report = json!({
        "heapsite": command,
        "version": 1,
        "inputs": inputs,
        "output": {
            "path": output.output.to_string_lossy(),
            "format": written.format.name(),
            "bytes": written.bytes,
            "sample_types": written.sample_types,
            "is_split": written.is_split,
        },
        "samples": profile.samples.len(),
        "locations": profile.locations.len(),
        "locations_named": named.count(),
        "notes": written.notes,
    });
    if let (Value::Object(report), Value::Object(more)) = (&mut report, more) {
        report.extend(more);
    }
    report
}

/// Writes bytes to a file or to stdout (`-`), whole or not at all.
pub(super) fn bytes(path: &Path, bytes: &[u8], out: &mut dyn Write) -> Result<(), Failure> {
    match path.as_os_str() == "-" {
        true => Ok(out.write_all(bytes)?),
        false => replace(path, bytes, out),
    }
}

/// Whether what is written there comes out at stdout.
pub(super) fn is_stdout_or_dash(path: &Path) -> bool {
    path.as_os_str() == "-" || is_stdout(path)
}

/// Writes `bytes`: [`replace_by`].
pub(super) fn replace(path: &Path, bytes: &[u8], out: &mut dyn Write) -> Result<(), Failure> {
    replace_by(path, out, |file| {
        file.write_all(bytes)
            .map_err(|error| Error::io(format!("cannot write {}", path.display()), error))
    })
}

/// Writes beside `path` and renames, so that nobody ever sees half a file; a signal leaves none either. A link is followed:
/// the file it points to is what is meant. What is no plain file (a pipe, a terminal) is written directly.
pub(super) fn replace_by(
    path: &Path,
    out: &mut dyn Write,
    write: impl FnOnce(&mut dyn Write) -> Result<()>,
) -> Result<(), Failure> {
    let failed = |error| Error::io(format!("cannot write {}", path.display()), error);
    if is_stdout(path) {
        return Ok(write(out)?);
    }
    let old = fs::metadata(path).ok();
    // A descriptor's file may have no name, or another one by now.
    let descriptor = path.starts_with("/proc") || path.starts_with("/dev/fd");
    if descriptor || old.as_ref().is_some_and(|old| !old.is_file()) {
        let mut file = OpenOptions::new().write(true).open(path).map_err(failed)?;
        return Ok(write(&mut file)?);
    }
    let path = follow(path).map_err(failed)?;
    let (temporary, mut file) = beside(&path).map_err(failed)?;
    write(&mut file)?;
    file.sync_all().map_err(failed)?;
    if let Some(old) = old {
        // Only root may give files away, and some file systems have no modes: then it stays private.
        let _ = fchown(&file, Some(old.uid()), Some(old.gid()));
        let _ = file.set_permissions(old.permissions());
    }
    Ok(fs::rename(temporary.path(), &path).map_err(failed)?)
}

/// Counts what passes through.
struct Counted<'o> {
    out: &'o mut dyn Write,
    bytes: usize,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.bytes += written;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Other names of our own output: opening them anew would write over what `>>` is to append to.
fn is_stdout(path: &Path) -> bool {
    let names = ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"];
    names.iter().any(|name| path == Path::new(name))
}

/// Where a chain of links ends, even if nothing is there yet.
fn follow(path: &Path) -> io::Result<PathBuf> {
    const MOST: usize = 40;
    let mut path = path.to_owned();
    for _ in 0..MOST {
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_symlink() => {}
            _ => return Ok(path),
        }
        let target = fs::read_link(&path)?;
        path = path.parent().unwrap_or(Path::new("")).join(target);
    }
    Err(io::Error::other("too many links"))
}

/// A new file, for nobody else to read: a profile holds command lines and paths. It goes unless it is renamed.
fn beside(path: &Path) -> io::Result<(Unfinished, File)> {
    let mut attempts = 0;
    loop {
        // A process with our id that was killed may have left one; the time tells them apart. Its own short
        // name, because the other one may be as long as names may be.
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let (id, nanos) = (std::process::id(), now.as_nanos());
        let path = path.with_file_name(format!(".heapsite.{id}.{nanos:x}.tmp"));
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let temporary = Unfinished::new(path);
        match options.open(temporary.path()) {
            Ok(file) => return Ok((temporary, file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && attempts < 100 => {
                attempts += 1;
            }
            Err(error) => return Err(error),
        }
    }
}
