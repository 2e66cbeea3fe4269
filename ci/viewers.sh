#!/usr/bin/env bash
# Real viewers read what heapsite writes: Go's pprof, Debian's old one and the newest, against our own numbers; and real
# clients fetch it over HTTP, with Go's own server as the model; a Prometheus scrapes it, a browser opens its page, and
# speedscope, Valgrind's viewers and the readers of legacy text open what `heapsite convert` writes.
# Run ci/setup.sh first.
set -euo pipefail
source "$(dirname "$0")/common.sh"

export HEAPSITE_CI_TOOLS="$TOOLS"
export HEAPSITE_PPROF_OLD="$TOOLS/pprof-debian"
export HEAPSITE_PPROF_NEW="$TOOLS/pprof-1.27.3"
for tool in "$HEAPSITE_PPROF_OLD" "$HEAPSITE_PPROF_NEW" "$TOOLS"/{pprof-server-1.27.3,promtool,prometheus,google-pprof,jeprof}; do
    [ -x "$tool" ] || missing "$tool"
done
command -v "${HEAPSITE_CHROMIUM:-chromium}" >/dev/null || missing chromium
command -v man >/dev/null || missing man
export HEAPSITE_DH_VIEW="${HEAPSITE_DH_VIEW:-/usr/libexec/valgrind/dh_view.html}"
for tool in callgrind_annotate kcachegrind dbus-daemon; do
    command -v "$tool" >/dev/null || missing "$tool"
done
for page in "$TOOLS/speedscope/index.html" "$HEAPSITE_DH_VIEW"; do
    [ -f "$page" ] || missing "$page"
done
finish_missing || exit 1
[ ${#MISSING[@]} = 0 ] || { say "viewers NOT run: bash ci/setup.sh installs them"; exit 0; }

# The programs that leave the dumps and are asked.
cargo build --all-features --example demo --example http
cargo test --all-features --test viewers --test clients --test browser --test cli --test exports -- --ignored --test-threads=2

# The scrape configuration that the guide shows for Prometheus. (Its files of secrets are not looked for.)
config=$(mktemp -d)
trap 'rm -rf "$config"' EXIT
sed -n '/^### Prometheus/,/^### Checked/p' src/guide/fleets.md | sed -n '/^```yaml/,/^```$/p' | sed '/^```/d' >"$config/prometheus.yml"
"$TOOLS/promtool" check config --syntax-only "$config/prometheus.yml"
