"""TC001 in words: the report, the line of a list, the warning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_test_categories._rules.advice import cures, reach_hints
from pytest_test_categories._rules.fakes import fake

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_test_categories._rules.violation import Violation

DOCUMENTATION: Final = "https://pytest-test-categories.readthedocs.io/errors/TC001"
KERNEL: Final = "kernel"
"""Route of what the Linux kernel layer saw."""
_REFUSED_UNSEEN: Final = "the refusal did not reach the test: it was caught on the way, or lost in a thread or task"
_REFUSED_OUTSIDE: Final = (
    "the call failed there with EACCES (permission denied), and what came of that was caught or lost"
)


def warning_text(violation: Violation) -> str:
    """Return the one line that warn mode says, made to be searched for with grep."""
    _path, _colons, inside = violation.test.partition("::")
    names, bracket, parameters = (inside or violation.test).partition("[")  # parameters may hold colons: test_get[::1]
    test = names.rpartition("::")[2] + bracket + parameters
    return f"Network access violation in {test}: attempted connection to {violation.target}"


def report_text(violations: tuple[Violation, ...], *, undelivered: bool = False) -> str:
    """Return the TC001 text: the first violation in full, a line for each further one."""
    first, *others = violations
    lines = [
        "[TC001] Network Access Violation",
        f"Test: {first.test}",
        f"Category: {first.size.upper()}",
        "",
        "What happened:",
        f"  Attempted network connection to {first.target}",
        *_indented(_facts(first)),
    ]
    if undelivered:
        lines.append(f"    {_REFUSED_OUTSIDE if first.route == KERNEL else _REFUSED_UNSEEN}")
        lines.append("    a test whose subject is being refused says `with expect_network_violation():`")
    lines += [f"  Also attempted: {line_text(other)}" for other in others]
    lines += [
        "",
        "How to fix:",
        "  1. Mock the network call using responses, httpretty, or respx",
        *_indented(cures(first)),
        *(("    paste the lines of the section below, which fake it",) if fake(first) else ()),
        "  2. Use dependency injection to provide a fake HTTP client",
        "  3. Change test category to @pytest.mark.medium (if network is required)",
        *_indented(reach_hints(first)),
        "",
        f"Documentation: {DOCUMENTATION}",
    ]
    return "\n".join(lines)


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"    {line}" for line in lines]


def line_text(violation: Violation) -> str:
    """Return a violation in one line, for lists."""
    parts = [violation.target]
    if violation.count > 1:
        parts.append(f"(x{violation.count})")
    if place := place_text(violation):
        parts.append(place)
    return "; ".join([" ".join(parts), *_circumstances(violation)])


def place_text(violation: Violation) -> str:
    """Return where a violation was made: ``at path:line in function, called from path:line``."""
    if not violation.location:
        return ""
    where = f"at {violation.location}" + (f" in {violation.function}" if violation.function else "")
    return where + (f", called from {violation.called_from}" if violation.called_from else "")


def counted(number: int, noun: str) -> str:
    """Return a number of things: ``1 test``, ``1,200 tests``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _facts(violation: Violation) -> list[str]:
    place, times = place_text(violation), violation.count
    return [*([place] if place else ()), *facts(violation), *([f"seen {times} times"] if times > 1 else ())]


def facts(violation: Violation) -> list[str]:
    """Return what is known of a violation beside its place: by what call, in which fixture, thread or process."""
    found = [violation.request] if violation.request else []
    if violation.kind == "bind":
        found.append(f"by binding a server socket ({violation.route})")
    elif violation.kind == "reuse":
        found.append(f"by sending on a connection that was already open ({violation.route})")
    elif violation.kind != "connect":
        found.append(f"by a {violation.kind} ({violation.route})")
    found += _circumstances(violation)
    if violation.address:
        found.append(f"its address: {violation.address}")
    return found


def _circumstances(violation: Violation) -> list[str]:
    found = []
    if violation.importing:
        found.append(f"while importing {violation.importing}: mock or disable it there")
    if violation.fixture:
        held = f", held to {violation.size} by {violation.held_by}" if violation.held_by else ""
        found.append(f"in fixture {violation.fixture}{held}")
    if violation.thread:
        found.append(f"in thread {violation.thread}")
    if violation.process:
        found.append(f"in {violation.process}")
    elif violation.route == KERNEL:
        found.append("by native code (the kernel layer saw it)")
    if violation.guard:
        found.append(f"refused by {violation.guard}")
    if violation.late:
        found.append(violation.late)
    return found
