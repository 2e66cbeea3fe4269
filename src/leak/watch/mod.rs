//! The watch: looks at the heap of the running process again and again, and tells when a leak begins and ends.
//!
//! ```text
//! thread "heapsite-leaks" ──every minute──▶ engine: snapshot ─▶ look ─▶ find::leaks ─▶ tracks ──Change──▶ callback
//!                                              names ◀─┘   └─▶ ring                      └─▶ stats(), /metrics
//! ```
#![forbid(unsafe_code)]

mod change;
mod engine;
mod look;
mod names;
mod ring;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod tracks;
mod worker;

use std::fmt;
use std::time::Duration;

use crate::error::{Error, Result};
use engine::{Engine, Settings};

pub use change::{Change, Kind};
pub use worker::WatchHandle;

/// What is called with each [`Change`].
type Callback = Box<dyn FnMut(&Change) + Send>;

/// Watches for leaks in production.
///
/// A *look* takes a snapshot and asks [`find::leaks`](crate::find::leaks()), with the last looks as a history. What [`hold`](Watch::hold)
/// looks in a row call a leak is announced to the callback, in [`stats()`](crate::stats()) and in `/metrics`; what
/// [`clear`](Watch::clear) looks in a row no longer call one is withdrawn. What is only
/// [filling](crate::find::Class::Filling) is shown in the numbers and never announced.
///
/// ```
/// # #[global_allocator]
/// # static HEAP: heapsite::Heapsite = heapsite::Heapsite::system();
/// use std::time::Duration;
/// use heapsite::leak::Watch;
///
/// let watch = Watch::new()
///     .every(Duration::from_secs(60))
///     .on_change(|change| eprintln!("{change}"))
///     .start()?;
/// // … the service …
/// drop(watch);
/// # Ok::<(), heapsite::Error>(())
/// ```
///
/// Without a line of code: `HEAPSITE=leak_watch=60s` and [`init`](crate::init()). The [guide](crate::guide::leak_watch) tells
/// what it costs and what it cannot see.
pub struct Watch {
    every: Duration,
    settings: Settings,
    callback: Option<Callback>,
}

/// Bounds of what is kept: 16 bytes per place and look.
const LOOKS: std::ops::RangeInclusive<usize> = ring::FEWEST_LOOKS..=1024;
const PLACES: std::ops::RangeInclusive<usize> = 1..=65_536;

impl Default for Watch {
    fn default() -> Watch {
        Watch::new()
    }
}

impl Watch {
    /// The defaults, as each method below states them.
    pub fn new() -> Watch {
        Watch {
            every: Duration::from_secs(60),
            settings: Settings {
                looks: 32,
                places: 256,
                level: 0.001,
                longest_fill: Duration::from_secs(3600),
                hold: 3,
                clear: 5,
            },
            callback: None,
        }
    }

    /// Time between two looks; the first one comes a period after the start. Where a look takes more than a hundredth of
    /// that, the next one comes later.
    ///
    /// Default: 60 s.
    pub fn every(mut self, period: Duration) -> Watch {
        self.every = period;
        self
    }

    /// How many looks are remembered, from 8 to 1024: the newest quarter, and a quarter each of every 8th, 64th and 512th.
    ///
    /// Default: 32, which is 68 hours of looks once a minute.
    pub fn history(mut self, looks: usize) -> Watch {
        self.settings.looks = looks;
        self
    }

    /// How many places (blamed lines, or stacks that have no name yet) are judged and remembered, those that hold most; 1 to
    /// 65,536.
    ///
    /// Default: 256. With 32 looks they take 128 KiB at most, and names of stacks 2 MiB more.
    pub fn places(mut self, most: usize) -> Watch {
        self.settings.places = most;
        self
    }

    /// How often a single look may call any place a leak in a process in which nothing leaks, between 0 and 1:
    /// [`find::Options::level`](crate::find::Options::level).
    ///
    /// Default: 0.001. Looks follow one another and see much of the same, so this is not divided by their number.
    pub fn level(mut self, level: f64) -> Watch {
        self.settings.level = level;
        self
    }

    /// How long a cache may take to fill: what has not grown for longer is not announced, but counted as filling.
    /// [`find::Options::longest_fill`](crate::find::Options::longest_fill).
    ///
    /// Default: an hour.
    pub fn longest_fill(mut self, time: Duration) -> Watch {
        self.settings.longest_fill = time;
        self
    }

    /// So many looks in a row have to call a place a leak before it is announced; at least 1.
    ///
    /// Default: 3.
    pub fn hold(mut self, looks: u32) -> Watch {
        self.settings.hold = looks;
        self
    }

    /// So many looks in a row must not call an announced place a leak before it is withdrawn; at least 1.
    ///
    /// Default: 5.
    pub fn clear(mut self, looks: u32) -> Watch {
        self.settings.clear = looks;
        self
    }

    /// Calls this with each [`Change`], on the watch's own thread. What it allocates is the program's and in its profile.
    /// The next look waits for it. A panic in it is caught and counted
    /// ([`LeakWatch::callback_panics`](crate::stats::LeakWatch)), and it is called again the next time.
    ///
    /// Default: nobody is called.
    pub fn on_change(mut self, callback: impl FnMut(&Change) + Send + 'static) -> Watch {
        self.callback = Some(Box::new(callback));
        self
    }

    /// Starts to watch, until the handle is dropped.
    ///
    /// # Errors
    ///
    /// If a watch runs in this process already; if a setting makes no sense; if nothing is recorded, because there is no
    /// [`Heapsite`](crate::Heapsite) allocator or the platform is not supported; if the system refuses a thread.
    pub fn start(self) -> Result<WatchHandle> {
        self.validate()?;
        if !crate::sys::CAN_RECORD {
            return Err(Error::unsupported(
                "no leak watch: heapsite records on x86-64 Linux only",
            ));
        }
        // The allocator is known by having been asked, and so far it may not have been.
        drop(std::hint::black_box(Box::new(0u64)));
        if !crate::record::is_installed() {
            return Err(Error::unsupported(
                "no leak watch: no heapsite allocator is installed; the program needs \
                 `#[global_allocator] static HEAP: heapsite::Heapsite = heapsite::Heapsite::system();`",
            ));
        }
        let engine = Engine::new(self.settings);
        WatchHandle::start(engine, self.every, self.callback)
    }

    fn validate(&self) -> Result<()> {
        let Settings {
            looks,
            places,
            level,
            hold,
            clear,
            longest_fill: _,
        } = self.settings;
        let bad = |what: &str, value: &dyn fmt::Display, accepted: &str| {
            Err(Error::config(format!(
                "leak watch: {what} {value}: accepted is {accepted}"
            )))
        };
        if self.every.is_zero() {
            return bad("every", &"0 s", "a time above 0");
        }
        if !LOOKS.contains(&looks) {
            return bad("history", &looks, "8 to 1024 looks");
        }
        if !PLACES.contains(&places) {
            return bad("places", &places, "1 to 65536");
        }
        if !(level > 0.0 && level < 1.0) {
            return bad("level", &level, "a number between 0 and 1");
        }
        if hold == 0 {
            return bad("hold", &hold, "at least 1 look");
        }
        if clear == 0 {
            return bad("clear", &clear, "at least 1 look");
        }
        Ok(())
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("every", &self.every)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
