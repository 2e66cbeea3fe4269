//! The `heapsite` command: parse, read, ask a view, write.
//!
//! Exit codes: 0 ok, 1 findings where the user asked to fail on them, 2 bad usage or input.
#![forbid(unsafe_code)]

mod about;
mod args;
mod calls;
mod cells;
mod census;
mod completions;
mod convert;
mod diff;
mod dump;
mod fetch;
mod flame;
mod formats;
mod html;
mod info;
mod input;
mod inputs;
mod interrupt;
mod json;
mod killed;
mod leaks;
mod list;
mod merge;
mod output;
mod pair;
mod progress;
mod report;
mod service;
mod shell;
mod style;
mod symbolize;
mod tags;
mod target;
mod threads;
mod top;
mod traces;
mod verdict;
mod watch;

use crate::{Error, view};
use args::{Args, Command};
use clap::Parser;
use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

/// Runs the command with the process's arguments, stdout and stderr.
pub fn main() -> ExitCode {
    let (stdout, stderr) = (io::stdout(), io::stderr());
    let look = style::Look::detect(&stdout, &stderr);
    let mut out = io::BufWriter::new(stdout.lock());
    // Not locked: progress is shown by whichever thread makes it.
    run(std::env::args_os(), look, &mut out, &mut io::stderr())
}

/// What is in an answer of a server; for heapsite's own tests.
#[cfg(feature = "internals")]
#[doc(hidden)]
pub fn read_answer(answer: &[u8]) -> crate::Result<Vec<u8>> {
    fetch::read_answer(answer)
}

/// Why a command ended early.
struct Failure(Error);

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure(error)
    }
}

/// Only writing to `out` returns bare I/O errors; everything else says what it was doing.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure(Error::io("cannot write the output", error))
    }
}

/// An output whose reader may leave (`heapsite top … | head`): what comes after that is dropped, and the command goes on
/// to its exit code, which is often all that a script wants.
struct UntilReaderLeaves<'o> {
    out: &'o mut dyn Write,
    has_left: bool,
}

impl UntilReaderLeaves<'_> {
    fn note<T>(&mut self, done: io::Result<T>, otherwise: T) -> io::Result<T> {
        match done {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.has_left = true;
                Ok(otherwise)
            }
            done => done,
        }
    }
}

impl Write for UntilReaderLeaves<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.has_left {
            return Ok(bytes.len());
        }
        let done = self.out.write(bytes);
        self.note(done, bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.has_left {
            return Ok(());
        }
        let done = self.out.flush();
        self.note(done, ())
    }
}

/// Runs the command with these arguments (the first is the program's name).
fn run(
    args: impl IntoIterator<Item = OsString>,
    look: style::Look,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> ExitCode {
    let args = match Args::try_parse_from(args) {
        Ok(args) => args,
        Err(usage) => return explain(&usage, &look, out, err),
    };
    let mut out = UntilReaderLeaves {
        out,
        has_left: false,
    };
    let done = execute(args, &look, &mut out, err).and_then(|code| {
        out.flush()?;
        Ok(code)
    });
    match done {
        Ok(code) => code,
        Err(Failure(error)) => {
            // What a broken stderr cannot take is lost; the exit code still tells. Names from a profile may be in it.
            let text = error.to_string();
            let _ = writeln!(err, "heapsite: {}", view::name::printable(&text));
            ExitCode::from(2)
        }
    }
}

fn execute(
    args: Args,
    look: &style::Look,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<ExitCode, Failure> {
    match args.command {
        Command::Top(args) => top::run(&args, look, out, err),
        Command::Peek(args) => calls::peek(&args, look, out, err),
        Command::Tree(args) => calls::tree(&args, look, out, err),
        Command::Traces(args) => traces::run(&args, look, out, err),
        Command::Tags(args) => tags::run(&args, look, out, err),
        Command::Diff(args) => diff::run(&args, look, out, err),
        Command::Leaks(args) => leaks::run(&args, look, out, err),
        Command::Report(args) => html::run(&args, out, err),
        Command::Flame(args) => flame::run(&args, look, out, err),
        Command::List(args) => list::run(&args, look, out, err),
        Command::Shell(args) => shell::run(&args, look, out, err),
        Command::Info(args) => info::run(&args, look, out),
        Command::Convert(args) => convert::run(&args, out, err),
        Command::Symbolize(args) => symbolize::run(&args, out, err),
        Command::Merge(args) => merge::run(&args, out, err),
        Command::Dump(args) => dump::run(&args, out),
        Command::Watch(args) => watch::run(&args, look, out),
        Command::Threads(args) => threads::run(&args, look, out),
        Command::Tasks(args) => census::tasks(&args, look, out),
        Command::Completions(args) => completions::completions(&args, out),
        Command::Man(args) => completions::man(&args, out),
    }
}

/// Help and version go to stdout with success, wrong usage to stderr.
fn explain<'s>(
    usage: &clap::Error,
    look: &style::Look,
    out: &'s mut dyn Write,
    err: &'s mut dyn Write,
) -> ExitCode {
    let (stream, color) = if usage.use_stderr() {
        (err, look.err_color)
    } else {
        (out, look.color)
    };
    let text = usage.render();
    let written = if color {
        write!(stream, "{}", text.ansi())
    } else {
        write!(stream, "{text}")
    };
    let shown = written.and_then(|()| stream.flush());
    let reader_left = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    match (usage.use_stderr(), shown) {
        (false, Ok(())) => ExitCode::SUCCESS,
        (false, Err(error)) if reader_left(&error) => ExitCode::SUCCESS,
        // Wrong usage is wrong whether or not somebody reads why.
        _ => ExitCode::from(2),
    }
}
