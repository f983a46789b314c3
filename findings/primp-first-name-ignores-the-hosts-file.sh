#!/usr/bin/env bash
# primp 2.0 resolves names by itself, and the first name that a process asks for is looked up by DNS although the hosts file has it.
#
# Versions: primp 2.0.1, against the C library on the same machine.
# Behaviour: the hosts file is read by another thread when the first name is looked up, and that look-up doesn't wait for it. So
#   - the first name of a process is asked of the name server whatever the hosts file says; the client remembers a "no", so that it does not
#     find this name later either. The second name, and the first by a new client, come from the hosts file;
#   - requests to numbers and to localhost before don't count as a first name;
#   - a line that is added to the hosts file later is never seen in this process, by no new client either, while a new name server in
#     resolv.conf is seen by new clients, and not by those that were used before;
#   - anything below `.localhost` is this machine, and nothing is sent; the C library asks the name server (where no nss module knows better);
#   - a name with an underscore is refused before anything is sent, unless the hosts file has it.
# For who tests: a test that passes after another one fails when it is run alone. Names in the hosts file (containers, CI) leak to DNS once per
#   process. What writes the hosts file must do so before the first request. Patching socket.getaddrinfo does nothing.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check primp==2.0.1

printf 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n' >"$work/resolv.conf"
printf '127.0.0.1 localhost one.example two.example my_db\n' >"$work/hosts"
printf 'hosts: files dns\n' >"$work/nsswitch.conf"
cat >"$work/look.py" <<'EOF'
import http.server
import socket
import threading
import time

import primp

queries = []


def name_server(address):
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((address, 53))

    def answer_that_it_does_not_exist():
        while True:
            message, client = server.recvfrom(1024)
            labels, at = [], 12
            while message[at]:
                labels.append(message[at + 1 : at + 1 + message[at]].decode().lower())
                at += 1 + message[at]
            queries.append(f"{'.'.join(labels)} at {address}")
            server.sendto(message[:2] + b"\x81\x83" + message[4:6] + bytes(6) + message[12 : at + 5], client)

    threading.Thread(target=answer_that_it_does_not_exist, daemon=True).start()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *arguments):
        pass


name_server("127.0.0.1")
name_server("127.0.0.2")
web = http.server.ThreadingHTTPServer(("127.0.0.1", 8080), Handler)
threading.Thread(target=web.serve_forever, daemon=True).start()


def by_the_library(name):
    try:
        return socket.getaddrinfo(name, 80, socket.AF_INET, socket.SOCK_STREAM)[0][4][0]
    except socket.gaierror:
        return "not found"


def by_primp(name, client):
    try:
        return client.get(f"http://{name}:8080/").text
    except Exception as error:
        return "refused" if "invalid characters" in str(error) else "not found"


def seen(function, *arguments):
    queries.clear()
    result = function(*arguments)
    time.sleep(0.1)
    print(f"{function.__name__:14} {arguments[0]:14} {result:10} sent: {sorted(set(queries))}")
    return result, sorted(set(queries))


first = primp.Client()
print("the hosts file has one.example, two.example and my_db")
assert seen(by_primp, "localhost", first) == ("ok", [])
assert seen(by_the_library, "one.example") == ("127.0.0.1", [])
assert seen(by_primp, "one.example", first) == ("not found", ["one.example at 127.0.0.1"])
assert seen(by_primp, "one.example", first) == ("not found", [])
assert seen(by_primp, "two.example", first) == ("ok", [])
assert seen(by_primp, "one.example", primp.Client()) == ("ok", [])
assert seen(by_primp, "my_db", first) == ("ok", [])
assert seen(by_primp, "no_db", first) == ("refused", [])
assert seen(by_the_library, "no_db") == ("not found", ["no_db at 127.0.0.1"])
assert seen(by_primp, "any.localhost", first) == ("ok", [])
assert seen(by_the_library, "any.localhost") == ("not found", ["any.localhost at 127.0.0.1"])

print("the hosts file has got late.example")
with open("/etc/hosts", "a") as file:
    file.write("127.0.0.1 late.example\n")
assert seen(by_the_library, "late.example") == ("127.0.0.1", [])
assert seen(by_primp, "late.example", primp.Client()) == ("not found", ["late.example at 127.0.0.1"])

print("the name server is 127.0.0.2 now")
with open("/etc/resolv.conf", "w") as file:
    file.write("nameserver 127.0.0.2\n")
assert seen(by_primp, "other.example", first) == ("not found", ["other.example at 127.0.0.1"])
assert seen(by_primp, "other.example", primp.Client()) == ("not found", ["other.example at 127.0.0.2"])
EOF
# A namespace of its own: nothing leads out, and its name server and its hosts file are those above.
unshare --map-root-user --net --mount bash -euc '
    ip link set lo up
    for file in resolv.conf hosts nsswitch.conf; do mount --bind "$1/$file" "/etc/$file"; done
    exec "$1/venv/bin/python" "$1/look.py"' - "$work"
