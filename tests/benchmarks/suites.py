"""What tests and runs cost: whole runs of generated suites on each side, counted or timed."""

from __future__ import annotations

import json
import statistics
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.benchmarks.inner import KERNEL, OFF, SMALL, STRICT, Machine, Usage
from tests.benchmarks.table import Figure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.benchmarks.table import Side

    Options = Mapping[Side, tuple[str, ...]]

_IN_A_MODULE: Final = 100
_STEPS: Final = (100, 300)

_PROBE: Final = """\
import collections
import json
import sys

before = set(sys.modules)
events = collections.Counter()
counting = [True]


def count(event, _arguments):
    if counting[0]:
        events[event] += 1


sys.addaudithook(count)


def pytest_unconfigure():
    counting[0] = False
    print(json.dumps([events, sorted({"wrapt", "asyncio"} & set(sys.modules))]))
"""


@cache
def suite(machine: Machine, size: str, count: int) -> Path:
    """Write a project of empty tests in modules of a hundred; return its directory."""
    directory = machine.directory("suite")
    mark = f"pytestmark = pytest.mark.{size}\n" if size else ""
    for first in range(0, count, _IN_A_MODULE):
        body = "".join(f"\n\ndef test_{number}():\n    pass\n" for number in range(min(_IN_A_MODULE, count - first)))
        (directory / f"test_m{first // _IN_A_MODULE}.py").write_text(f"import pytest\n\n{mark}{body}", encoding="utf-8")
    return directory


@cache
def _instructions(machine: Machine, size: str, count: int, options: tuple[str, ...]) -> int:
    """Return what a run of empty tests takes."""
    found = machine.instructions(machine.pytest(*options), suite(machine, size, count))
    machine.say(f"{count} tests, {' '.join(options) or 'bare'}: {found:,} instructions")
    return found


def _side_by_side(work: Callable[[Side], float], sides: Options) -> dict[Side, float]:
    """Count on all sides, two at a time: nothing changes counts."""
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(sides, pool.map(work, sides), strict=True))


@dataclass(frozen=True, slots=True)
class EachTest:
    """Thousands of instructions that each empty test takes: what more tests add to a run.

    Without garbage collection: one more of it in the longer run would count as 75 of a test's thousands.

    Args:
        size: The tests' marker, if any.
        part: The whole run, or only the collection, or what is left after that.
        sides: What they load.
    """

    size: str = "small"
    part: str = "all"
    sides: tuple[tuple[Side, tuple[str, ...]], ...] = tuple(SMALL.items())

    def __call__(self, machine: Machine) -> Figure:
        """Count."""
        sides = dict(self.sides)

        def each(side: Side, *more: str) -> float:
            few, many = _STEPS
            options = ("-p", "no_gc", *sides[side], *more)
            found = _instructions(machine, self.size, many, options) - _instructions(machine, self.size, few, options)
            return found / (many - few) / 1000

        (machine.work / "no_gc.py").write_text("import gc\n\ngc.disable()\n", encoding="utf-8")
        for count in _STEPS:
            suite(machine, self.size, count)
        values: dict[Side, float] = {}
        if self.part != "collection":
            values = _side_by_side(each, sides)
        if self.part != "all":
            collection = _side_by_side(lambda side: each(side, "--collect-only"), sides)
            values = {side: values.get(side, 2 * found) - found for side, found in collection.items()}
        return Figure(values)


@dataclass(frozen=True, slots=True)
class Start:
    """Millions of instructions of a run of one test."""

    sides: tuple[tuple[Side, tuple[str, ...]], ...] = tuple(SMALL.items())

    def __call__(self, machine: Machine) -> Figure:
        """Count; say what importing wrapt alone takes, too."""
        suite(machine, "small", 1)
        sides = dict(self.sides)
        figure = Figure(
            _side_by_side(lambda side: _instructions(machine, "small", 1, sides[side]) / 1e6, sides),
        )
        (machine.work / "imports_wrapt.py").write_text("import wrapt\n", encoding="utf-8")
        wrapt = _instructions(machine, "small", 1, ("-p", "imports_wrapt")) / 1e6 - figure.values["bare"]
        figure.notes = f"`import wrapt` alone takes {wrapt:,.1f} M"
        return figure


@cache
def _marked_suite(machine: Machine, count: int) -> Path:
    """Write a project of tests in classes, marked themselves, every second one by its parameters: the most to look at."""
    directory = machine.directory("marked")
    body = "".join(
        f"""
    @pytest.mark.small
    def test_{number}(self):
        pass

    @pytest.mark.parametrize("value", [pytest.param(1, marks=pytest.mark.small)])
    def test_{number}_with(self, value):
        pass
"""
        for number in range(count // 2)
    )
    (directory / "test_marked.py").write_text(f"import pytest\n\n\nclass Test:{body}", encoding="utf-8")
    return directory


def _probe(machine: Machine, count: int, options: tuple[str, ...]) -> tuple[dict[str, int], list[str]]:
    """Return the audit events of a run by name, and which of the expensive modules it imported."""
    (machine.work / "probe.py").write_text(_PROBE, encoding="utf-8")
    directory = _marked_suite(machine, count)
    command = machine.pytest("-p", "probe", *options)
    machine.warm(command, directory)
    done = subprocess.run(
        command, cwd=directory, env=machine.environment(), stdout=subprocess.PIPE, text=True, check=True
    )
    events, modules = json.loads(done.stdout.splitlines()[-1])
    return events, modules


def audit_events(machine: Machine) -> Figure:
    """Count the audit events that each small test raises, and those that ours raises beyond bare pytest."""
    few, many = 100, 300

    def each(options: tuple[str, ...]) -> dict[str, float]:
        less, more = (_probe(machine, count, options)[0] for count in (few, many))
        return {event: (times - less.get(event, 0)) / (many - few) for event, times in more.items()}

    sides = {side: each(options) for side, options in SMALL.items()}
    own = {event: times - sides["bare"].get(event, 0) for event, times in sides["ours"].items()}
    notes = ", ".join(f"{event} {times:+.2f}" for event, times in sorted(own.items()) if abs(times) > 1 / many)
    return Figure({side: sum(events.values()) for side, events in sides.items()}, notes=notes)


def modules_in_off_mode(machine: Machine) -> Figure:
    """Count which of wrapt and asyncio a run in off mode imports, and a bare one does not."""
    bare, off = (_probe(machine, 100, options)[1] for options in ((), OFF))
    return Figure({"ours": len(set(off) - set(bare))}, notes=", ".join(sorted(set(off) - set(bare))))


def _timed(machine: Machine, sides: dict[Side, tuple[list[str], Path]], rounds: int) -> dict[Side, list[Usage]]:
    """Run all sides in turns, after one run of each that doesn't count."""
    for command, directory in sides.values():
        machine.warm(command, directory)
    taken: dict[Side, list[Usage]] = {side: [] for side in sides}
    for number in range(rounds):
        for side in list(sides) if number % 2 else list(reversed(sides)):
            command, directory = sides[side]
            taken[side].append(machine.usage(command, directory))
    return taken


def _seconds(taken: Mapping[Side, list[Usage]], choose: Callable[[list[float]], float]) -> dict[Side, float]:
    return {side: choose([usage.seconds for usage in found]) for side, found in taken.items()}


@dataclass(frozen=True, slots=True)
class Runs:
    """Seconds of processor time that runs of empty small tests take.

    Args:
        count: How many tests.
        ours: The options of our side, and of the side that it is compared with.
        rounds: Runs of each side.
        counted: Whether to count the instructions too.
    """

    count: int
    ours: tuple[str, ...]
    bare: tuple[str, ...] = STRICT
    rounds: int = 7
    counted: bool = True

    def __call__(self, machine: Machine) -> Figure:
        """Time and count."""
        directory = suite(machine, "small", self.count)
        options: dict[Side, tuple[str, ...]] = {"bare": self.bare, "ours": self.ours}
        sides = {side: (machine.pytest(*chosen), directory) for side, chosen in options.items()}
        taken = _timed(machine, sides, 3 if machine.quick else self.rounds)
        figure = Figure(_seconds(taken, min), _seconds(taken, statistics.median))
        if self.counted and not machine.quick:
            figure.instructions = _side_by_side(
                lambda side: machine.instructions(*sides[side]) / self.count / 1000, options
            )
        return figure


def report(machine: Machine) -> Figure:
    """Time runs with a report and without it."""
    count = 2_000 if machine.quick else 10_000
    return Runs(count, (*STRICT, "--network-report=report.json"))(machine)


def kernel_tests(machine: Machine) -> Figure:
    """Time runs of 2,000 empty small tests with the kernel layer and without it."""
    return Runs(2_000, KERNEL, counted=False)(machine)


def kernel_start(machine: Machine) -> Figure:
    """Time runs of one test with the kernel layer and without it."""
    return Runs(1, KERNEL, rounds=21, counted=False)(machine)


def collection(machine: Machine) -> Figure:
    """Time and count the collection of tests that use 5 of 100 fixtures of broad scopes."""
    modules, fixtures, used = 100, 100, 5
    count = 2_000 if machine.quick else 10_000
    directory = machine.directory("collection")
    text = "".join(
        f'\n\n@pytest.fixture(scope="{"session" if number % 2 else "module"}")\ndef f{number}():\n    return {number}\n'
        for number in range(fixtures)
    )
    (directory / "conftest.py").write_text(f"import pytest\n{text}", encoding="utf-8")
    for module in range(modules):
        tests = ""
        for number in range(count // modules):
            first = module * 7 + number * used
            names = ", ".join(f"f{(first + step) % fixtures}" for step in range(used))
            tests += f"\n\ndef test_{number}({names}):\n    pass\n"
        mark = f"pytestmark = pytest.mark.{('small', 'medium', 'large')[module % 3]}\n"
        (directory / f"test_m{module}.py").write_text(f"import pytest\n\n{mark}{tests}", encoding="utf-8")
    sides = {side: (machine.pytest("--collect-only", *options), directory) for side, options in SMALL.items()}
    taken = _timed(machine, sides, 3 if machine.quick else 7)
    figure = Figure(_seconds(taken, min), _seconds(taken, statistics.median))
    if not machine.quick:
        figure.instructions = _side_by_side(
            lambda side: machine.instructions(*sides[side]) / count / 1000, {"bare": (), "ours": STRICT}
        )
    return figure


@dataclass(frozen=True, slots=True)
class Gather:
    """Milliseconds that guarding 2,000 coroutines at once costs, beside what guarding 500 costs: see ``gather``."""

    work: str

    def __call__(self, machine: Machine) -> Figure:
        """Measure in the environment of the other rows."""
        program = str(Path(__file__).with_name("gather.py"))
        done = subprocess.run(
            [machine.python, program, self.work, "2" if machine.quick else "5"],
            env=machine.environment(),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        few, many = json.loads(done.stdout)
        return Figure({"bare": few, "ours": many}, notes="under bare: 500 of them, under ours: 2,000")


_LOADS: Final = """
import sys, time
from pytest_test_categories._report.baselines import BaselineFiles
taken = []
for _ in range(int(sys.argv[2])):
    start = time.process_time()
    BaselineFiles(sys.argv[1:2], "/").baseline.of("tests/test_module_1.py::test_1")
    taken.append(time.process_time() - start)
print(min(taken) * 1000)
"""


def baseline_load(machine: Machine) -> Figure:
    """Measure what a baseline of 20,000 entries costs a worker: milliseconds of processor time to load it."""
    file = machine.work / "network-baseline.json"
    lines = (
        json.dumps([f"tests/package_{n % 40}/test_module_{n % 700}.py::test_{n}", "connect", "api.example.com:443"])
        for n in range(20_000)
    )
    file.write_text('{"version": 1, "violations": [\n' + ",\n".join(lines) + "\n]}\n", encoding="utf-8")
    done = subprocess.run(
        [machine.python, "-c", _LOADS, str(file), "5" if machine.quick else "15"],
        env=machine.environment(),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return Figure({"ours": float(done.stdout)}, notes="20,000 entries, the least of the loads")


@cache
def _growth(machine: Machine, count: int) -> dict[Side, list[Usage]]:
    """Run a suite of that many tests; a run of one test is what they are added to."""
    directory = suite(machine, "small", count)
    sides = {side: (machine.pytest(*options), directory) for side, options in SMALL.items()}
    rounds = 1 if count > 10_000 or machine.quick else 3  # more tests say as much in one run
    return _timed(machine, sides, rounds)


@dataclass(frozen=True, slots=True)
class Growth:
    """What each of so many tests takes: microseconds of processor time, or KiB of memory."""

    count: int
    memory: bool = False

    def __call__(self, machine: Machine) -> Figure:
        """Time, and look at the peaks."""
        one, many = _growth(machine, 1), _growth(machine, self.count)

        def least(taken: list[Usage]) -> float:
            return min(usage.peak if self.memory else usage.seconds * 1e6 for usage in taken)

        return Figure({side: (least(many[side]) - least(one[side])) / (self.count - 1) for side in many})
