#!/usr/bin/env bash
# pytest-socket, installed and asked for nothing, sets socket.socket.connect after every test: what others have put there is gone from the second test on.
#
# Versions: pytest-socket 0.8.1, pytest 9.2.0; beside it pytest-recording 0.14.1, pytest-remotedata 0.4.2.
# Behaviour: each remembers connect when it is imported, and sets it to that:
#   - pytest-socket after every test, without any option, marker or fixture of its own in use;
#   - pytest-recording after a test that is marked block_network, and after no other;
#   - pytest-remotedata at the end of the run alone, if remote_data_strict is set.
#   A patch that a plugin or conftest makes once for the session (to trace, count, delay or redirect connections) works in the first test, and never
#   again; nothing is said. The remembered function stands in the class from then on, which has none of its own otherwise: connect is inherited from _socket.socket.
# For who tests: patch connect for each test, or after these have been imported and into what they remember.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pytest==9.2.0 pytest-socket==0.8.1 pytest-recording==0.14.1 pytest-remotedata==0.4.2
cd "$work"
cat >conftest.py <<'EOF'
import socket

import pytest


@pytest.fixture(scope="session", autouse=True)
def patched():
    def counted(self, address):
        return plain(self, address)

    plain = socket.socket.connect
    socket.socket.connect = counted
    yield
    if "connect" in vars(socket.socket):
        del socket.socket.connect
EOF
cat >test_patch.py <<'EOF'
import socket

import pytest


def here():
    return socket.socket.connect.__qualname__.partition(".")[0]


def test_first():
    print("SEEN", here())


def test_second():
    print("SEEN", here())


@pytest.mark.block_network
def test_third():
    print("SEEN", here())


def test_fourth():
    print("SEEN", here())
EOF
seen() {
    PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 "$work/venv/bin/python" -m pytest -q -s -Wignore -p no:cacheprovider "$@" |
        sed -n 's/.*SEEN //p' | paste -sd' '
}
check() {
    echo "$1: $2"
    [ "$2" = "$3" ] || { echo "expected: $3"; exit 1; }
}
check "alone            " "$(seen)" "patched patched patched patched"
check "pytest-socket    " "$(seen -p pytest_socket)" "patched socket socket socket"
check "pytest-recording " "$(seen -p pytest_recording.plugin)" "patched patched make_network_guard socket"
check "pytest-remotedata" "$(seen -p pytest_remotedata.plugin)" "patched patched patched patched"
