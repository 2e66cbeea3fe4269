//! `heapsite symbolize`.
#![forbid(unsafe_code)]

use super::args;
use super::{Failure, input, output};
use crate::symbolize::{Options, offline};
use std::io::Write;
use std::process::ExitCode;

pub(super) fn run(
    args: &args::Symbolize,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<ExitCode, Failure> {
    output::format(&args.output)?;
    let mut profile = input::read(&args.profile)?;
    let mut options = args
        .binary
        .iter()
        .fold(Options::offline(), |options, path| options.binary(path));
    options = args
        .search
        .iter()
        .fold(options, |options, path| options.directory(path));
    if let Some(path) = std::env::var_os("PPROF_BINARY_PATH") {
        options = options.search_path(path);
    }
    let report = offline(&mut profile, &options)
        .map_err(|error| error.context(input::display(&args.profile)))?;
    output::write(&profile, &args.output, None, out, err)?;
    // The file is written; a report that cannot be shown is no reason to fail.
    let _ = writeln!(err, "heapsite: {report}");
    Ok(ExitCode::SUCCESS)
}
