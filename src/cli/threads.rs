//! `heapsite threads`: which threads a process has, and where each is.
#![forbid(unsafe_code)]

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use super::census::{self, Census, Item, Kind};
use super::style::Look;
use super::{Failure, args, input};
use crate::Error;
use crate::thread::{Threads, creator, of_process};
use crate::view::name::printable;
use crate::view::units;

const THREADS: Kind = Kind {
    command: "threads",
    one: "thread",
    many: "threads",
    sample_type: "threadcreate",
    question: "heapsite/api/threads",
    made: "created at",
};

pub(super) fn run(
    args: &args::Census,
    look: &Look,
    out: &mut dyn Write,
) -> Result<ExitCode, Failure> {
    let name = input::display(&args.profile);
    if let Some(pid) = process(&args.profile) {
        let threads = of_process(pid)?;
        let note = "asked from outside, so without stacks; a service with heapsite tells them: its http address, or a file";
        return of_threads(&threads, Some(note), args, look, out);
    }
    let bytes = input::ask(&args.profile, THREADS.question, THREADS.sample_type)?;
    if !Threads::is_meant_by(&bytes) {
        let profile = input::parse(&args.profile, &bytes)?;
        return census::of_profile(THREADS, args, &profile, look, out);
    }
    let threads = Threads::read_json(&bytes).map_err(|error: Error| error.context(name))?;
    of_threads(&threads, None, args, look, out)
}

/// A process id, unless there is a file of that name.
fn process(name: &str) -> Option<u32> {
    let is_number = name.bytes().all(|byte| byte.is_ascii_digit());
    let pid = name.parse().ok().filter(|_| is_number)?;
    (!Path::new(name).exists()).then_some(pid)
}

fn of_threads(
    threads: &Threads,
    note: Option<&str>,
    args: &args::Census,
    look: &Look,
    out: &mut dyn Write,
) -> Result<ExitCode, Failure> {
    if args.stacks {
        write!(out, "{threads}")?;
        return Ok(ExitCode::SUCCESS);
    }
    let program = threads.executable.rsplit('/').next().unwrap_or_default();
    let head = format!(
        "{}: pid {}, {}, {}",
        printable(input::display(&args.profile)),
        threads.pid,
        printable(program),
        units::time(threads.time_nanos)
    );
    let groups = threads.groups();
    let items = groups.iter().filter_map(|group| {
        let first = group.first()?;
        let ages = || group.iter().map(|thread| thread.age.as_nanos() as u64);
        let mut names: Vec<&str> = group.iter().map(|thread| thread.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let name = match names[..] {
            [name] => name.to_owned(),
            [first, .., last] => format!("{first} … {last}"),
            [] => String::new(),
        };
        let (place, within) = match &first.stack {
            Ok(stack) => census::place(stack),
            Err(_) if note.is_some() => (None, None),
            Err(why) => (None, Some(format!("(no stack: {why})"))),
        };
        let created = first.created_from.as_deref().and_then(creator);
        let made_at = created.map_or(String::new(), |frame| {
            format!("{}:{} {}", frame.file, frame.line, frame.function)
        });
        Some(Item {
            count: group.len() as u64,
            state: first.state.name().to_owned(),
            name,
            ages: ages().max().zip(ages().min()),
            place,
            within: within.into_iter().collect(),
            made_at,
        })
    });
    let census = Census {
        kind: THREADS,
        items: items.collect(),
        head,
        ended: None,
        unlisted: 0,
    };
    let done = census.show(args, look, out)?;
    if let (Some(note), false) = (note, args.json.json) {
        writeln!(out, "\n{note}")?;
    }
    Ok(done)
}
