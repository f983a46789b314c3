"""Hands the run's settings to the workers of pytest-xdist, and checks that each worker has this plugin.

A worker parses the command line again, where it is: on another machine it has neither the environment nor, perhaps,
the ini file and the baseline of the controller. The settings that it gets here take precedence over all of them.
"""

from __future__ import annotations

from importlib import metadata
from typing import Any, Final

import pytest

from pytest_test_categories.pytest_plugin import _options

_RECEIVE: Final = f"""
import importlib.metadata, importlib.util, os, sys, types
module = sys.modules["{_options.HANDED}"] = types.ModuleType("{_options.HANDED}")
module.text = channel.receive()
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
"""What a worker's Python runs before pytest-xdist's own module."""


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
        channel = node.gateway.remote_exec(_RECEIVE)
        channel.send(self._text)
        version, executable = channel.receive()
        channel.waitclose()
        spec = node.gateway.spec
        if spec.popen or not self._active:  # it gets the import path of this process
            return
        ours = metadata.version("pytest-test-categories") if version not in {"", "unknown"} else version
        if not version or version != ours:
            where = str(spec).removeprefix(f"execmodel={spec.execmodel}//")  # pytest-xdist adds that
            has = f"has pytest-test-categories {version}, and this run {ours}" if version else "does not have it"
            raise pytest.UsageError(
                f"pytest-test-categories is needed in the Python of each worker, and {executable} of --tx {where} {has}"
            )
