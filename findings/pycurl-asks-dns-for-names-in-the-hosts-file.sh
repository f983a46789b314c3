#!/usr/bin/env bash
# libcurl 8.23 without c-ares (pycurl's wheel) asks a name server for names that the hosts file knows.
#
# Versions: pycurl 7.49.0 (libcurl 8.23.0, threaded resolver), against the C library's own getaddrinfo on the same machine.
# Behaviour: it looks the two address families up one by one, IPv6 first. A name that the hosts file maps to an IPv4 address only is not
#   found as an IPv6 one there, so that an AAAA query is sent, and the connection waits for the answer or its timeout. getaddrinfo for both
#   families at once, as Python's socket module calls it, takes the line of the hosts file and sends nothing.
#   No query is sent with IPRESOLVE_V4, and none where the hosts file maps the name to ::1, alone or besides 127.0.0.1.
#   Names that are nowhere are asked for as AAAA and then A; the C library does it the other way round.
# For who tests: `127.0.0.1 db.example` in the hosts file (Docker's extra_hosts, CI set-ups) keeps such a name inside the machine for most
#   clients, and not for this one. Add a `::1` line, or set IPRESOLVE. Where no name server answers, each request waits.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pycurl==7.49.0

printf 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n' >"$work/resolv.conf"
printf '127.0.0.1 localhost four.example\n::1 localhost six.example both.example\n127.0.0.1 both.example\n' >"$work/hosts"
printf 'hosts: files dns\n' >"$work/nsswitch.conf"
cat >"$work/look.py" <<'EOF'
import socket
import threading
import time

import pycurl

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
        queries.append(("A" if message[at + 2] == 1 else "AAAA") + " " + ".".join(labels))
        server.sendto(message[:2] + b"\x81\x83" + message[4:6] + bytes(6) + message[12 : at + 5], client)


threading.Thread(target=answer_that_it_does_not_exist, daemon=True).start()


def by_curl(name, resolve=pycurl.IPRESOLVE_WHATEVER):
    curl = pycurl.Curl()
    curl.setopt(pycurl.URL, f"http://{name}:9/")
    curl.setopt(pycurl.IPRESOLVE, resolve)
    try:
        curl.perform()
    except pycurl.error as error:
        return {6: "not found", 7: "connection refused"}[error.args[0]]


def by_the_library(name):
    try:
        return socket.getaddrinfo(name, 9, type=socket.SOCK_STREAM)[0][4][0]
    except socket.gaierror:
        return "not found"


def sent(function, *arguments):
    queries.clear()
    result = function(*arguments)
    time.sleep(0.1)
    print(f"{function.__name__:14} {arguments[0]:13} {result:18} sent: {queries}")
    return list(queries)


print(pycurl.version.split(" Open")[0])
assert "c-ares" not in pycurl.version
assert sent(by_the_library, "four.example") == []
assert sent(by_curl, "four.example") == ["AAAA four.example"]
assert sent(by_curl, "four.example", pycurl.IPRESOLVE_V4) == []
assert sent(by_curl, "six.example") == []
assert sent(by_curl, "both.example") == []
assert sent(by_the_library, "gone.example") == ["A gone.example", "AAAA gone.example"]
assert sent(by_curl, "gone.example") == ["AAAA gone.example", "A gone.example"]
EOF
# A namespace of its own: nothing leads out, and its name server and its hosts file are those above.
unshare --map-root-user --net --mount bash -euc '
    ip link set lo up
    for file in resolv.conf hosts nsswitch.conf; do mount --bind "$1/$file" "/etc/$file"; done
    exec "$1/venv/bin/python" "$1/look.py"' - "$work"
