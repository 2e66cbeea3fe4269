//! The workloads under heapsite. `LAB_INTERVAL=BYTES` changes the interval: 1 is exact, 0 off.
#[global_allocator]
static HEAP: heapsite::Heapsite = heapsite::Heapsite::system();

fn main() {
    if let Some(interval) = heapsite_lab::interval() {
        heapsite::set_sample_interval(interval);
    }
    heapsite_lab::main();
}
