//! Profiles over HTTP, both ways: a server of heapsite's own, and its routes in an axum app.
//! `cargo run --features http --example http`, then `go tool pprof http://…/debug/pprof/heap`, or open
//! `/debug/heapsite/` in a browser: it names `leak`.
//!
//! `--port N` (default 0: any that is free) for the first, `--seconds N` (default 60) until the end.
use std::time::{Duration, Instant};

use axum::{Router, routing::get};
use heapsite::Heapsite;

#[global_allocator]
static HEAP: Heapsite = Heapsite::system();

/// Grows by 64 KiB ten times a second.
fn leak(kept: &mut Vec<Vec<u8>>) {
    kept.push(vec![1; 64 << 10]);
}

/// Comes and goes: 4 MiB that nobody keeps.
fn work() -> usize {
    let rows: Vec<String> = (0..1024).map(|row| format!("{row:04096}")).collect();
    rows.iter().map(String::len).sum()
}

/// An app that has a runtime and a listener anyway.
async fn app() -> std::io::Result<()> {
    let app = Router::new()
        .route("/", get(|| async { format!("{} bytes\n", work()) }))
        .merge(heapsite::http::router());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("the app's own is at http://{}", listener.local_addr()?);
    axum::serve(listener, app).await
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let _heapsite = heapsite::init()?;
    let server = heapsite::http::serve(("127.0.0.1", argument("--port").unwrap_or(0)))?;
    println!("listening on {}", server.url());

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    runtime.spawn(app());
    let seconds = argument("--seconds").unwrap_or(60);
    let end = Instant::now() + Duration::from_secs(seconds.into());
    let mut kept = Vec::new();
    while Instant::now() < end {
        leak(&mut kept);
        work();
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

fn argument(name: &str) -> Option<u16> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1)?.parse().ok()
}
