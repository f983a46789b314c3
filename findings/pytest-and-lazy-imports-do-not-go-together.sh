#!/usr/bin/env bash
# Under pytest 9.2.0 a `lazy import` of a test module is an import at collection; and where all imports are lazy, pytest does not start.
#
# Versions: pytest 9.2.0, CPython 3.15.2 (Debian unstable's, by tests/platforms/debian: root, and a minute on first use).
# Behaviour: PEP 810's `lazy import sqlite3` leaves a module unloaded until its name is used. In a script it does; in a test module the
#   module is in sys.modules before the first test runs, since collection looks at each global name. With `-X lazy_imports=all`,
#   `python -m pytest --version` still answers, but a run ends with ImportCycleError before collection: the assertion
#   rewriter stands in sys.meta_path by then and is asked for each module at its first use; to answer, it calls fnmatch, which
#   `_pytest.pathlib` has imported lazily and not used yet, so that loading fnmatch asks the rewriter.
# For who expects less to be imported in tests, or an import's side effects inside a test: import in the function.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/script.py" <<'EOP'
lazy import sqlite3
import sys

assert "sqlite3" not in sys.modules
assert sqlite3.connect(":memory:").execute("select 6 * 7").fetchone() == (42,)
assert "sqlite3" in sys.modules
print("a script: loaded at its first use")
EOP
cat >"$work/test_lazy.py" <<'EOP'
lazy import sqlite3
import sys


def test_lazy():
    assert "sqlite3" in sys.modules
    print("a test module: loaded before its tests run")
EOP
cat >"$work/run.sh" <<'EOP'
set -u
python3.15 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pytest==9.2.0 2>/dev/null
venv/bin/python script.py || exit 1
venv/bin/python -m pytest -q -s -p no:cacheprovider test_lazy.py || exit 1
venv/bin/python -X lazy_imports=all -m pytest --version || exit 1
venv/bin/python -X lazy_imports=all -m pytest -q -p no:cacheprovider test_lazy.py >all.txt 2>&1
status=$?
grep "^ImportCycleError" all.txt && [ "$status" != 0 ]
EOP
"$here/../tests/platforms/debian" "$work" bash run.sh
