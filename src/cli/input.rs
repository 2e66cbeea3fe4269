//! Profiles from files, stdin and http addresses.
#![forbid(unsafe_code)]

use super::{fetch, progress};
use crate::task::Tasks;
use crate::thread::Threads;
use crate::trigger::evidence::State;
use crate::{Error, Profile, Result, format};
use std::cell::RefCell;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

thread_local! {
    /// The profile of a prompt, which command after command asks for.
    static KEPT: RefCell<Option<(String, Profile)>> = const { RefCell::new(None) };
}

/// From now on this thread's [`read`] of `name` returns this.
pub(super) fn keep(name: &str, profile: Profile) {
    KEPT.set(Some((name.to_owned(), profile)));
}

/// Reads a profile; the format is found by looking.
///
/// # Errors
/// The name could not be opened or fetched, or its bytes are no profile; names the input.
pub(super) fn read(name: &str) -> Result<Profile> {
    let is_kept = |(kept, profile): &(String, Profile)| (kept == name).then(|| profile.clone());
    if let Some(profile) = KEPT.with_borrow(|kept| kept.as_ref().and_then(is_kept)) {
        return Ok(profile);
    }
    match read_any(name)? {
        Input::Profile(profile) => Ok(*profile),
        // Says what it is.
        Input::State(bytes) => parse(name, &bytes),
    }
}

/// What can be told about.
pub(super) enum Input {
    Profile(Box<Profile>),
    /// What is left of a process.
    State(Vec<u8>),
}

/// Reads a profile, or what is left of a process.
///
/// # Errors
/// Those of [`read`].
pub(super) fn read_any(name: &str) -> Result<Input> {
    let bytes = match open(name)? {
        Opened::Whole(bytes) => bytes,
        Opened::Stream(stream) => {
            let profile = format::read_from(stream).map_err(|error| error.context(display(name)));
            return profile.map(|profile| Input::Profile(Box::new(profile)));
        }
    };
    match State::is_meant_by(&bytes) {
        true => Ok(Input::State(bytes)),
        false => parse(name, &bytes).map(|profile| Input::Profile(Box::new(profile))),
    }
}

/// Reads a profile from what was behind a name; a list of tasks or threads is one as well.
///
/// # Errors
/// It is no profile; names the input.
pub(super) fn parse(name: &str, bytes: &[u8]) -> Result<Profile> {
    if State::is_meant_by(bytes) {
        return Err(Error::input(format!(
            "{}: what is left of a process, not a profile; `heapsite info` reads it, and names the dumps that belong to it",
            display(name)
        )));
    }
    let profile = match Tasks::is_meant_by(bytes) {
        true => Tasks::read_json(bytes).map(|tasks| tasks.to_profile()),
        false if Threads::is_meant_by(bytes) => {
            Threads::read_json(bytes).map(|threads| threads.to_profile())
        }
        false => format::read(bytes),
    };
    profile.map_err(|error| error.context(display(name)))
}

/// What is behind a name; a service, which is an address without a path, is asked the question `question` below
/// `/debug/`, or if it is not heapsite's, for its profile `profile`.
///
/// # Errors
/// Those of [`bytes`].
pub(super) fn ask(name: &str, question: &str, profile: &str) -> Result<Vec<u8>> {
    let Some(host) = name
        .strip_prefix("http://")
        .map(|rest| rest.trim_end_matches('/'))
    else {
        return bytes(name);
    };
    if host.contains(['/', '?']) {
        return bytes(name);
    }
    bytes(&format!("http://{host}/debug/{question}"))
        .or_else(|_| bytes(&format!("http://{host}/debug/pprof/{profile}")))
}

/// Reads two profiles, both at once where the second is a file. An address or stdin is asked after the first has been read:
/// a base is fetched before what is compared with it, and where it fails nobody waits for the other.
///
/// # Errors
/// Those of [`read`], the first one's first.
pub(super) fn read_both(first: &str, second: &str) -> Result<(Profile, Profile)> {
    if !is_file(second) {
        return Ok((read(first)?, read(second)?));
    }
    std::thread::scope(|scope| {
        let builder = std::thread::Builder::new();
        let Ok(other) = builder.spawn_scoped(scope, || read(second)) else {
            return Ok((read(first)?, read(second)?));
        };
        let first = read(first);
        let second = match other.join() {
            Ok(second) => second,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        Ok((first?, second?))
    })
}

pub(super) fn is_file(name: &str) -> bool {
    name != "-" && !name.starts_with("http://") && !name.starts_with("https://")
}

/// The name to show.
pub(super) fn display(name: &str) -> &str {
    if name == "-" { "stdin" } else { name }
}

/// Only one input can come from stdin.
///
/// # Errors
/// More than one of `names` is `-`.
pub(super) fn check_stdin<'a>(names: impl IntoIterator<Item = &'a String>) -> Result<()> {
    match names.into_iter().filter(|name| *name == "-").count() {
        0 | 1 => Ok(()),
        _ => Err(Error::input(
            "only one profile can be read from stdin (`-`)",
        )),
    }
}

/// The most that is read of a file: as much as a profile may have, unpacked.
const LIMIT: u64 = 1 << 30;

/// What is behind a name.
///
/// # Errors
/// It could not be opened or fetched, or is too large.
pub(super) fn bytes(name: &str) -> Result<Vec<u8>> {
    match source(name)? {
        Opened::Whole(bytes) => Ok(bytes),
        Opened::Stream(stream) => limited(stream, display(name)),
    }
}

enum Opened {
    Whole(Vec<u8>),
    /// Up to the limit, and an error beyond.
    Stream(Box<dyn BufRead>),
}

/// JSON is read as a whole, which is how its readers want it; all others as they come.
fn open(name: &str) -> Result<Opened> {
    let mut stream = match source(name)? {
        Opened::Stream(stream) => stream,
        whole => return Ok(whole),
    };
    let start = stream
        .fill_buf()
        .map_err(|error| cannot_read(name, error))?;
    match start.trim_ascii_start().starts_with(b"{") {
        true => limited(stream, display(name)).map(Opened::Whole),
        false => Ok(Opened::Stream(Box::new(stream.take(LIMIT)))),
    }
}

fn source(name: &str) -> Result<Opened> {
    if name == "-" {
        return Ok(Opened::Stream(Box::new(std::io::stdin().lock())));
    }
    if name.starts_with("http://") {
        return fetch::get(name).map(Opened::Whole);
    }
    if name.starts_with("https://") {
        return Err(Error::unsupported(format!(
            "{name}: https is not built in; use `curl -fsS '{name}' | heapsite … -`"
        )));
    }
    let file = File::open(name).map_err(|error| cannot_read(name, error))?;
    let about = file.metadata().map_err(|error| cannot_read(name, error))?;
    if about.is_dir() {
        return Err(Error::input(format!(
            "{name} is a folder, not a profile: `heapsite merge {name} -o sum.pb.gz` adds up the profiles in it"
        )));
    }
    let file = progress::reading(name, about.len(), file);
    Ok(Opened::Stream(Box::new(BufReader::with_capacity(
        64 << 10,
        file,
    ))))
}

#[cold]
fn cannot_read(name: &str, error: std::io::Error) -> Error {
    Error::io(
        format!("cannot read {}{}", display(name), no_file(name)),
        error,
    )
}

/// What a name that is no file may have been meant to be.
fn no_file(name: &str) -> String {
    if name == "-" || Path::new(name).exists() {
        return String::new();
    }
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits(name) {
        return format!(
            " (if it is a process: `heapsite dump {name}` makes it write a dump and prints the path)"
        );
    }
    // A host, a port, and maybe a path.
    let authority = name.split('/').next().unwrap_or(name);
    match authority.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && digits(port) => {
            format!(" (if it is an address: http://{name})")
        }
        _ => String::new(),
    }
}

/// Reads to the end. A device may have none.
fn limited(from: impl Read, name: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = from.take(LIMIT + 1).read_to_end(&mut bytes);
    read.map_err(|error| Error::io(format!("cannot read {name}"), error))?;
    match bytes.len() as u64 > LIMIT {
        true => Err(Error::input(format!(
            "{name} has more than {LIMIT} bytes, which is more than is accepted"
        ))),
        false => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_errors_the_first_inputs_counts() {
        for second in ["/none/second", "http://127.0.0.1:1/second"] {
            let error = read_both("/none/first", second).expect_err("neither is there");
            assert!(error.to_string().contains("/none/first"), "{error}");
        }
    }
}
