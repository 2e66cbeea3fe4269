//! `heapsite symbolize`.
#![forbid(unsafe_code)]

use super::args;
use super::{Failure, input, json, output, progress};
use crate::symbolize::{Options, Report, finish, offline};
use crate::view::name::printable;
use serde_json::{Value, json};
use std::io::Write;
use std::process::ExitCode;

pub(super) fn run(
    args: &args::Symbolize,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<ExitCode, Failure> {
    output::check(&args.output, args.json.json)?;
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
    let addresses = profile.locations.len();
    let progress = progress::working(
        addresses,
        format!("finding names for {addresses} addresses"),
    );
    let report = offline(&mut profile, &options);
    drop(progress);
    let report = report.map_err(|error| error.context(input::display(&args.profile)))?;
    let profile = finish(profile, &report);
    let json = args.json.json;
    let written = output::write(&profile, &args.output, None, json, out, err)?;
    if json {
        let inputs = vec![json::source(&args.profile, &profile)];
        let more = json!({ "symbols": symbols(&report) });
        let report = output::report("symbolize", inputs, &profile, &args.output, &written, more);
        json::write(&report, out)?;
    } else {
        // The file is written; a report that cannot be shown is no reason to fail.
        let text = report.to_string();
        let _ = writeln!(err, "heapsite: {}", printable(&text));
        for advice in report.advice() {
            let _ = writeln!(err, "heapsite: note: {}", printable(&advice));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn symbols(report: &Report) -> Value {
    let files = report.files.iter().map(|file| {
        json!({
            "file": file.file,
            "build_id": file.build_id,
            "addresses": file.addresses,
            "named": file.named,
            "with_lines": file.with_lines,
            "used": file.used.as_ref().map(|path| path.to_string_lossy()),
            "problem": file.problem.as_ref().map(|problem| problem.to_string()),
        })
    });
    json!({
        "addresses": report.addresses,
        "named": report.named,
        "with_lines": report.with_lines,
        "outside": report.outside,
        "files": files.collect::<Vec<_>>(),
        "advice": report.advice(),
    })
}
