"""Selection by size: for ``-m``, and to skip tests that need more network than the environment has."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_test_categories._rules.address import is_local_ip, is_localhost
from pytest_test_categories._rules.policy import TestSize, parse_allow, parse_narrowing, parse_only
from pytest_test_categories.pytest_plugin import _options, _private
from pytest_test_categories.pytest_plugin._sizes import SizeConflictError, Sizes

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from pytest_test_categories._rules.address import AllowEntry
    from pytest_test_categories.pytest_plugin._options import Settings

_NEEDS: Final = {
    TestSize.SMALL: _options.NONE,
    TestSize.MEDIUM: _options.MACHINE,
    TestSize.LARGE: _options.ALL,
    TestSize.XLARGE: _options.ALL,
}
_OUTPUT: Final = "test_categories_selected"
_CALLED: Final = {_options.MACHINE: "this machine's network", _options.ALL: "remote hosts"}


class Selected:
    """Evaluates sizes in the expression of ``-m``, and skips tests that need more network than the environment has."""

    def __init__(self, config: pytest.Config, settings: Settings) -> None:
        self._settings = settings
        self._root = str(config.rootpath)
        self._sizes = Sizes(settings, self._root)
        self._unsized = 0  # tests without a size, which run in any environment
        self._notes: list[str] = []
        self._told_by_workers = False
        self.skipped: dict[str, str] = {}  # the reason, by node id
        self._asked: set[str] = set()  # tests without a size that an expression with a size was evaluated for

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> Generator[None, object, object]:
        """Evaluate sizes while pytest deselects, and then, after all other plugins, skip among the remaining tests."""
        with _private.deselecting_by(config, self._holds):
            result = yield
        expression, given = config.option.markexpr, self._settings.available_from
        if self._settings.available != _options.ALL:
            self._sizes = Sizes(self._settings, self._root)  # other plugins may have added markers since
            for item in items:
                self._skip(item)
            if self._unsized:
                self._notes.append(f"tests without a size, which run: {self._unsized} ({given})")
        if self._asked and not items:
            self._notes.append(f"tests without a size: {len(self._asked)} (-m {expression!r} asks for sizes)")
        return result

    def _holds(self, item: pytest.Item, name: str) -> bool | None:
        """Tell whether a name in the expression is an item's size; None if the name is not a size."""
        if name not in _options.MARKERS:
            return None
        try:
            size = self._sizes.of(item)
        except SizeConflictError:
            return None  # the run reports it later, when all markers have been added
        if size is None:
            self._asked.add(item.nodeid)
            return False
        return bool(size.value == name)

    def _skip(self, item: pytest.Item) -> None:
        reason = self._reason(item)
        if reason:
            # A marker rather than a hook: pytest then shows the location of the test, and sets up no fixture.
            self.skipped[item.nodeid] = reason = f"{reason}: {self._settings.available_from}"
            item.add_marker(pytest.mark.skip(reason=reason))

    def _reason(self, item: pytest.Item) -> str:
        """Return why an item needs more than the environment has; empty if it doesn't."""
        size = self._sizes.of(item)  # items with two sizes have been removed, or nothing is enforced
        lists = list(_lists(item))
        if size is None and not lists:
            self._unsized += 1
            return ""
        if size is None or self._has(_NEEDS[size]):
            reason = self._missing(_allowed(item, self._sizes))
        else:
            reason = f"{size.value} tests need {_CALLED[_NEEDS[size]]}"
        if not lists or (size is not None and not reason):
            return reason
        # Of what its size permits, it may reach only what every one of its lists contains.
        missing = [self._missing(entries) for entries in lists]
        return missing[0] if all(missing) else ""

    def _has(self, needed: str) -> bool:
        return _options.AVAILABLE.index(needed) <= _options.AVAILABLE.index(self._settings.available)

    def _missing(self, entries: Iterable[AllowEntry]) -> str:
        """Return a reason if an entry needs a network that the environment lacks; empty if none does."""
        for entry in entries:
            if not self._has(_options.MACHINE if _is_local(entry) else _options.ALL):
                return f"the test needs {entry.text.removeprefix('small: ')}"
        return ""

    def pytest_report_collectionfinish(self) -> list[str]:
        """Return notes on tests without a size: those that run in any environment, or that ``-m`` could not select."""
        return [f"test categories: {note}" for note in self._notes]

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Send a worker's notes to the controller of pytest-xdist: a worker can't print them."""
        output = getattr(session.config, "workeroutput", None)
        if output is not None:
            output[_OUTPUT] = self._notes

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take the notes of a worker: all workers collect the same tests."""
        self._notes = getattr(node, "workeroutput", {}).get(_OUTPUT, []) or self._notes
        self._told_by_workers = True

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Write the notes of the workers."""
        for note in self._notes if self._told_by_workers else ():
            terminalreporter.write_line(f"test categories: {note}")


def _allowed(item: pytest.Item, sizes: Sizes) -> Iterator[AllowEntry]:
    """Yield the item's own allow entries: from its markers and from its class."""
    given = [mark.args for mark in item.iter_markers(_options.ALLOW_MARKER)]
    given.append(getattr(_class_of(item), "network_allow", ()))
    for entries in given:
        with contextlib.suppress(ValueError):  # in off mode an invalid entry is ignored
            yield from parse_allow(entries)
    with contextlib.suppress(ValueError):
        for _, found in sizes.entries_of_size(item):
            yield from found


def _lists(item: pytest.Item) -> Iterator[tuple[AllowEntry, ...]]:
    """Yield the item's ``network_only`` lists: from its markers and from its class."""
    for mark in item.iter_markers(_options.ONLY_MARKER):
        with contextlib.suppress(ValueError):
            yield parse_narrowing(mark.args)
    with contextlib.suppress(ValueError):
        yield from parse_only(getattr(_class_of(item), "network_only", None))


def _class_of(item: pytest.Item) -> Any:
    return getattr(item.parent, "obj", None) if isinstance(item.parent, pytest.Class) else None


def _is_local(entry: AllowEntry) -> bool:
    """Tell whether an entry names this machine, judged from its text alone."""
    if entry.network is not None:
        return is_local_ip(entry.network.network_address) and is_local_ip(entry.network.broadcast_address)
    return bool(entry.path) or is_localhost(entry.name)
