# One command for each habit. `just` alone lists them.

_list:
    @just --list --unsorted

# What every change must pass before it is looked at
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings

# All tests, those in documents too
test *ARGS:
    cargo test --workspace {{ARGS}}

# The seeded model tests with many more cases than `test` runs
model CASES="20000":
    PROPTEST_CASES={{CASES}} cargo test --release --workspace model

# A simulated cluster: `just sim 42` shows what happens with seed 42, `just sim --for 10m` hunts (docs/testing.md)
sim *ARGS:
    tests/sim {{ARGS}}

# One fuzz target for a while (needs a nightly toolchain and cargo-fuzz)
fuzz TARGET SECONDS="60":
    cd protocol && cargo +nightly fuzz run {{TARGET}} -- -max_total_time={{SECONDS}}

# Criterion benches of the hot paths
bench *ARGS:
    cargo bench -p leat-bench {{ARGS}}

# Leat and Apache Kafka side by side; writes the table of bench/README.md
bench-peers *ARGS:
    bench/peers/run {{ARGS}}

# Groups, sessions and compaction: what they cost Leat and Apache Kafka; a line for each figure
bench-groups *ARGS:
    cargo build --release -p leat -p leat-bench --bin leat --bin groups
    bench/groups.py {{ARGS}}

# Windows in a broker, beside Kafka Streams and Flink SQL; prints a table
bench-sql *ARGS:
    cargo build --release -p leat -p leat-bench --bin leat --bin windows
    bench/peers/sql {{ARGS}}

# Pipelines while they serve: latency of a result, a produce beside them, state, kill -9
bench-sql-live *ARGS:
    cargo build --release -p leat -p leat-bench --bin leat --bin windows
    bench/peers/sql-live {{ARGS}}

# Ten groups of five clients, members and broker killed, for so many minutes
soak MINUTES="30":
    cargo build --release -p leat -p leat-client --bin leat --example group_member
    tests/compat/soak {{MINUTES}}

# Clients written elsewhere, against a release build; `just compat java` runs one of them
compat *CLIENTS:
    cargo build --release -p leat -p leat-client --bin leat --example group_member
    tests/compat/run {{CLIENTS}}

# Windows against batch SQL in DuckDB; `just batch --cases 10000` for longer
batch *ARGS:
    cargo build --release -p leat
    tests/batch/run {{ARGS}}

# Windows against Flink SQL and Kafka Streams, which read from the same broker; `just sql-peers --seeds 10` for more
sql-peers *ARGS:
    cargo build --release -p leat
    tests/peers/run {{ARGS}}

# Everything that CI runs
ci:
    bash .ci/run

# See it work, in seconds
demo:
    cargo run --release -- demo

# The API documentation, with broken links as errors
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps
