//! `heapsite completions` and `heapsite man`: made from the definition of the arguments, so that they cannot tell anything else.
#![forbid(unsafe_code)]

use super::args::{self, Args};
use super::{Failure, output};
use crate::{Error, Result};
use clap::CommandFactory;
use std::fs;
use std::io::Write;
use std::process::ExitCode;

pub(super) fn completions(
    args: &args::Completions,
    out: &mut dyn Write,
) -> Result<ExitCode, Failure> {
    // The generator panics where it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), NAME, &mut script);
    out.write_all(&script)?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn man(args: &args::Man, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    let mut command = Args::command().disable_help_subcommand(true);
    command.build();
    let Some(folder) = &args.output else {
        out.write_all(&page(&command)?)?;
        return Ok(ExitCode::SUCCESS);
    };
    fs::create_dir_all(folder)
        .map_err(|error| Error::io(format!("cannot make {}", folder.display()), error))?;
    let pages = std::iter::once(&command).chain(command.get_subcommands());
    for command in pages {
        let name = command.get_display_name().unwrap_or(command.get_name());
        let path = folder.join(format!("{name}.1"));
        output::replace(&path, &page(command)?, out)?;
    }
    Ok(ExitCode::SUCCESS)
}

const NAME: &str = "heapsite";

/// What concerns all commands.
const ENDING: &str = r#".SH "EXIT STATUS"
.TP
0
All went well.
.TP
1
Findings, where the command was asked to fail on them; with \-\-keep\-going also inputs that were left out.
.TP
2
Wrong usage or input.
.SH ENVIRONMENT
.TP
HEAPSITE_TOKEN
The token that is sent to a service that wants one.
.TP
PPROF_BINARY_PATH
Directories in which binaries are looked for, separated by colons.
.TP
NO_COLOR
Set to anything but nothing: no colours.
"#;

fn page(command: &clap::Command) -> Result<Vec<u8>> {
    let mut page = Vec::new();
    let man = clap_mangen::Man::new(command.clone()).manual("heapsite");
    man.render(&mut page)
        .map_err(|error| Error::io("cannot make the page", error))?;
    page.extend_from_slice(ENDING.as_bytes());
    Ok(page)
}
