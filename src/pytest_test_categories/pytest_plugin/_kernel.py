"""The Linux kernel layer under pytest: started where it is wanted, and its reports put on record."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import pytest

from pytest_test_categories._attribution import origin
from pytest_test_categories._host.names import look_ups
from pytest_test_categories._kernel import probe
from pytest_test_categories._ledger.records import Refusal
from pytest_test_categories._ledger.runs import innermost
from pytest_test_categories._rules.address import Endpoint, Reach, parse_ip
from pytest_test_categories._rules.policy import Attempt, EnforcementMode, Kind, decide
from pytest_test_categories._rules.violation import Violation
from pytest_test_categories._rules.wording import KERNEL
from pytest_test_categories._runtime import runtime
from pytest_test_categories.pytest_plugin import _options

if TYPE_CHECKING:
    from pytest_test_categories._attribution.origin import Scope
    from pytest_test_categories._kernel.client import Client
    from pytest_test_categories._kernel.wire import Report
    from pytest_test_categories._rules.address import AllowEntry
    from pytest_test_categories.pytest_plugin._options import Settings

VARIABLE: Final = "_PYTEST_TEST_CATEGORIES_KERNEL"
"""In the environment of what a run with the kernel layer starts: where workers register, or ``around``."""
_AROUND: Final = "around"
_LATE: Final = "by a process or thread that was there before this test, started by nobody knows which"
_UNKNOWN: Final = "a test that ended long ago"


class Kernel:
    """The layer of this process, seen from the guard's side.

    Args:
        client: Speaks with the supervisor.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    def begin_tests(self) -> None:
        """Leave what has been started so far to whoever runs the tests."""
        self._client.begin_tests()

    def word_of_work(self) -> int | None:
        """Return the word for what this thread does here and now, for a worker that does it elsewhere."""
        return self._client.word_of_work()

    def begin_start(self) -> None:
        """Hold the process that this thread starts now to what the thread is held to."""
        self._client.begin_start()

    def end_start(self) -> None:
        """Note that it has started."""
        self._client.end_start()

    def agrees(self, kind: Kind, scopes: tuple[Scope, ...], reach: Reach) -> bool:
        """Tell whether the supervisor lets go on by itself what ``scopes`` permit."""
        return self._client.agrees(kind, scopes, reach)

    def vouch(self, kind: Kind, scopes: tuple[Scope, ...], reach: Reach) -> None:
        """Let this thread's next call go on, as the judge of the Python layers has."""
        self._client.vouch(kind, scopes, reach)

    def remember(self, name: str, allow: tuple[AllowEntry, ...], addresses: list[str]) -> None:
        """Tell the supervisor what a permitted look-up has answered."""
        self._client.remember(name, allow, addresses)

    def take(self) -> None:
        """Put on record what the supervisor has seen since the last time."""
        found, lost = self._client.receive()
        for report, scopes in found:
            self._put_on_record(report, scopes)
        if lost:
            run = innermost()
            if run is not None:
                run.announce(f"test categories: {lost} further refusals by the kernel layer were not kept")

    def _put_on_record(self, report: Report, scopes: tuple[Scope, ...]) -> None:
        endpoint = Endpoint(report.host, report.port, report.family)
        ip = parse_ip(report.host) if report.family == "ip" else None
        names = () if ip is None else look_ups.names_of(ip)
        attempt = Attempt(Kind(report.kind), endpoint, Reach(report.reach), names)
        judged = [Refusal(s, s.policy, decide(s.policy, attempt)) for s in scopes if s.policy is not None]
        unpermitted = [one for one in judged if not one.verdict.permitted]
        watching = [one.scope for one in unpermitted if one.policy.mode is EnforcementMode.OFF]
        refusing = [one for one in unpermitted if one.policy.mode is not EnforcementMode.OFF]
        if watching and not refusing:
            charged = next(scope for scope in scopes if scope.policy is not None)
            late = _LATE if report.before else ""
            runtime.ledger.keep_observed(
                watching, attempt, self._violation(report, attempt, charged)._replace(late=late)
            )
            return
        refusing = refusing or judged  # there, a name was not known that is known here
        if not refusing:
            runtime.ledger.keep_unattributed(self._violation(report, attempt, None)._replace(test=_UNKNOWN, late=_LATE))
            return
        violation = self._violation(report, attempt, refusing[0].scope)
        if report.before:
            runtime.ledger.keep_unattributed(violation._replace(late=_LATE))
            return
        if report.refused or report.own or not _is_known(violation, refusing[0].scope):
            runtime.ledger.take_from_outside(refusing, scopes, attempt, violation)

    def _violation(self, report: Report, attempt: Attempt, scope: Scope | None) -> Violation:
        endpoint = attempt.endpoint
        ip = parse_ip(endpoint.host) if endpoint.family == "ip" else None
        name = report.name or ("" if ip is None or scope is None else look_ups.shown_name(ip, scope.serial))
        size = scope.policy.size if scope is not None and scope.policy is not None else None
        thread = self._client.thread_name(report.thread, report.thread_name) if report.own else ""
        return Violation(
            test="" if scope is None else scope.test,
            size="" if size is None else size.value,
            kind=report.kind,
            target=str(Endpoint(name, endpoint.port) if name else endpoint),
            route=KERNEL,
            reach=report.reach,
            address=str(endpoint) if name else "",
            thread=thread,
            process=""
            if report.own
            else f"{report.command or 'a process'} (pid {report.pid}, descendant of the test process)",
            fixture="" if scope is None else scope.fixture,
            fixture_home="" if scope is None else scope.fixture_home,
            held_by="" if scope is None else scope.held_by,
            guard="" if scope is None else scope.guard,
            late=_late_text(scope, own=report.own),
        )


def _late_text(scope: Scope | None, *, own: bool) -> str:
    if scope is None:
        return ""
    if scope.open or scope.held:
        return origin.AT_THE_END if scope is origin.state.ending else ""
    return origin.late_text(scope, "a thread" if own else "a process")


def _is_known(violation: Violation, scope: Scope) -> bool:
    """Tell whether a Python layer of a child process has reported what it then let go on (warn mode)."""
    host = violation.target if violation.kind == Kind.LOOKUP.value else ""
    for record in list(scope.records.values()):
        other = record.violation
        if other.route != KERNEL and (
            violation.target in {other.target, other.address}
            or (violation.address and violation.address == other.address)
            or (host and host in {other.target, other.target.rpartition(":")[0]})
        ):
            return True
    return False


class _State:
    """What has become of the layer in this process.

    Attributes:
        word: How the header names it, if it is in force.
        reason: Why it isn't.
        started: Whether that has been tried.
        client: Ours, until the supervisor has confirmed.
    """

    word = ""
    reason = ""
    started = False
    client: Client | None = None


_state: Final = _State()


def start(config: pytest.Config, settings: Settings) -> None:
    """Put this process under a supervisor, which its parent becomes: only the child returns.

    Raises:
        pytest.UsageError: The layer is required and can't work here.
    """
    if not _state.started:  # a run inside a test of a run stays under what is around it
        _state.started = True
        try:
            _start(config)
        except OSError as error:  # whatever it is: the tests can run without
            _state.reason = f"it can't start here ({error})"
    if _state.reason and settings.kernel == "require":
        raise pytest.UsageError(f"the kernel layer is required (test_categories_kernel_guard), but {_state.reason}")


def confirm(settings: Settings) -> None:
    """Make sure that the layer is in force, when the first conftests have been loaded.

    Raises:
        pytest.UsageError: The layer is required, and isn't: the supervisor can't watch, or it is too late to start it.
    """
    if not _state.started:
        _state.started = True
        _state.reason = "the plugin was loaded by a conftest, when it was too late to start it"
    if _state.client is not None:
        client, _state.client = _state.client, None
        _state.reason = client.refusal()
        if _state.reason:
            _state.word = ""
            runtime.judge.outside = None
            origin.state.on_change = origin.state.on_thread_end = None
    if _state.reason and settings.kernel == "require":
        raise pytest.UsageError(f"the kernel layer is required (test_categories_kernel_guard), but {_state.reason}")


def _start(config: pytest.Config) -> None:
    around = os.environ.get(VARIABLE)
    worker = "PYTEST_XDIST_WORKER" in os.environ
    if around == _AROUND:
        _state.word = "kernel (the run's around this one)"
        return
    if worker and around is None:
        _state.reason = "the run that started this worker does not have it"
        return
    _state.reason = probe.unavailable(forking=not worker)
    if _state.reason:
        return
    from pytest_test_categories._kernel import start

    client = None
    path = ""
    try:
        if around is not None:
            client = start.join(around)
        else:
            client, path = start.fork(workers=_distributes(config))
    except start.UnavailableError as error:
        _state.reason = str(error)
        return
    _state.word = "kernel"
    os.environ[VARIABLE] = path or _AROUND
    if client is not None:
        _state.client = client
        runtime.judge.outside = Kernel(client)
        origin.state.on_change = client.publish
        origin.state.on_thread_end = client.release_thread


def _distributes(config: pytest.Config) -> bool:
    """Tell whether pytest-xdist is going to run the tests in workers, and this process is their controller."""
    option = config.known_args_namespace
    number = getattr(option, "numprocesses", None)
    if number in {"auto", "logical"}:
        return not getattr(option, "usepdb", False)
    if number is not None:
        return bool(number)
    return bool(getattr(option, "tx", None)) and (getattr(option, "dist", "no") != "no" or option.distload)


def header(settings: Settings) -> str | list[str]:
    """Return the header line, and one more that says why the layer isn't in force."""
    line = _options.header(settings, _state.word)
    return [line, f"test categories: no kernel layer: {_state.reason}"] if _state.reason else line
