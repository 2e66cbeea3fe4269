//! The workloads over mimalloc, alone.
#[global_allocator]
static HEAP: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    heapsite_lab::main();
}
