#!/usr/bin/env bash
# coverage's `patch = subprocess`: each Python child imports some 170 modules more and leaves a data file of 52 KiB, even `python -I -c pass`.
#
# Versions: coverage 7.17.5 (wheel), CPython 3.11.7.
# Behaviour: with `patch = subprocess` the environment of `coverage run` tells each Python below it, by a .pth file of coverage's in site-packages,
#   to import coverage before its own first line. That is the whole package, 41 modules of it with the reports as HTML, XML, JSON, LCOV and
#   Markdown and what they need (sqlite3, multiprocessing, socket, urllib): 194 imports instead of 26. What the child runs is
#   not asked: `source` names a module that it never imports, and still it writes a data file of 53248 bytes, without a file, line or arc in it,
#   and no warning is given, while the parent warns of a module that was never imported. The -I and -E that a child is started
#   with to shut the environment out change nothing, since the .pth file reads the variable itself; -S does.
# For who tests: a suite that starts many short Python processes pays for this in each; and "Combined 2 files, skipped 2" (of four files, three empty
#   ones alike) is the sign of it.
#   Leave COVERAGE_PROCESS_CONFIG out of the environment of children that run nothing of yours.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset "${!COVERAGE@}"
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check coverage==7.17.5
mkdir "$work/project" "$work/data"
cd "$work/project"
printf 'def half(value):\n    return value / 2\n' >measured.py
printf '[run]\nsource = measured\npatch = subprocess\ndata_file = %s/.coverage\n' "$work/data" >.coveragerc
cat >parent.py <<'EOP'
import os
import subprocess
import sys
from pathlib import Path

import measured

under_coverage = sys.argv[2] == "coverage"
data = Path(sys.argv[1])
measured.half(1)


def child(title, *options, **settings):
    files = len(list(data.iterdir()))
    result = subprocess.run([sys.executable, *options, "-X", "importtime", "-c", "pass"], capture_output=True, text=True, **settings)
    assert result.returncode == 0
    assert result.stdout == ""
    names = [line.split("|")[-1].strip() for line in result.stderr.splitlines()]
    assert all(line.startswith("import time:") for line in result.stderr.splitlines()), result.stderr
    of_coverage = sum(name.partition(".")[0] == "coverage" for name in names)
    left = len(list(data.iterdir())) - files
    print(f"  {title:36} {len(names):3} imports, {of_coverage:2} of coverage, {left} data files")
    expected = under_coverage and title not in {"-S", "without COVERAGE_PROCESS_CONFIG"}
    assert left == expected
    if expected:
        assert len(names) > 150, names
        assert of_coverage == 41
        assert {"coverage.html", "coverage.xmlreport", "coverage.lcovreport", "sqlite3", "multiprocessing", "socket"} <= set(names), names
    else:
        assert len(names) < 50, names
        assert of_coverage == 0


print("under coverage run:" if under_coverage else "without coverage:")
child("no option")
child("-I", "-I")
child("-E", "-E")
child("-S", "-S")
child("without COVERAGE_PROCESS_CONFIG", env={name: value for name, value in os.environ.items() if name != "COVERAGE_PROCESS_CONFIG"})
EOP
"$work/venv/bin/python" parent.py "$work/data" bare
"$work/venv/bin/coverage" run parent.py "$work/data" coverage
"$work/venv/bin/python" - "$work/data" <<'EOP'
import sys
from pathlib import Path

import coverage

found = []
for path in Path(sys.argv[1]).iterdir():
    data = coverage.CoverageData(str(path))
    data.read()
    found.append(([Path(name).name for name in data.measured_files()], path.stat().st_size))
print("coverage", coverage.__version__, "data files with the names of measured files:", sorted(found))
assert sorted(names for names, _ in found) == [[], [], [], ["measured.py"]], found
EOP
"$work/venv/bin/coverage" combine 2>&1 | tee combined
grep -q "Combined 2 files, skipped 2" combined
