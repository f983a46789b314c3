"""The texts of TC001: the report, the line in a list, the warning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pytest_test_categories._rules.address import split_target
from pytest_test_categories._rules.advice import command_hints, cures, is_held_by_another, reach_hints, short_fix
from pytest_test_categories._rules.violation import PROGRAM

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pytest_test_categories._rules.violation import Violation

DOCUMENTATION: Final = "https://pytest-test-categories.readthedocs.io/errors/TC001"
KERNEL: Final = "kernel"
"""The route of violations that the Linux kernel layer saw."""
_UNWATCHED: Final = "a program that no layer watches"
_REFUSED_UNSEEN: Final = "the refusal did not reach the test: it was caught on the way, or lost in a thread or task"
_REFUSED_OUTSIDE: Final = (
    "the call failed there with EACCES (permission denied), and what came of that was caught or lost"
)


def warning_text(violation: Violation) -> str:
    """Return the one-line text of warn mode's warning, suited for grep."""
    function = function_of(violation.test)
    test = function.rpartition("::")[2] + violation.test[len(function) :]
    if violation.kind == PROGRAM:
        return f"Network access violation in {test}: started {violation.target}, which no layer watches"
    said = f"Network access violation in {test}: attempted connection to {violation.target}"
    return f"{said}: {_serving(violation)}" if violation.kind == "bind" else said


def report_text(violations: tuple[Violation, ...], *, undelivered: bool = False) -> str:
    """Return the TC001 text: the first violation in full, and one line for each further one."""
    from pytest_test_categories._rules.fakes import fake  # most runs have no violation to report

    first, *others = violations
    lines = [
        "[TC001] Network Access Violation",
        f"Test: {first.test}",
        f"Category: {_category(first).upper() or 'NONE'}",
        "",
        "What happened:",
        f"  Started {first.target}, which no layer watches: it may have used the network"
        if first.kind == PROGRAM
        else f"  Attempted network connection to {first.target}",
        *_indented(fact for fact in _facts(first) if fact != _UNWATCHED),  # the line before says it
    ]
    if undelivered and first.kind != PROGRAM:
        lines.append(f"    {_REFUSED_OUTSIDE if first.route == KERNEL else _REFUSED_UNSEEN}")
        lines.append("    a test whose subject is being refused says `with expect_network_violation():`")
    lines += [f"  Also attempted: {line_text(other)}" for other in others]
    lines += [
        "",
        "How to fix:",
        "  1. Mock the network call using responses, httpretty, or respx",
        *_indented(cures(first)),
        *(("    or paste the fake in the section below",) if fake(first) else ()),
        "  2. Use dependency injection to provide a fake HTTP client",
        "  3. Change test category to @pytest.mark.medium (if network is required)",
        *_indented(reach_hints(first)),
        "",
        f"Documentation: {DOCUMENTATION}",
    ]
    return "\n".join(lines)


def command_text(command: str, violations: Sequence[Violation]) -> str:
    """Return the TC001 text about a command: the first violation in full, and one line for each further one."""
    first, *others = violations
    lines = [
        "[TC001] Network Access Violation",
        f"Command: {command}",
        f"Category: {first.size.upper()}",
        "",
        "What happened:",
        f"  Attempted network connection to {first.target}",
        *_indented(_facts(first._replace(guard=""))),
        f"    {_result_of(first)}",
        *(f"  Also attempted: {line_text(other._replace(guard=''))}" for other in others),
        "",
        "How to fix:",
        *(
            f"  {number}. {hint[0].upper()}{hint[1:]}"
            for number, hint in enumerate((*cures(first), *command_hints(violations)), start=1)
        ),
        "",
        f"Documentation: {DOCUMENTATION}",
    ]
    return "\n".join(lines)


def _result_of(violation: Violation) -> str:
    if violation.verdict == "warned":
        return "the call went on, since the mode is warn"
    if violation.kind == "lookup":
        return "the query was not sent"
    return "the call was refused there with EACCES (permission denied)"


def _category(violation: Violation) -> str:
    """Return the size of the test, which is not the size that its fixture is held to because of another test."""
    return violation.test_size if is_held_by_another(violation) and violation.test_size else violation.size


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"    {line}" for line in lines]


def line_text(violation: Violation) -> str:
    """Return a violation in one line, for lists."""
    parts = [aim_text(violation)]
    if violation.count > 1:
        parts.append(f"(x{violation.count})")
    if place := place_text(violation):
        parts.append(place)
    return "; ".join([" ".join(parts), *_circumstances(violation)])


def aim_text(violation: Violation) -> str:
    """Return what was attempted, for lists: the target, or the address that a server was to listen on."""
    return _serving(violation) if violation.kind == "bind" else violation.target


def _serving(violation: Violation) -> str:
    host, port = split_target(violation.target)
    return f"listen on {host} (any port)" if port == "0" else f"listen on {violation.target}"


def short_text(violation: Violation) -> str:
    """Return a violation in few words, for a line that pytest cuts at the terminal's width."""
    where = f" at {violation.location}" if violation.location else ""
    what = f"unwatched {violation.target}" if violation.kind == PROGRAM else aim_text(violation)
    return f"[TC001] {what}{where}"


_TESTS: Final = 5
"""How many lines a list uses to name the tests of one line of code."""


def grouped_lines(by_test: Mapping[str, Mapping[Any, Violation]], *, named: bool = True) -> list[str]:
    """Return a list of violations by line of code: the tests, what they attempted, and how to fix it.

    Attempts of several tests from one line are one entry, the parameter sets of a test are one test, and attempts of
    the same tests from several lines are listed together below these tests.

    Args:
        by_test: The violations of each test.
        named: Whether to name the tests; otherwise they are only counted.
    """
    facts: dict[tuple[Any, ...], dict[str, Violation]] = {}  # the violations by test, for each entry
    for test, violations in sorted(by_test.items()):
        for violation in violations.values():
            where = (violation.location, violation.function) if violation.location else (test, "")
            size = violation.size or "no size"
            if is_held_by_another(violation):
                size = (
                    f"{_category(violation) or 'no size'}, its fixture {violation.fixture.partition(' ')[0]} is {size}"
                )
            fact = (size, aim_text(violation), *where, tuple(_circumstances(violation)))
            group = facts.setdefault(fact, {})
            before = group.get(test)  # the same line, called from several places
            group[test] = violation if before is None else _together([before, violation])
    entries: dict[tuple[str, tuple[str, ...]], list[Violation]] = {}
    for (size, *_), group in sorted(facts.items()):
        entries.setdefault((size, tuple(group)), []).append(_together(list(group.values())))
    lines = []
    for (size, tests), made in sorted(entries.items(), key=lambda entry: (-len(entry[0][1]), entry[0][1])):
        lines += [f"  {test} [{size}]" for test in (_shown_tests(tests) if named else [counted(len(tests), "test")])]
        fixes = [f"{_FIX}{fix}" if (fix := short_fix(violation)) else "" for violation in made]
        for violation, fix, following in zip(made, fixes, [*fixes[1:], ""], strict=True):
            lines.append(f"    {line_text(violation)}")
            if fix and fix != following:
                lines.append(fix)
    return lines


_FIX: Final = "      to fix: "


def _together(violations: list[Violation]) -> Violation:
    """Merge several violations of one line into one."""
    first = violations[0]
    same = all(violation.called_from == first.called_from for violation in violations)
    count = sum(violation.count for violation in violations)
    return first._replace(called_from=first.called_from if same else "", count=count)


def _shown_tests(tests: Sequence[str]) -> list[str]:
    """Return the names of tests to show, with parameter sets combined, and how many more there are."""
    by_function: dict[str, list[str]] = {}
    for test in tests:
        by_function.setdefault(function_of(test), []).append(test)
    names = [
        ids[0] if len(ids) == 1 else f"{function} ({len(ids)} parameter sets)" for function, ids in by_function.items()
    ]
    if len(names) <= _TESTS:
        return names
    return [*names[: _TESTS - 1], f"and {len(names) - _TESTS + 1} more tests"]


def function_of(test: str) -> str:
    """Return a node id without its parameters, which may contain colons and brackets: ``test_get[::1]``."""
    path, colons, inside = test.partition("::")
    return path + colons + inside.partition("[")[0]


def place_text(violation: Violation) -> str:
    """Return where a violation was made: ``at path:line in function, called from path:line``."""
    if not violation.location:
        return ""
    where = f"at {violation.location}" + (f" in {violation.function}" if violation.function else "")
    return where + (f", called from {violation.called_from}" if violation.called_from else "")


def counted(number: int, noun: str) -> str:
    """Return a number with a noun: ``1 test``, ``1,200 tests``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _facts(violation: Violation) -> list[str]:
    place, times = place_text(violation), violation.count
    return [*([place] if place else ()), *facts(violation), *([f"seen {times} times"] if times > 1 else ())]


def facts(violation: Violation) -> list[str]:
    """Return what is known about a violation beside its place: request, call, fixture, thread, process."""
    found = [violation.request] if violation.request else []
    if violation.kind == "bind":
        found.append(f"{_serving(violation)}, by {violation.route}")
    elif violation.kind == "reuse":
        found.append(f"by sending on a connection that was already open ({violation.route})")
    elif violation.kind not in {"connect", PROGRAM}:
        found.append(f"by a {violation.kind} ({violation.route})")
    found += _circumstances(violation)
    if violation.address:
        found.append(f"its address: {violation.address}")
    return found


def _circumstances(violation: Violation) -> list[str]:
    found = []
    if violation.kind == PROGRAM:
        found.append(_UNWATCHED)
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
