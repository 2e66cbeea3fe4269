//! Interval 1 records every allocation: no estimate, no error. `cargo run --example exact_mode`
use heapsite::Heapsite;

#[global_allocator]
static HEAP: Heapsite = Heapsite::system().sample_interval(1);

fn main() {
    let before = heapsite::snapshot().facts.live;
    let kept: Vec<String> = (0..1_000).map(|_| "kept".repeat(25)).collect();
    let after = heapsite::snapshot().facts.live;

    // 1,000 strings of 100 bytes in a vector of 24,000 bytes; what a snapshot allocates does not count.
    println!(
        "{} objects more, {} bytes",
        after.objects - before.objects,
        after.bytes - before.bytes
    );
    drop(kept);
}
