//! A dump file when a signal comes. `cargo run --example dump_on_signal`, then `kill -USR1` the process it names.
use heapsite::{Config, Heapsite, Signal};
use std::time::Duration;

#[global_allocator]
static HEAP: Heapsite = Heapsite::system();

fn main() -> Result<(), heapsite::Error> {
    // The same as HEAPSITE="signal=SIGUSR1,dir=…" with heapsite::init().
    let dir = std::env::temp_dir();
    let _heapsite = Config::new().signal(Signal::USR1).dir(&dir).init()?;

    let seconds = std::env::args()
        .nth(1)
        .and_then(|seconds| seconds.parse().ok())
        .unwrap_or(60);
    println!(
        "for {seconds} s: kill -USR1 {}; dumps go to {}",
        std::process::id(),
        dir.display()
    );
    let mut kept = Vec::new();
    for second in 0..seconds {
        kept.push(vec![second as u8; 4 << 20]);
        std::thread::sleep(Duration::from_secs(1));
    }
    Ok(())
}
