//! The leak guard, in one process and in parallel, as people run it: each kind of leak is caught, each harmless
//! look-alike is not, and neighbours do not disturb one another. What needs a process of its own is in `alone.rs`.
//!
//! The allocator samples one allocation in 512 KiB: checks are exact nevertheless.

mod alone;
mod budgets;
mod heap;
mod look_alikes;
mod neighbours;
mod patterns;
mod runtime;
#[cfg(feature = "task")]
mod tasks;
mod thread;

use std::time::Duration;

use heapsite::Heapsite;
use heapsite::leak::{LeakReport, Options};

#[global_allocator]
static HEAP: Heapsite = Heapsite::system();

/// Saved snapshots go where the build's other files are.
#[used]
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = {
    extern "C" fn set() {
        // SAFETY: no other thread runs yet.
        unsafe { std::env::set_var("HEAPSITE_LEAK_DIR", env!("CARGO_TARGET_TMPDIR")) };
    }
    set
};

/// Does not wait for what is known to stay.
fn hasty() -> Options {
    Options::new().patience(Duration::ZERO).save(false)
}

/// The functions that are blamed, each with objects and bytes.
fn blamed(report: &LeakReport) -> Vec<(&str, u64, u64)> {
    let sites = report.heap.iter();
    sites
        .map(|site| (site.blamed.function.as_str(), site.objects, site.bytes))
        .collect()
}
