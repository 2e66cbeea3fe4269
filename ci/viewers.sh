#!/usr/bin/env bash
# Real viewers read what heapsite writes: Go's pprof, Debian's old one and the newest, against our own numbers.
# Run ci/setup.sh first.
set -euo pipefail
source "$(dirname "$0")/common.sh"

export HEAPSITE_PPROF_OLD="$TOOLS/pprof-debian"
export HEAPSITE_PPROF_NEW="$TOOLS/pprof-1.27.3"
for tool in "$HEAPSITE_PPROF_OLD" "$HEAPSITE_PPROF_NEW"; do
    [ -x "$tool" ] || missing "$tool"
done
finish_missing || exit 1
[ ${#MISSING[@]} = 0 ] || { say "viewers NOT run: bash ci/setup.sh installs them"; exit 0; }

# The program that leaves the dumps.
cargo build --all-features --example demo
cargo test --all-features --test viewers -- --ignored --test-threads=2
