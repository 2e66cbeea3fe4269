#!/usr/bin/env bash
# What depends on how the compiler lays out code: the unwinder against libgcc's, and the exact mode against dhat,
# optimised, and with frame pointers (which must not be needed, and must not disturb).
set -euo pipefail
source "$(dirname "$0")/common.sh"

cargo test --release --all-features --test unwind --test exact --test estimator --test scenarios
RUSTFLAGS=-Cforce-frame-pointers=yes cargo test --features internals --test unwind --target-dir target/frame-pointers
bash ci/task_cells.sh
