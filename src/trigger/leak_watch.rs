//! The leak watch that a setting asks for: a line on stderr for each change, and a dump when a leak begins.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::time::Duration;

use super::desk::{Desk, Order};
use super::{report, wiring};
use crate::error::Result;
use crate::leak::{Kind, Watch, WatchHandle};

/// Whether and how the process watches itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) every: Duration,
    /// Dump when a leak is announced.
    pub(crate) dump: bool,
    /// How long a cache may take to fill.
    pub(crate) longest_fill: Duration,
}

impl Options {
    pub(crate) const fn new() -> Options {
        Options {
            every: Duration::from_secs(60),
            dump: false,
            longest_fill: Duration::from_secs(3600),
        }
    }
}

/// `None`: nothing is recorded, which has been told.
pub(super) fn start(options: Options, desk: &Arc<Desk>) -> Result<Option<WatchHandle>> {
    if wiring::records_nothing().is_some() {
        return Ok(None);
    }
    let desk = Arc::clone(desk);
    let watch = Watch::new()
        .every(options.every)
        .longest_fill(options.longest_fill);
    let watch = watch.on_change(move |change| {
        let _own_work = wiring::own_work();
        report::line(format_args!("{change}"));
        // Its failure has been told on stderr.
        if options.dump
            && change.kind == Kind::Begin
            && let Ok(path) = desk.ask(Order::Default)
        {
            report::line(format_args!("leak: wrote {}", path.display()));
        }
    });
    let started = watch.start();
    started
        .map(Some)
        .map_err(|error| error.context("key `leak_watch`"))
}
