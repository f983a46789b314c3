#!/usr/bin/env bash
# pytest-forked with pytest 9.2 reports each test as "EXITED with status 3", passing ones too: reports no longer keep their `nodeid` in `__dict__`.
#
# Versions: pytest-forked 1.7.5 (the newest) with pytest 9.1.1 and 9.2.0, CPython 3.11.7.
# Behaviour: the forked child hands its reports back as marshal of `report.__dict__`, and the parent makes them anew with `TestReport(**that)`. Since 9.2 a
#   report's `nodeid` is a property of an object `_id`, which is what is in `__dict__` now: marshal can't write it, the child's work ends in an
#   exception that is shown nowhere, and its status 3 is given as the outcome of the test. The test itself has run to its end. The
#   official way, pytest_report_to_serializable, gives a dict with `nodeid` as ever: pytest-xdist works, pickle and copy too.
# For who tests: status 3 isn't the code under test. For who writes plugins: `vars(report)["nodeid"]` raises KeyError since 9.2, and
#   `TestReport(**vars(report))` TypeError; `report.nodeid` reads as before, and can be set.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
mkdir "$work/suite"
cd "$work/suite"
printf '[pytest]\n' >pytest.ini
cat >test_forked.py <<'EOP'
from pathlib import Path


def test_that_passes():
    Path("ran").write_text("to its end")
EOP
cat >conftest.py <<'EOP'
import copy
import pickle

FOUND = []


def pytest_runtest_logreport(report):
    if report.when == "call" and report.passed:
        official = report._to_json()
        others = {official["nodeid"], pickle.loads(pickle.dumps(report)).nodeid, copy.copy(report).nodeid}
        assert others == {report.nodeid}
        try:
            type(report)(**vars(report))
        except TypeError as error:
            made = str(error)
        else:
            made = "made"
        FOUND.append(f"in __dict__: {'nodeid' if 'nodeid' in vars(report) else '_id'}; TestReport(**vars(report)): {made}")


def pytest_terminal_summary(terminalreporter):
    for line in FOUND:
        terminalreporter.write_line(line)
EOP
run() {
    "$work/venv/bin/python" -m pytest -q -p no:cacheprovider "$@" >output || test $? = 1
}
for version in 9.1.1 9.2.0; do
    "$work/venv/bin/pip" install --quiet --disable-pip-version-check "pytest==$version" pytest-forked==1.7.5
    rm -f ran
    run --forked
    echo "pytest $version, --forked: $(grep -oE '[0-9]+ (passed|failed)' output), the test ran $(cat ran); $(grep -o 'running the test EXITED.*' output | head -1)"
    test "$(cat ran)" = "to its end"
    if [ "$version" = 9.1.1 ]; then grep -q "1 passed" output; else grep -q "running the test EXITED with status 3" output && grep -q "1 failed" output; fi
    run
    grep "in __dict__" output
    grep -q "1 passed" output
    if [ "$version" = 9.1.1 ]; then
        grep -q "in __dict__: nodeid; TestReport(\*\*vars(report)): made" output
    else
        grep -q "in __dict__: _id; .*missing 1 required positional argument: 'nodeid'" output
    fi
done
