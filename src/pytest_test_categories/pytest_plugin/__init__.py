"""The pytest plugin: reads options, and brings in what the mode needs.

In off mode nothing but this module and ``_options`` is imported, and no hook runs for a test.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_test_categories.pytest_plugin import _options

if TYPE_CHECKING:
    from collections.abc import Generator

_SESSION = "test-categories-session"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the ini keys and options."""
    _options.add(parser)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None]:
    """Guard the import of the first conftests, before capturing starts."""
    settings = _options.of(early_config)
    if settings.active:
        if settings.kernel != _options.OFF:
            from pytest_test_categories.pytest_plugin import _kernel

            _kernel.start(early_config, settings)
        from pytest_test_categories.pytest_plugin._session import Session

        session = Session(early_config, settings)
        early_config.pluginmanager.register(session, _SESSION)
        with session.collecting("conftest.py"):
            return (yield)
    return (yield)


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers, and the plugin's parts."""
    _options.register_markers(config)
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
    if session is None:  # loaded too late for the first conftests: by pytest_plugins, say
        session = Session(config, settings)
        config.pluginmanager.register(session, _SESSION)
    session.configure(config)


def pytest_report_header(config: pytest.Config) -> str | list[str]:
    """Say the mode, and what is watched."""
    settings = _options.of(config)
    if settings.active and settings.kernel != _options.OFF:
        from pytest_test_categories.pytest_plugin import _kernel

        return _kernel.header(settings)
    return _options.header(settings)
