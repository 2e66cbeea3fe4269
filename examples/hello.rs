//! The least there is: two lines of setup, one question. `cargo run --example hello`
use heapsite::Heapsite;

#[global_allocator]
static HEAP: Heapsite = Heapsite::system();

fn main() -> Result<(), heapsite::Error> {
    let _heapsite = heapsite::init()?; // arms SIGUSR2, and whatever HEAPSITE=… asks for
    let kept: Vec<Vec<u8>> = (0..1_000).map(|_| vec![0; 64 << 10]).collect();

    let live = heapsite::snapshot().facts.live;
    let (bytes, error) = (live.bytes_estimate, live.bytes_variance.sqrt());
    println!(
        "{} vectors of 64 KiB: {bytes:.0} ± {error:.0} live bytes",
        kept.len()
    );
    Ok(())
}
