#!/usr/bin/env bash
# The README's test command: needs nothing but the Rust toolchain. What needs a real viewer is ignored here and
# run by ci/viewers.sh.
set -euo pipefail
source "$(dirname "$0")/common.sh"

cargo test --all-features
