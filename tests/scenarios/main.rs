//! What a program may do to its allocator, each scenario in a process of its own, over three allocators and
//! at several intervals.
//!
//! `cargo test --all-features --test scenarios [part of a name] [-- --list]`. A scenario's process is this
//! program again with `HEAPSITE_SCENARIO` set; it starts switched off, so that nothing of the harness is
//! recorded, and the scenario switches recording on. A parent watches it, and shows its output if it fails.

mod checks;
mod driver;
mod failures;
mod inner;
mod intervals;
mod layouts;
mod own_work;
mod process;
mod realloc;
mod signals;
mod statistics;
mod stress;
mod threads;
mod where_it_is;

use std::process::ExitCode;

use driver::{Ends, Scenario};
use heapsite::Heapsite;
use inner::Inner;

#[global_allocator]
static HEAP: Heapsite<Inner> = Heapsite::new(Inner).sample_interval(0);

const KIB: u64 = 1 << 10;
const EXACT: &[u64] = &[1];
const ALL: &[u64] = &[1, 4 * KIB, 512 * KIB];
/// jemalloc itself overflows 16 KiB of stack in a debug build, with nothing recorded.
const ROOMY: &[&str] = &["system", "mimalloc"];
/// `BUMP` is the one that a signal handler may call.
const THREE: &[&str] = &["system", "mimalloc", "jemalloc"];
const SYSTEM: &[&str] = &["system"];
const BUMP: &[&str] = &["bump"];

fn main() -> ExitCode {
    driver::run(&[
        Scenario::new(
            "cross_thread_frees",
            threads::cross_thread_frees,
            THREE,
            ALL,
        ),
        Scenario::new("thread_churn", threads::churn, SYSTEM, EXACT),
        Scenario::new("thread_churn_short", threads::churn_short, THREE, ALL),
        Scenario::new("tls_destructors", threads::tls_destructors, THREE, ALL),
        Scenario::new("small_stacks", threads::small_stacks, ROOMY, ALL),
        Scenario::new("stress", stress::stress, THREE, ALL),
        Scenario::new("fork", process::fork, THREE, &[1, 4 * KIB]),
        Scenario::new("dlopen", process::dlopen, SYSTEM, EXACT),
        Scenario::new("unwinding", process::unwinding, THREE, EXACT),
        Scenario::new("exit", process::exit, THREE, ALL).ends(Ends::Code(7)),
        Scenario::new("underscore_exit", process::underscore_exit, SYSTEM, EXACT)
            .ends(Ends::Code(8)),
        Scenario::new("abort", process::abort, SYSTEM, EXACT).ends(Ends::Signal(libc::SIGABRT)),
        Scenario::new("signals_in_malloc", signals::in_malloc, THREE, ALL),
        Scenario::new("signals_in_recorder", signals::in_recorder, BUMP, ALL),
        Scenario::new("alternate_stack", signals::alternate_stack, BUMP, EXACT),
        Scenario::new("refused", failures::refused, THREE, EXACT),
        Scenario::new("impossible", failures::impossible, SYSTEM, ALL),
        Scenario::new("inner_uses_heap", failures::inner_uses_heap, THREE, ALL),
        Scenario::new(
            "settled_before_given_back",
            failures::settled_before_given_back,
            THREE,
            EXACT,
        ),
        Scenario::new("tables_full", failures::tables_full, SYSTEM, &[1, 4 * KIB]),
        Scenario::new(
            "no_memory_at_all",
            failures::no_memory_at_all,
            SYSTEM,
            EXACT,
        ),
        Scenario::new(
            "interval_switched",
            intervals::switched_under_load,
            THREE,
            &[1],
        ),
        Scenario::new(
            "interval_set_again",
            intervals::set_again,
            SYSTEM,
            &[4 * KIB],
        ),
        Scenario::new("interval_mixed", intervals::mixed, SYSTEM, &[1, 4 * KIB]),
        Scenario::new(
            "pause_and_resume",
            intervals::pause_and_resume,
            SYSTEM,
            EXACT,
        ),
        Scenario::new("stats_exact", statistics::exact, THREE, EXACT),
        Scenario::new("stats_estimated", statistics::estimated, SYSTEM, &[4 * KIB]),
        Scenario::new("stats_cost", statistics::cost, SYSTEM, &[1, 4 * KIB]),
        Scenario::new("memory_live", where_it_is::live, THREE, &[1, 4 * KIB]),
        Scenario::new("memory_free", where_it_is::free, THREE, &[4 * KIB]),
        Scenario::new(
            "memory_unexplained",
            where_it_is::unexplained,
            THREE,
            &[4 * KIB],
        ),
        Scenario::new("memory_stacks", where_it_is::stacks, THREE, &[4 * KIB]),
        Scenario::new("memory_files", where_it_is::files, THREE, &[4 * KIB]),
        Scenario::new("memory_untouched", where_it_is::untouched, SYSTEM, EXACT),
        Scenario::new("memory_arenas", where_it_is::arenas, SYSTEM, &[4 * KIB]),
        Scenario::new(
            "memory_global",
            where_it_is::global_is_known,
            THREE,
            &[4 * KIB],
        ),
        Scenario::new(
            "memory_given_back",
            where_it_is::given_back,
            THREE,
            &[4 * KIB],
        ),
        Scenario::new(
            "memory_registered",
            where_it_is::registered_is_asked,
            SYSTEM,
            EXACT,
        ),
        Scenario::new("over_aligned", layouts::over_aligned, THREE, ALL),
        Scenario::new("zeroed", layouts::zeroed, THREE, ALL),
        Scenario::new("zero_sizes", layouts::zero_sizes, SYSTEM, EXACT),
        Scenario::new("model", layouts::model, THREE, EXACT),
        Scenario::new("symbolising", own_work::symbolising, THREE, &[1, 512]),
        Scenario::new("scratch", own_work::scratch, THREE, ALL),
        Scenario::new("scratch_edges", own_work::scratch_edges, THREE, EXACT),
        Scenario::new("scratch_threads", own_work::scratch_threads, THREE, ALL),
        Scenario::new("scratch_fork", own_work::scratch_fork, THREE, &[1, 4 * KIB]),
        Scenario::new("scratch_refused", own_work::scratch_refused, SYSTEM, EXACT),
        Scenario::new("scratch_off", own_work::scratch_off, THREE, &[0]),
        Scenario::new("realloc_in_place", realloc::in_place, THREE, ALL),
        Scenario::new("realloc_ladder", realloc::ladder, THREE, EXACT),
    ])
}
