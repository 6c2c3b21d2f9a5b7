#!/usr/bin/env bash
# How long a bot waits for an id that is known, beside a bare SELECT on the same PostgreSQL server: `benches/hits.sh`.
#
# A server of its own, from the machine's binaries, on loopback; what is asked for, and how, stands in examples/hits.rs.
set -euo pipefail
cd "$(dirname "$0")/.."

source benches/postgres.sh
cargo build --release --locked --example hits
hits=$(realpath "${CARGO_TARGET_DIR:-target}")/release/examples/hits

own_server
"$hits" "$url"
