//! Lines on stderr.
#![forbid(unsafe_code)]

use std::fmt;
use std::time::Duration;

use crate::sys;

/// A reader that is only slow gets every line; one that has stopped holds nobody up for longer.
const PATIENCE: Duration = Duration::from_millis(200);

/// Writes one line, prefixed with `heapsite:`. A closed stderr is nobody's problem, and where nobody reads a full pipe
/// the line is lost: it must not stop the program.
pub(crate) fn line(what: fmt::Arguments<'_>) {
    let text = format!("heapsite: {}\n", what.to_string().replace('\n', " "));
    let _ = sys::stderr::write(text.as_bytes(), PATIENCE);
}
