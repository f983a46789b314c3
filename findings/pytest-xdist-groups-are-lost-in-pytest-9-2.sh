#!/usr/bin/env bash
# pytest-xdist's `--dist loadgroup` groups nothing with pytest 9.2: the tests of an xdist_group are spread over all workers, and all is green.
#
# Versions: pytest-xdist 3.8.0 (the newest) with pytest 9.1.1 and 9.2.0, CPython 3.11.7.
# Behaviour: each worker writes the group behind the test's id, by `item._nodeid = ...`, and the scheduler reads it off the id. Until 9.1 `nodeid`
#   returns that attribute. From 9.2 on it is the text of an object of its own (`item.id`), and `_nodeid` is an attribute like any other, that a node's
#   `__dict__` takes and nobody reads. No error, no warning, status 0; twelve tests of one group are run by one worker with
#   9.1.1 and by both with 9.2.0. The verbose output shows it: `test_g[0]@one` before, `test_g[0]` since. loadscope and loadfile, which go
#   by the id alone, work.
# For who tests: tests that share a database or a port by group meet each other again. A plugin that renames tests by `_nodeid` (it was
#   the only way) does nothing; `nodeid` and `id` have no setter.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
mkdir "$work/suite"
cat >"$work/suite/test_group.py" <<'EOP'
import pytest


@pytest.mark.parametrize("n", range(12))
@pytest.mark.xdist_group("one")
def test_g(n):
    pass
EOP
printf '[pytest]\n' >"$work/suite/pytest.ini"
cat >"$work/suite/conftest.py" <<'EOP'
def pytest_itemcollected(item):
    before = item.nodeid
    item._nodeid = "renamed"
    item.config.renamed = item.nodeid == "renamed"
    item._nodeid = before


def pytest_report_collectionfinish(config):
    return f"renamed by _nodeid: {getattr(config, 'renamed', None)}"
EOP
cd "$work/suite"
look() {
    local version=$1 mode=$2 workers=$3 pattern=$4
    "$work/venv/bin/python" -m pytest -v -p no:cacheprovider -n 2 --dist "$mode" >output
    local passed workers_seen one
    passed=$(grep -c PASSED output)
    workers_seen=$(grep -o '^\[gw.\]' output | sort -u | wc -l)
    one=$(sed -n 's/.*PASSED test_group.py:://p' output | sort | sed -n 1p)
    echo "pytest $version, --dist $mode: $passed passed by $workers_seen workers, such as $one"
    test "$passed" = 12
    test "$workers_seen" = "$workers"
    grep -q "$pattern" output
}
for version in 9.1.1 9.2.0; do
    "$work/venv/bin/pip" install --quiet --disable-pip-version-check "pytest==$version" pytest-xdist==3.8.0
    "$work/venv/bin/python" -m pytest -p no:cacheprovider --collect-only >output
    grep "renamed by _nodeid" output
    if [ "$version" = 9.1.1 ]; then
        grep -q "renamed by _nodeid: True" output
        look "$version" loadgroup 1 'test_g\[0\]@one'
    else
        grep -q "renamed by _nodeid: False" output
        look "$version" loadgroup 2 'test_g\[0\] *$'
    fi
    look "$version" loadfile 1 'test_g\[0\] *$'
    look "$version" load 2 'test_g\[0\] *$'
done
