#!/usr/bin/env bash
# From CPython 3.14 on, httpretty 1.1.4 answers no https of http.client: what stands for the socket is the SSLContext.
#
# Versions: httpretty 1.1.4, CPython 3.13.18, 3.14.10 and 3.15.2 (Debian unstable's, by tests/platforms/debian: root, and a minute on
#   first use).
# Behaviour: while httpretty is enabled, urllib.request.urlopen() of a registered https URL returns the registered body on 3.13. From
#   3.14 on the same call ends in AttributeError: 'SSLContext' object has no attribute 'close' (or 'sendall'). Of an http URL it
#   is answered on all three.
# For who fakes https of urllib with httpretty: urllib3 and requests, which wrap sockets by themselves, are still answered.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/ask.py" <<'EOP'
import sys
import urllib.request
import warnings

warnings.simplefilter("ignore")
import httpretty


def answer(url):
    with httpretty.enabled(allow_net_connect=False, verbose=False):
        httpretty.register_uri(httpretty.GET, url, body="faked")
        try:
            return urllib.request.urlopen(url, timeout=5).read().decode()
        except AttributeError as error:
            return str(error)


found = {scheme: answer(f"{scheme}://api.example/thing") for scheme in ("http", "https")}
print(sys.version.split()[0], found)
assert found["http"] == "faked", found
if sys.version_info < (3, 14):
    assert found["https"] == "faked", found
else:
    assert found["https"].startswith("'SSLContext' object has no attribute"), found
EOP
cat >"$work/run.sh" <<'EOP'
set -eu
for version in 3.13 3.14 3.15; do
    python$version -m venv venv-$version
    venv-$version/bin/pip install --quiet --disable-pip-version-check httpretty==1.1.4 2>/dev/null
    venv-$version/bin/python ask.py
done
EOP
"$here/../tests/platforms/debian" "$work" bash run.sh
