//! What is looked at when somebody scrapes.
#![forbid(unsafe_code)]

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

use prometheus_client::encoding::DescriptorEncoder;

use super::families;
use super::lines::Shown;
use crate::record::{self, local::Ignore};
use crate::snapshot::lines;

/// Series of `heapsite_function_live_bytes`, unless told otherwise.
const FUNCTIONS: usize = 20;

/// What is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    pub(super) functions: usize,
    pub(super) process: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            functions: FUNCTIONS,
            process: false,
        }
    }
}

impl Options {
    /// Twenty functions, no `process_*`.
    pub fn new() -> Options {
        Options::default()
    }

    /// How many functions have a series of their own in `heapsite_function_live_bytes`; all others are one more. 0: none
    /// has, and no stack is named. Default: 20.
    pub fn functions(mut self, most: usize) -> Options {
        self.functions = most;
        self
    }

    /// Whether the usual `process_*` metrics (resident and virtual memory, processor time, descriptors, start) are
    /// exported as well, under those names. Not if the program or another library exports them already. Default: `false`.
    pub fn process(mut self, yes: bool) -> Options {
        self.process = yes;
        self
    }

    /// A collector with these settings.
    pub fn collector(self) -> Collector {
        Collector {
            options: self,
            shown: Arc::default(),
        }
    }
}

/// heapsite's metrics, for [`Registry::register_collector`](prometheus_client::registry::Registry::register_collector).
///
/// A scrape takes a snapshot and looks at the process: see [`snapshot`](crate::snapshot()) for what that costs. Stacks that
/// were not there at the last one are named, which the first time takes as long as a dump with symbols (some 0.1 s and
/// more) and later hardly ever happens. All of it happens on the calling thread. What a scrape allocates is not in the
/// profile.
#[derive(Clone)]
pub struct Collector {
    options: Options,
    /// Which functions have a series. Shared by clones, so that all scrapes show the same.
    shown: Arc<Mutex<Shown>>,
}

impl Default for Collector {
    fn default() -> Collector {
        Options::new().collector()
    }
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collector")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl prometheus_client::collector::Collector for Collector {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let _own_work = Ignore::new();
        let snapshot = crate::snapshot();
        let mut functions = Vec::new();
        if self.options.functions > 0 && snapshot.facts.interval > 0 {
            let levels = lines::levels(&snapshot);
            let series = |shown: &mut Shown| shown.series(&levels, self.options.functions);
            functions = match self.shown.try_lock() {
                Ok(mut shown) => series(&mut shown),
                Err(TryLockError::Poisoned(shown)) => series(&mut shown.into_inner()),
                // A thread that stayed behind at the fork may hold it for ever.
                Err(TryLockError::WouldBlock) if record::forked_from().is_some() => {
                    series(&mut Shown::default())
                }
                // Held for microseconds, and another choice than the other scrape's would flicker.
                Err(TryLockError::WouldBlock) => {
                    series(&mut self.shown.lock().unwrap_or_else(PoisonError::into_inner))
                }
            };
        }
        families::encode(encoder, &snapshot.facts, &functions, self.options.process)
    }
}
