#!/usr/bin/env bash
# Type-checks the library for other targets, where their standard library is installed.
set -euo pipefail
source "$(dirname "$0")/common.sh"

sysroot=$(rustc --print sysroot)
for target in x86_64-unknown-linux-gnu aarch64-unknown-linux-gnu x86_64-unknown-linux-musl; do
    if [ -d "$sysroot/lib/rustlib/$target/lib" ]; then
        cargo check --all-features --target "$target"
        say "$target: checked"
    else
        say "$target: NOT checked, its standard library is not installed (rustup target add $target)"
    fi
done
