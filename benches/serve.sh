#!/usr/bin/env bash
# Holds `reattach serve` against a bare handler of axum's that returns the same bytes, and prints ratios: `benches/serve.sh`.
#
# wrk asks both for one id again and again, over 64 connections, SECONDS_EACH seconds each (default 5) and PAIRS times in
# turn (default 5). Then the service is given ASSETS recorded assets (default 100,000), and what it takes to show the first
# page of them, and its memory, are printed.
set -euo pipefail
cd "$(dirname "$0")/.."

die() {
    echo "$1" >&2
    exit 2
}

pairs=${PAIRS:-5} each=${SECONDS_EACH:-5} assets=${ASSETS:-100000}
for tool in wrk curl python3; do
    command -v "$tool" >/dev/null || die "$tool is missing: apt-get install $tool"
done
cargo build --release --locked --bin reattach --example bare
release=$(realpath "${CARGO_TARGET_DIR:-target}")/release

scratch=$(mktemp -d)
running=()
cleanup() {
    for process in "${running[@]}"; do
        kill "$process" 2>/dev/null || true
    done
    rm -rf "$scratch"
}
trap cleanup EXIT

unset "${!REATTACH_@}"
export REATTACH_CONFIG=$scratch/reattach.toml REATTACH_ACCESS_TOKEN=SANDBOX-PAGE-1 REATTACH_STORE=sled:$scratch/store
printf '[limits]\nmessages_per_second = 100000\nmedia_per_second = 100000\ncalls_per_second = 100000\n' >"$REATTACH_CONFIG"
mkdir "$scratch/library"
cp assets-example/banners/hero.png "$scratch/library/"

# until_it_says FILE: waits for the first line of a program that was just started, and prints it.
until_it_says() {
    for _ in $(seq 200); do
        [[ ! -s $1 ]] || { head -1 "$1"; return; }
        sleep 0.1
    done
    die "a program did not start: $(cat "$1.err")"
}
field() {
    python3 -c 'import json,sys; print(json.loads(sys.stdin.readline())[sys.argv[1]])' "$1"
}

"$release/reattach" sandbox --json >"$scratch/sandbox" 2>"$scratch/sandbox.err" &
running+=($!)
REATTACH_GRAPH_URL=$(until_it_says "$scratch/sandbox" | field url)
export REATTACH_GRAPH_URL

serve() {
    rm -f "$scratch/serve"
    "$release/reattach" serve --listen 127.0.0.1:0 --library "$scratch/library" --json >"$scratch/serve" 2>"$scratch/serve.err" &
    service=$!
    running+=("$service")
    url=$(until_it_says "$scratch/serve" | field url)
    token=$(cat "$scratch/store/serve.token")
}
serve
ask='{"refs":["hero.png"]}'
curl -sf -H "Authorization: Bearer $token" -d "$ask" "$url/v1/resolve" >/dev/null
curl -sf -H "Authorization: Bearer $token" -d "$ask" "$url/v1/resolve" >"$scratch/answer"
"$release/examples/bare" 127.0.0.1:7700 "$scratch/answer" &
running+=($!)
until curl -sf -d "$ask" http://127.0.0.1:7700/v1/resolve >/dev/null; do sleep 0.1; done

cat >"$scratch/ask.lua" <<LUA
wrk.method = "POST"
wrk.body = '$ask'
wrk.headers["Authorization"] = "Bearer $token"
wrk.headers["Content-Type"] = "application/json"
done = function(summary, latency)
    io.write(string.format("%.0f %.0f %d\n", summary.requests / summary.duration * 1e6, latency:percentile(99), summary.errors.status))
end
LUA
load() {
    wrk -t1 -c64 -d"${each}s" -s "$scratch/ask.lua" "$1/v1/resolve" | tail -1
}
echo "requests/s and p99 in µs, 64 connections: the service, the bare handler, ratios"
for _ in $(seq "$pairs"); do
    echo "$(load "$url") $(load http://127.0.0.1:7700)"
done | tee "$scratch/pairs" | awk '{ printf "  %8d/s %6d   %8d/s %6d   %.2f of its rate, %.2f of its p99%s\n", $1, $2, $4, $5, $1 / $4, $2 / $5, $3 ? "  ERRORS" : "" }'
for what in "rate 1 4" "p99 2 5"; do
    set -- $what
    awk -v a="$2" -v b="$3" '{ print $a / $b }' "$scratch/pairs" | sort -g |
        awk -v name="$1" '{ n[NR] = $1 } END { printf "median %s: %.2f [%.2f-%.2f]\n", name, n[int((NR + 1) / 2)], n[1], n[NR] }'
done

kill "$service"
wait "$service" 2>/dev/null || true
echo "$assets assets:"
python3 - "$assets" "$scratch/library" <<'PY'
import os, struct, sys, zlib
count, folder = int(sys.argv[1]), sys.argv[2]
def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
for number in range(count):
    if number % 1000 == 0:
        os.makedirs(f"{folder}/{number // 1000:03}", exist_ok=True)
    row = b"\0" + struct.pack(">I", number)[1:]
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(row)) + chunk(b"IEND", b"")
    with open(f"{folder}/{number // 1000:03}/{number:06}.png", "wb") as file:
        file.write(png)
PY
"$release/reattach" sync "$scratch/library" --concurrency 64 --no-progress --quiet
serve
first() {
    curl -sf -o "$scratch/page" -w '%{time_total}\n' -H "Authorization: Bearer $token" "$url/v1/assets?limit=100$1"
}
until [[ $(first "") ]]; do sleep 0.2; done
for query in "" "&sort=expires" "&q=099" "&state=live&offset=50000"; do
    printf '  first page%-26s %s\n' " ${query:-as it is}:" "$(for _ in 1 2 3 4 5; do first "$query"; done | sort -g | awk '{ n[NR] = $1 * 1000 } END { printf "%.1f ms (median of %d)", n[int((NR + 1) / 2)], NR }')"
done
sleep 8
printf '  memory at rest: %d MiB\n' "$(($(awk '/VmRSS/ { print $2 }' "/proc/$service/status") / 1024))"
