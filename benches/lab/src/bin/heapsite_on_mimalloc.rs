//! The workloads under heapsite over mimalloc. `LAB_INTERVAL=BYTES` changes the interval: 1 is exact, 0 off.
use heapsite::Heapsite;
use mimalloc::MiMalloc;

#[global_allocator]
static HEAP: Heapsite<MiMalloc> = Heapsite::new(MiMalloc);

fn main() {
    if let Some(interval) = heapsite_lab::interval() {
        heapsite::set_sample_interval(interval);
    }
    heapsite_lab::main();
}
