#!/usr/bin/env bash
# With pytest-rerunfailures installed, every run with pytest-xdist loaded opens a TCP server on 127.0.0.1 to which each worker connects, also without --reruns.
#
# Versions: pytest 9.2.0, pytest-rerunfailures 16.7, pytest-xdist 3.8.0.
# Behaviour: the controller binds a port of 127.0.0.1 in pytest_configure, to count crashed tries for all workers, and each worker connects when
#   it is configured. Nobody has to ask for reruns. Without the plugin xdist opens no socket (execnet talks by pipes), and where xdist isn't
#   loaded the plugin opens none. A run without -n binds the port for nobody, if xdist is loaded.
# For who tests: where connections are blocked or counted from the start of a worker, this one comes first, and it isn't a test's. In a
#   sandbox without loopback `-n` fails for it. `-p no:rerunfailures` ends it.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pytest==9.2.0 pytest-rerunfailures==16.7 pytest-xdist==3.8.0
mkdir "$work/suite"
cd "$work/suite"
cat >early.py <<'EOF'
import os
import sys


def watch(event, arguments):
    if event in ("socket.bind", "socket.connect"):
        who = os.environ.get("PYTEST_XDIST_WORKER", "controller")
        with open(os.environ["EVENTS"], "a") as file:
            file.write(f"{who} {event.removeprefix('socket.')} {arguments[1][0]}\n")


sys.addaudithook(watch)
EOF
echo 'def test_nothing(): pass' >test_nothing.py
export EVENTS=$work/events PYTHONPATH=.
run() {
    : >"$EVENTS"
    "$work/venv/bin/python" -m pytest -q -p early -p no:cacheprovider "$@" >output
    grep -q "1 passed" output
    echo "pytest $*: $(sort "$EVENTS" | paste -sd, | grep . || echo nothing)"
}
run -n 2
test "$(sort "$EVENTS" | paste -sd,)" = "controller bind 127.0.0.1,gw0 connect 127.0.0.1,gw1 connect 127.0.0.1"
run -n 2 -p no:rerunfailures
test ! -s "$EVENTS"
run
test "$(cat "$EVENTS")" = "controller bind 127.0.0.1"
run --reruns 1 -p no:xdist
test ! -s "$EVENTS"
