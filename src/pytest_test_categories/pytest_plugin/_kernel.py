"""The Linux kernel layer under pytest: starts it if the settings ask for it, and records its reports."""

from __future__ import annotations

import os
import threading
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
    from collections.abc import Sequence

    from pytest_test_categories._attribution.origin import Scope
    from pytest_test_categories._kernel.client import Client
    from pytest_test_categories._kernel.wire import Report
    from pytest_test_categories.pytest_plugin._options import Settings

_LATE: Final = "by a process or thread that was there before this test, started by nobody knows which"
_UNKNOWN: Final = "a test that ended long ago"


def put_on_record(report: Report, scopes: tuple[Scope, ...]) -> None:
    """Record what the supervisor saw while ``scopes`` were in force."""
    endpoint = Endpoint(report.host, report.port, report.family)
    ip = parse_ip(report.host) if report.family == "ip" else None
    names = () if ip is None else look_ups.names_of(ip)
    attempt = Attempt(Kind(report.kind), endpoint, Reach(report.reach), names)
    judged = [Refusal(s, s.policy, decide(s.policy, attempt)) for s in scopes if s.policy is not None]
    unpermitted = [one for one in judged if not one.verdict.permitted]
    watching = [one.scope for one in unpermitted if one.policy.mode is EnforcementMode.OFF]
    refusing = [one for one in unpermitted if one.policy.mode is not EnforcementMode.OFF]
    if watching and not refusing:
        late = _LATE if report.before else ""
        violation = _violation(report, attempt, judged[0].scope)._replace(late=late)
        runtime.ledger.keep_observed(watching, attempt, violation)
        return
    refusing = refusing or judged  # the supervisor did not know a name that is known here
    if not refusing:
        runtime.ledger.keep_unattributed(_violation(report, attempt, None)._replace(test=_UNKNOWN, late=_LATE))
        return
    violation = _violation(report, attempt, refusing[0].scope)
    if report.before:
        runtime.ledger.keep_unattributed(violation._replace(late=_LATE))
        return
    if report.refused or report.own or not _is_known(violation, refusing[0].scope):
        runtime.ledger.take_from_outside(refusing, scopes, attempt, violation)


def announce_loss(count: int) -> None:
    """Announce that reports were lost."""
    run = innermost()
    if run is not None:
        run.announce(f"test categories: {count} further refusals by the kernel layer were not kept")


def _violation(report: Report, attempt: Attempt, scope: Scope | None) -> Violation:
    endpoint = attempt.endpoint
    ip = parse_ip(endpoint.host) if endpoint.family == "ip" else None
    name = report.name or ("" if ip is None or scope is None else look_ups.shown_name(ip, scope.serial))
    target = Endpoint(name, endpoint.port) if name else endpoint
    violation = Violation("", "", report.kind, str(target), KERNEL, report.reach, address=str(endpoint) if name else "")
    if report.own:
        violation = violation._replace(thread=_thread_name(report))
    else:
        command = report.command or "a process"
        violation = violation._replace(process=f"{command} (pid {report.pid}, descendant of the test process)")
    if scope is None:
        return violation
    return violation._replace(
        test=scope.test,
        size="" if scope.policy is None or scope.policy.size is None else scope.policy.size.value,
        fixture=scope.fixture,
        fixture_home=scope.fixture_home,
        held_by=scope.held_by,
        test_size=scope.test_size,
        guard=scope.guard,
        late=_late_text(scope, own=report.own),
    )


def _thread_name(report: Report) -> str:
    """Return the name of a thread of this process; empty for the main thread."""
    if report.thread == report.pid:
        return ""
    # Threads that have ended are found as long as something refers to them.
    known = [*threading.enumerate(), *origin.known_threads()]
    found = (thread.name for thread in known if thread.native_id == report.thread)
    return next(found, report.thread_name or str(report.thread))


def _late_text(scope: Scope, *, own: bool) -> str:
    if scope.open or scope.held:
        return origin.AT_THE_END if scope is origin.state.ending else ""
    return origin.late_text(scope, "a thread" if own else "a process")


def _is_known(violation: Violation, scope: Scope) -> bool:
    """Tell whether a Python layer of a child process has already reported the attempt and let it pass (warn mode)."""
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
    """The state of the layer in this process.

    Attributes:
        word: The name of the layer in the header, if it is in force.
        reason: Why it is not in force.
        started: Whether a start has been tried.
        client: The client of this process, until the supervisor has confirmed.
        elsewhere: The workers that can't have the layer.
    """

    word = ""
    reason = ""
    started = False
    client: Client | None = None
    elsewhere: Sequence[str] = ()


_state: Final = _State()


def start(config: pytest.Config, settings: Settings) -> None:
    """Put this process under a supervisor: it forks, the parent becomes the supervisor, and only the child returns.

    Raises:
        pytest.UsageError: The layer is required and can't work here.
    """
    if not _state.started:  # a run inside a test of another run stays under that run's supervisor
        _state.started = True
        try:
            _start(config, settings)
        except OSError as error:  # whatever the reason, the tests can run without the layer
            _state.reason = f"it can't start here ({error})"
    _check_required(settings)


def confirm(settings: Settings) -> None:
    """Check that the layer is in force; called when the first conftests have been loaded.

    Raises:
        pytest.UsageError: The layer is required and not in force: the supervisor can't watch, or the start is too late.
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
    _check_required(settings)


def _check_required(settings: Settings) -> None:
    if _state.reason and settings.kernel == "require":
        raise pytest.UsageError(f"the kernel layer is required ({settings.kernel_from}), but {_state.reason}")


def _start(config: pytest.Config, settings: Settings) -> None:
    around = os.environ.get(probe.VARIABLE)
    worker = "PYTEST_XDIST_WORKER" in os.environ
    if around == probe.AROUND:
        _state.word = "kernel (the run's around this one)"
        return
    if worker and around is None:
        _state.reason = "the run that started this worker does not have it"
        return
    _state.reason = probe.unavailable(forking=not worker)
    if _state.reason:
        return
    if not worker and _distributes(config):
        specs = [] if config.known_args_namespace.numprocesses else config.known_args_namespace.tx
        _state.elsewhere = [spec for spec in specs if not _is_child(spec)]
        if _state.elsewhere and (len(_state.elsewhere) == len(specs) or settings.kernel == "require"):
            _state.reason, _state.elsewhere = _of_workers(_state.elsewhere), []
            return
    from pytest_test_categories._kernel import start

    client = None
    path = ""
    try:
        if around is not None:
            client = start.join(around)
        else:
            failures = "" if settings.target is None else settings.target.failures
            client, path = start.fork(workers=_distributes(config), failures=failures)
    except probe.UnavailableError as error:
        _state.reason = str(error)
        return
    _state.word = "kernel"
    os.environ[probe.VARIABLE] = path or probe.AROUND
    if client is not None:
        _state.client = client
        client.on_report, client.on_loss = put_on_record, announce_loss
        runtime.judge.outside = client
        origin.state.on_change = client.publish
        origin.state.on_thread_end = client.release_thread


def _is_child(spec: str) -> bool:
    """Tell whether this process itself starts a worker of pytest-xdist, so that the supervisor sees it."""
    parts = spec.rpartition("*")[2].split("//")
    return "popen" in parts and not any(part.startswith("via=") for part in parts)


def _of_workers(specs: Sequence[str]) -> str:
    return f"another process than this one starts the workers of --tx {', '.join(specs)}"


def _distributes(config: pytest.Config) -> bool:
    """Tell whether this process is the controller of pytest-xdist's workers."""
    option = config.known_args_namespace
    number = getattr(option, "numprocesses", None)
    if number in {"auto", "logical"}:
        return not getattr(option, "usepdb", False)
    if number is not None:
        return bool(number)
    return bool(getattr(option, "tx", None)) and (getattr(option, "dist", "no") != "no" or option.distload)


def header(settings: Settings, *, verbose: bool = False) -> str | list[str]:
    """Return the header line; if the layer is not in force everywhere, with a second line that says why."""
    line = _options.header(settings, _state.word, verbose=verbose)
    if _state.elsewhere:
        return [line, f"test categories: no kernel layer in some workers: {_of_workers(_state.elsewhere)}"]
    return [line, f"test categories: no kernel layer: {_state.reason}"] if _state.reason else line
