//! The workloads over the system's allocator, alone.
fn main() {
    heapsite_lab::main();
}
