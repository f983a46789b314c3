#!/usr/bin/env bash
# Importing daft asks for two telemetry hosts in a thread, before anything is used, and DO_NOT_TRACK=yes does not stop it.
#
# Versions: daft 0.7.26.
# Behaviour: `import daft` starts a daemon thread that looks up daft.gateway.scarf.sh and then osstelemetry.io, to send version, platform and
#   architecture to both by urllib. What goes wrong is swallowed, whatever it is. A query sends nothing of the kind. Only DO_NOT_TRACK and
#   SCARF_NO_ANALYTICS (1 or true, in lower case) and DAFT_ANALYTICS_ENABLED (0 or false) switch it off; DO_NOT_TRACK=yes, TRUE or on don't.
# For who tests: the test that is first to import the module is the one that reaches for the network, and the one that a network guard
#   names; in another order it is another test, or none where a conftest.py imports it. Set DO_NOT_TRACK=1 before the tests begin.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check daft==0.7.26

cat >"$work/look.py" <<'EOF'
import os
import socket
import sys
import threading
import time

asked = []


def watch(event, arguments):
    if event == "socket.getaddrinfo":
        asked.append((threading.current_thread() is threading.main_thread(), arguments[0]))


def settled():
    """Wait until no thread but this one is left, and return the names that were asked for meanwhile."""
    deadline = time.monotonic() + 20
    while threading.active_count() > 1 and time.monotonic() < deadline:
        time.sleep(0.05)
    names = [name for _, name in asked]
    assert not any(main for main, _ in asked)
    asked.clear()
    return names


sys.addaudithook(watch)
import daft

imported = settled()
daft.from_pydict({"a": [1]}).collect()
queried = settled()
HOSTS = ["daft.gateway.scarf.sh", "osstelemetry.io"]
variable = sys.argv[1] if len(sys.argv) > 1 else "nothing set"
print(f"{variable:28} import: {imported or 'nothing'}; query: {queried or 'nothing'}")
silent = variable in {"DO_NOT_TRACK=1", "DO_NOT_TRACK=true", "SCARF_NO_ANALYTICS=1", "DAFT_ANALYTICS_ENABLED=0"}
assert (imported, queried) == ([] if silent else HOSTS, [])
EOF
# A namespace of its own: nothing leads out of it, not even to a name server.
cd "$work"
unshare --map-root-user --net bash -euc '
    unset DO_NOT_TRACK SCARF_NO_ANALYTICS DAFT_ANALYTICS_ENABLED
    for setting in "" DO_NOT_TRACK=1 DO_NOT_TRACK=true SCARF_NO_ANALYTICS=1 DAFT_ANALYTICS_ENABLED=0 DO_NOT_TRACK=yes DO_NOT_TRACK=TRUE; do
        env $setting "$1/venv/bin/python" -u "$1/look.py" $setting
    done' - "$work"
