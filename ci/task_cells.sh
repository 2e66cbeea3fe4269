#!/usr/bin/env bash
# Tasks seen through the heap, where it depends on the version and on the compiler: tokio of two years ago and today's, optimised and
# not, and with the names of the newer mangling. `cargo test` has asked today's, not optimised.
set -euo pipefail
source "$(dirname "$0")/common.sh"

# package, profile, flags
against() {
    local package=$1 profile=$2 flags=$3 dir=target/$1$3 types=1
    say "$package, $profile $flags"
    RUSTFLAGS=$flags cargo build --quiet --locked --profile "$profile" \
        --manifest-path "tests/task_cells/$package/Cargo.toml" --target-dir "$dir"
    # The older mangling has no types, and without inlining there is nothing else that has.
    [ "$profile$flags" = dev ] && types=
    [ "$profile" = dev ] && profile=debug
    HEAPSITE_TASK_CELLS=$PWD/$dir/$profile/$package ${types:+env HEAPSITE_TASK_CELLS_TYPES=1} \
        cargo test --all-features --test task_cells
}

against tokio_1_41 dev ''
against tokio_1_41 release ''
against tokio_1_41 dev -Csymbol-mangling-version=v0
cargo test --release --all-features --test task_cells
