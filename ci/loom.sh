#!/usr/bin/env bash
# The lock-free tables under loom: all orders of small models, with at most two preemptions. A package of its own
# (tests/loom), so that the flag reaches loom and nothing else.
set -euo pipefail
source "$(dirname "$0")/common.sh"

RUSTFLAGS="--cfg loom" cargo test --release --manifest-path tests/loom/Cargo.toml --target-dir target/loom
