//! Seven ways in which services leak, each as a small service under traffic, leaky and fixed, and whom heapsite accuses.
//!
//! ```text
//! cargo run --release --all-features --example patterns -- 1a leaky
//! … -- <1a|1b|1c|1at|1ct|2|3|4|5|6|7> <leaky|fixed> [--seconds N] [--interval BYTES] [--out DIR]
//! ```
//!
//! | pattern | leaks |
//! |---|---|
//! | 1a, 1at | a task (1at: a thread) that waits for messages, because a sender is never dropped |
//! | 1b | a call to a server that never answers, and that outlives whoever asked |
//! | 1c, 1ct | a worker task (1ct: thread) that nobody stops |
//! | 2 | responses that are neither read nor dropped, with their connections |
//! | 3 | a 32-byte view that keeps a line of 100 KiB; a vector truncated but not shrunk |
//! | 4 | a map with a key that never repeats; maps emptied that keep their tables |
//! | 5 | a ticker and a delayed expiry per request, never aborted |
//! | 6 | files and locks that a loop holds until the function ends |
//! | 7 | text and bytes converted back and forth: nothing leaks, everything is allocated |
//!
//! The service is warmed up, then twelve snapshots are taken under traffic, and `heapsite::leak` judges them. How many
//! requests there are depends on the interval, so that chance misses a leak less than once in 10⁶ runs (`harness.rs`);
//! `--seconds` only stretches them (default 5). The last line is JSON: the truth, as the example itself counted it
//! (`truth.rs`), and who is blamed (`null`: nobody). With `--out` the first and the last snapshot stay there, for
//! `heapsite diff` and `heapsite top`.

mod conversions;
mod endless_tasks;
mod endless_threads;
mod harness;
mod held_to_the_end;
mod pinned_buffers;
mod report;
mod timers;
mod truth;
mod unbounded_maps;
mod unread_bodies;

use std::path::PathBuf;
use std::time::Duration;

use heapsite::{Config, Heapsite};

use harness::Service;

#[global_allocator]
static HEAP: Heapsite<truth::Counting> = Heapsite::new(truth::Counting);

pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// Which of a pattern's two programs runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Leaky,
    Fixed,
}

/// What the command line asks for.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) pattern: String,
    pub(crate) form: Form,
    /// How long the traffic lasts at least.
    pub(crate) time: Duration,
    pub(crate) interval: u64,
    pub(crate) out: Option<PathBuf>,
}

const USAGE: &str = "usage: patterns <1a|1b|1c|1at|1ct|2|3|4|5|6|7> <leaky|fixed> [--seconds N] [--interval BYTES] [--out DIR]";

pub(crate) fn main() -> Result<()> {
    run(Options::parse(std::env::args().skip(1))?)
}

pub(crate) fn run(options: Options) -> Result<()> {
    let _heapsite = Config::new().interval(options.interval).init()?;
    // Two workers, as on a small pod.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(async {
        let service = start(&options.pattern, options.form)?;
        harness::drive(service, &options).await
    })?;
    report::print(&options, outcome)?;
    // Leaked threads and blocked tasks are not waited for.
    runtime.shutdown_background();
    Ok(())
}

fn start(pattern: &str, form: Form) -> Result<Service> {
    Ok(match pattern {
        "1a" => endless_tasks::forgotten_sender(form),
        "1b" => endless_tasks::no_cancellation(form)?,
        "1c" => endless_tasks::no_shutdown(form),
        "1at" => endless_threads::forgotten_sender(form),
        "1ct" => endless_threads::no_shutdown(form),
        "2" => unread_bodies::service(form)?,
        "3" => pinned_buffers::service(form),
        "4" => unbounded_maps::service(form),
        "5" => timers::service(form),
        "6" => held_to_the_end::service(form)?,
        "7" => conversions::service(form),
        _ => return Err(USAGE.into()),
    })
}

impl Options {
    pub(crate) fn parse(mut args: impl Iterator<Item = String>) -> Result<Options> {
        let mut next = || args.next().ok_or(USAGE);
        let pattern = next()?;
        let form = match next()?.as_str() {
            "leaky" => Form::Leaky,
            "fixed" => Form::Fixed,
            _ => return Err(USAGE.into()),
        };
        let mut options = Options {
            pattern,
            form,
            time: Duration::from_secs(5),
            interval: 512 << 10,
            out: None,
        };
        while let Ok(arg) = next() {
            match arg.as_str() {
                "--seconds" => options.time = Duration::try_from_secs_f64(next()?.parse()?)?,
                "--interval" => options.interval = next()?.parse()?,
                "--out" => options.out = Some(next()?.into()),
                _ => return Err(USAGE.into()),
            }
        }
        Ok(options)
    }
}
