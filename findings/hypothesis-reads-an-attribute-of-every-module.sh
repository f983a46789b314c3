#!/usr/bin/env bash
# Hypothesis asks every loaded module for `__file__` at the end of collection; beside valkey-glide and with warnings as errors, no test of the run is run.
#
# Versions: hypothesis 6.170.17, valkey-glide 2.6.0, pytest 9.2.0.
# Behaviour: to find the constants of the code under test, Hypothesis goes through sys.modules and reads `__file__` of each entry: its
#   pytest plugin at the end of collection if there is any property among the tests, else the first example. `import glide` puts objects into
#   sys.modules (`glide.exceptions` and others) that answer each attribute with a DeprecationWarning. With filterwarnings = error that
#   is raised inside a hook: INTERNALERROR, "no tests ran", status 3. One file that imports glide and another one with a property
#   that has nothing to do with it are enough; either alone passes. Without pytest the property itself raises.
# For who tests: "Importing from 'glide.exceptions' is deprecated" in a run that imports nothing from there is this; ignore that warning
#   by message. A module with a `__getattr__` of its own (lazy imports, clients that connect when touched) is asked, too.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check hypothesis==6.170.17 valkey-glide==2.6.0 pytest==9.2.0

mkdir "$work/suite"
cd "$work/suite"
printf '[pytest]\nfilterwarnings = error\n' >pytest.ini
cat >test_client.py <<'EOF'
import glide


def test_client():
    assert glide.GlideClient
EOF
cat >test_arithmetic.py <<'EOF'
from hypothesis import given, settings
from hypothesis import strategies as st


@settings(database=None)
@given(st.integers())
def test_property(number):
    assert number + 0 == number
EOF
cat >test_lazy.py <<'EOF'
import sys
import types

asked = []


class Lazy(types.ModuleType):
    def __getattr__(self, name):
        asked.append(name)
        raise AttributeError(name)


sys.modules["lazy"] = Lazy("lazy")


def test_lazy():
    print("asked of a lazy module:", asked)
    assert asked == ["__file__"]
EOF
run() {
    local expected=$1 status=0
    shift
    "$work/venv/bin/python" -m pytest -q -s -p no:cacheprovider "$@" >output 2>&1 || status=$?
    echo "pytest $*: status $status"
    grep -hoE "asked of.*|INTERNALERROR> DeprecationWarning.*|[0-9]+ passed|no tests ran" output
    test "$status" = "$expected"
}
run 0 test_client.py
run 0 test_arithmetic.py test_lazy.py
run 3 test_client.py test_arithmetic.py
grep -q "INTERNALERROR> DeprecationWarning: Importing from 'glide.exceptions' is deprecated" output
grep -q "no tests ran" output
run 0 test_client.py test_arithmetic.py -W "ignore:Importing from 'glide:DeprecationWarning"
