//! What stays behind in every program and is nobody's leak. The guide's chapter on leak checks lists the same.
#![forbid(unsafe_code)]

use super::stacks::{Frame, Stack};

/// Code whose memory is left out where it is called by what is blamed, or is blamed itself; and why.
const CALLED: [(&str, &str); 6] = [
    (
        "std::io::stdio",
        "buffers of standard output and error, and what the test harness captures of them",
    ),
    // Kept by the thread's handle, which std takes from `System`, past the global allocator.
    ("std::thread::thread", "names of threads"),
    (
        "std::sys::pal::unix::stack_overflow",
        "std's list of threads' guard pages",
    ),
    (
        "crossbeam_epoch",
        "memory that other threads may still read, freed later",
    ),
    (
        "tokio::signal::registry",
        "Tokio's table of signals, made once",
    ),
    (
        "rayon_core::registry::global_registry",
        "rayon's global pool, made once",
    ),
];

/// Code whose memory is left out where it allocates itself, in a runtime that is older than the check.
const QUEUES: [&str; 3] = [
    "tokio::runtime::scheduler",
    "tokio::runtime::context",
    "tokio::runtime::blocking",
];

/// Why a site is left out by default.
pub(super) fn of_heap(stack: &Stack) -> Option<&'static str> {
    let frames = stack.to_blamed();
    if frames.iter().any(Frame::is_harness) {
        return Some("the test harness");
    }
    let owner = stack.owner();
    if owner.is_some_and(|owner| QUEUES.iter().any(|path| owner.is_in(path)))
        && !stack.passes("tokio::runtime::builder")
    {
        return Some("queues of a Tokio runtime");
    }
    let row = CALLED
        .iter()
        .find(|(path, _)| frames.iter().any(|frame| frame.is_in(path)));
    row.map(|(_, why)| *why)
}

/// Pools whose threads outlive the call that started them, because the pool waits for more work.
pub(super) struct Pool {
    /// Its threads are started below this.
    pub(super) started_by: &'static str,
    /// The pool itself is made below this.
    pub(super) made_by: &'static str,
    /// Its threads' names begin with this, unless the program named them.
    pub(super) thread_name: Option<&'static str>,
}

const POOLS: [Pool; 2] = [
    Pool {
        started_by: "tokio::runtime",
        made_by: "tokio::runtime::blocking::pool::BlockingPool",
        thread_name: Some("tokio-r"), // tokio-rt-worker, tokio-runtime-worker
    },
    Pool {
        started_by: "rayon_core",
        made_by: "rayon_core::registry::Registry",
        thread_name: None,
    },
];

/// The pool that a thread belongs to, by where it was started, or by its name if that is not known.
pub(super) fn pool(name: &str, started: Option<&Stack>) -> Option<&'static Pool> {
    POOLS.iter().find(|pool| match started {
        Some(stack) => stack.passes(pool.started_by),
        None => pool
            .thread_name
            .is_some_and(|start| name.starts_with(start)),
    })
}
