//! `heapsite dump`: send the signal, wait for the file.
#![forbid(unsafe_code)]

use super::args;
use super::target::Target;
use super::{Failure, json};
use crate::{Error, Result};
use serde_json::json;
use std::collections::HashSet;
use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

pub(super) fn run(args: &args::Dump, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    let target = Target::find(args.pid)?;
    target.check_helper()?;
    let signal = match args.signal {
        Some(signal) => signal,
        None => target.signal()?,
    };
    target.check_signal(signal)?;
    let dir = match &args.dir {
        Some(dir) => dir.clone(),
        None => target.dir()?,
    };
    // Before the signal, so that the file it makes is the one that is new.
    let before = dumps(&target, &dir)?
        .into_iter()
        .map(|(_, name)| name)
        .collect();
    crate::sys::send::send(target.pid, signal.number())
        .map_err(|error| Error::io(format!("cannot send {signal} to process {target}"), error))?;
    let path = wait(&target, &dir, &before, args.timeout)?;
    if args.json.json {
        json::write(
            &json!({ "heapsite": "dump", "version": 1, "pid": target.pid, "path": path.to_string_lossy() }),
            out,
        )?;
    } else {
        writeln!(out, "{}", path.display())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A dump appears under its name when it is whole, so the first new name is the one.
fn wait(
    target: &Target,
    dir: &Path,
    before: &HashSet<OsString>,
    timeout: Duration,
) -> Result<PathBuf> {
    let deadline = Instant::now() + timeout;
    loop {
        let new = dumps(target, dir)?
            .into_iter()
            .filter(|(_, name)| !before.contains(name))
            .min();
        if let Some((_, name)) = new {
            return Ok(dir.join(name));
        }
        if !Path::new(&format!("/proc/{}", target.pid)).exists() {
            return Err(Error::input(format!(
                "process {target} ended before it dumped"
            )));
        }
        if Instant::now() >= deadline {
            return Err(Error::input(format!(
                "no new {} in {} after {timeout:?}; the process's stderr may say why, --dir names another directory, \
                 --timeout waits longer",
                target.pattern(),
                dir.display()
            )));
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// The process's dump files by number.
fn dumps(target: &Target, dir: &Path) -> Result<Vec<(u64, OsString)>> {
    let failed = |error| {
        Error::io(
            format!(
                "cannot look into {}; --dir names another directory",
                dir.display()
            ),
            error,
        )
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        if let Some(number) = target.sequence(&name.to_string_lossy()) {
            files.push((number, name));
        }
    }
    Ok(files)
}
