# Shared by the scripts in this folder: `source` it, do not run it.
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# An absolute path, because tests and examples run from other folders.
TOOLS=$(mkdir -p "${HEAPSITE_CI_CACHE:-target/ci-tools}" && cd "${HEAPSITE_CI_CACHE:-target/ci-tools}" && pwd)
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-never}
# A machine of CI builds everything once: what the next build would gain from takes gigabytes.
if [ "${CI:-}" = true ]; then export CARGO_INCREMENTAL=${CARGO_INCREMENTAL:-0}; fi

say() { printf '%s\n' "$*"; }

fail() { printf 'FAILED: %s\n' "$*" >&2; exit 1; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null; then sudo "$@"; else return 1; fi
}

# A tool that is not there: remembered, and a failure where everything is supposed to be there.
MISSING=()
missing() { MISSING+=("$*"); }
finish_missing() {
    [ ${#MISSING[@]} = 0 ] && return 0
    printf 'not available: %s\n' "${MISSING[@]}" >&2
    [ "${CI:-}" != true ]
}

# The features of Cargo.toml, without `default`.
features() { sed -n '/^\[features\]/,/^\[dep/s/^\([a-z-]*\) = \[.*/\1/p' Cargo.toml | grep -v '^default$'; }
