#!/usr/bin/env bash
# CPython: `make install` leaves folders of tests out that `python -m test` takes apart by name: those tests can't be run where it is installed.
#
# Versions: CPython 3.11.7, 3.12.1 and 3.13.0, built from their sources (as pyenv does); PYTHON names one of them, else python3 is asked.
# Behaviour: the runner has a list of folders whose modules it runs one by one (SPLITTESTDIRS). In 3.11.7 and 3.12.1 test_concurrent_futures,
#   test_multiprocessing_fork, _forkserver and _spawn are on it, and not among the folders that are installed; in 3.13.0 test_doctests is not. Asked
#   for one of them, the runner ends with a FileNotFoundError of os.listdir() instead of a result. --list-tests shows nothing of it.
# For who runs CPython's tests against an installed Python: that a module is missing does not mean that it has no such tests. What those of
#   multiprocessing are made of is installed: test._test_multiprocessing.install_tests_in_module_dict(globals(), "spawn").
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cat >"$work/look.py" <<'EOF'
import os
import platform
import subprocess
import sys

import test

try:
    from test.libregrtest.findtests import SPLITTESTDIRS
except ImportError:  # 3.11.0 to 3.11.6
    from test.libregrtest.main import SPLITTESTDIRS

OF_MULTIPROCESSING = [f"test_multiprocessing_{name}" for name in ("fork", "forkserver", "spawn")]
EXPECTED = {
    "3.11.7": ["test_concurrent_futures", *OF_MULTIPROCESSING],
    "3.12.1": ["test_concurrent_futures", *OF_MULTIPROCESSING],
    "3.13.0": ["test_doctests"],
}
version = platform.python_version()
if version not in EXPECTED:
    sys.exit(f"CPython {version} was not looked at: set PYTHON to one of {', '.join(EXPECTED)}, built from source")
(folder,) = test.__path__
missing = sorted(name for name in SPLITTESTDIRS if not os.path.isdir(os.path.join(folder, name)))
print("CPython", version)
print("to be run one by one, and not installed:", ", ".join(missing))
assert missing == EXPECTED[version]
listed = subprocess.run([sys.executable, "-m", "test", "--list-tests"], capture_output=True, text=True)
print("--list-tests names them:", any(name in listed.stdout for name in missing))
assert listed.returncode == 0
assert not any(name in listed.stdout for name in missing)
asked = subprocess.run([sys.executable, "-m", "test", missing[0]], capture_output=True, text=True)
print(f"python -m test {missing[0]}: status {asked.returncode}, {asked.stderr.splitlines()[-1].split(':')[0]}")
assert asked.returncode == 1
assert "FileNotFoundError" in asked.stderr
EOF
"${PYTHON:-python3}" "$work/look.py"
