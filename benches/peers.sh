#!/usr/bin/env bash
# Compares reattach with its peers on this machine and prints ratios: `REATTACH_CORPUS=DIR benches/peers.sh`.
#
# DIR/C1 is a library of about 2,000 images and 2 GB, a fifth of them copies of others; DIR/C2 holds 100,000 small images
# in 1,000 folders. Nothing is written there. Each measurement is a pair run back to back, PAIRS times (default 9), and the
# figure is the median of the pairs' ratios: other load on the machine then touches both sides alike.
set -euo pipefail
cd "$(dirname "$0")/.."

die() {
    echo "$1" >&2
    exit 2
}

corpus=${REATTACH_CORPUS:-}
pairs=${PAIRS:-9}
[[ -d $corpus/C1 && -d $corpus/C2 ]] || die "REATTACH_CORPUS must be a folder that holds the corpora C1 and C2"
corpus=$(realpath "$corpus")
for tool in hyperfine openssl git; do
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
touch "$REATTACH_CONFIG"
export REATTACH_ACCESS_TOKEN=SANDBOX-PAGE-1

quoted() {
    printf '%q ' "$@"
}

# The middle, the least and the greatest of the numbers on stdin.
spread() {
    sort -g | awk '{ n[NR] = $1 } END { printf "%.2f [%.2f-%.2f]", n[int((NR + 1) / 2)], n[1], n[NR] }'
}

# pair NAME LIMIT PREPARE OURS THEIRS: how long OURS takes, as a multiple of THEIRS.
pair() {
    local name=$1 limit=$2 prepare=$3 ours=$4 theirs=$5
    : >"$scratch/pairs"
    for ((run = 0; run <= pairs; run++)); do
        hyperfine -N --runs 1 --style none --export-csv "$scratch/run.csv" \
            --prepare "$prepare" --command-name ours "$ours" --prepare true --command-name theirs "$theirs"
        # The first run only warms up.
        ((run == 0)) || awk -F, 'NR > 1 { printf "%s ", $2 } END { print "" }' "$scratch/run.csv" >>"$scratch/pairs"
    done
    printf '%-44s %s of the peer (limit %s); %s s against %s s\n' "$name" \
        "$(awk '{ print $1 / $2 }' "$scratch/pairs" | spread)" "$limit" \
        "$(awk '{ print $1 }' "$scratch/pairs" | spread)" "$(awk '{ print $2 }' "$scratch/pairs" | spread)"
}

# memory NAME COMMAND...: the peak of its resident memory.
memory() {
    local name=$1
    shift
    /usr/bin/time -o "$scratch/time" -v "$@" >/dev/null
    awk -v name="$name" '/Maximum resident/ { printf "%-44s %.0f MiB (limit 300)\n", name, $NF / 1024 }' "$scratch/time"
}

echo "== check of C1, no fingerprints, warm page cache / openssl dgst on two processes =="
find "$corpus/C1" -type f -print0 >"$scratch/c1"
pair "check C1" 1.15 "rm -rf $(quoted "$scratch/fresh")" \
    "$(quoted "$reattach" --store "sled:$scratch/fresh" check "$corpus/C1")" \
    "$(quoted xargs -0 -a "$scratch/c1" -P2 -n32 openssl dgst -sha256 -r)"

echo "== rescan of C2, unchanged / git status of the same files =="
"$reattach" --store "sled:$scratch/known" check "$corpus/C2" >/dev/null
c2=(git --git-dir "$scratch/c2.git" --work-tree "$corpus/C2" -c core.compression=0 -c core.excludesFile=/dev/null)
git init --quiet --bare "$scratch/c2.git"
"${c2[@]}" -c core.safecrlf=false add --all
"${c2[@]}" -c user.name=bench -c user.email=bench@localhost commit --quiet --message "The corpus"
# What git has just written must not be on its way to the disk while we measure.
sync
pair "rescan C2" 2 true \
    "$(quoted "$reattach" --store "sled:$scratch/known" check "$corpus/C2")" \
    "$(quoted "${c2[@]}" status --porcelain)"

echo "== peak memory =="
rm -rf "$scratch/fresh"
memory "check C1, no fingerprints" "$reattach" --store "sled:$scratch/fresh" check "$corpus/C1"
memory "rescan C2" "$reattach" --store "sled:$scratch/known" check "$corpus/C2"

mkfifo "$scratch/sandbox"
"$reattach" sandbox --port 0 --json >"$scratch/sandbox" &
sandbox=$!
# Held open, so that the sandbox never writes into a closed pipe.
exec {says}<"$scratch/sandbox"
read -r -u "$says" hello
REATTACH_GRAPH_URL=$(grep -o '"url":"[^"]*"' <<<"$hello" | cut -d'"' -f4)
export REATTACH_GRAPH_URL
memory "sync C2 to the sandbox" "$reattach" --store "sled:$scratch/known" sync --yes "$corpus/C2"

echo "== resolve of one cached file among 100,000 records, whole process =="
file=$(find "$corpus/C2" -type f -print -quit)
hyperfine -N --warmup 3 --runs 30 --style none --export-csv "$scratch/run.csv" \
    "$(quoted "$reattach" --store "sled:$scratch/known" resolve --no-upload "$file")"
awk -F, 'NR == 2 { printf "%-44s %.1f ms [%.1f-%.1f] (limit 15)\n", "resolve", $4 * 1000, $7 * 1000, $8 * 1000 }' "$scratch/run.csv"
