#!/usr/bin/env bash
# Turso's two Python packages sync the same kind of replica: one by Python's urllib, which tests can see and fake, one by Rust's sockets and with the GIL held.
#
# Versions: pyturso 0.8.3 and libsql 0.1.11, both Rust behind a sqlite3-like interface.
# Behaviour: against a server on loopback, in another process, that answers 404 after half a second:
#   - pyturso's engine does no networking: it hands each request to turso/lib_sync.py, which sends it by urllib.request, as the user agent
#     turso-sync-py, over sockets that audit hooks see. A replaced urllib.request.urlopen is called instead. Other threads run meanwhile.
#   - libsql connects from Rust: no audit event, no urllib. While it waits for the server no other thread of Python's runs.
#   Both send when they connect (remote_url, sync_url), not at the first sync only.
# For who tests: patching urlopen, or a guard of Python's sockets, holds pyturso and does nothing for code that still uses libsql. A fake
#   server for libsql has to be another process: one in a thread of the test's never gets to answer.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pyturso==0.8.3 libsql==0.1.11

cat >"$work/server.py" <<'EOF'
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class NotFound(BaseHTTPRequestHandler):
    def answer(self):
        with open("agents", "a") as file:
            print(self.headers["User-Agent"] or "none", file=file)
        time.sleep(0.5)
        self.send_error(404)

    do_GET = do_POST = answer
    log_message = lambda *_: None


server = ThreadingHTTPServer(("127.0.0.1", 0), NotFound)
print(server.server_port, flush=True)
server.serve_forever()
EOF
cat >"$work/look.py" <<'EOF'
import os
import subprocess
import sys
import threading
import time
import urllib.request

import libsql
import turso.sync

events, ticks = [], []
server = subprocess.Popen([sys.executable, "../server.py"], stdout=subprocess.PIPE, text=True)
URL = f"http://127.0.0.1:{server.stdout.readline().strip()}"
sys.addaudithook(lambda event, _: events.append(event) if event in {"socket.connect", "urllib.Request"} else None)


def tick():
    while True:
        time.sleep(0.01)
        ticks.append(None)


threading.Thread(target=tick, daemon=True).start()


def show(what, call):
    open("agents", "w").close()
    events.clear()
    ticks.clear()
    began = time.monotonic()
    try:
        call()
    except Exception as error:
        print(f"{what}: {type(error).__name__}", end="; ")
    share = len(ticks) / ((time.monotonic() - began) * 100)
    agents = sorted(set(open("agents").read().split("\n")) - {""})
    print(f"the server saw {agents or 'nothing'}; audit events: {sorted(set(events)) or 'none'}; another thread {'ran' if share > 0.3 else 'stood still'}")
    return agents, set(events), share


try:
    agents, seen, share = show("pyturso", lambda: turso.sync.connect("a.db", remote_url=URL, auth_token="t"))
    assert agents == ["turso-sync-py"] and seen == {"socket.connect", "urllib.Request"} and share > 0.3
    agents, seen, share = show("libsql", lambda: libsql.connect("b.db", sync_url=URL, auth_token="t"))
    assert agents and agents != ["turso-sync-py"] and not seen and share < 0.1

    def fake(request, *_, **__):
        raise OSError("faked")

    urllib.request.urlopen = fake
    print("with urlopen replaced:")
    assert show("pyturso", lambda: turso.sync.connect("c.db", remote_url=URL, auth_token="t"))[0] == []
    assert show("libsql", lambda: libsql.connect("d.db", sync_url=URL, auth_token="t"))[0] != []
finally:
    server.kill()
EOF
mkdir "$work/cwd"
cd "$work/cwd"
"$work/venv/bin/python" -u "$work/look.py"
