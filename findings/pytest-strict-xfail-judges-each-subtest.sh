#!/usr/bin/env bash
# In pytest 9.2 a strict xfail is green only if the body and every single subtest fail: each of them is judged by the mark alone.
#
# Versions: pytest 9.2.0 (its own subtests fixture).
# Behaviour of @pytest.mark.xfail(strict=True):
#   - the only failure is in a subtest: the subtest is SUBXFAIL, and the test fails with [XPASS(strict)], since its body has passed. Without the mark
#     the same test fails with "contains 1 failed subtest";
#   - a subtest passes and the body fails later: the test is XFAIL, the subtest SUBFAILED with [XPASS(strict)], and the run fails;
#   - one subtest fails and then the body: XFAIL, green;
#   - raises=KeyError and a subtest fails otherwise: SUBFAILED; it counts for nothing that the body raises the KeyError.
#   Not strict: SUBXFAIL and XPASS, green. pytest.xfail() within a subtest: SUBXFAIL, and the test is PASSED.
# For who tests: with xfail_strict = true in the ini file, turning a loop into subtests breaks marked tests that
#   were green. Mark what is known to fail by pytest.xfail() within the subtest.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pytest==9.2.0
mkdir "$work/suite"
cd "$work/suite"
cat >test_strict.py <<'EOF'
import pytest

strict = pytest.mark.xfail(strict=True)


@strict
def test_only_a_subtest_fails(subtests):
    with subtests.test("s"):
        assert False


@strict
def test_a_subtest_passes_and_the_body_fails(subtests):
    with subtests.test("s"):
        pass
    assert False


@strict
def test_both_fail(subtests):
    with subtests.test("s"):
        assert False
    assert False


@pytest.mark.xfail(strict=True, raises=KeyError)
def test_another_error_in_a_subtest(subtests):
    with subtests.test("s"):
        assert False
    raise KeyError


@pytest.mark.xfail
def test_not_strict(subtests):
    with subtests.test("s"):
        assert False


def test_no_mark(subtests):
    with subtests.test("s"):
        assert False


def test_known_within_the_subtest(subtests):
    with subtests.test("s"):
        pytest.xfail("known")
EOF
status=0
COLUMNS=200 "$work/venv/bin/python" -m pytest -q -rA --tb=no -p no:cacheprovider >output 2>&1 || status=$?
grep -E "^(SUB)?(PASSED|FAILED|X)" output | sed 's/test_strict.py:://' | sort -k2 | tee lines
test "$status" = 1
has() { grep -qxF "$1" lines || { echo "missing: $1"; exit 1; }; }
has "SUBXFAIL[s] test_only_a_subtest_fails"
has "FAILED test_only_a_subtest_fails - [XPASS(strict)] "
has "SUBFAILED[s] test_a_subtest_passes_and_the_body_fails - [XPASS(strict)] "
has "XFAIL test_a_subtest_passes_and_the_body_fails"
has "SUBXFAIL[s] test_both_fail"
has "XFAIL test_both_fail"
has "SUBFAILED[s] test_another_error_in_a_subtest - assert False"
has "XFAIL test_another_error_in_a_subtest"
has "SUBXFAIL[s] test_not_strict"
has "XPASS test_not_strict"
has "FAILED test_no_mark - contains 1 failed subtest"
has "SUBXFAIL[s] test_known_within_the_subtest - known"
has "PASSED test_known_within_the_subtest"
