#!/usr/bin/env bash
# What `heapsite diff` of two large pprof files costs, writing a dump without symbols, and `heapsite merge` of a thousand
# processes: instructions, counted by callgrind, and peak memory; and the memory that files of 100 MB take. No clock is asked;
# src/guide/performance.md has the times. Fails where a bound is exceeded.
#
#   bash ci/formats.sh
set -euo pipefail
source "$(dirname "$0")/common.sh"

command -v valgrind >/dev/null || missing "valgrind"
command -v python3 >/dev/null || missing "python3"
finish_missing || exit 1
[ ${#MISSING[@]} = 0 ] || { say "formats NOT counted"; exit 0; }

files=$(mktemp -d)
trap 'rm -rf "$files"' EXIT
cargo build --quiet --release --features cli --bin heapsite
cargo bench --quiet --bench formats -- --files "$files"
failed=no

# Millions of instructions of a command, all its threads together.
count() {
    local report
    report=$(valgrind --tool=callgrind --callgrind-out-file=/dev/null "$@" 2>&1 >/dev/null)
    sed -n 's/.*Collected : \([0-9]*\).*/\1/p' <<<"$report" | awk '{ printf "%.0f", $1 / 1e6 }'
}

# Peak resident memory of a command in MB, by wait4.
peak() {
    python3 -c '
import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 // 1000000)' "$@"
}

# $1: what; $2: measured; $3: at most.
bound() {
    if [ "$2" -le "$3" ]; then
        printf '%-62s %6s  (at most %s)\n' "$1" "$2" "$3"
    else
        printf '%-62s %6s  EXCEEDS %s\n' "$1" "$2" "$3"
        failed=yes
    fi
}

diff=(target/release/heapsite diff "$files/base.pb.gz" "$files/new.pb.gz")
# 1,020 since files are read as they come: 60 more than when a file was unpacked as a whole, for two thirds of the memory.
bound "diff of 50,000 stacks of 36 frames, million instructions" "$(count "${diff[@]}")" 1060
# Two threads read, so it is not the same number each time.
bound "the same, peak memory, MB" "$(peak "${diff[@]}")" 60
# Reading is in it; what a program does on a signal is the writing.
bound "10,000 stacks without symbols read and written, million instr." \
    "$(count target/release/heapsite convert "$files/addresses.pb.gz" -o "$files/again.pb.gz")" 175

# A thousand processes: as much work for each as among a hundred, in the same memory. JSON has survivors, whose ages still
# differ after the first hundred: there are at most eight for each doubling. JSON takes four times the instructions, so fewer
# of it are counted.
merge() { printf '%s\n' target/release/heapsite merge @"$files/$1" -o "$files/sum.$kind" --to "$kind"; }
for kind in pprof json; do
    ls "$files/$kind"/00* >"$files/100"
    ls "$files/$kind"/0[0-2]* >"$files/300"
    ls "$files/$kind"/0* >"$files/1000"
    [ "$kind" = pprof ] && many=1000 more=3 || many=300 more=12
    [ "$(wc -l <"$files/$many")" = "$many" ] || fail "$many files"
    mapfile -t small < <(merge 100)
    mapfile -t large < <(merge "$many")
    share=$(($(count "${large[@]}") * 100 * 100 / many / $(count "${small[@]}")))
    bound "merge of $many $kind dumps, % of the work for each of 100" "$share" 103
    mapfile -t large < <(merge 1000)
    bound "merge of 1000 $kind dumps, MB beyond the peak of 100" \
        $(($(peak "${large[@]}") - $(peak "${small[@]}"))) "$more"
done

# Files of 100 MB unpacked, by bytes asked of the allocator: at most 3 times as much, and more for short stacks with labels.
HEAPSITE_PEAK_MB=100 cargo test --quiet --release --features cli --test peak || failed=yes

[ "$failed" = no ] || fail "see EXCEEDS above"
