"""Other tools that refuse network calls: keeps our wrappers in place beside them, and counts where they refuse first.

Such a plugin saves the functions of ``socket`` when it is imported, before our session begins, and restores them after
tests: pytest-socket 0.8.1 after each test, pytest-recording 0.14.1 after each test that it blocks. From then on,
``connect`` with a host name would look the name up.
"""

from __future__ import annotations

import operator
import socket
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_test_categories._rules.named_tuples import NamedTuple
from pytest_test_categories._rules.policy import TestSize
from pytest_test_categories._rules.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytest_test_categories.pytest_plugin._phases import Phases


class OtherGuard(NamedTuple):
    """One such tool.

    Attributes:
        name: The distribution.
        module: The module that defines its replacements for functions of ``socket``.
        kept: Names under which the module saves functions of ``socket``, and the path of each function in ``socket``.
        refuses: What it does before this plugin can, as the summary says it.
    """

    name: str
    module: str
    kept: Mapping[str, str]
    refuses: str = "blocks"


TABLE: Final = (
    OtherGuard(
        "pytest-socket",
        "pytest_socket",
        {
            "_true_connect": "socket.connect",
            "_true_getaddrinfo": "getaddrinfo",
            "_true_gethostbyname": "gethostbyname",
        },
    ),
    OtherGuard(
        "pytest-recording",
        "pytest_recording.network",
        {
            "_original_connect": "socket.connect",
            "_original_connect_ex": "socket.connect_ex",
            "_original_socketpair": "socketpair",
        },
    ),
    OtherGuard(
        "pytest-remotedata",
        "pytest_remotedata.disable_internet",
        {
            "socket_bind": "socket.bind",
            "socket_connect": "socket.connect",
            "socket_create_connection": "create_connection",
        },
    ),
    OtherGuard("blockbuster", "blockbuster.blockbuster", {}, "stops blocking calls in event loops"),
)
_NAMES: Final = {other.module: other.name for other in TABLE}
_REFUSES: Final = {other.name: other.refuses for other in TABLE}


class OtherGuards:
    """Keeps our wrappers in place beside other guards, and counts the tests in which another guard refuses first."""

    def __init__(self, phases: Phases) -> None:
        self._phases = phases
        self._replaced: list[tuple[Any, str, Any, Any]] = []
        self.tests: Counter[str] = Counter()

    def replace_kept(self) -> None:
        """Replace the functions that imported tools have saved by our wrappers, so that they restore the wrappers."""
        for other in TABLE:
            module = sys.modules.get(other.module)
            for name, path in other.kept.items():
                ours = operator.attrgetter(path)(socket)
                kept = getattr(module, name, None)
                if kept is not None and getattr(ours, "__wrapped__", None) == kept:
                    setattr(module, name, ours)
                    self._replaced.append((module, name, ours, kept))

    def close(self) -> None:
        """Undo ``replace_kept``."""
        for module, name, ours, kept in self._replaced:
            if getattr(module, name, None) is ours:
                setattr(module, name, kept)
        self._replaced.clear()

    @staticmethod
    def are_there() -> bool:
        """Tell whether any such tool has been imported."""
        return not _NAMES.keys().isdisjoint(sys.modules)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> None:
        """Count a test if another guard is in force and the test's size restricts it."""
        scope = self._phases.scope_of(item)
        if scope is None or scope.policy is None or scope.policy.size not in {TestSize.SMALL, TestSize.MEDIUM}:
            return
        in_place = {getattr(one, "__module__", "") for one in (socket.socket, socket.socket.connect)}
        self.tests.update(name for module, name in _NAMES.items() if module in in_place)


def lines(tests: Mapping[str, int]) -> Iterable[str]:
    """Yield the summary's lines about other guards."""
    for name, count in sorted(tests.items()):
        yield (
            f"{name} {_REFUSES[name]} first in {counted(count, 'test')}: "
            "what it refuses is not on record here, and a test that swallows that passes"
        )
