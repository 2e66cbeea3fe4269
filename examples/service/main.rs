//! A service that does not leak: what each part does so that heap, tasks, threads and files return to where they were.
//!
//! ```text
//! cargo run --release --all-features --example service [-- --addr 127.0.0.1:8080]
//! cargo run --release --all-features --example service -- --soak 30
//! cargo test --all-features --example service
//! ```
//!
//! | habit | where |
//! |---|---|
//! | every call has a deadline and ends with the request it serves | `deadline.rs`, `upstream.rs` |
//! | a worker starts, stops, and is waited for until it has ended | `worker.rs` |
//! | a cache has a capacity and forgets with time | `quotes.rs` |
//! | a response's body is read to its end, within a bound, or dropped | `upstream.rs` |
//! | a timer ends with what it is for | `ticks.rs` |
//! | SIGTERM: stop accepting, tell everybody, wait, and only then leave | `lifecycle.rs` |
//! | heap, tasks, threads and open files are metrics | `vitals.rs` |
//! | the profiler listens to SIGUSR2, costs nothing until asked | here |
//! | a test fails when something is left behind | `tests.rs`, with `heapsite::leak` |
//!
//! `--soak SECONDS` sends load, cuts connections in the middle and comes back, goes idle, and ends with exit code 1 unless
//! everything is back at its baseline.
#![forbid(unsafe_code)]

mod api;
mod deadline;
mod lifecycle;
mod load;
mod quotes;
mod soak;
#[cfg(test)]
mod tests;
mod ticks;
mod upstream;
mod vitals;
mod worker;

use std::net::SocketAddr;
use std::time::Duration;

use heapsite::{Config, Heapsite, Signal};

use crate::lifecycle::{Service, Settings};

#[global_allocator]
static HEAP: Heapsite = Heapsite::system();

type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

fn main() -> Result<()> {
    let options = Options::from_args()?;
    // `kill -USR2 PID` writes a dump, which `heapsite diff` compares with another.
    let _heapsite = Config::new().signal(Signal::USR2).init()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    match options.soak {
        Some(seconds) => runtime.block_on(soak::run(Duration::from_secs(seconds))),
        None => runtime.block_on(serve(options.address)),
    }
}

/// Serves until SIGTERM or Ctrl-C.
async fn serve(address: SocketAddr) -> Result<()> {
    let upstream = upstream::Remote::start().await?;
    let service = Service::start(Settings {
        address,
        ..Settings::to(upstream.address)
    })
    .await?;
    println!(
        "serving on http://{}, process {}: /quote/ABC, /orders, /ticks, /metrics",
        service.address,
        std::process::id()
    );
    lifecycle::asked_to_stop().await?;
    println!("stopping");
    service.stop().await?;
    upstream.stop().await
}

struct Options {
    address: SocketAddr,
    soak: Option<u64>,
}

impl Options {
    fn from_args() -> Result<Options> {
        let mut options = Options {
            address: SocketAddr::from(([127, 0, 0, 1], 8080)),
            soak: None,
        };
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or(format!("{arg} needs a value"));
            match arg.as_str() {
                "--addr" => options.address = value()?.parse()?,
                "--soak" => options.soak = Some(value()?.parse()?),
                _ => {
                    return Err(format!(
                        "unknown argument {arg}; known are --addr IP:PORT and --soak SECONDS"
                    )
                    .into());
                }
            }
        }
        Ok(options)
    }
}
