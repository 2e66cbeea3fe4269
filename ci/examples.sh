#!/usr/bin/env bash
# Runs every example and checks what it says.
set -euo pipefail
source "$(dirname "$0")/common.sh"

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
example() { local name=$1; shift; cargo run --quiet --release --all-features --example "$name" -- "$@"; }

# The last line of the demo is JSON. Sampled: the planted line is first, and the truth lies within 5 standard errors
# of what was found (a normal estimate misses that once in 1.7 million runs). Exact: to the byte.
check_demo() {
    tail -n 1 "$1" | python3 -c '
import json, os, sys
exact = sys.argv[1] == "exact"
said = json.load(sys.stdin)
planted, found = said["planted"], said["found"]
for key in ("function", "file", "line"):
    assert found[key] == planted[key], f"{key}: planted {planted[key]}, found {found[key]}"
away, error = found["bytes"] - planted["bytes"], found["error_bytes"]
assert abs(away) <= 5 * error, f"{away} bytes away from the truth, with a standard error of {error}"
assert not exact or error == 0 and away == 0, "an exact run has no error"
for path in said["files"]:
    assert os.path.getsize(path) > 0, path
print("demo:", found["file"], found["line"], found["bytes"], "bytes found,", planted["bytes"], "planted, error", error)
' "$2"
}
example demo --out "$out/sampled" | tee "$out/sampled.log"
check_demo "$out/sampled.log" sampled
example demo --out "$out/exact" --interval 1 --requests 3000 >"$out/exact.log"
check_demo "$out/exact.log" exact

example parse_crates src | tee "$out/parse.log"
grep -q 'of [0-9]* files 0 could not be parsed' "$out/parse.log" || fail "parse_crates could not parse our own sources"
grep -q ' syn$' "$out/parse.log" || fail "parse_crates does not name syn"

example hello | tee "$out/hello.log"
grep -q '^1000 vectors of 64 KiB: [0-9]* ± [0-9]* live bytes' "$out/hello.log" || fail "hello"
example over_another_allocator
example diff | tee "$out/diff.log"
# The leak is 85 MB, 160 sampled allocations; nothing else is live.
head -n 1 "$out/diff.log" | grep -q 'examples/diff.rs:11$' || fail "diff does not name its leak"
# It ends when it has found its leak, after some ten seconds. Nothing else in it has the 16 live samples that a judgement
# needs, so chance can find nothing else first.
cargo build --quiet --release --all-features --example watch
timeout 120 cargo run --quiet --release --all-features --example watch | tee "$out/watch.log"
grep -q '^announced after [0-9]* sessions: .*watch.rs:[0-9]*$' "$out/watch.log" || fail "watch does not announce its leak"
example exact_mode | tee "$out/exact_mode.log"
grep -qx '1001 objects more, 124000 bytes' "$out/exact_mode.log" || fail "exact_mode is not exact"

# Load, cut connections, and everything back where it was.
example service --soak 30 | tee "$out/service.log"
grep -qx 'back at the baseline' "$out/service.log" || fail "the service leaks"

# The seven patterns as a user runs them: leaky ones are blamed at their line, fixed ones not at all. tests/patterns.rs
# looks closer, and at other intervals.
for pattern in 1a 1b 1c 1at 1ct 2 3 4 5 6 7; do
    for form in leaky fixed; do
        example patterns "$pattern" "$form" --seconds 1 >"$out/pattern.log"
        tail -n 1 "$out/pattern.log" | python3 -c '
import json, sys
said = json.load(sys.stdin)
truth, blamed = said["truth"], said["blamed"]
if said["form"] == "fixed":
    assert blamed is None, f"accused, but fixed: {blamed}"
else:
    assert blamed and blamed["line"] == truth["line"] and blamed["file"].endswith(truth["file"]), f"{blamed}, not {truth}"
print("pattern", said["pattern"], said["form"] + ":", "{file}:{line}".format(**blamed) if blamed else "nobody")
' || { cat "$out/pattern.log"; fail "pattern $pattern $form"; }
    done
done

example leak_check >/dev/null || fail "leak_check"

# Profiles over HTTP, by heapsite's own server and by the app's; tests/clients asks it more.
cargo build --quiet --release --all-features --example http
"${CARGO_TARGET_DIR:-target}/release/examples/http" --seconds 600 >"$out/http.log" &
http=$!
for _ in $(seq 200); do [ "$(wc -l <"$out/http.log")" -ge 2 ] && break; sleep 0.1; done
head -n 1 "$out/http.log" | grep -qx 'listening on http://127.0.0.1:[0-9]*' || fail "http does not say first where it listens"
for url in $(grep -o 'http://[0-9.:]*' "$out/http.log"); do
    curl --silent --show-error --fail "$url/debug/pprof/heap?debug=1" >"$out/http.txt" || fail "no profile from $url"
    grep -q '^heap profile: .* @ heap_v2/524288$' "$out/http.txt" || fail "no heap profile from $url"
    say "http: $(wc -c <"$out/http.txt") bytes from $url"
done
kill "$http"
wait "$http" || true

# Tasks that pile up, asked over HTTP: where they wait, and who spawned them.
cargo build --quiet --release --all-features --example tasks --bin heapsite
"${CARGO_TARGET_DIR:-target}/release/examples/tasks" --seconds 600 >"$out/tasks.log" &
tasks=$!
for _ in $(seq 200); do [ -s "$out/tasks.log" ] && break; sleep 0.1; done
url=$(grep -o 'http://[0-9.:]*' "$out/tasks.log")
for _ in $(seq 100); do
    "${CARGO_TARGET_DIR:-target}/release/heapsite" tasks "$url" >"$out/tasks.txt" || fail "no list of tasks from $url"
    grep -q 'tasks::handle' "$out/tasks.txt" && break
    sleep 0.1
done
cat "$out/tasks.txt"
grep -q 'examples/tasks.rs:33$' "$out/tasks.txt" || fail "it is not told where tasks wait"
grep -q 'spawned at examples/tasks.rs:42:9' "$out/tasks.txt" || fail "it is not told who spawned them"
"${CARGO_TARGET_DIR:-target}/release/heapsite" threads "$url" | tee "$out/threads.txt"
grep -q 'tokio-rt-worker' "$out/threads.txt" || fail "no list of threads"
kill "$tasks"
wait "$tasks" || true

# Pushed to a server that takes everything; tests/push has one with rules.
python3 -c '
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()
        print(self.path, flush=True)
    def log_message(self, *_): pass
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
print(f"http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
' >"$out/pushed.log" &
server=$!
for _ in $(seq 200); do [ -s "$out/pushed.log" ] && break; sleep 0.1; done
example push "$(head -n 1 "$out/pushed.log")" --seconds 1 | tee "$out/push.log"
kill "$server"
wait "$server" || true
grep -q 'accepted: 1, failed: 0, unknown: 0' "$out/push.log" || fail "push"
grep -q '^/ingest?name=shop%7Bregion%3Deu%7D&' "$out/pushed.log" || fail "push did not say what it is"

# A dump by signal, from outside.
TMPDIR="$out" example dump_on_signal 20 >"$out/signal.log" &
for _ in $(seq 200); do [ -s "$out/signal.log" ] && break; sleep 0.1; done
pid=$(sed -n 's/.*kill -USR1 \([0-9]*\);.*/\1/p' "$out/signal.log")
kill -USR1 "$pid"
for _ in $(seq 200); do ls "$out"/heapsite."$pid".*.pb.gz >/dev/null 2>&1 && break; sleep 0.1; done
ls -l "$out"/heapsite."$pid".*.pb.gz || fail "no dump from dump_on_signal"
kill "$pid"
wait || true
