#!/usr/bin/env bash
# Compares reattach with its peers on this machine and prints ratios: `REATTACH_CORPUS=DIR benches/peers.sh`.
#
# DIR/C1 is a library of about 2,000 images and 2 GB, a fifth of them copies of others; DIR/C2 holds 100,000 small images
# in 1,000 folders: benches/make_corpus.py draws both. Nothing is written there. Each measurement is a pair run back to
# back, PAIRS times (default 9), and the figure is the median of the pairs' ratios: other load on the machine then touches
# both sides alike. ONLY names what is measured, if not all of it: check, cold, rescan, upload, memory, resolve, growth, send.
set -euo pipefail
cd "$(dirname "$0")/.."

die() {
    echo "$1" >&2
    exit 2
}

corpus=${REATTACH_CORPUS:-}
pairs=${PAIRS:-9}
only=${ONLY:-check cold rescan upload memory resolve growth send}
[[ -d $corpus/C1 && -d $corpus/C2 ]] || die "REATTACH_CORPUS must be a folder that holds the corpora C1 and C2"
corpus=$(realpath "$corpus")
for tool in hyperfine openssl git identify rclone curl redis-server redis-cli wrk; do
    command -v "$tool" >/dev/null || die "$tool is missing: apt-get install $tool (or your system's way; hyperfine: cargo install --locked hyperfine)"
done
[[ -x /usr/bin/time ]] || die "GNU time is missing: apt-get install time"

cargo build --release --locked
reattach=$(realpath "${CARGO_TARGET_DIR:-target}")/release/reattach

scratch=$(mktemp -d)
sandbox=
cleanup() {
    [[ -z $sandbox ]] || kill "$sandbox" 2>/dev/null || true
    rm -rf "$scratch"
}
trap cleanup EXIT

# No configuration of the user's may take part.
unset "${!REATTACH_@}"
export REATTACH_CONFIG=$scratch/reattach.toml
# As fast as it goes: the sandbox has no limits.
printf '[limits]\nmessages_per_second = 1000000\nmedia_per_second = 1000000\ncalls_per_second = 1000000\n' >"$REATTACH_CONFIG"
export REATTACH_ACCESS_TOKEN=SANDBOX-PAGE-1

quoted() {
    printf '%q ' "$@"
}

# The middle, the least and the greatest of the numbers on stdin.
spread() {
    sort -g | awk '{ n[NR] = $1 } END { printf "%.2f [%.2f-%.2f]", n[int((NR + 1) / 2)], n[1], n[NR] }'
}

# pair NAME LIMIT PREPARE OURS THEIRS [THEIR_PREPARE]: how long OURS takes, as a multiple of THEIRS.
pair() {
    local name=$1 limit=$2 prepare=$3 ours=$4 theirs=$5 their_prepare=${6:-true}
    : >"$scratch/pairs"
    for ((run = 0; run <= pairs; run++)); do
        hyperfine -N --runs 1 --style none --ignore-failure --export-csv "$scratch/run.csv" \
            --prepare "$prepare" --command-name ours "$ours" --prepare "$their_prepare" --command-name theirs "$theirs"
        # The first run only warms up.
        ((run == 0)) || awk -F, 'NR > 1 { printf "%s ", $2 } END { print "" }' "$scratch/run.csv" >>"$scratch/pairs"
    done
    printf '%-46s %s of the peer (limit %s); %s s against %s s\n' "$name" \
        "$(awk '{ print $1 / $2 }' "$scratch/pairs" | spread)" "$limit" \
        "$(awk '{ print $1 }' "$scratch/pairs" | spread)" "$(awk '{ print $2 }' "$scratch/pairs" | spread)"
}

# memory NAME COMMAND...: the peak of its resident memory.
memory() {
    local name=$1
    shift
    /usr/bin/time -o "$scratch/time" -v "$@" >/dev/null
    awk -v name="$name" '/Maximum resident/ { printf "%-46s %.0f MiB (limit 300)\n", name, $NF / 1024 }' "$scratch/time"
}

wanted() {
    [[ " $only " == *" $1 "* ]]
}

# A sandbox, whose address is in REATTACH_GRAPH_URL from then on.
own_sandbox() {
    [[ -z $sandbox ]] || return 0
    mkfifo "$scratch/sandbox"
    "$reattach" sandbox --port 0 --json >"$scratch/sandbox" 2>/dev/null &
    sandbox=$!
    # Held open, so that the sandbox never writes into a closed pipe.
    exec {says}<"$scratch/sandbox"
    read -r -u "$says" hello
    REATTACH_GRAPH_URL=$(grep -o '"url":"[^"]*"' <<<"$hello" | cut -d'"' -f4)
    export REATTACH_GRAPH_URL
}

# So many files of so many bytes, each unlike the others, that a Page takes as files.
files() { # FOLDER COUNT BYTES
    mkdir -p "$1"
    python3 - "$@" <<'PY'
import os, sys
folder, count, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
body = os.urandom(max(size - 40, 0))
for number in range(count):
    shelf = os.path.join(folder, f"{number // 1000:04}")
    if number % 1000 == 0:
        os.makedirs(shelf, exist_ok=True)
    with open(os.path.join(shelf, f"{number:07}.pdf"), "wb") as file:
        file.write(b"%%PDF-1.4\n%%%024d\n" % number + body + b"\n%%EOF")
PY
}

fresh=$(quoted rm -rf "$scratch/fresh")
check_c1=$(quoted "$reattach" --store "sled:$scratch/fresh" check "$corpus/C1")
find "$corpus/C1" -type f -print0 >"$scratch/c1"

if wanted check; then
    echo "== check of C1, no fingerprints, warm page cache =="
    pair "openssl dgst on two processes" 1.0 "$fresh" "$check_c1" \
        "$(quoted xargs -0 -a "$scratch/c1" -P2 -n32 openssl dgst -sha256 -r)"
    pair "openssl dgst, then identify -ping, the same way" - "$fresh" "$check_c1" "$(quoted sh -c \
        "xargs -0 -a '$scratch/c1' -P2 -n32 openssl dgst -sha256 -r; xargs -0 -a '$scratch/c1' -P2 -n32 identify -ping")"
    pair "rclone hashsum sha256" - "$fresh" "$check_c1" "$(quoted rclone hashsum sha256 "$corpus/C1" --checkers 8)"
fi

if wanted cold; then
    echo "== check of C1, no fingerprints, nothing in the page cache =="
    [[ -w /proc/sys/vm/drop_caches ]] || die "who has not the rights to empty the page cache leaves out 'cold'"
    forget='sync; echo 3 >/proc/sys/vm/drop_caches'
    pair "cat" 1.05 "$(quoted sh -c "$fresh; $forget")" "$check_c1" "$(quoted xargs -0 -a "$scratch/c1" cat)" \
        "$(quoted sh -c "$forget")"
fi

if wanted rescan; then
    echo "== rescan of C2, unchanged =="
    "$reattach" --store "sled:$scratch/known" check "$corpus/C2" >/dev/null
    c2=(git --git-dir "$scratch/c2.git" --work-tree "$corpus/C2" -c core.compression=0 -c core.excludesFile=/dev/null)
    git init --quiet --bare "$scratch/c2.git"
    # The index and the tree only: the bytes of so many objects would be on their way to the disk while we measure.
    (cd "$corpus/C2" && find . -type f -printf '%P\0' | "${c2[@]}" update-index --add --info-only -z --stdin)
    "${c2[@]}" update-ref HEAD "$("${c2[@]}" -c user.name=bench -c user.email=bench@localhost \
        commit-tree -m "The corpus" "$("${c2[@]}" write-tree --missing-ok)")"
    rescan_c2=$(quoted "$reattach" --store "sled:$scratch/known" check "$corpus/C2")
    pair "git status" 1.3 true "$rescan_c2" "$(quoted "${c2[@]}" status --porcelain)"
    rm -rf "$scratch/c2.git"
    pair "rclone check --size-only, with itself" - true "$rescan_c2" \
        "$(quoted rclone check --size-only --checkers 8 "$corpus/C2" "$corpus/C2")"
fi

if wanted upload; then
    echo "== upload of 2,000 files of 1 MB, eight at a time, to the same sandbox =="
    files "$scratch/pdfs" 2000 1000000
    own_sandbox
    find "$scratch/pdfs" -type f | sort | awk -v url="$REATTACH_GRAPH_URL/v25.0/me/message_attachments" '{
        printf "%surl = \"%s\"\noutput = /dev/null\nheader = \"Authorization: Bearer SANDBOX-PAGE-1\"\n", (NR > 1 ? "next\n" : ""), url
        printf "form = \"message={\\\"attachment\\\":{\\\"type\\\":\\\"file\\\",\\\"payload\\\":{\\\"is_reusable\\\":true}}}\"\n"
        printf "form = \"filedata=@%s;type=application/pdf\"\n", $0
    }' >"$scratch/curl"
    pair "curl --parallel" 1.15 "$fresh" \
        "$(quoted "$reattach" --store "sled:$scratch/fresh" sync --yes --concurrency 8 "$scratch/pdfs")" \
        "$(quoted curl --silent --fail --parallel --parallel-max 8 --config "$scratch/curl")"
    rm -rf "$scratch/pdfs"
fi

if wanted memory; then
    echo "== peak memory =="
    own_sandbox
    files "$scratch/large" 64 24900000
    memory "check C1, no fingerprints" "$reattach" --store "sled:$scratch/fresh" check "$corpus/C1"
    "$reattach" --store "sled:$scratch/known" check "$corpus/C2" >/dev/null
    memory "rescan C2" "$reattach" --store "sled:$scratch/known" check "$corpus/C2"
    memory "sync of C2" "$reattach" --store "sled:$scratch/known" sync --yes "$corpus/C2"
    memory "sync of 64 files of 25 MB, 32 at a time" \
        "$reattach" --store "sled:$scratch/fresh" sync --yes --concurrency 32 "$scratch/large"
    rm -rf "$scratch/large" "$scratch/fresh"
fi

# How long one file takes to resolve that is known, as a whole process.
resolve() { # NAME LIMIT STORE FILE
    hyperfine -N --warmup 3 --runs 30 --style none --export-csv "$scratch/run.csv" \
        "$(quoted "$reattach" --store "$3" resolve --no-upload "$4")"
    awk -F, -v name="$1" -v limit="$2" 'NR == 2 {
        printf "%-46s %.1f ms [%.1f-%.1f] (limit %s)\n", name, $4 * 1000, $7 * 1000, $8 * 1000, limit
    }' "$scratch/run.csv"
}

if wanted resolve; then
    echo "== resolve of a file that is known, whole process =="
    own_sandbox
    "$reattach" --store "sled:$scratch/known" sync --yes "$corpus/C2" >/dev/null
    file=$(find "$corpus/C2" -type f -print -quit)
    resolve "among 100,000" 10 "sled:$scratch/known" "$file"
    redis-server --port 0 --unixsocket "$scratch/redis" --save '' --daemonize yes --dir "$scratch" >/dev/null
    until redis-cli -s "$scratch/redis" ping >/dev/null 2>&1; do sleep 0.1; done
    redis-cli -s "$scratch/redis" set "$file" 1857777774821032 >/dev/null
    pair "redis-cli GET" - true "$(quoted "$reattach" --store "sled:$scratch/known" resolve --no-upload "$file")" \
        "$(quoted redis-cli -s "$scratch/redis" get "$file")"
    redis-cli -s "$scratch/redis" shutdown nosave
fi

if wanted growth; then
    echo "== growth: files of 100 bytes, no fingerprints, and again =="
    for count in 10000 20000 40000 80000 160000 320000 640000 1000000; do
        files "$scratch/many" "$count" 100
        # What python has just written must not be on its way to the disk while we measure.
        sync
        grown=$(quoted "$reattach" --store "sled:$scratch/grown" check "$scratch/many")
        for pass in first again; do
            forget=(true)
            [[ $pass == again ]] || forget=(rm -rf "$scratch/grown")
            hyperfine -N --runs "$pairs" --style none --export-csv "$scratch/run.csv" --prepare "$(quoted "${forget[@]}")" "$grown"
            "${forget[@]}"
            memory "" "$reattach" --store "sled:$scratch/grown" check "$scratch/many" >"$scratch/peak"
            awk -F, -v count="$count" -v pass="$pass" -v peak="$(cat "$scratch/peak")" 'NR == 2 {
                split(peak, mebibytes, " ")
                printf "%-8s files, %-5s %7.3f s [%.3f-%.3f] %6.2f us a file %5.0f MiB\n",
                    count, pass, $4, $7, $8, $4 * 1e6 / count, mebibytes[1]
            }' "$scratch/run.csv"
        done
        if ((count == 1000000)) && wanted resolve; then
            own_sandbox
            "$reattach" --store "sled:$scratch/grown" sync --yes --concurrency 32 "$scratch/many" >/dev/null
            resolve "resolve among 1,000,000" 25 "sled:$scratch/grown" "$(find "$scratch/many" -type f -print -quit)"
        fi
        rm -rf "$scratch/many" "$scratch/grown"
    done
fi

if wanted send; then
    echo "== 60,000 messages to the sandbox =="
    own_sandbox
    mkdir -p "$scratch/campaign"
    {
        echo recipient
        seq 1254459154000001 1254459154060000
    } >"$scratch/campaign/people.csv"
    printf 'name = "bench"\nrecipients = "people.csv"\n[[message]]\ntext = "Hi"\n' >"$scratch/campaign/bench.toml"
    for ((run = 0; run < 3; run++)); do
        rm -rf "$scratch/fresh"
        "$reattach" --store "sled:$scratch/fresh" campaign plan "$scratch/campaign/bench.toml" >/dev/null
        began=$(date +%s.%N)
        "$reattach" --store "sled:$scratch/fresh" campaign run "$scratch/campaign/bench.toml" --yes >/dev/null
        ours=$(awk -v began="$began" -v ended="$(date +%s.%N)" 'BEGIN { print 60000 / (ended - began) }')
        cat >"$scratch/send.lua" <<'LUA'
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer SANDBOX-PAGE-1"
wrk.body = '{"recipient":{"id":"1254459154000001"},"messaging_type":"RESPONSE","message":{"text":"Hi"}}'
LUA
        theirs=$(wrk -t1 -c64 -d5s -s "$scratch/send.lua" "$REATTACH_GRAPH_URL/v25.0/me/messages" | awk '/^Requests/ { print $2 }')
        awk -v ours="$ours" -v theirs="$theirs" 'BEGIN { printf "%.0f/s on record, wrk %.0f/s on none: %.2f\n", ours, theirs, ours / theirs }'
    done
fi

printf '== the program ==\n%.1f MiB\n' "$(stat -c %s "$reattach" | awk '{ print $1 / 1048576 }')"
