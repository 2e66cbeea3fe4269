//! Triggers, each scenario in its own process. Run some with `cargo test --test triggers -- PART_OF_NAME`.

mod evidence;
mod exit;
mod files;
mod fork;
mod harness;
#[cfg(feature = "http")]
mod http;
mod leak_watch;
#[cfg(feature = "metrics")]
mod metrics;
#[cfg(feature = "push")]
mod push;
mod settings;
mod signals;
mod stalled;

#[global_allocator]
static HEAP: heapsite::Heapsite = heapsite::Heapsite::system();

fn main() -> std::process::ExitCode {
    let scenarios = [
        signals::SCENARIOS,
        evidence::SCENARIOS,
        exit::SCENARIOS,
        files::SCENARIOS,
        fork::SCENARIOS,
        leak_watch::SCENARIOS,
        settings::SCENARIOS,
        stalled::SCENARIOS,
        #[cfg(feature = "http")]
        http::SCENARIOS,
        #[cfg(feature = "metrics")]
        metrics::SCENARIOS,
        #[cfg(feature = "push")]
        push::SCENARIOS,
    ];
    harness::main(&scenarios.into_iter().flatten().collect::<Vec<_>>())
}
