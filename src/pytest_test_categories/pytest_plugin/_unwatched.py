"""Counts the programs and interpreters that tests of a restricted size started and that no layer watches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pytest_test_categories._processes.spool import SUBINTERPRETER
from pytest_test_categories._runtime import runtime

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_test_categories._ledger.runs import Run

_SHOWN: Final = 6


def counts(run: Run) -> dict[str, Any]:
    """Return the run's counts, JSON-safe; empty if the kernel layer watches all programs."""
    return {} if run.children_watched else runtime.unwatched(run)


def merge(into: dict[str, Any], more: dict[str, Any]) -> None:
    """Add one dictionary of counts, such as a worker's, to another."""
    for key in ("count", "tests"):
        into[key] = into.get(key, 0) + more.get(key, 0)
    _add(into.setdefault("programs", {}), more.get("programs", {}))
    by_test = into.setdefault("by_test", {})
    for test, programs in more.get("by_test", {}).items():
        _add(by_test.setdefault(test, {}), programs)


def _add(into: dict[str, int], counts: dict[str, int]) -> None:
    for name, count in counts.items():
        into[name] = into.get(name, 0) + count


def lines(found: dict[str, Any]) -> Iterable[str]:
    """Yield the summary's line about unwatched programs."""
    if not found.get("count"):
        return
    programs = sorted(found["programs"].items(), key=lambda program: (-program[1], program[0]))
    names = [name if count == 1 else f"{name} (x{count})" for name, count in programs[:_SHOWN]]
    if len(programs) > _SHOWN:
        names.append(f"{len(programs) - _SHOWN} more")
    tests = found["tests"]
    what = "child processes and interpreters" if SUBINTERPRETER in found["programs"] else "child processes"
    yield (f"unwatched {what}: {found['count']} in {tests} {'test' if tests == 1 else 'tests'}: {', '.join(names)}")
