#!/usr/bin/env bash
# Statsig's client reports errors to statsigapi.net, although every URL that it takes is one's own.
#
# Versions: statsig-python-core 0.24.2, on CPython 3.11.
# Behaviour: with specs_url, log_event_url and id_lists_url all at 127.0.0.1, an answer to the request for rules that lacks a field makes the client
#   ask DNS for statsigapi.net, to post /v1/sdk_exception there. Nothing is asked for when the answer is complete. fallback_to_statsig_api=False and
#   disable_all_logging=True change nothing; only disable_network=True does.
# For who tests: a stub server that answers `{}` is enough to leave the machine. Where tests or production must reach no third party, a proxy of one's
#   own in front of Statsig does not see this.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check statsig-python-core==0.24.2

printf 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n' >"$work/resolv.conf"
printf '127.0.0.1 localhost\n' >"$work/hosts"
printf 'hosts: files dns\n' >"$work/nsswitch.conf"
cat >"$work/flags.py" <<'EOF'
import http.server
import json
import os
import socket
import threading
import time

import statsig_python_core as statsig

asked, got = set(), set()
EMPTY = {"feature_gates": {}, "dynamic_configs": {}, "layer_configs": {}, "condition_map": {}, "experiment_to_layer": {}}
COMPLETE = {**EMPTY, "has_updates": True, "time": 1, "id_lists": {}, "layers": {}, "param_stores": {}, "response_format": "dcs-v2"}
rules = COMPLETE


def serve_names():
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 53))
    while True:
        message, client = server.recvfrom(1024)
        labels, at = [], 12
        while message[at]:
            labels.append(message[at + 1 : at + 1 + message[at]].decode())
            at += 1 + message[at]
        asked.add(".".join(labels))
        server.sendto(message[:2] + b"\x81\x83" + message[4:6] + bytes(6) + message[12 : at + 5], client)


class Statsig(http.server.BaseHTTPRequestHandler):
    def answer(self):
        got.add(self.path.partition("?")[0])
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = json.dumps(rules).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = answer

    def log_message(self, *arguments):
        pass


threading.Thread(target=serve_names, daemon=True).start()
web = http.server.ThreadingHTTPServer(("127.0.0.1", 8080), Statsig)
threading.Thread(target=web.serve_forever, daemon=True).start()
URLS = {f"{name}_url": f"http://127.0.0.1:8080/{name}" for name in ("specs", "log_event", "id_lists")}


def initialize(**more):
    asked.clear()
    got.clear()
    client = statsig.Statsig("secret-key", statsig.StatsigOptions(**URLS, **more, output_log_level="none"))
    client.initialize().wait()
    time.sleep(1)
    client.shutdown().wait()
    time.sleep(0.5)
    print(f"{'complete' if rules else 'empty'} rules, {more}: my server got {sorted(got)}, DNS was asked for {sorted(asked)}", flush=True)
    return set(asked)


assert initialize() == set()
rules = {}
assert initialize() == {"statsigapi.net"}
assert initialize(fallback_to_statsig_api=False, disable_all_logging=True) == {"statsigapi.net"}
assert initialize(disable_network=True) == set()
os._exit(0)
EOF
# A namespace of its own: nothing leads out, and its name server is the one above.
unshare --map-root-user --net --mount bash -euc '
    ip link set lo up
    for file in resolv.conf hosts nsswitch.conf; do mount --bind "$1/$file" "/etc/$file"; done
    exec "$1/venv/bin/python" "$1/flags.py"' - "$work"
