//! The workloads under heapscope. `LAB_INTERVAL=BYTES` samples; without it, every allocation is recorded.
#[global_allocator]
static HEAP: heapscope::Alloc = heapscope::Alloc::system();

fn main() {
    let mut builder = heapscope::Profiler::builder().no_output();
    if let Some(interval) = heapsite_lab::interval().filter(|interval| *interval > 1) {
        builder = builder.sampling(interval);
    }
    let profiler = builder.build().expect("heapscope starts");
    heapsite_lab::main();
    // Its report at the end is not part of what is measured.
    std::mem::forget(profiler);
}
