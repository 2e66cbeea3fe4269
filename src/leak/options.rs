//! What counts as a leak, and how long to wait for it to go away.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::time::Duration;

use super::check::LeakCheck;

/// Settings of a [`LeakCheck`]; each one's default is stated with it.
///
/// ```
/// # #[global_allocator]
/// # static HEAP: heapsite::Heapsite = heapsite::Heapsite::system();
/// use heapsite::leak::Options;
///
/// let check = Options::new()
///     .ignore("my_crate::metrics") // whatever was allocated below this module
///     .ignore_thread("telemetry")
///     .start();
/// check.assert();
/// ```
#[derive(Clone, Debug)]
#[must_use = "options do nothing until they start a check"]
pub struct Options {
    pub(super) patience: Duration,
    pub(super) ignored_paths: Vec<String>,
    pub(super) ignored_threads: Vec<String>,
    pub(super) ignored_tasks: Vec<String>,
    pub(super) tasks: bool,
    pub(super) min_bytes: u64,
    pub(super) min_objects: u64,
    pub(super) statics: bool,
    pub(super) fds: Option<bool>,
    pub(super) save: Option<bool>,
    pub(super) dir: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            patience: Duration::from_secs(1),
            ignored_paths: Vec::new(),
            ignored_threads: Vec::new(),
            ignored_tasks: Vec::new(),
            tasks: true,
            min_bytes: 0,
            min_objects: 0,
            statics: false,
            fds: None,
            save: None,
            dir: None,
        }
    }
}

impl Options {
    /// The defaults, as each method below states them.
    pub fn new() -> Options {
        Options::default()
    }

    /// How long to wait for what is left to go away: threads and tasks that are about to end, memory that another thread is
    /// about to free. A check that finds nothing does not wait. Default: 1 s.
    pub fn patience(mut self, at_most: Duration) -> Options {
        self.patience = at_most;
        self
    }

    /// Leaves out what was allocated, and threads and tasks that were started, below a function, a module or a crate: `path`
    /// is the start of the name of any frame of the stack, in whole segments, without type arguments; of a task its future
    /// counts as well. Default: none.
    pub fn ignore(mut self, path: impl Into<String>) -> Options {
        self.ignored_paths.push(path.into());
        self
    }

    /// Leaves out threads whose name begins with this, and the memory that they hold. Linux keeps 15 bytes of a name.
    /// Default: none.
    pub fn ignore_thread(mut self, name: impl Into<String>) -> Options {
        let mut name: String = name.into();
        let end = (0..=name.len().min(15))
            .rev()
            .find(|&end| name.is_char_boundary(end));
        name.truncate(end.unwrap_or(0));
        self.ignored_threads.push(name);
        self
    }

    /// Leaves out tracked tasks whose name begins with this, or whose spawn site does (`src/mail.rs:12:5`), and the memory
    /// that they hold. Default: none.
    pub fn ignore_task(mut self, start: impl Into<String>) -> Options {
        self.ignored_tasks.push(start.into());
        self
    }

    /// Whether tasks that were tracked ([`crate::task`]) and have not ended are leaks. Default: `true`; without the
    /// feature `task` nobody tracks any.
    pub fn tasks(mut self, yes: bool) -> Options {
        self.tasks = yes;
        self
    }

    /// Leaves out sites that leaked fewer bytes than this. Default: 0.
    pub fn min_bytes(mut self, bytes: u64) -> Options {
        self.min_bytes = bytes;
        self
    }

    /// Leaves out sites that leaked fewer allocations than this. Default: 0.
    pub fn min_objects(mut self, objects: u64) -> Options {
        self.min_objects = objects;
        self
    }

    /// Whether memory that a `static` holds is a leak, as a map without bounds is. Default: `false`: caches, pools and
    /// what is made once live in statics too, so they are only listed.
    pub fn statics(mut self, yes: bool) -> Options {
        self.statics = yes;
        self
    }

    /// Whether new file descriptors are leaks (`true`) or of no interest (`false`). Default: they are leaks if no other
    /// thread can have opened them, and listed as not judged if one can: the system does not say who opened what.
    pub fn fds(mut self, yes: bool) -> Options {
        self.fds = Some(yes);
        self
    }

    /// Whether two snapshots are saved for `heapsite diff` when something leaked. Default: when a check is about to
    /// panic or to change the exit code, and not when [`LeakCheck::find`] returns.
    pub fn save(mut self, yes: bool) -> Options {
        self.save = Some(yes);
        self
    }

    /// Where they are saved; the directory has to exist. Default: what the environment variable `HEAPSITE_LEAK_DIR`
    /// names, or else the system's directory for temporary files.
    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Options {
        self.dir = Some(dir.into());
        self
    }

    /// Starts a check of the calling thread and of the threads that it starts from now on.
    #[track_caller]
    pub fn start(self) -> LeakCheck {
        LeakCheck::with(self)
    }
}
