#!/usr/bin/env bash
# pytest 9.2 reports a unittest test whose subTest failed as PASSED besides: --last-failed forgets it, and pytest-rerunfailures doesn't repeat it.
#
# Versions: pytest 9.2.0, pytest-rerunfailures 16.7.
# Behaviour: a failing `with self.subTest()` gives a SubtestReport that fails, and the test's own report of the call passes ("1 failed, 1
#   passed" for one test; the run's status is 1). A function with the subtests fixture is told otherwise: its own report fails, too
#   ("contains 1 failed subtest"). So
#   - the cache of last failures holds the function and not the method: --last-failed deselects the method and the run is green once the
#     function is mended; if the method was the only failure, --last-failed finds none and runs everything;
#   - --reruns 1 repeats the function, whose second try is green, and leaves the method failed after one try;
#   - with pytest-xdist the parameters of a subtest come back as their repr: (i=1) is (i='1') there.
# For who tests: tools that take the report of `when == "call"` for the verdict count such a test as passed. "--lf until green" in CI loses
#   it. Look at every report with a failed outcome, not at the last one of a test.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pytest==9.2.0 pytest-rerunfailures==16.7 pytest-xdist==3.8.0
mkdir "$work/suite"
cd "$work/suite"
cat >test_subtests.py <<'EOF'
import pathlib
import unittest


def tries(name):
    """Count the tries of a test."""
    file = pathlib.Path(name)
    file.write_text(file.read_text() + "x" if file.exists() else "x")
    return len(file.read_text())


class Test(unittest.TestCase):
    def test_method(self):
        number = tries("method")
        with self.subTest(i=1):
            self.assertGreater(number, 1)


def test_function(subtests):
    number = tries("function")
    with subtests.test(i=1):
        assert number > 1
EOF
run() {
    echo "pytest $*"
    "$work/venv/bin/python" -m pytest -q -rA --tb=no "$@" >output 2>&1 || true
    grep -E "^(SUB)?(PASSED|FAILED)|^[0-9]+ (passed|failed)" output | sed 's/ in [0-9.]*s.*//; s/^/    /' | tee lines
}
has() { grep -qF "$1" lines || { echo "missing: $1"; exit 1; }; }
fresh() { rm -rf method function .pytest_cache; }

run
has "SUBFAILED(i=1) test_subtests.py::Test::test_method"
has "PASSED test_subtests.py::Test::test_method"
has "SUBFAILED(i=1) test_subtests.py::test_function"
has "FAILED test_subtests.py::test_function - contains 1 failed subtest"
has "3 failed, 1 passed"
rm method
run --last-failed
has "1 passed, 1 deselected"
test ! -e method

fresh
run --reruns 1
has "SUBFAILED(i=1) test_subtests.py::Test::test_method"
has "PASSED test_subtests.py::test_function"
echo "    tries of the method: $(wc -c <method), of the function: $(wc -c <function)"
test "$(wc -c <method)" = 1
test "$(wc -c <function)" = 2

fresh
run -n 1
has "SUBFAILED(i='1') test_subtests.py::Test::test_method"
