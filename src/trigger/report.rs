//! Lines on stderr.
#![forbid(unsafe_code)]

use std::fmt;
use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;

/// Writes one line, prefixed with `heapsite:`. A closed stderr is nobody's problem.
///
/// Past `std::io::stderr`'s lock, which another thread may have held when this process was forked.
pub(super) fn line(what: fmt::Arguments<'_>) {
    let text = format!("heapsite: {}\n", what.to_string().replace('\n', " "));
    if let Ok(stderr) = std::io::stderr().as_fd().try_clone_to_owned() {
        let _ = File::from(stderr).write_all(text.as_bytes());
    }
}
