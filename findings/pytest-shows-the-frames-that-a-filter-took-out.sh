#!/usr/bin/env bash
# pytest: what Traceback.filter() takes out of excinfo.traceback is shown again, except by --full-trace: there it stays out.
#
# Versions: pytest 9.2.0 and 8.4.2.
# Behaviour: a plugin can set `excinfo.traceback = excinfo.traceback.filter(...)` before the report is made. The report of a function cuts the
#   part above the test off, and cut() makes a new Traceback of the interpreter's own chain from the frame it found: the frames that were
#   filtered out below are back. --full-trace, made to show all, doesn't cut and so shows the filtered one.
#   - The filter holds if it takes out the test's own frame, too: the cut is then made below, at the next frame of the test's file, or not at all.
#   - A module may be hidden from outside: pytest looks for __tracebackhide__ in the frame's globals as well as in its locals, and applies it
#     after the cut. --full-trace shows such frames, as it is meant to.
#   - --tb=native knows neither: all is shown, pytest's own frames, too.
# For who writes a plugin: set __tracebackhide__ in the module that shall not be seen (a callable that takes excinfo may decide by exception).
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
mkdir "$work/suite"
cd "$work/suite"
cat >retrying.py <<'EOF'
def retry(call):
    return attempt(call)


def attempt(call):
    return call()
EOF
cat >test_it.py <<'EOF'
import retrying


def check():
    assert 1 == 2


def test_it():
    retrying.retry(check)
EOF
cat >conftest.py <<'EOF'
import os

import pytest
import retrying

if os.environ["BY"] == "attribute":
    retrying.__tracebackhide__ = True


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item, call):
    out = {"filter": ["retry", "attempt"], "wide filter": ["retry", "attempt", "test_it"]}.get(os.environ["BY"], [])
    if call.excinfo is not None and out:
        call.excinfo.traceback = call.excinfo.traceback.filter(lambda entry: entry.name not in out)
        left = {entry.name for entry in call.excinfo.traceback}
        assert "check" in left and not left & set(out)
EOF
# run BY OPTION FRAME...
run() {
  local by=$1 option=$2 frames name
  shift 2
  BY=$by "$work/venv/bin/python" -m pytest -q --color=no -p no:cacheprovider "$option" test_it.py >output 2>&1 || true
  grep -q "^1 failed" output
  frames=""
  for name in test_it retry attempt check; do
    case $name in # the line that each of them stands at
      test_it) line='test_it\.py(:|", line )9\b' ;;
      retry) line='retrying\.py(:|", line )2\b' ;;
      attempt) line='retrying\.py(:|", line )6\b' ;;
      check) line='test_it\.py(:|", line )5\b' ;;
    esac
    if grep -qE "$line" output; then frames="$frames $name"; fi
  done
  printf '  %-12s %-12s%s\n' "$by" "$option" "$frames"
  test "$frames" = " $*" || { cat output; exit 1; }
}
for version in 9.2.0 8.4.2; do
  "$work/venv/bin/pip" install --quiet --disable-pip-version-check "pytest==$version"
  echo "pytest $version: frames shown"
  run nothing --tb=short test_it retry attempt check
  run filter --tb=short test_it retry attempt check
  run filter --tb=long test_it retry attempt check
  run filter --full-trace test_it check
  run "wide filter" --tb=short check
  run attribute --tb=short test_it check
  run attribute --full-trace test_it retry attempt check
  run filter --tb=native test_it retry attempt check
  run attribute --tb=native test_it retry attempt check
  grep -q 'python.py", line .* in pytest_pyfunc_call' output
done
