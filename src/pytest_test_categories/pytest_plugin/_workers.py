"""Hands the run's settings to the workers of pytest-xdist, and checks that each worker has this plugin.

A worker parses the command line again, where it is: on another machine it has neither the environment nor, perhaps,
the ini file and the baseline of the controller. The settings that it gets here take precedence over all of them.
"""

from __future__ import annotations

import contextlib
from importlib import metadata
from typing import Any, Final

import pytest

from pytest_test_categories.pytest_plugin import _options

_KEEP: Final = f"""
import sys
module = sys.modules["{_options.HANDED}"] = type(sys)("{_options.HANDED}")
module.text = channel.receive()
"""
"""What the Python of each worker runs before pytest-xdist's own module; the controller waits for it."""

_CHECK: Final = """
import importlib.metadata, importlib.util, os, sys
version = ""
sys.path.insert(0, os.getcwd())  # as pytest-xdist does for a worker on another machine
if importlib.util.find_spec("pytest_test_categories") is not None:
    try:
        version = importlib.metadata.version("pytest-test-categories")
    except importlib.metadata.PackageNotFoundError:
        version = "unknown"
del sys.path[0]
channel.send((version, sys.executable))
"""
"""What it runs before that on another machine; a worker on this one gets the import path of the controller."""


class Workers:
    """Prepares each worker before it starts."""

    def __init__(self, config: pytest.Config) -> None:
        self._text = _options.handed_over(config)
        self._active = _options.of(config).active

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Send a worker the settings.

        Raises:
            pytest.UsageError: Its Python does not have this plugin, or has another version of it.
        """
        spec = node.gateway.spec
        if self._active and not spec.popen:
            _check(node.gateway)
        channel = node.gateway.remote_exec(_KEEP)
        channel.send(self._text)
        channel.waitclose()


def _check(gateway: Any) -> None:
    channel = gateway.remote_exec(_CHECK)
    version, executable = channel.receive()
    channel.waitclose()
    ours = version
    with contextlib.suppress(metadata.PackageNotFoundError):  # a source tree that is not installed, here or there
        ours = ours if version == "unknown" else metadata.version("pytest-test-categories")
    if not version or version != ours:
        spec = gateway.spec
        where = str(spec).removeprefix(f"execmodel={spec.execmodel}//")  # pytest-xdist adds that
        has = f"has pytest-test-categories {version}, and this run {ours}" if version else "does not have it"
        raise pytest.UsageError(
            f"pytest-test-categories is needed in the Python of each worker, and {executable} of --tx {where} {has}"
        )
