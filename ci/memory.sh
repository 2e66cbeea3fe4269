#!/usr/bin/env bash
# Peak resident memory of whole programs under heapsite at its default interval, beside the same programs without it: at
# most 1.02 times, and 4 MiB. Fails where it is more.
#
#   bash ci/memory.sh
#
# The peak is the kernel's own count (VmHWM). It moves with the order in which threads run: single runs of `churn-x` spread
# by 4 MiB. Of five runs the least counts on either side; what has exceeded is looked at once more, so that ten
# unlucky runs in a row are needed for a false alarm. Not one of some 30 single runs was above the bound.
set -euo pipefail
source "$(dirname "$0")/common.sh"

cargo build --quiet --release --manifest-path benches/lab/Cargo.toml --target-dir target/lab
export LAB_SOURCES=src/unwind

# The least peak of five runs of `PROGRAM WORKLOAD OPERATIONS`, KiB.
peak() {
    for _ in 1 2 3 4 5; do
        "target/lab/release/$1" "$2" "$3" | sed -n 's/.*"peak_kib":\([0-9]*\).*/\1/p'
    done | sort -n | head -n 1
}

# $1: workload; $2: operations.
holds() {
    local bare ours
    bare=$(peak on_system "$1" "$2") ours=$(peak heapsite_on_system "$1" "$2")
    awk -v what="$1" -v bare="$bare" -v ours="$ours" 'BEGIN {
        most = 1.02 * bare + 4096
        printf "%-10s %8d KiB, %7d without heapsite  (at most %d)%s\n", what, ours, bare, most, ours <= most ? "" : "  EXCEEDS"
        exit !(ours <= most)
    }'
}

failed=no
while read -r workload operations; do
    holds "$workload" "$operations" || holds "$workload" "$operations" || failed=yes
done <<'WORKLOADS'
tight 1000000
tight-t2 1000000
churn-d5 400000
churn-d20 400000
churn-d60 400000
churn-t2 400000
churn-x 400000
json 4
map 1
syn 4
http 3000
WORKLOADS

[ "$failed" = no ] || fail "see EXCEEDS above"
