//! The workloads under pprof-alloc's own sampler; `PPROF_ALLOC_SAMPLE_RATE` is its interval, 512 KiB unless set.
use pprof_alloc::PprofAlloc;

#[global_allocator]
static HEAP: PprofAlloc = PprofAlloc::new().with_pprof_sample_rate_from_env(512 << 10);

fn main() {
    heapsite_lab::main();
}
