"""The guards that a child process received from the guarded process that started it."""

from __future__ import annotations

import functools
import json
import os
import sys
from typing import Any, Final

from pytest_test_categories._attribution import origin
from pytest_test_categories._attribution.origin import Scope, ScopeKind
from pytest_test_categories._host.unix_sockets import our_family
from pytest_test_categories._processes.child.pytest_test_categories_child import append_to
from pytest_test_categories._rules.address import printable
from pytest_test_categories._rules.policy import Policy

_COMMAND: Final = 120


class Inherited:
    """The guards that this process received, and its name in reports.

    Attributes:
        root: Directory that paths in reports are relative to.
        late: Why all attempts of this process are late; empty if they are not.
        fakes: Whether clients' requests are read.
    """

    def __init__(self) -> None:
        self.root = os.getcwd()
        self.late = ""
        self.fakes = True
        self._job: Scope | None = None

    def adopt(self, handed: Any) -> None:
        """Enforce the guards that this process received."""
        if handed is None:
            return
        origin.inherit(self._read(handed.policy))

    def take_job(self, handed: Any) -> None:
        """Enforce the guards of a job that another process submitted; None between jobs."""
        before = self._job
        if before is not None:
            for link in before.chain:
                link.close()
        self._job = None if handed is None else self._read(handed.policy)
        origin.take_job(self._job)

    def _read(self, text: str) -> Scope:
        data, policies = _parsed(text)
        our_family.root, our_family.inherited = data["root_process"], frozenset(data["inherited"])
        our_family.share(data["bound"], functools.partial(append_to, data["bound"]))
        self.root, self.late, self.fakes = data["root"], data["late"], data["fakes"]
        return _scope(data, policies)

    def command(self) -> str:
        """Return the command line, or the name that multiprocessing gave this process."""
        return _command()


@functools.lru_cache(maxsize=64)  # the jobs of one test receive the same text
def _parsed(text: str) -> tuple[dict[str, Any], list[Policy]]:
    if text.startswith("@"):
        with open(text[1:], encoding="utf-8") as file:
            text = file.read()
    data = json.loads(text)
    return data, [Policy.from_data(policy) for policy in data["policies"]]


def _scope(data: dict[str, Any], policies: list[Policy]) -> Scope:
    scope: Scope | None = None
    for home, serial, kind, index, test, fixture, held_by, test_size, where, file in reversed(data["scopes"]):
        policy = None if index < 0 else policies[index]
        scope = Scope(ScopeKind(kind), policy, test, parent=scope, file=file, where=where)
        scope.fixture, scope.held_by, scope.test_size = fixture, held_by, test_size
        scope.home = (home, serial)
        scope.thread = origin.MAIN_THREAD
    assert scope is not None
    return scope


def _command() -> str:
    """Return this process's name in reports: its command line, or the name that multiprocessing gave it."""
    multiprocessing = sys.modules.get("multiprocessing.process")
    name = "" if multiprocessing is None else multiprocessing.current_process().name
    if name and name != "MainProcess":
        return str(name)
    words = [os.path.basename(sys.orig_argv[0]), *sys.orig_argv[1:]] if sys.orig_argv else ["python"]
    text = printable(" ".join(words))
    return text if len(text) <= _COMMAND else text[: _COMMAND - 3] + "..."
