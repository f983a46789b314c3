"""The pytest plugin: reads the options, and imports what the mode needs.

In off mode nothing but this module and ``_options`` is imported, and no hook runs for a test.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import PathFinder
from importlib.util import spec_from_file_location
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from importlib.machinery import ModuleSpec


class _Plainly:
    """Imports the modules of this package and of wrapt without pytest's assertion rewriting, within its block.

    pytest rewrites the assertions in every module of a plugin's package. That takes longer than the rest of the
    import, and no user is meant to read a failed assertion of these modules.
    """

    def __enter__(self) -> None:
        sys.meta_path.insert(0, self)

    def __exit__(self, *_: object) -> None:
        if self in sys.meta_path:  # other code may have replaced the list
            sys.meta_path.remove(self)

    def find_spec(self, name: str, path: Sequence[str] | None = None, _target: object = None) -> ModuleSpec | None:
        """Find a module of this package or of wrapt; leave all others to the next finder, pytest's."""
        package, _, inside = name.partition(".")
        if package not in {"pytest_test_categories", "wrapt"}:
            return None
        if inside and path and package == "pytest_test_categories":
            file = f"{path[0]}{os.sep}{inside.rpartition('.')[2]}.py"
            if os.path.isfile(file):  # the usual case, in half the time: no other suffix is tried
                return spec_from_file_location(name, file)
        return PathFinder.find_spec(name, path)


with _Plainly():
    from pytest_test_categories.pytest_plugin import _options

_SESSION = "test-categories-session"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the ini keys and options."""
    _options.add(parser)
    _options.add_from_1x(parser)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None]:
    """Guard the import of the first conftests; called before capturing starts."""
    with _Plainly():
        settings = _options.of(early_config)
        if settings.active:
            if settings.kernel != _options.OFF:
                from pytest_test_categories.pytest_plugin import _kernel

                _kernel.start(early_config, settings)
            from pytest_test_categories.pytest_plugin._session import Session

            session = Session(early_config, settings)
    if settings.active:
        early_config.pluginmanager.register(session, _SESSION)
        with session.collecting("conftest.py"):
            return (yield)
    return (yield)


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers and the parts of the plugin."""
    _options.register_markers(config)
    with _Plainly():
        if given := _options.from_1x(config):
            from pytest_test_categories.pytest_plugin import _from_1x

            config.pluginmanager.register(_from_1x.From1x(given), "test-categories-from-1x")
        _configure(config)


def _configure(config: pytest.Config) -> None:
    settings = _options.of(config)
    if not settings.active:
        from pytest_test_categories.pytest_plugin import _off

        config.pluginmanager.register(_off.Off(config), "test-categories-off")
        return
    from pytest_test_categories.pytest_plugin._session import Session

    session = config.pluginmanager.get_plugin(_SESSION)
    if settings.kernel != _options.OFF:
        from pytest_test_categories.pytest_plugin import _kernel

        _kernel.confirm(settings)
    if session is None:  # loaded too late for the first conftests, for example through pytest_plugins
        session = Session(config, settings)
        config.pluginmanager.register(session, _SESSION)
    session.configure(config)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Register the selection by size if it is needed; not earlier, since a conftest may have set ``-m``.

    Likewise what prepares workers: pytest-xdist, which registers itself late, starts them after this.
    """
    config = session.config
    if config.pluginmanager.has_plugin("dsession"):
        with _Plainly():
            from pytest_test_categories.pytest_plugin._workers import Workers

        config.pluginmanager.register(Workers(config), "test-categories-workers")
    if _options.selects_by_size(config):
        with _Plainly():
            from pytest_test_categories.pytest_plugin._selected import Selected

        config.pluginmanager.register(Selected(config, _options.of(config)), _options.SELECTED)


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Return the header lines: the mode, and what is watched."""
    settings, verbose = _options.of(config), config.option.verbose > 0
    if settings.active and settings.kernel != _options.OFF:
        from pytest_test_categories.pytest_plugin import _kernel

        said = _kernel.header(settings, verbose=verbose)
        return [*([said] if isinstance(said, str) else said), *_options.notes(config)]
    return [_options.header(settings, verbose=verbose), *_options.notes(config)]
