//! Sending a signal to another process: for `heapsite dump`, far above the wall.

use std::io;

/// Sends signal number `signal` to process `pid`.
///
/// # Errors
/// `InvalidInput` for ids that mean several processes (0 and above `i32::MAX`, which would be negative);
/// otherwise what the system says: no such process, or not permitted.
pub(crate) fn send(pid: u32, signal: i32) -> io::Result<()> {
    let process = i32::try_from(pid).ok().filter(|&pid| pid > 0);
    let Some(process) = process else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{pid} is no process id"),
        ));
    };
    // SAFETY: `kill` takes two numbers and touches no memory of ours. `process` is above 0, so it names one
    // process: neither our group (0) nor everybody (-1).
    match unsafe { libc::kill(process, signal) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
