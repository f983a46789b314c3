"""Whether a run collects all of the project's tests, and which settings match none of them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import pytest

from pytest_test_categories._attribution.stack import relative
from pytest_test_categories.pytest_plugin import _private

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from pytest_test_categories.pytest_plugin._options import Settings
    from pytest_test_categories.pytest_plugin._sizes import Sizes

_NARROWING: Final = {
    "--lf": "lf",
    "--sw": "stepwise",
    "--collect-only": "collectonly",
    "--setup-only": "setuponly",
    "--setup-plan": "setupplan",
    "--fixtures": "showfixtures",
    "--fixtures-per-test": "show_fixtures_per_test",
    "--cache-show": "cacheshow",
    "--ignore": "ignore",
    "--ignore-glob": "ignore_glob",
}
"""Options with which not every test runs, and the attribute of ``config.option`` for each."""


def narrowing(config: pytest.Config) -> list[str]:
    """Return the options of a run that leave tests out or run none, and a start below the root directory."""
    from pytest_test_categories._report.published import relative_place

    given = [name for name, field in _NARROWING.items() if getattr(config.option, field, None)]
    if config.args_source is pytest.Config.ArgsSource.INVOCATION_DIR:
        started, root = os.path.normpath(config.invocation_params.dir), str(config.rootpath)
        if started != root:
            given.append(f"started in {relative_place(relative(started, root))}")
    return given


def chosen(config: pytest.Config) -> list[str]:
    """Return the paths of the command line if they don't cover all of the project's tests."""
    if config.args_source is not pytest.Config.ArgsSource.ARGS:
        return []
    from pytest_test_categories._report.published import relative_place

    root = str(config.rootpath)
    whole = {os.path.normpath(os.path.join(root, path)) for path in config.getini("testpaths") or [root]}
    given = {os.path.normpath(os.path.join(str(config.invocation_params.dir), path)) for path in config.args}
    if whole <= given or root in given:
        return []
    return [relative_place(relative(os.path.normpath(path), root)) for path in config.args]


def is_whole(config: pytest.Config) -> bool:
    """Tell whether the run collects all of the project's tests, including those that are then deselected."""
    reasons = set(narrowing(config)) - {"--collect-only", "--setup-only", "--setup-plan"}
    return not reasons and not chosen(config)


_NOT_THERE: Final = "there is no such directory or file"


def to_say(texts: Collection[str], config: pytest.Config) -> list[str]:
    """Return the texts of ``unused`` that are certain: if not all tests were collected, only those on missing paths."""
    if not texts or is_whole(config):
        return list(texts)
    return [text for text in texts if text.endswith(_NOT_THERE)]


def unused(session: pytest.Session, items: Iterable[pytest.Item], settings: Settings, sizes: Sizes) -> Iterator[str]:
    """Yield a line for each rule that matches no collected item; none if the collection of a module failed.

    Args:
        session: The session, after collection.
        items: All collected items, before any was deselected.
        settings: The settings, which hold the rules.
        sizes: Tells which files a path rule covers.
    """
    if session.testsfailed:
        return
    if settings.path_sizes:
        paths = {str(item.path) for item in items}
        for rule, size in settings.path_sizes:
            if not sizes.covers(rule, paths):
                there = os.path.exists(os.path.join(str(session.config.rootpath), rule))
                why = "no collected test is in it" if there else _NOT_THERE
                yield f"test_categories_path_sizes: '{rule or '.'} = {size.value}' matched no test: {why}"
    if settings.fixture_sizes:
        for name, size in settings.fixture_sizes:
            if not _private.is_defined(session, name):
                yield (
                    f"test_categories_fixture_sizes: '{name} = {size.value}' names no fixture: "
                    "no collected file, conftest or plugin defines it"
                )
