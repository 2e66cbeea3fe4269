//! The `heapsite` command: see `heapsite --help`.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    heapsite::cli::main()
}
