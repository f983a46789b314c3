#!/usr/bin/env bash
# blockbuster: what it takes for blocking goes by the function's name, not by whether anything is asked of the disk.
#
# Versions: blockbuster 1.5.29 (wheel), CPython 3.11.7.
# Behaviour: in an event loop os.path.abspath() raises BlockingError for a path that is absolute already, which makes no system call, and so
#   does os.path.samestat() of two results that are at hand. What reads the same file passes where it goes another way: os.lstat() (and
#   os.path.lexists(), which is made of it), os.open(), open(file).readline(), list(open(file)), and open(file, "rb", 0).read(), while
#   open(file).read() raises.
# For who writes tools that look at files from inside of other people's loops: normalise absolute paths by os.path.normpath().
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check blockbuster==1.5.29
cat >"$work/look.py" <<'EOF'
import asyncio
import os
from importlib.metadata import version

from blockbuster import BlockingError, blockbuster_ctx

FILE = os.path.abspath(__file__)
SEEN = os.stat(FILE)


def close(descriptor):
    os.close(descriptor)


CALLS = {
    "os.path.abspath(FILE)": lambda: os.path.abspath(FILE),
    "os.path.samestat(SEEN, SEEN)": lambda: os.path.samestat(SEEN, SEEN),
    "os.stat(FILE)": lambda: os.stat(FILE),
    "open(FILE).read()": lambda: open(FILE).read(),
    "os.path.normpath(FILE)": lambda: os.path.normpath(FILE),
    "os.lstat(FILE)": lambda: os.lstat(FILE),
    "os.path.lexists(FILE)": lambda: os.path.lexists(FILE),
    "os.open(FILE, os.O_RDONLY)": lambda: close(os.open(FILE, os.O_RDONLY)),
    "open(FILE).readline()": lambda: open(FILE).readline(),
    "list(open(FILE))": lambda: list(open(FILE)),
    'open(FILE, "rb", 0).read()': lambda: open(FILE, "rb", 0).read(),
}


def tried(call):
    try:
        call()
    except BlockingError:
        return "raises"
    return "passes"


async def main():
    return {text: tried(call) for text, call in CALLS.items()}


print("blockbuster", version("blockbuster"))
with blockbuster_ctx():
    found = asyncio.run(main())
for text, became in found.items():
    print(f"{text:30} {became}")
assert list(found.values()) == ["raises"] * 4 + ["passes"] * 7, found
EOF
"$work/venv/bin/python" "$work/look.py"
