"""Cut suites of public projects, combine the recordings of the parts, and compare with a run of all.

Each suite runs whole, and then cut four ways: by pytest-split, by path, by pytest-xdist's workers, and file by file. The
combined report of each cut must equal that of the whole run, but for times,
counts, and ports that the system picks: these also differ between two runs of all.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from projects import PROJECTS
from run_suites import PLUGIN, Suite
from sandbox import command_line

if TYPE_CHECKING:
    from collections.abc import Iterator

PARTS: Final = 3
_PICKED: Final = re.compile(r":(?:3[2-9]\d{3}|[45]\d{4}|6[0-5]\d{3})\b")  # the system's own choice of ports
_SHOWN: Final = 10


class Cut:
    """One suite, and where its recordings go."""

    def __init__(self, suite: Suite, limit: float) -> None:
        self.suite = suite
        self.folder = suite.folder / "cuts"
        self._limit = limit
        *self._options, self._tests = suite.project.arguments
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()

    def run(self, name: str, *more: str, paths: tuple[str, ...] = ()) -> None:
        """Run the suite or a part of it; ``name`` is that of its recording.

        Raises:
            RuntimeError: pytest could not run.
        """
        recording = self.folder / f"{name}.jsonl"
        recording.parent.mkdir(exist_ok=True)
        project = self.suite.project
        options = (
            "-p",
            "no:cacheprovider",
            "-p",
            "no:randomly",
            "--rootdir=.",
            "--continue-on-collection-errors",
            "--test-categories-enforcement=strict",
            f"--test-categories-default-size={project.size}",
            *project.strict,
            f"--network-report={recording}",
            f"--network-report={recording.with_suffix('.json')}",
        )
        command = [str(self.suite.program), "-m", "pytest", *options, *more, *self._options, *(paths or (self._tests,))]
        environment = {
            "HOME": str(self.folder),
            "PATH": os.pathsep.join((str(self.suite.program.parent), os.defpath, "/usr/sbin", "/sbin")),
            "PYTHONHASHSEED": "0",
            **project.environment,
        }
        done = subprocess.run(
            command_line(command, sink=self.folder / "sink.json", timeout=self._limit),
            check=False,
            cwd=self.suite.source,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        if done.returncode not in {0, 1} or not recording.exists():
            raise RuntimeError(f"{' '.join(command)}\n{done.stdout[-3000:]}{done.stderr[-1000:]}")

    def files(self) -> list[str]:
        """Return the test files, in pytest's order."""
        report = json.loads((self.folder / "whole" / "1.json").read_text())
        return list(dict.fromkeys(test["file"] for test in report["tests"]))

    def parts(self) -> Iterator[tuple[str, int]]:
        """Run each cut, and yield its name and the number of its parts."""
        self.run("whole/1")
        for group in range(1, PARTS + 1):
            self.run(f"split/{group}", f"--splits={PARTS}", f"--group={group}")
        yield "split", PARTS
        files = self.files()
        for part in range(PARTS):
            self.run(f"path/{part}", paths=tuple(files[part::PARTS]))
        yield "path", PARTS
        self.run("xdist/1", "-n2")
        yield "xdist", 1
        for number, file in enumerate(files):
            self.run(f"each/{number}", paths=(file,))
        yield "each", len(files)

    def combined(self, name: str, expect: int) -> Path:
        """Combine the recordings of a cut, and return the report."""
        report = self.folder / f"{name}.json"
        command = (
            *(str(self.suite.program), "-m", "pytest_test_categories", "combine", str(self.folder / name)),
            *(f"--expect={expect}", f"--network-report={report}"),
        )
        done = subprocess.run(command, check=False, cwd=self.suite.source, capture_output=True, text=True)
        print("   ", *done.stdout.splitlines()[:_SHOWN], done.stderr, sep="\n      ")
        return report


def comparable(path: Path) -> set[str]:
    """Return a report as lines, without what differs between two runs of one suite.

    Nor with what makes it complete: the suites name a directory on the command line, ``combine`` the number of parts.
    """
    report: dict[str, Any] = json.loads(path.read_text())
    lines = {json.dumps({key: report[key] for key in ("mode", "layers", "unwatched")})}
    lines |= {json.dumps(test | {"seconds": 0}) for test in report["tests"]}
    # How often a test dials until its server answers depends on the moment.
    lines |= {_PICKED.sub(":PORT", json.dumps(access | {"count": 0})) for access in report["accesses"]}
    return lines


def main() -> int:
    """Cut the suites asked for.

    Returns:
        1 if a combined report is not that of the whole run, else 0.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+", metavar="PROJECT", help="as for run_suites.py")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "suites", help="where to keep them")
    parser.add_argument("--limit", type=float, default=600, help="seconds for one run")
    options = parser.parse_args()
    differs = False
    for project in (project for project in PROJECTS if project.name in options.names):
        suite = Suite(project, options.work.resolve(), sys.executable)
        suite.prepare()
        suite.install_plugin(PLUGIN)
        suite._pip("install", "pytest-split", "pytest-xdist")
        cut = Cut(suite, options.limit)
        print(f"{project.name} {suite.version}, held to {project.size}", flush=True)
        for name, number in cut.parts():
            whole, combined = (
                comparable(path) for path in (cut.folder / "whole" / "1.json", cut.combined(name, number))
            )
            print(f"  {name}: {number} parts, {len(whole)} lines, {len(whole ^ combined)} differ", flush=True)
            for line in [*(f"- {line}" for line in whole - combined), *(f"+ {line}" for line in combined - whole)][
                :_SHOWN
            ]:
                print(f"    {line[:300]}")
            differs = differs or whole != combined
    return int(differs)


if __name__ == "__main__":
    sys.exit(main())
