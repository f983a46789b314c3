"""``run``: runs any command, and holds it and all that it starts to a size, by the Linux kernel layer."""

from __future__ import annotations

import argparse
import contextlib
import errno
import os
import shlex
import sys
import time
from typing import TYPE_CHECKING, Final

from pytest_test_categories._commands import CommandError
from pytest_test_categories._host.programs import execute
from pytest_test_categories._report.published import version
from pytest_test_categories._rules.address import Endpoint, Reach, printable
from pytest_test_categories._rules.policy import (
    ALLOW_VARIABLE,
    DENY_VARIABLE,
    MODE_VARIABLE,
    Attempt,
    EnforcementMode,
    Kind,
    LookedUp,
    Policy,
    TestSize,
    decide,
    needed_size,
    parse_allow,
    parse_narrowing,
    parse_own_allow,
)
from pytest_test_categories._rules.violation import RUN, Violation, of_further_targets
from pytest_test_categories._rules.wording import KERNEL, command_text, counted, line_text

if TYPE_CHECKING:
    from pytest_test_categories._kernel.command import End
    from pytest_test_categories._kernel.wire import Report

_NOT_FOUND: Final = 127
_NOT_EXECUTABLE: Final = 126
_LONGEST: Final = 300
_MOST: Final = 500
"""How many targets are told apart; what comes then is counted in one record."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    sizes = [size.value for size in TestSize]
    modes = [mode.value for mode in EnforcementMode if mode is not EnforcementMode.OFF]
    parser.usage = f"{parser.prog} --size SIZE [OPTION]... [--] COMMAND [ARGUMENT]..."
    parser.add_argument("--size", required=True, choices=sizes, help="what network the command may use")
    parser.add_argument(
        "--mode",
        choices=modes,
        help=f"refuse what the size does not permit, or only warn (default: {MODE_VARIABLE}, or else strict)",
    )
    parser.add_argument(
        "--allow", action="append", default=[], metavar="ENTRY", help="permit a target beyond the size, such as db:5432"
    )
    parser.add_argument(
        "--deny", action="append", default=[], metavar="ENTRY", help="refuse a target whatever the size permits"
    )
    parser.add_argument(
        "--network-report",
        metavar="FILE",
        help="write a report; its format goes by the suffix: .json, .html, .sarif, .md",
    )
    parser.add_argument(
        "-q", "--quiet", action="store_true", help="print one line for each violation, and nothing without one"
    )
    parser.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND", help="the command and its arguments")


def run(arguments: argparse.Namespace) -> int:
    """Run the command; this process ends as the command ends.

    Returns:
        The exit status if the command can't be started: 126 or 127, as in shells.

    Raises:
        CommandError: The settings are wrong, or the kernel layer can't work here.
    """
    words = arguments.words[1:] if arguments.words[:1] == ["--"] else arguments.words
    if not words:
        raise CommandError("which command? Write it at the end: run --size medium -- npm test")
    policy = _policy(arguments)
    _check_report(arguments.network_report)
    if policy.mode is EnforcementMode.OFF:
        return _not_started(words, execute(words))
    from pytest_test_categories._kernel.probe import UnavailableError, unavailable

    try:
        if reason := unavailable():
            raise UnavailableError(reason)
        from pytest_test_categories._kernel.command import supervise

        outcome = _Outcome(words, policy, arguments.network_report, quiet=arguments.quiet)
        return _not_started(words, supervise(words, policy, on_report=outcome.add, on_end=outcome.finish))
    except UnavailableError as error:
        raise CommandError(f"the kernel layer can't hold the command here: {error}") from None


def _not_started(words: list[str], number: int) -> int:
    """Say why a command was not started, and return the exit status that shells have for that."""
    missing = number in {errno.ENOENT, errno.ENOTDIR}
    why = "command not found" if missing and "/" not in words[0] else os.strerror(number)
    _say(f"{words[0]}: {why}")
    return _NOT_FOUND if missing else _NOT_EXECUTABLE


def _policy(arguments: argparse.Namespace) -> Policy:
    """Return what holds for the command, by its options and the environment.

    Raises:
        CommandError: One of them is wrong.
    """
    try:
        return Policy(
            TestSize.parse(arguments.size),
            EnforcementMode.parse(arguments.mode or os.environ.get(MODE_VARIABLE) or EnforcementMode.STRICT),
            parse_own_allow(arguments.allow) + parse_allow(os.environ.get(ALLOW_VARIABLE) or ()),
            deny=parse_narrowing(arguments.deny) + parse_narrowing(os.environ.get(DENY_VARIABLE) or ()),
        )
    except ValueError as error:
        raise CommandError(str(error)) from None


def _check_report(path: str | None) -> None:
    if path is None:
        return
    from pytest_test_categories._report import files

    try:
        files.check(path)
    except ValueError as error:
        raise CommandError(f"--network-report: {error}") from None


class _Outcome:
    """What a command did, told when it has ended: on stderr, and in the report.

    Args:
        words: The command and its arguments.
        policy: What holds for it.
        report: Path of the report; None for none.
        quiet: Whether to print one line for each violation, and nothing without one.
    """

    def __init__(self, words: list[str], policy: Policy, report: str | None, *, quiet: bool) -> None:
        self._words = words
        self._policy = policy
        self._report = None if report is None else os.path.abspath(report)
        self._quiet = quiet
        self._size = "" if policy.size is None else policy.size.value
        self._violations: dict[tuple[str, str], Violation] = {}
        self._started = time.monotonic()

    def add(self, report: Report) -> None:
        """Count an attempt that the policy does not permit: a target has one record."""
        violation = self._violation(report)
        key = (violation.kind, violation.target)
        if key not in self._violations and len(self._violations) >= _MOST:
            violation, key = of_further_targets(violation), ("", "")
        before = self._violations.get(key)
        self._violations[key] = violation if before is None else before._replace(count=before.count + 1)

    def _violation(self, report: Report) -> Violation:
        endpoint = Endpoint(report.host, report.port, report.family)
        target = str(Endpoint(report.name, report.port) if report.name else endpoint)
        names = (LookedUp(report.name),) if report.name else ()
        attempt = Attempt(Kind(report.kind), endpoint, Reach(report.reach), names)
        return Violation(
            test=os.path.basename(self._words[0]),
            size=self._size,
            kind=report.kind,
            target=target,
            route=KERNEL,
            reach=report.reach,
            address=str(endpoint) if report.name else "",
            process=f"{report.command or 'a process'} (pid {report.pid})",
            guard=f"{RUN}{self._size}",
            verdict="refused" if report.refused else "warned",
            needs=needed_size(attempt).value,
            because=decide(self._policy, attempt).because,
        )

    def finish(self, end: End) -> bool:
        """Print what there is to say, and write the report; return whether a status 0 is to become 1."""
        if not end.held:
            _print(
                "a supervisor around this one holds the command to its own size; the options given here do not apply"
            )
            return False
        found = list(self._violations.values())
        failed = any(violation.verdict == "refused" for violation in found)
        if self._quiet:
            for violation in found:
                _print(f"[TC001] {line_text(violation._replace(guard=''))} ({violation.verdict})")
        else:
            if found:
                _say(f"\n{command_text(_shown(self._words), found)}\n")
            what = (
                counted(sum(violation.count for violation in found), "network violation") if found else "no violations"
            )
            _print(f"{self._size}, {self._policy.mode.value}: {what}")
        if self._report is not None:
            self._write(self._report, found, failed=failed or end.status != 0)
        return failed

    def _write(self, path: str, violations: list[Violation], *, failed: bool) -> None:
        from pytest_test_categories._report import files
        from pytest_test_categories._report.model import Access, Case, Report

        name = os.path.basename(self._words[0])
        case = Case(
            name, self._size, outcome="failed" if failed else "passed", seconds=time.monotonic() - self._started
        )
        report = Report(
            [case],
            map(Access.of, violations),
            mode=self._policy.mode.value,
            layers=["kernel"],
            tool=version(),
        )
        try:
            files.write(report, path)
        except OSError as error:
            _print(f"the report can't be written: {error}")
        else:
            if not self._quiet:
                _print(f"report: {os.path.relpath(path)}")


def _shown(words: list[str]) -> str:
    """Return a command line in one line of bounded length."""
    text = printable(shlex.join(words))
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _print(line: str) -> None:
    _say(f"test categories: {line}")


def _say(text: str) -> None:
    if sys.stderr is not None:  # it was closed before the start
        with contextlib.suppress(OSError):  # nobody reads it any more
            print(text, file=sys.stderr, flush=True)
