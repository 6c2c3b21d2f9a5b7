#!/usr/bin/env bash
# How fast a campaign's recipients are claimed on PostgreSQL, beside pgbench with a bare claim of the same rows:
# `benches/claims.sh`.
#
# A server of its own, from the machine's binaries, with fsync; PEOPLE recipients (default 500000), WORKERS at once (default
# 4), LIMITS rows at a time (default "64 512"; a run asks for 64). Three figures for each, from the same start: people who
# have no row yet, as in a first run; rows that came back, as after a pause; and the same rows by nothing but
# `UPDATE … WHERE … IN (SELECT … FOR UPDATE SKIP LOCKED LIMIT n) RETURNING`, which hands out no variables, asks for no lease
# and leaves no receipt, but waits for the disk. What is printed is the median of PAIRS (default 3) runs.
set -euo pipefail
cd "$(dirname "$0")/.."

people=${PEOPLE:-500000}
workers=${WORKERS:-4}
limits=${LIMITS:-64 512}
pairs=${PAIRS:-3}
source benches/postgres.sh
cargo build --release --locked --example claims
claims=$(realpath "${CARGO_TARGET_DIR:-target}")/release/examples/claims

own_server shared_buffers=512MB max_wal_size=8GB checkpoint_timeout=1h autovacuum_naptime=5s
export PGOPTIONS=--search_path=reattach
sql() { "$binaries/psql" -XAtq -v ON_ERROR_STOP=1 "$url" "$@"; }

campaign=$("$claims" "$url" plan "$people")

# Nobody works on it, and everybody has a row that is planned, or nobody has one.
begin_anew() {
    sql -c "DELETE FROM campaign_workers" -c "TRUNCATE deliveries" -c "UPDATE campaigns SET frontier = 0"
    if [[ $1 == returned ]]; then
        sql -c "INSERT INTO deliveries (campaign, seq, part, state, attempt, at)
                SELECT campaign, seq, 0, 'planned', 0, 0 FROM campaign_recipients ORDER BY seq" \
            -c "UPDATE campaigns SET frontier = recipients"
    fi
    sql -c "VACUUM ANALYZE deliveries" -c "VACUUM campaigns" -c CHECKPOINT
}

cat >"$scratch/bare.sql" <<'SQL'
UPDATE deliveries SET state = 'claimed', at = 1760000000000, worker = :client_id
WHERE (campaign, seq, part) IN (SELECT campaign, seq, part FROM deliveries WHERE campaign = :campaign
                                AND state IN ('planned', 'claimed', 'in_flight', 'retry_at', 'unknown')
                                AND state >= 'planned' AND state <= 'planned'
                                ORDER BY state, seq, part LIMIT :limit FOR UPDATE SKIP LOCKED)
RETURNING seq, part, attempt;
SQL

bare() { # LIMIT
    "$binaries/pgbench" -n -M prepared -c "$workers" -j "$workers" -t $((people / $1 / workers)) -f "$scratch/bare.sql" \
        -D campaign="$campaign" -D limit="$1" "$url" 2>/dev/null | awk -v limit="$1" '/^tps/ { printf "%.0f\n", $3 * limit }'
}

median() { sort -g | awk '{ n[NR] = $1 } END { print n[int((NR + 1) / 2)] }'; }

printf '%s rows, %s workers; rows a second\n' "$people" "$workers"
printf '%-8s %10s %10s %10s %10s %10s\n' limit new returned bare new/bare ret./bare
for limit in $limits; do
    rm -f "$scratch"/{new,returned,bare}
    for ((run = 0; run < pairs; run++)); do
        begin_anew new
        "$claims" "$url" claim "$limit" "$workers" >>"$scratch/new"
        begin_anew returned
        "$claims" "$url" claim "$limit" "$workers" >>"$scratch/returned"
        begin_anew returned
        bare "$limit" >>"$scratch/bare"
    done
    new=$(median <"$scratch/new") returned=$(median <"$scratch/returned") bare=$(median <"$scratch/bare")
    awk -v limit="$limit" -v new="$new" -v returned="$returned" -v bare="$bare" 'BEGIN {
        printf "%-8s %10s %10s %10s %10.2f %10.2f\n", limit, new, returned, bare, new / bare, returned / bare
    }'
done
