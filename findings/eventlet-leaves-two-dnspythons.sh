#!/usr/bin/env bash
# Importing eventlet leaves two dnspythons: `import dns.resolver` then gives another module than `from dns.resolver import ...`.
#
# Versions: eventlet 0.41.3, dnspython 2.9.2; no monkey_patch() is called.
# Behaviour: eventlet.support.greendns imports dnspython's modules anew, with sockets of its own, and puts the copies on the package `dns`, while
#   sys.modules keeps the plain ones. `import dns.resolver` binds the package and looks the attribute up: the copy, whose dns.query.udp is
#   eventlet's. `from dns.resolver import Resolver` goes by sys.modules: the plain one. Their classes differ, so `except dns.resolver.NXDOMAIN`
#   does not catch what a plain Resolver raises. Which one a module of yours has depends on whether it was imported before eventlet was.
# For who tests: a fake of "dns.resolver.Resolver.resolve", given by name to monkeypatch or mock, replaces one of the two, and code that imports the
#   other goes on to ask name servers. One test that imports eventlet changes what all later ones of the process get.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check eventlet==0.41.3 dnspython==2.9.2

cat >"$work/look.py" <<'EOF'
import sys
import warnings

warnings.simplefilter("ignore")


def look():
    import dns.message
    import dns.resolver
    from dns.resolver import NXDOMAIN, Resolver

    name = dns.name.from_text("nosuch.example.")
    try:
        raise NXDOMAIN(qnames=[sys.modules["dns.name"].from_text("nosuch.example.")], responses={})
    except dns.resolver.NXDOMAIN:
        caught = True
    except Exception:
        caught = False
    return {
        "modules are one": dns.resolver is sys.modules["dns.resolver"],
        "classes are one": dns.resolver.Resolver is Resolver,
        "udp is of": dns.query.udp.__module__,
        "NXDOMAIN is caught": caught,
    }


before = look()
import eventlet
from eventlet.green import socket

after = look()
print("without eventlet:", before)
print("with eventlet:   ", after)
plain = {"modules are one": True, "classes are one": True, "udp is of": "dns.query", "NXDOMAIN is caught": True}
assert before == plain, before
copied = {"modules are one": False, "classes are one": False, "udp is of": "eventlet.support.greendns", "NXDOMAIN is caught": False}
assert after == copied, after
EOF
unshare --map-root-user --net "$work/venv/bin/python" "$work/look.py"
