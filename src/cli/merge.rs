//! `heapsite merge`.
#![forbid(unsafe_code)]

use super::args;
use super::{Failure, input, json, output};
use crate::{Profile, Result};
use serde_json::json;
use std::io::Write;
use std::process::ExitCode;

pub(super) fn run(
    args: &args::Merge,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<ExitCode, Failure> {
    output::check(&args.output, args.json.json)?;
    input::check_stdin(&args.profiles)?;
    let profiles: Vec<Profile> = args
        .profiles
        .iter()
        .map(|name| input::read(name))
        .collect::<Result<_>>()?;
    let merged = Profile::merge(&profiles.iter().collect::<Vec<_>>())?;
    let json = args.json.json;
    let written = output::write(&merged, &args.output, None, json, out, err)?;
    if json {
        let inputs = args.profiles.iter().zip(&profiles);
        let inputs = inputs
            .map(|(name, profile)| json::source(name, profile))
            .collect();
        let report = output::report("merge", inputs, &merged, &args.output, &written, json!({}));
        json::write(&report, out)?;
    }
    Ok(ExitCode::SUCCESS)
}
