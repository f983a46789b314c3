#!/usr/bin/env bash
# mysql-connector-python's C extension loads only in a process that has not loaded an older OpenSSL yet: after `import ssl` it falls back to Python, without a word.
#
# Versions: mysql-connector-python 26.10.0 (wheel, Linux), which brings libssl.so.3 and libcrypto.so.3 of OpenSSL 3.5; a Python whose own
#   OpenSSL is older than 3.2, as with Debian 12's and Ubuntu 24.04's (the script says so and stops where it is not).
# Behaviour: the libraries have the names of the system's, and a process loads a name once. So
#   - `import _mysql_connector` in a fresh interpreter works, and a later `import ssl` gets the wheel's OpenSSL: ssl.OPENSSL_VERSION changes;
#   - after `import ssl` or `import hashlib` it fails: "version `OPENSSL_3.2.0' not found";
#   - `import mysql.connector` itself imports ssl first, so there HAVE_CEXT is False, and connect() makes a pure Python connection, without
#     a warning, also under -W error. Only use_pure=False says that the extension is not available.
# For who tests: whether a test's database traffic passes Python's sockets, where mocks and guards see it, is for the order of imports and
#   the machine to say. Assert mysql.connector.HAVE_CEXT, or give use_pure, where it matters.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check mysql-connector-python==26.10.0
python=$work/venv/bin/python
"$python" -c 'import ssl; print("the system has", ssl.OPENSSL_VERSION); raise SystemExit(ssl.OPENSSL_VERSION_INFO >= (3, 2))' || {
    echo "this is about systems with OpenSSL 3.0 or 3.1"
    exit 0
}

import_of() { # what the last line of an import's outcome is
    "$python" -c "import $1" 2>&1 | tail -n 1 || true
}
show() {
    printf '%-28s %s\n' "$1:" "${2:-ok}"
}
alone=$(import_of _mysql_connector) after_ssl=$(import_of 'ssl, _mysql_connector') after_hashlib=$(import_of 'hashlib, _mysql_connector')
show 'import _mysql_connector' "$alone"
show 'ssl, then it' "${after_ssl%% (required*}"
show 'hashlib, then it' "${after_hashlib%% (required*}"
[[ -z $alone && $after_ssl == *"version \`OPENSSL_3."*"' not found"* && $after_hashlib == *"version \`OPENSSL_3."*"' not found"* ]]
swapped=$("$python" -c 'import _mysql_connector, ssl; print(ssl.OPENSSL_VERSION)')
show 'it, then ssl' "$swapped"
[[ $swapped == "OpenSSL 3.5."* ]]

cat >"$work/look.py" <<'EOF'
import socket
import sys
import threading

import mysql.connector

events = []
sys.addaudithook(lambda event, _: events.append(event) if event == "socket.connect" else None)
server = socket.create_server(("127.0.0.1", 0))


def hang_up():
    while True:
        server.accept()[0].close()


threading.Thread(target=hang_up, daemon=True).start()
options = {"host": "127.0.0.1", "port": server.getsockname()[1], "user": "u", "password": "p"}
print("HAVE_CEXT:", mysql.connector.HAVE_CEXT)
assert mysql.connector.HAVE_CEXT is False
try:
    mysql.connector.connect(**options)
except mysql.connector.Error as error:
    print("connect():", error.errno, type(error).__name__, "Python's sockets:", events)
assert events and set(events) == {"socket.connect"}
try:
    mysql.connector.connect(use_pure=False, **options)
    raise AssertionError("it connects")
except ImportError as error:
    print("use_pure=False:", error)
EOF
"$python" -W error -u "$work/look.py"
