#!/usr/bin/env bash
# moto, requests-mock, httpretty, pyfakefs and testfixtures on an async def: its body runs unmocked, and unittest's async tests pass without a run.
#
# Versions: moto 5.2.5 (boto3 1.44.8), requests-mock 1.12.1 and responses 0.26.3 (requests 2.34.2), httpretty 1.1.4, pyfakefs 6.3.2,
#   testfixtures 12.4.0, respx 0.23.1 (httpx 0.28.1), pook 2.1.6, freezegun 1.5.5, time-machine 3.6.0, pytest 9.2.0, CPython 3.11.7.
# Behaviour: these five wrap a coroutine function in a plain function that starts the mock, makes the coroutine and stops the mock. Who awaits
#   the coroutine runs its body against the real thing. responses, respx, pook, freezegun, time-machine and unittest.mock.patch make a
#   coroutine function, and all of it is mocked.
#   - A method so wrapped is no coroutine function: unittest.IsolatedAsyncioTestCase calls it, drops the coroutine with a DeprecationWarning and
#     takes the test for passed, though its body is self.fail(). Under pytest, too: 5 passed.
#   - A generator function (a fixture that yields) is mocked by freezegun only: nine others, unittest.mock.patch among them, are over before its
#     first step. pook.on gives None in the generator's stead: it drops what a plain function returns.
# For who tests: use the mock in a with statement inside of async tests and of fixtures that yield, and let pytest run with
#   -W "error:It is deprecated to return a value:DeprecationWarning": then the five fail.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check moto==5.2.5 boto3==1.44.8 requests-mock==1.12.1 responses==0.26.3 requests==2.34.2 \
  httpretty==1.1.4 pyfakefs==6.3.2 testfixtures==12.4.0 respx==0.23.1 httpx==0.28.1 pook==2.1.6 freezegun==1.5.5 time-machine==3.6.0 pytest==9.2.0
cat >"$work/mocks.py" <<'EOF'
"""A decorator for each library, and what its body asks to know whether it is mocked."""

import datetime
import http.server
import os
import socket
import threading
from unittest import mock

import boto3
import freezegun
import httpretty
import httpx
import moto
import pook
import requests
import requests_mock
import responses
import respx
import testfixtures
import time_machine
from botocore.config import Config
from botocore.exceptions import ProxyConnectionError
from pyfakefs.fake_filesystem_unittest import patchfs


class Live(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"live")

    def log_message(self, *_args):
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Live)
threading.Thread(target=server.serve_forever, daemon=True).start()
URL = f"http://127.0.0.1:{server.server_port}/"
closed = socket.socket()
closed.bind(("127.0.0.1", 0))  # and it never listens
NOWHERE = f"http://127.0.0.1:{closed.getsockname()[1]}"


def by_moto():
    client = boto3.client(
        "s3",
        region_name="us-east-1",
        aws_access_key_id="a",
        aws_secret_access_key="b",
        config=Config(proxies={"http": NOWHERE, "https": NOWHERE}, retries={"max_attempts": 0}),
    )
    try:
        return client.list_buckets()["Buckets"] == []
    except ProxyConnectionError:
        return False


def by_requests_mock(mocker):
    mocker.get(URL, text="mocked")
    return requests.get(URL).text == "mocked"


def by_responses():
    responses.get(URL, body="mocked")
    return requests.get(URL).text == "mocked"


def by_httpretty():
    httpretty.register_uri("GET", URL, body="mocked")
    return requests.get(URL).text == "mocked"


def by_respx():
    respx.get(URL).respond(text="mocked")
    return httpx.get(URL).text == "mocked"


def by_pook():
    pook.get(URL).reply(200).body("mocked")
    return requests.get(URL).text == "mocked"


def by_pyfakefs(fs):
    fs.create_file("/mocked")
    return os.path.exists("/mocked")


MOCKS = {
    "moto": (moto.mock_aws, by_moto),
    "requests-mock": (requests_mock.Mocker(), by_requests_mock),
    "httpretty": (httpretty.activate, by_httpretty),
    "pyfakefs": (patchfs, by_pyfakefs),
    "testfixtures": (testfixtures.replace("os.curdir", "mocked"), lambda: os.curdir == "mocked"),
    "responses": (responses.activate, by_responses),
    "respx": (respx.mock, by_respx),
    "pook": (pook.on, by_pook),
    "freezegun": (freezegun.freeze_time("2001-01-01"), lambda: datetime.datetime.now().year == 2001),
    "time-machine": (time_machine.travel("2001-01-01"), lambda: datetime.datetime.now().year == 2001),
    "unittest.mock": (mock.patch("os.curdir", "mocked"), lambda: os.curdir == "mocked"),
}
EOF
cat >"$work/look.py" <<'EOF'
import asyncio
import sys

from mocks import MOCKS


def tell(decorate, is_mocked, kind):
    seen = []

    def function(*args):
        seen.append(is_mocked(*args))

    async def coroutine_function(*args):
        seen.append(is_mocked(*args))

    def generator_function(*args):
        seen.append(is_mocked(*args))
        yield

    if kind == "function":
        decorate(function)()
    elif kind == "async":
        asyncio.run(decorate(coroutine_function)())
    else:
        made = decorate(generator_function)()
        if made is None:
            return "gone"
        next(made)
    return "mocked" if seen == [True] else "live"


found = {}
for name, (decorate, is_mocked) in MOCKS.items():
    found[name] = [tell(decorate, is_mocked, kind) for kind in ("function", "async", "generator")]
    print(f"  {name:14} function {found[name][0]:7} async def {found[name][1]:7} generator {found[name][2]}")
print(sys.version.split()[0])
assert all(function == "mocked" for function, _, _ in found.values())
assert {name for name, told in found.items() if told[1] == "live"} == {"moto", "requests-mock", "httpretty", "pyfakefs", "testfixtures"}
assert {name for name, told in found.items() if told[2] == "mocked"} == {"freezegun"}
assert found["pook"][2] == "gone"
EOF
cat >"$work/test_cases.py" <<'EOF'
import unittest

from mocks import MOCKS


async def body(self, *args):
    self.fail("this ran")


Test = type(
    "Test",
    (unittest.IsolatedAsyncioTestCase,),
    {f"test_{name}": decorate(body) for name, (decorate, _) in MOCKS.items()},
)
EOF
cd "$work"
"$work/venv/bin/python" -W ignore look.py

# run OPTION...
run() {
  echo "pytest $*"
  "$work/venv/bin/python" -m pytest -q -rA --tb=no -p no:cacheprovider "$@" test_cases.py >output 2>&1 || true
  grep -E "^(PASSED|FAILED|ERROR)|^[0-9]+ (failed|passed)" output | sed 's/ in [0-9.]*s.*//; s/, [0-9]* warnings*//; s/ - .*//' >lines
  sed 's/^/  /' lines
}
run
for name in moto requests-mock httpretty pyfakefs testfixtures; do
  grep -qxF "PASSED test_cases.py::Test::test_$name" lines
done
grep -qxF "6 failed, 5 passed" lines
run -W "error:It is deprecated to return a value:DeprecationWarning"
grep -qxF "11 failed" lines
