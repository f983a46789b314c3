#!/usr/bin/env bash
# Told a host and dbs_port, Teradata's driver dials port 443 with TLS first, and the port it was told only when that fails.
#
# Versions: teradatasql 20.0.0.72.
# Behaviour: against servers on loopback that hang up, connect(host=..., dbs_port="4321") sends a TLS hello to 443 (https_port), and then
#   goes on to 4321, twice, in plain text. sslmode says it: PREFER is the default; ALLOW takes 4321 first and 443 after it; DISABLE never
#   dials 443. All of it is in a Go library that is called by ctypes: no audit event, no socket of Python's.
# For who tests: a fake server at dbs_port works, but the driver first asks whatever listens at 443 of that machine, such as a proxy or an
#   ingress. An allow list needs both ports, or the tests sslmode="DISABLE".
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check teradatasql==20.0.0.72

cat >"$work/look.py" <<'EOF'
import socket
import sys
import threading

import teradatasql

seen, events = [], []


def serve(port):
    server = socket.create_server(("127.0.0.1", port))

    def answer():
        while True:
            client, _ = server.accept()
            first = client.recv(1)
            seen.append((port, "TLS" if first == b"\x16" else "plain"))
            client.close()

    threading.Thread(target=answer, daemon=True).start()


for port in (443, 1025, 4321):
    serve(port)
sys.addaudithook(lambda event, _: events.append(event) if event == "socket.connect" else None)


def show(expected, **options):
    seen.clear()
    try:
        teradatasql.connect(host="127.0.0.1", user="u", password="p", cop="false", connect_timeout="2000", **options)
        raise AssertionError("it connects")
    except teradatasql.Error:
        pass
    order = list(dict.fromkeys(seen))
    print(options or "neither port", "->", order)
    assert order == expected and not events, (order, events)


TLS = (443, "TLS")
show([TLS, (1025, "plain")])
show([TLS, (4321, "plain")], dbs_port="4321")
show([(4321, "plain"), TLS], dbs_port="4321", sslmode="ALLOW")
show([(4321, "plain")], dbs_port="4321", sslmode="DISABLE")
show([(4321, "TLS"), (1025, "plain")], https_port="4321")
EOF
unshare --map-root-user --net bash -euc 'ip link set lo up; exec "$1/venv/bin/python" -u "$1/look.py"' - "$work"
