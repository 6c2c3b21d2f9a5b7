# `just check` is what has to pass; the steps live in .ci/run.

# Every step of the gate.
check:
    .ci/run

# Formats the code.
fmt:
    cargo fmt

lint:
    .ci/run lint

# All tests, or those whose name contains FILTER.
test *FILTER:
    cargo test {{ FILTER }}

# What threads share, in ever other orders of their steps.
threads:
    .ci/run threads

# Kills, power cuts, failing disks, damaged files, as many as a night has room for, and a table of them: docs/RELIABILITY.md.
torture:
    .ci/torture

# Changes what decides about messages, ids and visitors in every small way, and says what no unit test noticed: needs
# cargo-mutants, and hours. `.cargo/mutants.toml` says what and why.
mutants *ARGS:
    cargo mutants {{ ARGS }}

# How much of all that the unit tests run.
coverage:
    .ci/run coverage

doc:
    .ci/run doc

# Licences, banned crates, sources, advisories.
deny:
    .ci/run deny

# A bill of materials in CycloneDX, target/sbom.cdx.json: needs cargo-cyclonedx, which names this package by the folder it lies
# in; that is nobody's business.
sbom:
    cargo cyclonedx --quiet --format json --target all --spec-version 1.5 --override-filename sbom.cdx
    mkdir -p target
    sed -E 's,path\+file://[^"#]*#,,g; s,\?download_url=file://[^"#]*,,g' sbom.cdx.json > target/sbom.cdx.json
    rm sbom.cdx.json
    ! grep 'file:/' target/sbom.cdx.json

# A Messenger client from npm, against the sandbox.
peers:
    .ci/run peers

# Three PostgreSQL servers under Patroni whose leader is killed and frozen: docs/HA.md. Minutes, and Debian 12.
ha:
    .ci/ha

# The whole story on the sample library, against the sandbox.
demo:
    cargo run --release --locked -- demo

# Hot paths one by one.
bench *FILTER:
    cargo bench --locked -- {{ FILTER }}

# Whole programs against their peers, on the corpora in REATTACH_CORPUS.
bench-peers:
    benches/peers.sh

# How long a bot waits for an id that is known, on a PostgreSQL server of its own.
bench-hits:
    benches/hits.sh

# Claims of a campaign's recipients on PostgreSQL, beside pgbench.
bench-claims:
    benches/claims.sh

# Draws the sample library anew.
assets:
    cargo run --locked --example make-assets

# Every fuzz target for a minute: needs a nightly toolchain and cargo-fuzz.
fuzz-ci:
    fuzz/run
