#!/usr/bin/env bash
# glibc refuses some host names before it sends anything, and which ones depends on the function: gethostbyname drops dotted numbers, getaddrinfo asks DNS for them.
#
# Versions: seen with glibc 2.36, CPython 3.11 (whose functions are thin layers above). No package is needed.
# Behaviour, counted at a name server on loopback, all of them "Name or service not known" to the caller:
#   - no packet: a name that begins with a hyphen, or has a character besides letters, digits, hyphen, underscore and dot (blank, slash, colon,
#     brackets, comma, tilde, star, at sign, per cent...);
#   - sent: an underscore anywhere, also first or alone; a hyphen at the end of a label or the start of a later one;
#   - five numbers (1.2.3.4.5) and numbers that are too large (999.1.1.1): getaddrinfo asks for A and AAAA of them, gethostbyname asks nothing,
#     gethostbyaddr, which calls getaddrinfo first, asks;
#   - three numbers (192.0.513) and one (3221225985) are addresses to all of them: gethostbyaddr asks for the name of 192.0.2.1.
# For who tests: "a look-up that can't succeed" isn't "a look-up that sends nothing". A placeholder host such as `my_service` or `999.1.1.1`
#   reaches the name servers, and their search domains; `my service` or `<host>` doesn't.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
getconf GNU_LIBC_VERSION
printf 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n' >"$work/resolv.conf"
printf '127.0.0.1 localhost\n' >"$work/hosts"
printf 'hosts: files dns\n' >"$work/nsswitch.conf"
cat >"$work/look.py" <<'EOF'
import socket
import threading
import time

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
        queries.append({1: "A", 28: "AAAA", 12: "PTR"}[message[at + 2]] + " " + ".".join(labels))
        server.sendto(message[:2] + b"\x81\x83" + message[4:6] + bytes(6) + message[12 : at + 5], client)


threading.Thread(target=answer_that_it_does_not_exist, daemon=True).start()


def getaddrinfo(name):
    return socket.getaddrinfo(name, 80, type=socket.SOCK_STREAM)[0][4][0]


def sent(function, name):
    queries.clear()
    try:
        outcome = function(name)
    except OSError as error:
        outcome = str(error)
    time.sleep(0.05)
    return list(queries), outcome


def row(name, expected):
    for function, queries in zip((getaddrinfo, socket.gethostbyname, socket.gethostbyaddr), expected):
        found, outcome = sent(function, name)
        print(f"{name!r:18} {function.__name__:14} {outcome:36} sent: {', '.join(found) or 'nothing'}")
        assert found == queries, (name, found)


for name in ("-a.example", "a b.example", "a/b.example", "/", "<host>", "[a]", "a,b", "a:b.example", "a~.example", "*.example", "a@b", "a%b.example"):
    row(name, ([], [], []))
for name in ("_t.example", "_", "my_service", "a-.example", "a.-b.example"):
    both = [f"A {name}", f"AAAA {name}"]
    row(name, (both, [f"A {name}"], both))
for name in ("1.2.3.4.5", "999.1.1.1"):
    both = [f"A {name}", f"AAAA {name}"]
    row(name, (both, [], both))
for name in ("192.0.513", "3221225985"):
    row(name, ([], [], ["PTR 1.2.0.192.in-addr.arpa"]))
EOF
# A namespace of its own: nothing leads out, and its name server is the one above.
unshare --map-root-user --net --mount bash -euc '
    ip link set lo up
    for file in resolv.conf hosts nsswitch.conf; do mount --bind "$1/$file" "/etc/$file"; done
    exec python3 "$1/look.py"' - "$work"
