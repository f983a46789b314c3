#!/usr/bin/env bash
# With pytest-asyncio-concurrent on pytest 9.2, every test of a group fails that asks for a fixture which nobody asked for before.
#
# Versions: pytest-asyncio-concurrent 0.5.2 with pytest 9.2.0 (which its requirements permit).
# Behaviour: the plugin plays a whole group of tests out as one item. pytest 9.2 takes the set-up of the group's members for a request
#   during a teardown, and refuses a fixture that is not active yet: an error at set-up, "not available during teardown because it was not
#   previously requested". The async fixture and the plain one fail alike. Fixtures that are active already (here: autouse, of a module)
#   may be used, and a test of the group without fixtures passes.
#   pytest_runtest_protocol is called for no member of a group, only for other tests; those run first.
# For who tests: a plugin that wraps pytest_runtest_protocol never meets these tests, though pytest_runtest_logstart does; and a group's
#   set-ups come all before its bodies, its teardowns all after them.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pytest==9.2.0 pytest-asyncio-concurrent==0.5.2
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


def pytest_runtest_logstart(nodeid):
    note(f"logstart {nodeid.partition('::')[2]}")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    note(f"setup {item.name}")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item):
    note(f"teardown {item.name}")
EOF
cat >test_group.py <<'EOF'
import asyncio

import pytest
from conftest import note


@pytest.fixture
async def connection():
    yield


@pytest.fixture
def number():
    return 1


@pytest.fixture(scope="module", autouse=True)
def active():
    return 2


@pytest.mark.asyncio_concurrent(group="one")
async def test_async_fixture(connection):
    pass


@pytest.mark.asyncio_concurrent(group="one")
async def test_plain_fixture(number):
    pass


@pytest.mark.asyncio_concurrent(group="one")
async def test_active_fixture(active):
    note("  body with active")
    await asyncio.sleep(0.05)


@pytest.mark.asyncio_concurrent(group="one")
async def test_no_fixture():
    note("  body without")
    await asyncio.sleep(0.05)


def test_of_no_group(number):
    note("  body of no group")
EOF
status=0
"$work/venv/bin/python" -m pytest -q -rA -p no:cacheprovider >output 2>&1 || status=$?
grep -E "^(PASSED|ERROR|FAILED) |^E  .*during teardown|passed" output | sort -u
cat events
test "$status" = 1
grep -q "3 passed.* 2 errors" output
grep -q "^ERROR test_group.py::test_async_fixture" output
grep -q "^ERROR test_group.py::test_plain_fixture" output
grep -q "is not available during teardown because it was not previously requested" output
"$work/venv/bin/python" - <<'EOF'
events = [event.strip() for event in open("events")]
assert [event for event in events if event.startswith("protocol")] == ["protocol test_of_no_group"], events
assert events.index("body of no group") < events.index("logstart test_async_fixture")
bodies = [events.index("body with active"), events.index("body without")]
tests = ["test_async_fixture", "test_plain_fixture", "test_active_fixture", "test_no_fixture"]
assert max(events.index(f"setup {test}") for test in tests) < min(bodies)
assert max(bodies) < min(events.index(f"teardown {test}") for test in tests)
print("seen: a group's members get no fixture that is not active, and no protocol hook")
EOF
