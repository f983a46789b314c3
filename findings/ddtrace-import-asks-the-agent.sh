#!/usr/bin/env bash
# `import ddtrace` connects to the agent, from a thread that Python does not know; the spans are sent by native code, too.
#
# Versions: ddtrace 4.16.0, on CPython 3.11.
# Behaviour: the import alone, before anything is traced or patched, has GET /info sent to the agent's address. `socket.connect` raises no audit
#   event, a patched socket module sees nothing, and `threading.enumerate()` does not list the thread: tracing is exported by a library in Rust.
#   DD_TRACE_ENABLED=false does not end it.
# For who tests: an agent's port on this machine is dialled by each test run that imports an application. Tools that watch Python's sockets, or
#   replace them (pytest-socket), neither see nor stop it.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check ddtrace==4.16.0
cat >"$work/trace.py" <<'EOF'
import http.server
import os
import socket
import sys
import threading
import time

got, events, connects = [], [], []


class Agent(http.server.BaseHTTPRequestHandler):
    def answer(self):
        got.append(f"{self.command} {self.path}")
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    do_GET = do_POST = do_PUT = answer

    def log_message(self, *arguments):
        pass


agent = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Agent)
threading.Thread(target=agent.serve_forever, daemon=True).start()
os.environ["DD_TRACE_AGENT_URL"] = f"http://127.0.0.1:{agent.server_port}"
os.environ["DD_INSTRUMENTATION_TELEMETRY_ENABLED"] = "0"
before = set(threading.enumerate())
sys.addaudithook(lambda event, arguments: events.append(event) if event == "socket.connect" else None)
connect = socket.socket.connect


class Watched(socket.socket):
    def connect(self, address):
        connects.append(address)
        return connect(self, address)


socket.socket = Watched
import ddtrace

time.sleep(2)
added = {thread for thread in threading.enumerate() if thread not in before and "process_request" not in thread.name}
print(f"after the import: the agent got {got}; audit events {events}, Python's sockets {connects}, threads {added}")
assert "GET /info" in got
assert events == connects == []
assert not added
if os.environ.get("DD_TRACE_ENABLED") != "false":
    from ddtrace.trace import tracer

    got.clear()
    tracer.trace("work").finish()
    tracer.flush()
    time.sleep(1)
    print(f"after a span: the agent got {got}; audit events {events}, Python's sockets {connects}", flush=True)
    assert any("traces" in one for one in got)
    assert events == connects == []
os._exit(0)
EOF
"$work/venv/bin/python" "$work/trace.py"
DD_TRACE_ENABLED=false "$work/venv/bin/python" "$work/trace.py"
