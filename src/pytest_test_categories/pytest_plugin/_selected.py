"""Selection by size: what ``-m`` selects, and what needs more network than the environment has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_test_categories._rules.address import is_local_ip, is_localhost
from pytest_test_categories._rules.policy import TestSize, parse_own_allow
from pytest_test_categories.pytest_plugin import _options, _private
from pytest_test_categories.pytest_plugin._sizes import SizeConflictError, Sizes

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from pytest_test_categories._rules.address import AllowEntry
    from pytest_test_categories.pytest_plugin._options import Settings

_NEEDS: Final[dict[TestSize | None, str]] = {
    TestSize.MEDIUM: _options.MACHINE,
    TestSize.LARGE: _options.ALL,
    TestSize.XLARGE: _options.ALL,
}
_CALLED: Final = {_options.MACHINE: "this machine's network", _options.ALL: "remote hosts"}


class Selected:
    """Answers for the sizes in the expression of ``-m``, and skips what the environment has no network for."""

    def __init__(self, config: pytest.Config, settings: Settings) -> None:
        self._settings = settings
        self._root = str(config.rootpath)
        self._sizes = Sizes(settings, self._root)
        self._unsized = 0

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> Generator[None, object, object]:
        """Answer while pytest deselects, and skip among what is left when every plugin has had its turn."""
        with _private.deselecting_by(config, self._holds):
            result = yield
        if self._settings.available != _options.ALL:
            self._sizes = Sizes(self._settings, self._root)  # other plugins may have added markers since
            for item in items:
                self._skip(item)
        return result

    def _holds(self, item: pytest.Item, name: str) -> bool | None:
        """Tell whether a name in the expression is an item's size; None if it is the name of no size."""
        if name not in _options.MARKERS:
            return None
        try:
            size = self._sizes.of(item)
        except SizeConflictError:
            return None  # the run stops on it, when all markers are there
        return size is not None and size.value == name

    def _skip(self, item: pytest.Item) -> None:
        reason = self._reason(item)
        if reason:
            # A marker, and not a hook: pytest then says where the test is, and sets no fixture up.
            item.add_marker(pytest.mark.skip(reason=f"{reason}: {self._settings.available_from}"))

    def _reason(self, item: pytest.Item) -> str:
        """Return why an item needs more than the environment has; empty if it doesn't."""
        enough = _options.AVAILABLE.index(self._settings.available)
        try:
            size = self._sizes.of(item)
        except SizeConflictError:
            return ""
        if size is None:
            self._unsized += 1
        needs = _NEEDS.get(size, _options.NONE)
        if _options.AVAILABLE.index(needs) > enough:
            return f"{size.value} tests need {_CALLED[needs]}" if size else ""
        for entry in _allowed(item):
            needs = _options.MACHINE if _is_local(entry) else _options.ALL
            if _options.AVAILABLE.index(needs) > enough:
                return f"the test needs {entry.text.removeprefix('small: ')}"
        return ""

    def pytest_report_collectionfinish(self) -> list[str]:
        """Say how many tests run of which it is not known what they need."""
        if not self._unsized:
            return []
        has, run = ("test has", "runs") if self._unsized == 1 else ("tests have", "run")
        return [f"test categories: {self._unsized} {has} no size, and {run}: {self._settings.available_from}"]


def _allowed(item: pytest.Item) -> Iterator[AllowEntry]:
    """Yield what widens an item by itself: its markers, and the attribute of its class."""
    cls: Any = getattr(item.parent, "obj", None) if isinstance(item.parent, pytest.Class) else None
    for entries in (
        *(mark.args for mark in item.iter_markers(_options.ALLOW_MARKER)),
        getattr(cls, "network_allow", ()),
    ):
        try:
            yield from parse_own_allow(entries)
        except ValueError:  # in off mode a wrong entry stops nothing
            continue


def _is_local(entry: AllowEntry) -> bool:
    """Tell whether an entry leads to this machine, judged from its text alone."""
    if entry.network is not None:
        return is_local_ip(entry.network.network_address) and is_local_ip(entry.network.broadcast_address)
    return bool(entry.path) or is_localhost(entry.name)
