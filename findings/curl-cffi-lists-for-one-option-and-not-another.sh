#!/usr/bin/env bash
# curl_cffi's setopt() takes a list for RESOLVE and fails at one for CONNECT_TO; pycurl takes both.
#
# Versions: curl_cffi 0.17.0 and pycurl 7.49.0, each with the libcurl that its wheel brings.
# Behaviour: both are C lists to libcurl. curl_cffi makes one for RESOLVE and for the headers only: setopt(CurlOpt.CONNECT_TO, ["::127.0.0.1:80"]) is a
#   TypeError of cffi's. Given a C list made by hand, lib.curl_slist_append(), it works. A duphandle() keeps CONNECT_TO in both. pycurl's handle can't be asked
#   which options it was given, curl_cffi's neither; pycurl names no ABSTRACT_UNIX_SOCKET, curl_cffi does.
# For who tests: code that reaches a test server by CONNECT_TO under its real name can't be carried over from pycurl as it is: take RESOLVE, whose port
#   has to be the URL's.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check curl_cffi==0.17.0 pycurl==7.49.0

cat >"$work/look.py" <<'EOF'
import http.server
import threading

import pycurl
from curl_cffi import Curl, CurlOpt
from curl_cffi.curl import ffi, lib


class Handler(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self):
        hosts.append(self.headers["Host"])
        self.send_response(204)
        self.end_headers()

    def log_message(self, *args):
        pass


hosts = []
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
port = server.server_port
entry = f"::127.0.0.1:{port}"


def tried(make, options, *given, copies=0):
    handle = make()
    for name, value in (("URL", "http://api.example/"), ("NOBODY", 1), ("TIMEOUT", 5), *given):
        handle.setopt(getattr(options, name), value)
    for _ in range(copies):
        handle = handle.duphandle()
    handle.perform()


for copies in (0, 2):
    tried(pycurl.Curl, pycurl, ("CONNECT_TO", [entry]), copies=copies)
print("pycurl, a list for CONNECT_TO, and its copies' copy:", hosts)
assert hosts == ["api.example"] * 2
hosts.clear()

try:
    tried(Curl, CurlOpt, ("CONNECT_TO", [entry]))
    raise AssertionError("a list is taken")
except TypeError as error:
    print("curl_cffi, a list for CONNECT_TO:", error)
made = lib.curl_slist_append(ffi.NULL, entry.encode())
for copies in (0, 2):
    tried(Curl, CurlOpt, ("CONNECT_TO", made), copies=copies)
print("curl_cffi, a C list, and its copies' copy:", hosts)
assert hosts == ["api.example"] * 2
hosts.clear()

tried(Curl, CurlOpt, ("URL", f"http://api.example:{port}/"), ("RESOLVE", [f"api.example:{port}:127.0.0.1"]))
print("curl_cffi, a list for RESOLVE:", hosts)
assert hosts == [f"api.example:{port}"]
assert not hasattr(pycurl, "ABSTRACT_UNIX_SOCKET") and hasattr(CurlOpt, "ABSTRACT_UNIX_SOCKET")
EOF
unshare --map-root-user --net bash -euc 'ip link set lo up; exec "$1/venv/bin/python" "$1/look.py"' - "$work"
