//! `heapsite convert`.
#![forbid(unsafe_code)]

use super::args;
use super::{Failure, input, output};
use std::io::Write;
use std::process::ExitCode;

pub(super) fn run(
    args: &args::Convert,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<ExitCode, Failure> {
    // Asked first, so that a wrong name is told before a large profile is fetched.
    output::format(&args.output)?;
    let profile = input::read(&args.profile)?;
    output::write(
        &profile,
        &args.output,
        args.sample_type.as_deref(),
        out,
        err,
    )?;
    Ok(ExitCode::SUCCESS)
}
