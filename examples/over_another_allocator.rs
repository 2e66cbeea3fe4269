//! heapsite goes over any allocator. `cargo run --example over_another_allocator`
use heapsite::Heapsite;
use mimalloc::MiMalloc;

#[global_allocator]
static HEAP: Heapsite<MiMalloc> = Heapsite::new(MiMalloc);

fn main() {
    let kept: Vec<String> = (0..1_000_000)
        .map(|n| format!("string number {n}"))
        .collect();

    let live = heapsite::snapshot().facts.live;
    let (bytes, error) = (live.bytes_estimate, live.bytes_variance.sqrt());
    println!(
        "{} strings in mimalloc: {bytes:.0} ± {error:.0} live bytes",
        kept.len()
    );
}
