//! The workloads over jemalloc. Built with `jemalloc-prof`, its profiler is set by `_RJEM_MALLOC_CONF`.
#[global_allocator]
static HEAP: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() {
    heapsite_lab::main();
}
