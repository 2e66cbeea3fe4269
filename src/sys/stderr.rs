//! A line on standard error that never waits: whoever reads it may have stopped, and a program must not stop with it.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::thread;
use std::time::{Duration, Instant};

/// Writes `text`, past `std::io::stderr`'s lock, which another thread may have held when this process was forked. Where
/// there is no room it waits at most `patience`.
///
/// # Errors
/// `WouldBlock`: nobody makes room; otherwise what the system says, such as that standard error is closed.
pub(crate) fn write(text: &[u8], patience: Duration) -> io::Result<()> {
    let stderr = File::from(io::stderr().as_fd().try_clone_to_owned()?);
    let kind = stderr.metadata()?.file_type();
    if kind.is_socket() {
        return until(patience, || send(&stderr, text));
    }
    if !kind.is_fifo() && !kind.is_char_device() {
        return (&stderr).write_all(text);
    }
    // O_NONBLOCK belongs to the open file, which other processes share; so the same pipe or terminal is opened anew.
    let again = OpenOptions::new()
        .write(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(format!("/proc/self/fd/{}", stderr.as_raw_fd()));
    match again {
        // A line is shorter than PIPE_BUF, so it fits as a whole or not at all; a terminal may take a part of it.
        Ok(mut own) => {
            let mut rest = text;
            until(patience, || {
                while !rest.is_empty() {
                    rest = &rest[own.write(rest)?..];
                }
                Ok(())
            })
        }
        // A named pipe that nobody has open for reading: writing would raise SIGPIPE.
        Err(error) if error.raw_os_error() == Some(libc::ENXIO) => Err(error),
        // No /proc, or the pipe of another user, as after setuid. Where there is room there is room for a line, unless
        // another thread takes it in this very moment.
        Err(_) => {
            wait_for_room(&stderr, patience)?;
            (&stderr).write_all(text)
        }
    }
}

/// Tries again while there is no room, until `patience` is over.
fn until(patience: Duration, mut attempt: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    let deadline = Instant::now() + patience;
    loop {
        match attempt() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock && Instant::now() < deadline => {
                thread::sleep(Duration::from_millis(5));
            }
            done => return done,
        }
    }
}

fn wait_for_room(stderr: &File, patience: Duration) -> io::Result<()> {
    let mut poll = libc::pollfd {
        fd: stderr.as_raw_fd(),
        events: libc::POLLOUT,
        revents: 0,
    };
    let patience = i32::try_from(patience.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: one descriptor, in a local struct.
    match unsafe { libc::poll(&mut poll, 1, patience) } {
        1.. if poll.revents & libc::POLLOUT != 0 => Ok(()),
        0 => Err(ErrorKind::WouldBlock.into()),
        _ => Err(ErrorKind::BrokenPipe.into()),
    }
}

fn send(socket: &File, text: &[u8]) -> io::Result<()> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: `text` is readable for its length, and the descriptor is open while `socket` lives.
    let sent = unsafe { libc::send(socket.as_raw_fd(), text.as_ptr().cast(), text.len(), flags) };
    match sent {
        0.. => Ok(()), // a part of a line is as good as it gets
        _ => Err(io::Error::last_os_error()),
    }
}
