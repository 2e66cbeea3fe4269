#!/usr/bin/env bash
# The package builds with no feature, with each alone and with all; prints how many crates a user gets.
set -euo pipefail
source "$(dirname "$0")/common.sh"

cargo check
for feature in $(features); do
    cargo check --features "$feature"
done
cargo check --all-features

# `normal` leaves out what only tests and build scripts need; the package itself is not a dependency.
crates() { cargo tree --edges normal --prefix none --no-dedupe "$@" | awk '{ print $1, $2 }' | sort -u | grep -vc '^heapsite '; }
say "crates behind heapsite with no features: $(crates)"
for feature in $(features); do
    say "crates behind heapsite with $feature: $(crates --features "$feature")"
done
