#!/usr/bin/env bash
# DuckDB 2.0's Python package has no httpfs: statements that only plan, name a file or set an option ask a name server for two foreign hosts.
#
# Versions: duckdb 2.0.1 (wheel), defaults (autoinstall_known_extensions and autoload_known_extensions are on).
# Behaviour: where an extension is wanted that isn't installed, DuckDB looks up extensions.duckdb.org, four times, and then a second host,
#   extensions.duckdb-backup.org, four times. The address is http, not https. It happens with
#   - EXPLAIN, PREPARE and DESCRIBE of a query on an address, which read nothing otherwise;
#   - SET s3_region and CREATE SECRET (TYPE s3), which don't name any host;
#   - a local 'x.xlsx' that doesn't exist, and a cast to INET;
#   - ATTACH 'sqlite:x.db', a local file: the whole round is made twice.
#   Nothing is sent for time zones, JSON, a missing local '.duckdb' file, or a function of an extension that isn't loaded by itself (st_point).
#   The host that the statement names is never asked for. With autoinstall_known_extensions off, nothing is sent at all.
# For who tests: a cached ~/.duckdb hides it: such a test passes on the laptop and goes out on a fresh CI machine. Block both hosts by name,
#   or switch autoinstall off in the tests' connection.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check duckdb==2.0.1

printf 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n' >"$work/resolv.conf"
printf '127.0.0.1 localhost\n' >"$work/hosts"
printf 'hosts: files dns\n' >"$work/nsswitch.conf"
mkdir "$work/home"
cat >"$work/look.py" <<'EOF'
import socket
import threading
import time

import duckdb

queries = []
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 53))


def answer_that_it_does_not_exist():
    while True:
        message, client = server.recvfrom(1024)
        labels, at = [], 12
        while message[at]:
            labels.append(message[at + 1 : at + 1 + message[at]].decode())
            at += 1 + message[at]
        if message[at + 2] == 1:
            queries.append(".".join(labels))
        server.sendto(message[:2] + b"\x81\x83" + message[4:6] + bytes(6) + message[12 : at + 5], client)


threading.Thread(target=answer_that_it_does_not_exist, daemon=True).start()
ROUND = ["extensions.duckdb.org"] * 4 + ["extensions.duckdb-backup.org"] * 4


def sent(statement, **config):
    queries.clear()
    connection = duckdb.connect(config=config)
    try:
        connection.execute(statement).fetchall()
        outcome = "ok"
    except duckdb.Error as error:
        outcome = type(error).__name__
        if queries:
            assert "http://extensions.duckdb.org/" in str(error)
    time.sleep(0.1)
    counts = {name: queries.count(name) for name in dict.fromkeys(queries)}
    print(f"{statement:58} {outcome:17} look-ups: {counts or 'none'}")
    return list(queries)


print("duckdb", duckdb.__version__)
for statement in (
    "EXPLAIN SELECT * FROM 'https://files.example/x.parquet'",
    "PREPARE later AS SELECT * FROM 's3://bucket/x.parquet'",
    "DESCRIBE SELECT * FROM 'hf://datasets/some/x.csv'",
    "SET s3_region = 'eu-central-1'",
    "CREATE SECRET (TYPE s3, KEY_ID 'id', SECRET 'secret')",
    "SELECT * FROM 'missing.xlsx'",
    "SELECT '192.0.2.1'::INET",
):
    assert sent(statement) == ROUND, queries
assert sent("ATTACH 'sqlite:local.db'") == ROUND * 2, queries
for statement in (
    "SELECT TIMESTAMPTZ '2020-01-01 00:00:00 Europe/Berlin'",
    "SELECT json('{}')",
    "SELECT * FROM 'missing.duckdb'",
    "SELECT st_point(1, 2)",
):
    assert sent(statement) == [], queries
assert sent("SET s3_region = 'eu-central-1'", autoinstall_known_extensions="false") == [], queries
assert sent("SELECT * FROM 'https://files.example/x.csv'", autoinstall_known_extensions="false") == [], queries
EOF
# A namespace of its own: nothing leads out, and its name server is the one above.
unshare --map-root-user --net --mount bash -euc '
    ip link set lo up
    for file in resolv.conf hosts nsswitch.conf; do mount --bind "$1/$file" "/etc/$file"; done
    cd "$1/home"
    HOME=$1/home exec "$1/venv/bin/python" "$1/look.py"' - "$work"
