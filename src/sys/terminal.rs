//! How wide the terminal is: for tables of the command line.

use std::io::IsTerminal;
use std::os::fd::{AsFd, AsRawFd};

/// Columns of the terminal that `stream` is; `None`: it is none, or does not tell.
pub(crate) fn width(stream: &(impl AsFd + IsTerminal)) -> Option<usize> {
    if !stream.is_terminal() {
        return None;
    }
    let mut size = libc::winsize {
        ws_row: 0,
        ws_col: 0,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // SAFETY: TIOCGWINSZ writes one `winsize` to the pointer, which is to a live local of that type; the
    // descriptor is borrowed from `stream`, so it stays open during the call.
    let done = unsafe { libc::ioctl(stream.as_fd().as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) };
    (done == 0 && size.ws_col > 0).then_some(usize::from(size.ws_col))
}
