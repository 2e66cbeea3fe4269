#!/usr/bin/env bash
# The unit tests that Miri can run, under Miri: undefined behaviour in the parts that are plain Rust.
# Needs a nightly toolchain with the miri component, which a laptop or a CI machine may not have.
set -euo pipefail
source "$(dirname "$0")/common.sh"

if ! cargo +nightly miri --version >/dev/null 2>&1; then
    say "Miri NOT run: no nightly toolchain with miri here (rustup +nightly component add miri)"
    exit 0
fi
# Files, clocks and the process's own mappings are outside of Miri's world unless isolation is off.
MIRIFLAGS="-Zmiri-disable-isolation" CARGO_TARGET_DIR=target/miri \
    cargo +nightly miri test --features internals --lib -- profile format
