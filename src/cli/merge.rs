//! `heapsite merge`.
#![forbid(unsafe_code)]

use super::args;
use super::{Failure, input, output};
use crate::{Profile, Result};
use std::io::Write;
use std::process::ExitCode;

pub(super) fn run(
    args: &args::Merge,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<ExitCode, Failure> {
    output::format(&args.output)?;
    input::check_stdin(&args.profiles)?;
    let profiles: Vec<Profile> = args
        .profiles
        .iter()
        .map(|name| input::read(name))
        .collect::<Result<_>>()?;
    let merged = Profile::merge(&profiles.iter().collect::<Vec<_>>())?;
    output::write(&merged, &args.output, None, out, err)?;
    Ok(ExitCode::SUCCESS)
}
