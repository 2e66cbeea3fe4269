//! Profiles pushed to a Pyroscope server.
//! `cargo run --features push --example push -- http://localhost:4040`, then look for `shop` there.
//!
//! `--seconds N` (default 60) until the end.
use std::time::{Duration, Instant};

use heapsite::{Heapsite, push};

#[global_allocator]
static HEAP: Heapsite = Heapsite::system();

/// Grows by 64 KiB a hundred times a second.
fn leak(kept: &mut Vec<Vec<u8>>) {
    kept.push(vec![1; 64 << 10]);
}

fn main() -> Result<(), heapsite::Error> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().unwrap_or("http://localhost:4040".into());
    let seconds = arguments.nth(1).and_then(|n| n.parse().ok());
    let pusher = push::Options::new(url)
        .application("shop")
        .label("region", "eu")
        .interval(Duration::from_secs(15))
        .start()?;
    let end = Instant::now() + Duration::from_secs(seconds.unwrap_or(60));
    let mut kept = Vec::new();
    while Instant::now() < end {
        leak(&mut kept);
        std::thread::sleep(Duration::from_millis(10));
    }
    // What is left; dropping the pusher would send it, too, but say nothing.
    let last = pusher.flush();
    println!("{:?}", pusher.status());
    last
}
