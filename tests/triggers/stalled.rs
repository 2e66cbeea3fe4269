//! Whoever reads standard error has stopped reading: nothing of heapsite may wait for it.

use std::io::{ErrorKind, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use heapsite::Config;

use crate::harness::{Scenario, until_dumps};
use crate::signals::raise;

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "stalled_pipe",
        settings: None,
        program: |dir| {
            let (_reader, writer) = std::io::pipe().unwrap();
            everything(dir, writer.into());
        },
        check: |outcome| {
            outcome.succeeded();
            outcome.whole_dumps(4);
        },
    },
    Scenario {
        name: "stalled_pipe_of_another_user",
        settings: None,
        program: |dir| {
            let (_reader, writer) = std::io::pipe().unwrap();
            std::os::unix::fs::chown(dir, Some(65_534), None).unwrap_or(());
            // SAFETY: no memory involved; without root's rights it fails, and the pipe stays our own.
            unsafe { libc::setuid(65_534) };
            everything(dir, writer.into());
        },
        check: |outcome| {
            outcome.succeeded();
            outcome.whole_dumps(4);
        },
    },
    Scenario {
        name: "stalled_socket",
        settings: None,
        program: |dir| {
            let (_reader, writer) = UnixStream::pair().unwrap();
            everything(dir, writer.into());
        },
        check: |outcome| {
            outcome.succeeded();
            outcome.whole_dumps(4);
        },
    },
];

/// Everything that writes a line, with nobody to read it. Each line may wait a moment, and here are fewer than ten.
fn everything(dir: &Path, stderr: OwnedFd) {
    stuff(&stderr);
    // SAFETY: nothing here owns standard error.
    assert_eq!(unsafe { libc::dup2(stderr.as_raw_fd(), 2) }, 2);
    let started = Instant::now();
    let handle = Config::new().final_dump(true).init().unwrap();
    raise(libc::SIGUSR2);
    until_dumps(dir, 1);
    handle.dump().unwrap();
    heapsite::dump(dir.join("none"), heapsite::format::Format::Json).unwrap_err();
    drop(handle);
    let _again = Config::new().final_dump(true).init().unwrap();
    let took = started.elapsed();
    // A wait for the reader would never end; the harness would find it, too, but later.
    assert!(took < Duration::from_secs(15), "{took:?}");
    // Dropped at the end of `main`, with one more line.
}

/// Leaves no room for a single byte. The mode goes back: it belongs to whoever shares the file.
fn stuff(stderr: &OwnedFd) {
    let set = |flags: libc::c_int| {
        // SAFETY: an open descriptor; no memory involved.
        let done = unsafe { libc::fcntl(stderr.as_raw_fd(), libc::F_SETFL, flags) };
        assert_eq!(done, 0);
    };
    // SAFETY: as above.
    let before = unsafe { libc::fcntl(stderr.as_raw_fd(), libc::F_GETFL) };
    set(before | libc::O_NONBLOCK);
    let mut file = std::fs::File::from(stderr.try_clone().unwrap());
    for size in [4096, 1] {
        while file.write(&vec![b'x'; size]).map_err(|error| error.kind())
            != Err(ErrorKind::WouldBlock)
        {}
    }
    set(before);
}
