#!/usr/bin/env bash
# How long a bot waits for an id that is known, beside a bare SELECT on the same PostgreSQL server: `benches/hits.sh`.
#
# A server of its own, from the machine's binaries, on loopback; what is asked for, and how, stands in examples/hits.rs.
set -euo pipefail
cd "$(dirname "$0")/.."

binaries=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1) || true
[[ -x $binaries/initdb ]] || binaries=$(pg_config --bindir)
[[ -x $binaries/initdb ]] || { echo "PostgreSQL is missing: apt-get install postgresql (its server need not run)" >&2; exit 2; }

cargo build --release --locked --example hits
hits=$(realpath "${CARGO_TARGET_DIR:-target}")/release/examples/hits

scratch=$(mktemp -d)
# The server refuses to run as root.
as() { "$@"; }
if [[ $(id -u) -eq 0 ]]; then
    chown postgres "$scratch"
    as() { setpriv --reuid postgres --regid postgres --init-groups "$@"; }
fi
cleanup() {
    as "$binaries/pg_ctl" -D "$scratch/data" -m immediate stop >/dev/null 2>&1 || true
    rm -rf "$scratch"
}
trap cleanup EXIT

port=$((20000 + RANDOM % 20000))
(
    cd "$scratch"
    as "$binaries/initdb" --auth=trust --username=postgres --encoding=UTF8 --locale=C -D data >/dev/null
    as "$binaries/pg_ctl" -D data -l log -w start >/dev/null -o "-p $port -k $scratch -c listen_addresses=127.0.0.1"
)
"$hits" "postgres://postgres@127.0.0.1:$port/postgres"
