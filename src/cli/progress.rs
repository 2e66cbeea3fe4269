//! How far long work is: on stderr, and on a terminal only. Short work shows nothing, by its size and not by the clock.
#![forbid(unsafe_code)]

use std::io::Read;
use std::sync::OnceLock;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A file of fewer bytes is read in less than a second.
const LARGE: u64 = 16 << 20;
/// As are fewer profiles.
const MANY: usize = 32;

/// A bar that goes when it is dropped.
pub(super) struct Bar(ProgressBar);

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

impl Bar {
    /// One more is done.
    pub(super) fn step(&self) {
        self.0.inc(1);
    }
}

/// Reading `len` bytes of `name`, as they are read.
pub(super) fn reading<R: Read + 'static>(name: &str, len: u64, from: R) -> Box<dyn Read> {
    if len < LARGE {
        return Box::new(from);
    }
    let bar = bar(len, "{msg} {bar:20} {bytes} of {total_bytes}");
    bar.0.set_message(printable("reading ", name));
    Box::new(Watched { from, bar })
}

/// Reading so many profiles.
pub(super) fn profiles(count: usize) -> Bar {
    match count < MANY {
        true => Bar(ProgressBar::hidden()),
        false => bar(count as u64, "reading profiles {bar:20} {pos} of {len}"),
    }
}

/// Work that does not say how far it is.
pub(super) fn working(count: usize, what: String) -> Bar {
    const LONG: usize = 1_000;
    if count < LONG {
        return Bar(ProgressBar::hidden());
    }
    let bar = bar(0, "{msg}");
    bar.0.set_message(what);
    bar.0.tick();
    bar
}

struct Watched<R> {
    from: R,
    bar: Bar,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let read = self.from.read(into)?;
        self.bar.0.inc(read as u64);
        Ok(read)
    }
}

/// Two files may be read at once: each has its line.
fn bar(len: u64, style: &str) -> Bar {
    static ALL: OnceLock<MultiProgress> = OnceLock::new();
    // Draws nothing where stderr is no terminal.
    let all = ALL.get_or_init(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr()));
    let bar = ProgressBar::new(len);
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style.progress_chars("=> "));
    }
    Bar(all.add(bar))
}

fn printable(what: &str, name: &str) -> String {
    format!("{what}{}", crate::view::name::printable(name))
}
