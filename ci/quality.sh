#!/usr/bin/env bash
# How often `find::leaks` is right, over the whole labelled suite: some seventy real programs at three intervals, judged after
# 1, 5 and 20 windows. Some four minutes of processor time; no result depends on the clock. Writes target/quality.md.
#
#   bash ci/quality.sh
#
# Fails where an innocent line is called a leak, where a leak of 64 samples is neither called one nor suspected, where another
# line comes first, or where rates miss their 95 % intervals. The odds are in tests/quality/score.rs.
set -euo pipefail
source "$(dirname "$0")/common.sh"

cargo test --all-features --test quality -- --all
