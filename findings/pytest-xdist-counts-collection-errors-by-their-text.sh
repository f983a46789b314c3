#!/usr/bin/env bash
# pytest-xdist tells collection errors apart by their text alone: files that fail with one text are one error, a wrong parametrize is one for each worker.
#
# Versions: pytest 9.2.0, pytest-xdist 3.8.0.
# Behaviour: every worker collects everything, and the controller shows a report of the collection unless it had its longrepr already. It
#   compares no node's id. So with -n 3
#   - three modules that skip themselves by a shared helper are 1 skipped (one path, line and reason); without xdist they are 3;
#   - three files whose collector raises CollectError with the same message are one error: the other two are named nowhere, nor in --junitxml;
#   - a parametrize with a wrong name, and any other exception in a collector, are 3 errors: over the wire they are objects that equal nothing.
#     --maxfail counts them: with --maxfail=3 one such mistake ends the run;
#   - a failed import is 1 error (its text has the module's path in it).
#   With them pytest alone runs no test (status 2); under xdist the others run (status 1).
# For who counts: numbers of errors and skips of such a run say nothing. For one plugin's files put the file's name into CollectError's message;
#   for the number of broken files run `pytest --collect-only` without -n.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pytest==9.2.0 pytest-xdist==3.8.0
mkdir "$work/suite"
cd "$work/suite"
cat >conftest.py <<'EOF'
import pytest


class Cases(pytest.File):
    def collect(self):
        raise self.CollectError("no case in this file")


def pytest_collect_file(file_path, parent):
    return Cases.from_parent(parent, path=file_path) if file_path.suffix == ".cases" else None
EOF
cat >helper.py <<'EOF'
import pytest


def needs_gpu():
    pytest.skip("no GPU", allow_module_level=True)
EOF
for i in 1 2 3; do
    touch "$i.cases"
    printf 'import helper\n\nhelper.needs_gpu()\n' >"test_gpu_$i.py"
done
echo 'import nothing_there' >test_import.py
cat >test_parametrize.py <<'EOF'
import pytest


@pytest.mark.parametrize("wrong_name", [1])
def test_one(right_name):
    pass
EOF
echo 'def test_fine(): pass' >test_sound.py

# run EXPECTED-STATUS OPTION...
run() {
    local expected=$1 status=0
    shift
    echo "pytest $*"
    "$work/venv/bin/python" -m pytest -q -rA --tb=no -p no:cacheprovider --junitxml="$work/junit.xml" "$@" >"$work/output" 2>&1 || status=$?
    { grep -E "^(PASSED|SKIPPED|ERROR)|^[0-9]+ (passed|skipped|error)" "$work/output"; echo "status $status"; } | sed 's/ in [0-9.]*s.*//; s/ - .*//' >"$work/lines"
    sed 's/^/    /' "$work/lines"
    test "$status" = "$expected"
}
# has TIMES LINE
has() { test "$(grep -cxF "$2" "$work/lines")" = "$1" || { echo "not $1 times: $2"; exit 1; }; }

run 2
has 1 "SKIPPED [3] helper.py:5: no GPU"
has 1 "ERROR 1.cases"
has 1 "ERROR 2.cases"
has 1 "ERROR 3.cases"
has 1 "ERROR test_import.py"
has 1 "ERROR test_parametrize.py"
has 1 "3 skipped, 5 errors"

run 1 -n 3
has 1 "PASSED test_sound.py::test_fine"
has 1 "SKIPPED [1] helper.py:5: no GPU"
test "$(grep -c '^ERROR .\.cases$' "$work/lines")" = 1
test "$(grep -oE 'name="[123]\.cases"' "$work/junit.xml" | sort -u | wc -l)" = 1
has 1 "ERROR test_import.py"
has 3 "ERROR test_parametrize.py"
has 1 "1 passed, 1 skipped, 5 errors"

run 2 -n 3 --maxfail=3 test_parametrize.py test_sound.py
grep "stopping after 3 failures" "$work/output"
has 3 "ERROR test_parametrize.py"
