#!/usr/bin/env bash
# Formatting, clippy for each set of features, and documentation without a broken link. Warnings are errors.
set -euo pipefail
source "$(dirname "$0")/common.sh"

cargo fmt --check
cargo clippy --all-targets -- -D warnings
for feature in $(features); do
    cargo clippy --all-targets --features "$feature" -- -D warnings
done
cargo clippy --all-targets --all-features -- -D warnings
RUSTDOCFLAGS="-D warnings -D rustdoc::broken_intra_doc_links" cargo doc --no-deps --all-features
