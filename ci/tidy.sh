#!/usr/bin/env bash
# House rules that a compiler does not check, over the files git tracks.
set -euo pipefail
source "$(dirname "$0")/common.sh"

# $1: the rule; standard input: what breaks it. A file remembers it, because the ends of pipes are processes.
problems=$(mktemp)
trap 'rm -f "$problems"' EXIT
report() {
    local found
    found=$(cat)
    [ -z "$found" ] || printf '%s:\n%s\n' "$1" "$found" | tee -a "$problems"
}
tracked() { git ls-files -- "$@"; }
search() { git grep -nIE "$@" || true; }

# Brackets keep a pattern from finding itself.
search '(index|static)[.]crates[.]i[o]|pyp[i][.]org|npmj[s][.]org|golan[g][.]org/|deb[.]debia[n][.]org' -- ':!Cargo.lock' |
    report "a registry's host name"
# /home/dev and /home/me are where the made-up profiles of the tests were built.
search '(^|[^a-z])/(wor[k]|roo[t]|hom[e]/[a-z]+)/' | { grep -vE '/home/(dev|me)/' || true; } | report "a path of somebody's machine"
{ grep '^source = ' Cargo.lock | sort -u | grep -v 'registry+https://github.com/rust-lang/' || true; } |
    report "Cargo.lock takes a crate from somewhere else"
search '\b(todo|unimplemented|dbg)!|\bFIXM[E]\b|\bXX[X]\b' -- '*.rs' '*.md' | report "left over"

tracked '*.rs' | while read -r file; do
    lines=$(wc -l <"$file")
    [ "$lines" -le 500 ] || say "$file has $lines"
done | report "a file over 500 lines"
# A module's attribute reaches its children, so the root of a folder that holds unsafe code cannot forbid it.
tracked 'src/*.rs' | while read -r file; do
    grep -q 'unsafe' "$file" && continue
    case $file in
        src/lib.rs) continue ;;
        */mod.rs) if grep -rqE '\bunsafe\b' "$(dirname "$file")"; then continue; fi ;;
    esac
    say "$file"
done | report "neither unsafe code nor #![forbid(unsafe_code)]"

[ ! -s "$problems" ] || fail "see above"
say "tidy: $(tracked | wc -l) tracked files"
