"""The breaches as workflow commands, which GitHub Actions shows beside the lines of code.

Source: https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
"""

# Without "from __future__ import annotations", which binds that name: here, annotations are those of GitHub.
from typing import Final

from pytest_test_categories._report.model import Access, Report

LIMIT: Final = 10
"""The most annotations per level that GitHub shows for a step; it drops further ones silently."""

_TITLE: Final = "TC001 network access violation"


def workflow_commands(report: Report, below: str = "") -> list[str]:
    """Return a workflow command for each breach, errors first.

    If a level has more than ``LIMIT``, its last command says how many are missing.

    Args:
        report: The report of the run.
        below: The root directory's path in the repository; empty if it is the top of the repository.
    """
    lines = []
    for level in ("error", "warning"):
        accesses = [access for access in report.breaches if access.level == level]
        shown = accesses if len(accesses) <= LIMIT else accesses[: LIMIT - 1]
        lines += [_annotation(report, access, below) for access in shown]
        if missing := len(accesses) - len(shown):
            lines.append(_command(level, f"and {missing} more; --network-report=FILE lists them all", title=_TITLE))
    return lines


def _annotation(report: Report, access: Access, below: str) -> str:
    where = report.position(access)
    if where is None:
        return _command(access.level, access.message, title=_TITLE)
    line = {"line": str(where.line)} if where.line else {}
    return _command(
        access.level, access.message, file=f"{below}/{where.file}" if below else where.file, **line, title=_TITLE
    )


def _command(level: str, message: str, **properties: str) -> str:
    told = ",".join(f"{name}={_escaped(value, property_=True)}" for name, value in properties.items())
    return f"::{level} {told}::{_escaped(message)}"


def _escaped(text: str, *, property_: bool = False) -> str:
    text = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return text.replace(":", "%3A").replace(",", "%2C") if property_ else text
