"""A pytest plugin that writes each report as a line of JSON, and keeps only the tests asked for.

Loaded by ``-p suite_recorder`` in the project's own environment, it needs pytest and nothing else.
Every line is written at once, so that the record of a run that is killed is whole.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

RECORD = "SUITE_RECORD"
"""Environment variable: the file to write to."""
ONLY = "SUITE_ONLY"
"""Environment variable: a JSON list of the node ids to run; without it, all run."""

_POINTER = re.compile(r"0x[0-9a-f]{6,}")


def stable(nodeid: str) -> str:
    """Return a node id without addresses of memory: those of some parameters differ in each run."""
    return _POINTER.sub("0x", nodeid)


class Recorder:
    """Writes reports to an open file."""

    def __init__(self, stream: SupportsWrite[str]) -> None:
        self.stream = stream
        self.only = frozenset(json.loads(os.environ[ONLY])) if ONLY in os.environ else None

    def _write(self, **line: object) -> None:
        self.stream.write(json.dumps(line) + "\n")
        flush = getattr(self.stream, "flush", None)
        if flush is not None:
            flush()

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """Keep the tests asked for."""
        if self.only is not None:
            gone = [item for item in items if stable(item.nodeid) not in self.only]
            items[:] = [item for item in items if stable(item.nodeid) in self.only]
            config.hook.pytest_deselected(items=gone)

    @pytest.hookimpl(trylast=True)
    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Record a module that could not be collected."""
        if report.failed:
            self._write(
                id=f"collect {stable(report.nodeid)}",
                when="collect",
                outcome="failed",
                text=report.longreprtext,
            )

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Record that a test began, so that a run that hangs names it."""
        self._write(id=stable(nodeid), when="start")

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Record one phase of a test."""
        sections = "\n".join(
            text for title, text in report.sections if not title.startswith("Captured")
        )
        self._write(
            id=stable(report.nodeid),
            when=report.when,
            outcome=report.outcome,
            xfail=hasattr(report, "wasxfail"),
            seconds=round(report.duration, 4),
            text="" if report.passed else report.longreprtext,
            sections=sections,
        )

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        """Record how the run ended."""
        self._write(id="", when="finish", outcome=str(int(exitstatus)))


def pytest_configure(config: pytest.Config) -> None:
    """Start recording, in the process that collects all reports."""
    if RECORD in os.environ and not hasattr(config, "workerinput"):
        path = Path(os.environ[RECORD])
        stream = path.open("a", encoding="utf-8")  # open until the process ends
        config.pluginmanager.register(Recorder(stream), "suite-recorder-reports")
