//! A real service leaks under real traffic, and heapsite names the line.
//!
//! ```text
//! cargo run --release --all-features --example demo [-- --requests N --interval BYTES --out DIR]
//! ```
//!
//! An axum service on loopback serves products from a bounded cache, takes orders as JSON and asks a stock service
//! through a connection pool. Its metrics leak (`metrics.rs`). The demo warms the service up, dumps by signal, sends
//! traffic, dumps again, and prints the difference, next to the leak as the demo itself counted it. The last line is
//! JSON: what was planted, what `heapsite diff` put first, and the files.
//!
//! Could chance put another line first? 300,000 requests leak 159 MB of keys and histograms: at the default interval
//! of 512 KiB some 300 sampled allocations, known to 6 % (1/√300), about 9 MB; the map's table on top is too large to be
//! missed. Everything else is bounded to less than 20 MB, of which chance can make look as if it had grown by 4.6 MB
//! (√(2 · 20 MB · 512 KiB)) for each standard error. The two are 159/√(9² + 4.6²) = 15 standard errors apart; odds of 1 in
//! 10⁶ would need 5.
#![forbid(unsafe_code)]

mod client;
mod metrics;
mod pool;
mod report;
mod service;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use heapsite::format::Format;
use heapsite::{Config, Heapsite, Signal};
use tokio::net::TcpListener;

#[global_allocator]
static HEAP: Heapsite = Heapsite::system();

type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

/// Requests before the first snapshot: enough to fill the cache and to open every connection.
const WARM_UP: u64 = 20_000;
/// Connections to the stock service.
const POOL: usize = 8;

fn main() -> Result<()> {
    let options = Options::from_args()?;
    std::fs::create_dir_all(&options.out)?;
    let mut config = Config::new()
        .signal(Signal::USR2)
        .dir(&options.out)
        .format(Format::Json);
    if let Some(interval) = options.interval {
        config = config.interval(interval);
    }
    let _heapsite = config.init()?;

    // Two workers, as on a small pod.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(run(options))
}

async fn run(options: Options) -> Result<()> {
    let stock = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let shop = Arc::new(service::Shop::new(pool::Pool::new(
        stock.local_addr()?,
        POOL,
    )));
    tokio::spawn(pool::serve_stock(stock));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(axum::serve(listener, service::router(shop.clone())).into_future());
    println!(
        "serving on http://{address}, process {}",
        std::process::id()
    );

    let warm_up = WARM_UP.min(options.requests);
    send(address, 0, warm_up).await?;
    let truth_before = shop.metrics.truth();
    let before = dump_by_signal(&options.out).await?;
    send(address, warm_up, options.requests).await?;
    let truth_after = shop.metrics.truth();
    let after = dump_by_signal(&options.out).await?;

    let planted = report::Planted {
        line: truth_after.line,
        bytes: truth_after.bytes - truth_before.bytes,
        objects: truth_after.objects - truth_before.objects,
    };
    // Reading debug information and files may take its time: not on a thread that serves.
    tokio::task::spawn_blocking(move || report::print(&before, &after, planted)).await?
}

async fn send(address: SocketAddr, first: u64, count: u64) -> Result<()> {
    let started = Instant::now();
    client::load(address, first, count).await?;
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "sent {count} requests in {seconds:.1} s ({:.0}/s)",
        count as f64 / seconds
    );
    Ok(())
}

/// What an operator does: `kill -USR2 PID`, then wait for the file. It appears whole, because it is renamed.
async fn dump_by_signal(dir: &Path) -> Result<PathBuf> {
    let files = || -> Result<Vec<PathBuf>> {
        let entries = std::fs::read_dir(dir)?.collect::<std::io::Result<Vec<_>>>()?;
        let prefix = format!("heapsite.{}.", std::process::id());
        let is_dump = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with(&prefix) && name.ends_with(".json")
        };
        Ok(entries
            .into_iter()
            .map(|entry| entry.path())
            .filter(is_dump)
            .collect())
    };
    let old = files()?;
    let command = format!("kill -USR2 {}", std::process::id());
    if !Command::new("sh")
        .args(["-c", &command])
        .status()?
        .success()
    {
        return Err(format!("`{command}` failed").into());
    }
    let deadline = Instant::now() + Duration::from_secs(60);
    while Instant::now() < deadline {
        if let Some(new) = files()?.into_iter().find(|file| !old.contains(file)) {
            println!("{command}: {}", new.display());
            return Ok(new);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Err(format!(
        "no dump appeared in {} within 60 s of `{command}`",
        dir.display()
    )
    .into())
}

struct Options {
    requests: u64,
    interval: Option<u64>,
    out: PathBuf,
}

impl Options {
    fn from_args() -> Result<Options> {
        let mut options = Options {
            requests: 300_000,
            interval: None,
            out: std::env::temp_dir().join(format!("heapsite-demo-{}", std::process::id())),
        };
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or(format!("{arg} needs a value"));
            match arg.as_str() {
                "--requests" => options.requests = value()?.parse()?,
                "--interval" => options.interval = Some(value()?.parse()?),
                "--out" => options.out = value()?.into(),
                _ => return Err(format!(
                    "unknown argument {arg}; known are --requests N, --interval BYTES, --out DIR"
                )
                .into()),
            }
        }
        Ok(options)
    }
}
