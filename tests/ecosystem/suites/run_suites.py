"""Run other people's suites with enforcement off and held to a size, and show what differs.

A suite that touches only this machine must not notice the plugin in medium, and one of a library that keeps tests off
the network must not in small. Each is run twice in a sandbox that nothing leaves; a test whose outcome differs is run again by itself, at least twice in both
modes, to tell a flaky test from a broken one.
"""

from __future__ import annotations

import argparse
import collections
import getpass
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import results
from projects import EXPLANATIONS, PROJECTS
from sandbox import TIMED_OUT, command_line

if TYPE_CHECKING:
    from projects import Project

HERE: Final = Path(__file__).resolve().parent
PLUGIN: Final = HERE.parents[2]
MODES: Final = {
    "bare": (
        "-p",
        "no:test_categories",
        "-p",
        "no:test-categories",
        "-p",
        "no:pytest_test_categories",
    ),
    "off": ("--test-categories-enforcement=off",),
    "strict": ("--test-categories-enforcement=strict",),
}
_TARGET: Final = re.compile(
    r"^[ |E]*What happened:\n[ |E]*Attempted network connection to (.+)$", re.MULTILINE
)
VERDICTS: Final = ("flaky", "in company", "explained", "BREAK")
_WORST: Final = ("failed", "error", "xpassed", "skipped", "xfailed", "passed")


@dataclass(slots=True)
class Result:
    """What became of one test.

    Attributes:
        outcome: The worst of its phases, in pytest's words.
        targets: What TC001 said it attempted.
        text: Its failure as pytest shows it.
    """

    outcome: str = "passed"
    targets: list[str] = field(default_factory=list)
    text: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a suite in one mode.

    Attributes:
        results: By test id.
        status: Exit status of pytest, 124 when it ran out of time.
        seconds: How long it took.
        sent: What went into the sink, with packet counts.
        unfinished: The test that was running when the record ends, if it ends early.
        log: The run's output.
    """

    results: dict[str, Result]
    status: int
    seconds: float
    sent: dict[str, int]
    unfinished: str
    log: Path


@dataclass(frozen=True, slots=True)
class Difference:
    """A test whose outcomes differ, with what runs of it alone gave.

    Attributes:
        test: Its id.
        off: Outcome with enforcement off, ``-`` where it did not run.
        strict: Outcome in strict mode, ``-`` where it did not run.
        target: What TC001 named first, if anything.
        alone: Outcomes alone, by mode.
        verdict: one of ``VERDICTS``.
        reason: The explanation.
    """

    test: str
    off: str
    strict: str
    target: str
    alone: dict[str, list[str]]
    verdict: str
    reason: str


def _outcome(line: dict[str, object]) -> str:
    outcome = str(line["outcome"])
    if outcome == "failed" and line["when"] != "call":
        return "error"
    if line.get("xfail"):
        return "xfailed" if outcome == "skipped" else "xpassed"
    return outcome


def read_record(path: Path) -> tuple[dict[str, Result], str]:
    """Read what the recorder wrote.

    Returns:
        Results by test id, and the test that had begun but not ended when the record stops.
    """
    results: dict[str, Result] = {}
    running = ""
    for line in map(
        json.loads, path.read_text(encoding="utf-8").splitlines() if path.exists() else ()
    ):
        match line["when"]:
            case "start":
                running = line["id"]
                continue
            case "finish":
                running = ""
                continue
        result = results.setdefault(line["id"], Result())
        result.outcome = min(result.outcome, _outcome(line), key=_WORST.index)
        text = line.get("text", "") + "\n" + line.get("sections", "")
        result.targets = list(dict.fromkeys((*result.targets, *_TARGET.findall(text))))
        result.text += text if line["outcome"] == "failed" else ""
    return results, running


class Suite:
    """One project's suite: its environment and its runs."""

    def __init__(
        self, project: Project, work: Path, python: str, source: Path | None = None
    ) -> None:
        self.project = project
        self.folder = work / project.name
        self.python = python
        self.given = source

    @property
    def program(self) -> Path:
        """The Python of the project's environment."""
        return self.folder / "venv" / "bin" / "python"

    @property
    def source(self) -> Path:
        """The root of the unpacked source distribution."""
        if self.project.standard_library:
            return Path(self._ask("sysconfig", "get_path('stdlib')"))
        return self.given or next(
            path for path in (self.folder / "source").iterdir() if path.is_dir()
        )

    @property
    def version(self) -> str:
        """The version of the suite: of the Python whose own it is."""
        if not self.project.standard_library:
            return self.project.version
        return self._ask("platform", "python_version()")

    def _ask(self, module: str, expression: str) -> str:
        program = f"import {module}; print({module}.{expression})"
        return subprocess.run([self.python, "-c", program], check=True, capture_output=True, text=True).stdout.strip()

    def _pip(self, *words: str) -> None:
        command = [str(self.program), "-m", "pip", "--quiet", "--disable-pip-version-check", *words]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{self.project.release}: pip {' '.join(words)}\n{done.stdout}{done.stderr}")

    def prepare(self) -> None:
        """Make the environment, download the project, install what its tests need: once."""
        done = self.folder / "prepared"
        release = self.project.release
        recipe = repr(
            (release, self.project.extras, self.project.needs, self.project.wheel, self.python)
        )
        if done.exists() and done.read_text() == recipe:
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        subprocess.run([self.python, "-m", "venv", str(self.folder / "venv")], check=True)
        self._pip("install", "--upgrade", "pip", "wheel")
        self._pip("install", *self._own(), "pytest>=8.4", "wrapt>=2.4", *self.project.needs)
        done.write_text(recipe)

    def _own(self) -> tuple[str, ...]:
        """Return what pip installs the project from, downloaded if nobody gave it."""
        if self.project.standard_library:
            return ()
        if self.given is None:
            self._download()
        release, extras = self.project.release, self.project.extras
        return (release.replace("==", f"{extras}==") if self.project.wheel else f"{self.source}{extras}",)

    def _download(self) -> None:
        downloads = self.folder / "downloads"
        name, release = self.project.distribution, self.project.release
        self._pip("download", "--no-binary", name, "--no-deps", "--dest", str(downloads), release)
        (archive,) = downloads.iterdir()
        with tarfile.open(archive) as packed:
            packed.extractall(self.folder / "source", filter="data")

    def install_plugin(self, plugin: Path) -> None:
        """Install the plugin as it is now: a copy, which no edit changes under a running suite."""
        self._pip("install", "--force-reinstall", "--no-deps", str(plugin))

    def run(self, mode: str, *, limit: float, only: list[str] | None = None) -> Run:
        """Run the suite, or only the tests named, in the sandbox."""
        runs = self.folder / "runs"
        runs.mkdir(exist_ok=True)
        name = f"{mode}-alone" if only else mode
        record, sink, log = runs / f"{name}.jsonl", runs / f"{name}.sink.json", runs / f"{name}.log"
        for path in (record, sink):
            path.unlink(missing_ok=True)
        home = self.folder / "home"
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir()
        environment = {
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "PATH": os.pathsep.join((str(self.program.parent), os.defpath, "/usr/sbin", "/sbin")),
            "PYTHONHASHSEED": "0",
            "PYTHONPATH": str(HERE / "recorder"),
            "SUITE_RECORD": str(record),
            "TMPDIR": tempfile.gettempdir(),
            "USER": getpass.getuser(),
            **self.project.environment,
        }
        if only:
            environment["SUITE_ONLY"] = json.dumps(only)
        sizing: tuple[str, ...] = ()
        if mode == "strict":
            sizing = (f"--test-categories-default-size={self.project.size}", *self.project.strict)
        if self.project.stand_in and mode == "strict":
            environment["PYTHONPATH"] = os.pathsep.join((str(HERE / "stand_in"), environment["PYTHONPATH"]))
            mode, sizing = "off", ("--runpytest=subprocess",)
        # CPython's tests write where they stand.
        directory = home if self.project.standard_library else self.source
        options = (
            "-p",
            "suite_recorder",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:randomly",
            f"--rootdir={os.path.relpath(self.source, directory)}",
            "--continue-on-collection-errors",
            *MODES[mode],
            *sizing,
        )
        command = [str(self.program), "-m", "pytest", *options, *self.project.arguments]
        started = time.monotonic()
        with log.open("wb") as output:
            status = subprocess.run(
                command_line(command, sink=sink, timeout=limit),
                check=False,
                cwd=directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            ).returncode
        seconds = time.monotonic() - started
        (runs / f"{name}.json").write_text(json.dumps({"status": status, "seconds": seconds}))
        return self.read(name)

    def read(self, name: str) -> Run:
        """Read what a run has left."""
        runs = self.folder / "runs"
        outcomes, running = read_record(runs / f"{name}.jsonl")
        sink = runs / f"{name}.sink.json"
        sent = json.loads(sink.read_text()) if sink.exists() else {}
        told = json.loads((runs / f"{name}.json").read_text())
        return Run(outcomes, told["status"], told["seconds"], sent, running, runs / f"{name}.log")

    def compare(self, off: Run, strict: Run, *, limit: float, repeats: int) -> list[Difference]:
        """Look at each test whose outcomes differ, running the first ``repeats`` of them alone."""
        differences = []
        alone: dict[str, list[str]]
        for test in sorted({*off.results, *strict.results}):
            before = off.results.get(test, Result("-"))
            after = strict.results.get(test, Result("-"))
            if before.outcome == after.outcome and not (
                after.targets and after.outcome != "passed"
            ):
                continue
            refused = strict.results.get(f"collect {test.partition('::')[0]}", Result())
            if after.outcome == "-":  # gone with its module, whose import was refused
                after.targets = refused.targets
            if self.project.stand_in:  # what the runs inside of a test say of targets is part of its failure
                after.targets = []
            reasons = [self._reason(test, target) for target in after.targets or [""]]
            if reasons and all(reasons):
                alone, verdict = {}, "explained"
            elif repeats <= 0:
                alone, verdict = {}, "BREAK"
            else:
                repeats -= 1
                alone = self._alone(test, limit, rounds=2)
                verdict = _verdict(alone, hit=bool(after.targets))
                if verdict == "BREAK" and not after.targets:  # bad luck twice looks the same
                    alone = self._alone(test, limit, rounds=5)
                    verdict = _verdict(alone, hit=False)
            target = next(iter(after.targets), "")
            reason = next(filter(None, reasons), "")
            differences.append(
                Difference(test, before.outcome, after.outcome, target, alone, verdict, reason)
            )
        return differences

    def _reason(self, test: str, target: str) -> str:
        known = (
            each.reason for each in EXPLANATIONS if each.covers(self.project.name, test, target)
        )
        return next(known, "")

    def _alone(self, test: str, limit: float, *, rounds: int) -> dict[str, list[str]]:
        """Run a test alone, in both modes by turns: what else the machine does weighs on both."""
        seen: dict[str, list[str]] = {"off": [], "strict": []}
        for _ in range(rounds):
            for mode, outcomes in seen.items():
                result = self.run(mode, limit=limit, only=[test]).results.get(test, Result("-"))
                outcomes.append(result.outcome)
        return seen


def _verdict(alone: dict[str, list[str]], *, hit: bool) -> str:
    off, strict = set(alone["off"]), set(alone["strict"])
    if len(off) > 1 or (len(strict) > 1 and not hit):
        return "flaky"
    if off == strict and not hit:
        return "in company"
    return "BREAK"


def unattributed(log: Path) -> list[str]:
    """Return the lines of the plugin's summary about violations that no test is charged with."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    start = next(
        (
            at
            for at, line in enumerate(lines)
            if line.startswith("network violations that no running")
        ),
        None,
    )
    if start is None:
        return []
    rest = lines[start + 1 :]
    return rest[
        : next((at for at, line in enumerate(rest) if not line.startswith("  ")), len(rest))
    ]


def _print_run(mode: str, run: Run) -> None:
    counts = collections.Counter(result.outcome for result in run.results.values())
    told = ", ".join(f"{number} {outcome}" for outcome, number in sorted(counts.items()))
    late = " TIMED OUT" if run.status == TIMED_OUT else ""
    print(
        f"  {mode:6} {len(run.results)} tests in {run.seconds:.0f} s,"
        f" exit {run.status}{late}: {told}"
    )
    if run.unfinished:
        print(f"         the record ends in {run.unfinished}; see {run.log}")
    for target, packets in list(run.sent.items())[:12]:
        print(f"         sent to the sink: {target} ({packets} packets)")


def _print_difference(difference: Difference) -> None:
    print(f"  {difference.verdict}: {difference.test}")
    print(
        f"      off {difference.off}, strict {difference.strict}"
        + f", TC001 {difference.target}" * bool(difference.target)
    )
    if difference.alone:
        print(
            "      alone: "
            + "; ".join(f"{mode} {', '.join(seen)}" for mode, seen in difference.alone.items())
        )
    if difference.reason:
        print(f"      {difference.reason}")


def examine(suite: Suite, options: argparse.Namespace) -> dict[str, Any]:
    """Run one suite in each mode, print what differs.

    Returns:
        What is kept of it.
    """
    project = suite.project
    print(f"{project.name} {suite.version}, held to {project.size}", flush=True)
    runs = {}
    for mode in options.modes:
        runs[mode] = suite.read(mode) if options.again else suite.run(mode, limit=max(options.limit, project.seconds))
        _print_run(mode, runs[mode])
    sys.stdout.flush()
    first, last = runs[options.modes[0]], runs[options.modes[-1]]
    entry: dict[str, Any] = {
        "suite": project.name,
        "version": suite.version,
        "size": project.size,
        "date": time.strftime("%Y-%m-%d", time.gmtime(last.log.stat().st_mtime)),
        "tests": len(first.results),
        "off": round(first.seconds),
        "strict": round(last.seconds),
    }
    if not {"off", "strict"} <= runs.keys():
        return entry
    differences = suite.compare(runs["off"], runs["strict"], limit=options.limit, repeats=options.repeats)
    gone = [each for each in differences if each.strict == "-" and each.verdict == "explained"]
    for difference in differences:
        if difference not in gone:
            _print_difference(difference)
    if gone:
        print(f"  explained: {len(gone)} tests of modules whose import was refused")
    for line in unattributed(runs["strict"].log):
        print(f"  no test's: {line}")
    sys.stdout.flush()
    verdicts = collections.Counter(difference.verdict for difference in differences)
    reasons = collections.Counter(each.reason for each in differences if each.verdict == "explained")
    entry |= {"differ": len(differences), **{verdict: verdicts[verdict] for verdict in VERDICTS}}
    entry["reasons"] = dict(reasons.most_common())
    if project.stand_in:
        entry["promises"] = _promises(runs["off"], differences)
    return entry


def _promises(theirs: Run, differences: list[Difference]) -> dict[str, str]:
    """Return what became of each test of a library whose place ours takes: empty for what holds."""
    differing = {each.test: each.reason or each.verdict for each in differences}
    return {
        test: differing.get(test, "" if result.outcome == "passed" else f"not tried: {result.outcome} with theirs too")
        for test, result in theirs.results.items()
    }


def print_table(entries: list[dict[str, Any]]) -> None:
    """Print the summary."""
    keys = ("suite", "version", "size", "tests", "off", "strict", "differ", *VERDICTS)
    rows = [keys, *(tuple(str(entry.get(key, "")) for key in keys) for entry in entries)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def main() -> int:
    """Run the suites asked for.

    Returns:
        1 if a test broke that no explanation covers, else 0.
    """
    names = [project.name for project in PROJECTS]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "names", nargs="*", metavar="PROJECT", help=f"of: {', '.join(names)}; all without any"
    )
    parser.add_argument(
        "--work",
        type=Path,
        default=Path(tempfile.gettempdir()) / "suites",
        help="where to keep them",
    )
    parser.add_argument("--python", default=sys.executable, help="for the environments")
    parser.add_argument(
        "--plugin",
        type=Path,
        default=PLUGIN,
        help="what to install as the plugin: a folder, a wheel",
    )
    parser.add_argument("--modes", nargs="+", choices=MODES, default=["off", "strict"])
    parser.add_argument("--limit", type=float, default=900, help="seconds for one run of a suite")
    parser.add_argument(
        "--repeats", type=int, default=20, help="differing tests to run alone, of each suite"
    )
    parser.add_argument(
        "--source",
        nargs=2,
        action="append",
        default=[],
        metavar=("PROJECT", "FOLDER"),
        help="take a project and its tests from a folder, not from the package index",
    )
    parser.add_argument("--write", action="store_true", help="keep the results, and make the page of all kept")
    parser.add_argument("--again", action="store_true", help="run nothing whole: look anew at the last runs")
    parser.add_argument("--prepare", action="store_true", help="make the environments and stop")
    options = parser.parse_args()
    if unknown := set(options.names) - set(names):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; choose from {', '.join(names)}")
    sources = {name: Path(folder).resolve() for name, folder in options.source}
    entries = []
    for project in PROJECTS:
        if options.names and project.name not in options.names:
            continue
        if project.repository and project.name not in sources:
            print(
                f"{project.release}: left out, its tests are in its repository only"
                f" (--source {project.name} FOLDER)"
            )
            continue
        suite = Suite(project, options.work, options.python, sources.get(project.name))
        suite.prepare()
        if options.prepare:
            continue
        if options.modes != ["bare"] and not options.again:
            suite.install_plugin(options.plugin)
        entries.append(examine(suite, options))
        if options.write:
            results.keep(entries[-1])
    if options.write:
        results.write_page()
    if entries:
        print()
        print_table(entries)
    return int(any(entry.get("BREAK") for entry in entries))


if __name__ == "__main__":
    sys.exit(main())
