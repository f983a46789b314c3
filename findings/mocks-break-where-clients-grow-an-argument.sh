#!/usr/bin/env bash
# aioresponses and pook: one new argument inside of aiohttp and of urllib3, in minor releases, and nothing that they mock is answered any more.
#
# Versions: aioresponses 0.7.9 and pook 2.1.6 with aiohttp 3.14.5 and 3.13.5, and with urllib3 2.8.0 and 2.7.0 (wheels), CPython 3.11.7.
# Behaviour: both make aiohttp's ClientResponse themselves. 3.14 has a required keyword for it, stream_writer: each mocked request ends in a
#   TypeError; with 3.13 all is well. pook also puts a reader of its own under urllib3's read_chunked(), which calls readline() with a size from 2.8
#   on: a mocked answer in chunks ends in a TypeError, while whole bodies and urllib3 2.7 are fine. pip takes all four combinations.
# For who mocks by these: pin the client beside the mock (aiohttp<3.14, urllib3<2.8) until the mock has a release that knows better.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
cat >"$work/look.py" <<'EOF'
import asyncio
import sys
from importlib.metadata import version

import aiohttp
import pook
import urllib3
from aioresponses import aioresponses

URL = "http://api.example.com/"


async def get():
    async with aiohttp.ClientSession() as session, session.get(URL) as response:
        return (await response.read()).decode()


def by_aioresponses():
    with aioresponses() as mocked:
        mocked.get(URL, body="ann")
        return asyncio.run(get())


def by_pook():
    with pook.use():
        pook.get(URL).reply(200).body("ann")
        return asyncio.run(get())


def whole_by_pook():
    with pook.use():
        pook.get(URL).reply(200).body("ann")
        return urllib3.PoolManager().request("GET", URL).data.decode()


def chunks_by_pook():
    with pook.use():
        pook.get(URL).reply(200).body([b"an", b"n"], chunked=True)
        response = urllib3.PoolManager().request("GET", URL, preload_content=False)
        return b"".join(response.read_chunked()).decode()


def tried(call):
    try:
        return call()
    except TypeError as error:
        return f"TypeError: {error}"


print("aiohttp", version("aiohttp"), "urllib3", version("urllib3"))
found = {call.__name__: tried(call) for call in (by_aioresponses, by_pook, whole_by_pook, chunks_by_pook)}
for name, became in found.items():
    print(f"  {name:16} {became}")
broken = {name for name, became in found.items() if became != "ann"}
assert broken == set(sys.argv[1:]), broken
EOF
install() {
  "$work/venv/bin/pip" install --quiet --disable-pip-version-check aioresponses==0.7.9 pook==2.1.6 "$@"
}
install aiohttp==3.14.5 urllib3==2.8.0
"$work/venv/bin/python" "$work/look.py" by_aioresponses by_pook chunks_by_pook
install aiohttp==3.13.5 urllib3==2.7.0
"$work/venv/bin/python" "$work/look.py"
