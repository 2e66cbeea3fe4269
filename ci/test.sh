#!/usr/bin/env bash
# The README's test command: needs nothing but the Rust toolchain. What needs a real viewer is ignored here and
# run by ci/viewers.sh.
set -euo pipefail
source "$(dirname "$0")/common.sh"

cargo test --all-features

# A program with gaps between its segments, as linkers make one now and then: stacks must not end at the first frame.
gaps=$(cargo rustc --all-features --test unwind --message-format=json -- -C link-arg=-Wl,-z,max-page-size=0x200000 |
    sed -n 's|.*"executable":"\([^"]*/unwind-[^"]*\)".*|\1|p' | tail -n 1)
"$gaps" --test-threads=1
