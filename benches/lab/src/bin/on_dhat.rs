//! The workloads under dhat, which records every allocation.
#[global_allocator]
static HEAP: dhat::Alloc = dhat::Alloc;

fn main() {
    let file = std::env::temp_dir().join(format!("lab-dhat-{}.json", std::process::id()));
    let profiler = dhat::Profiler::builder().file_name(&file).build();
    heapsite_lab::main();
    // Its report at the end is not part of what is measured.
    std::mem::forget(profiler);
}
