# A PostgreSQL server of one's own for a bench, from the machine's binaries, on loopback; to be sourced. Gone with the script.
#
# Leaves: $binaries (its programs), $scratch (a folder), $url, and `own_server SETTING…`, which starts it.

binaries=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1) || true
[[ -x $binaries/initdb ]] || binaries=$(pg_config --bindir)
[[ -x $binaries/initdb ]] || { echo "PostgreSQL is missing: apt-get install postgresql (its server need not run)" >&2; exit 2; }

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

own_server() {
    local port=$((20000 + RANDOM % 20000)) options=
    for setting; do
        options+=" -c $setting"
    done
    (
        cd "$scratch"
        as "$binaries/initdb" --auth=trust --username=postgres --encoding=UTF8 --locale=C --data-checksums -D data >/dev/null
        as "$binaries/pg_ctl" -D data -l log -w start >/dev/null \
            -o "-p $port -k $scratch -c listen_addresses=127.0.0.1$options"
    )
    url=postgres://postgres@127.0.0.1:$port/postgres
}
