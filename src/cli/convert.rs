//! `heapsite convert`.
#![forbid(unsafe_code)]

use super::args;
use super::{Failure, input, json, output};
use serde_json::json;
use std::io::Write;
use std::process::ExitCode;

pub(super) fn run(
    args: &args::Convert,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<ExitCode, Failure> {
    output::check(&args.output, args.json.json)?;
    let profile = input::read(&args.profile)?;
    let written = output::write(
        &profile,
        &args.output,
        args.sample_type.as_deref(),
        args.json.json,
        out,
        err,
    )?;
    if args.json.json {
        let inputs = vec![json::source(&args.profile, &profile)];
        let report = output::report(
            "convert",
            inputs,
            &profile,
            &args.output,
            &written,
            json!({}),
        );
        json::write(&report, out)?;
    }
    Ok(ExitCode::SUCCESS)
}
