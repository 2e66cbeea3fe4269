//! What is looked at when somebody scrapes.
#![forbid(unsafe_code)]

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

use prometheus_client::encoding::DescriptorEncoder;

use super::families;
use super::lines::ShownFunctions;
use super::tasks::ShownSites;
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
    /// Shared by clones, so that all scrapes show the same.
    shown: Arc<Mutex<ShownLast>>,
}

/// What has a series.
#[derive(Default)]
struct ShownLast {
    functions: ShownFunctions,
    sites: ShownSites,
}

impl Collector {
    /// Works with what the last scrape showed.
    fn with_shown<R>(&self, work: impl FnOnce(&mut ShownLast) -> R) -> R {
        match self.shown.try_lock() {
            Ok(mut shown) => work(&mut shown),
            Err(TryLockError::Poisoned(shown)) => work(&mut shown.into_inner()),
            // A thread that stayed behind at the fork may hold it for ever.
            Err(TryLockError::WouldBlock) if record::forked_from().is_some() => {
                work(&mut ShownLast::default())
            }
            // Held for microseconds, and another choice than the other scrape's would flicker.
            Err(TryLockError::WouldBlock) => {
                work(&mut self.shown.lock().unwrap_or_else(PoisonError::into_inner))
            }
        }
    }
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
            let most = self.options.functions;
            functions = self.with_shown(|shown| shown.functions.series(&levels, most));
        }
        let tasks = snapshot.facts.resources.as_ref();
        let tasks = tasks.and_then(|resources| resources.tasks.as_ref());
        let tasks = tasks.map(|tasks| (tasks, self.with_shown(|shown| shown.sites.sites(tasks))));
        families::encode(
            encoder,
            &snapshot.facts,
            &functions,
            tasks.as_ref().map(|(tasks, sites)| (*tasks, &**sites)),
            self.options.process,
        )
    }
}
