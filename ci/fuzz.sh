#!/usr/bin/env bash
# Readers on changed files, some ten thousand inputs, the same ones each time; and whether work grows with the input and not with its
# square, by instructions that callgrind counts. Where cargo-fuzz and a nightly toolchain are installed, libFuzzer has a
# turn of a fixed number of runs with each reader as well.
#
#   bash ci/fuzz.sh
set -euo pipefail
source "$(dirname "$0")/common.sh"

command -v valgrind >/dev/null || missing "valgrind"
finish_missing || exit 1

HEAPSITE_FUZZ_ROUNDS=${HEAPSITE_FUZZ_ROUNDS:-300} cargo test --quiet --release --all-features --test fuzz

# Twice the input: at most 2.3 times the instructions, start and end of the process left out by a third, small input.
if [ ${#MISSING[@]} = 0 ]; then
    fuzz=$(cargo test --quiet --release --all-features --test fuzz --no-run --message-format=json |
        sed -n 's|.*"executable":"\([^"]*/fuzz-[^"]*\)".*|\1|p' | tail -n 1)
    count() {
        valgrind --tool=callgrind --callgrind-out-file=/dev/null "$fuzz" large "$1" "$2" 2>&1 >/dev/null |
            sed -n 's/.*Collected : \([0-9]*\).*/\1/p'
    }
    failed=no
    for reader in legacy jemalloc goroutines tasks threads json nested line settings; do
        # One key after the other is looked up among those before it: few are read, and few are there.
        [ "$reader" = settings ] && size=2000 || size=200000
        base=$(count "$reader" 10) once=$(count "$reader" "$size") twice=$(count "$reader" $((2 * size)))
        share=$(((twice - base) * 100 / (once - base + 1)))
        verdict=ok
        [ "$share" -le 230 ] || { verdict="MORE THAN 230"; failed=yes; }
        printf '%-12s %4d million instructions, %3d %% for twice the input: %s\n' "$reader" $((once / 1000000)) "$share" "$verdict"
    done
    [ "$failed" = no ] || fail "see above"
fi

if cargo fuzz --version >/dev/null 2>&1 && rustup run nightly rustc --version >/dev/null 2>&1; then
    for reader in pprof gzip json text lists state settings query answer elf; do
        cargo +nightly fuzz run "$reader" "tests/fuzz/corpus/$reader" -- -runs=2000 -rss_limit_mb=2048 -artifact_prefix=target/
    done
else
    say "libFuzzer NOT run: needs cargo-fuzz and a nightly toolchain"
fi
