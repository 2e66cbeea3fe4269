//! The workloads under heapsite that is off from the start.
use heapsite::Heapsite;

#[global_allocator]
static HEAP: Heapsite = Heapsite::system().sample_interval(0);

fn main() {
    heapsite_lab::main();
}
