//! The numbers that must come back to where they were: as metrics, and for the soak.

use std::fmt::Write;

use tokio::runtime::Handle;

/// What the process holds now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Vitals {
    /// Live heap as heapsite estimates it, and its standard error, bytes.
    pub(crate) heap_bytes: f64,
    pub(crate) heap_error: f64,
    /// Tasks alive on this runtime.
    pub(crate) tasks: usize,
    /// Threads of the process.
    pub(crate) threads: usize,
    /// Open file descriptors.
    pub(crate) fds: usize,
}

impl Vitals {
    pub(crate) fn now() -> Vitals {
        let entries = |path| std::fs::read_dir(path).map_or(0, Iterator::count);
        let heap = heapsite::stats::heap().live;
        Vitals {
            heap_bytes: heap.bytes,
            heap_error: heap.bytes_error,
            tasks: Handle::current().metrics().num_alive_tasks(),
            threads: entries("/proc/self/task"),
            // Without the one that reads the folder.
            fds: entries("/proc/self/fd").saturating_sub(1),
        }
    }

    /// As Prometheus reads it.
    pub(crate) fn metrics(&self) -> String {
        let mut text = String::new();
        let mut gauge = |name: &str, help: &str, value: f64| {
            let _ = write!(
                text,
                "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}\n"
            );
        };
        gauge(
            "heapsite_live_bytes",
            "Live heap, estimated.",
            self.heap_bytes,
        );
        gauge(
            "heapsite_live_bytes_error",
            "Its standard error.",
            self.heap_error,
        );
        gauge(
            "tokio_alive_tasks",
            "Tasks that have not ended.",
            self.tasks as f64,
        );
        gauge(
            "process_threads",
            "Threads of the process.",
            self.threads as f64,
        );
        gauge(
            "process_open_fds",
            "Open file descriptors.",
            self.fds as f64,
        );
        text
    }
}
