#!/usr/bin/env bash
# With pytest-asyncio-cooperative, pytest_runtest_protocol and the three phase hooks of a test are called when the test is over.
#
# Versions: pytest-asyncio-cooperative 0.40.0, pytest 9.2.0.
# Behaviour: the coroutines of all marked tests run first, in the plugin's own loop inside pytest_runtestloop, fixtures included. When one
#   is done, pytest's protocol is played for it: logstart, setup, call and teardown, in the order in which tests end. So
#   - an async fixture is torn down before pytest_runtest_setup of its test is called;
#   - the first test's body begins before any protocol hook of any test;
#   - tests without the mark run last, wherever they stand in the file;
#   - only the duration and the outcome of the call report are those of the body.
# For who tests: whatever is switched on in pytest_runtest_setup or in a wrapper around pytest_runtest_protocol or pytest_runtest_call (time
#   limits, leak checks, log capture, environment guards) watches nothing of such a test, and may see the next one's body between.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pytest==9.2.0 pytest-asyncio-cooperative==0.40.0
mkdir "$work/suite"
cd "$work/suite"

cat >conftest.py <<'EOF'
import pytest


def note(what):
    with open("events", "a") as file:
        file.write(what + "\n")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item):
    note(f"protocol {item.name}")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    note(f"setup {item.name}")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item):
    note(f"call {item.name}")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item):
    note(f"teardown {item.name}")
EOF
cat >test_order.py <<'EOF'
import asyncio

import pytest
from conftest import note


@pytest.fixture
async def connection():
    note("  fixture begins")
    yield
    note("  fixture ends")


def test_plain():
    note("  plain body")


@pytest.mark.asyncio_cooperative
async def test_slow(connection):
    note("  slow body begins")
    await asyncio.sleep(0.3)
    note("  slow body ends")


@pytest.mark.asyncio_cooperative
async def test_quick():
    note("  quick body begins")
    await asyncio.sleep(0.05)
    note("  quick body ends")
EOF
"$work/venv/bin/python" -m pytest -q -p no:cacheprovider >output 2>&1 || { cat output; exit 1; }
grep -q "3 passed" output
cat events
"$work/venv/bin/python" - <<'EOF'
events = open("events").read().splitlines()
at = {event.strip(): number for number, event in enumerate(events)}
assert len(at) == len(events) == 19, events
assert at["slow body begins"] < at["protocol test_quick"] < at["protocol test_slow"], "a body is in its protocol"
assert at["fixture ends"] < at["protocol test_slow"] < at["setup test_slow"], "the fixture is torn down in its protocol"
assert at["quick body ends"] < at["setup test_quick"] < at["call test_quick"], "the call hook holds the body"
assert at["teardown test_slow"] < at["protocol test_plain"], "the plain test keeps its place"
assert at["call test_plain"] < at["plain body"] < at["teardown test_plain"], "plain tests are played otherwise"
print("seen: bodies and fixtures of cooperative tests ran before their protocol")
EOF
