"""The options and ini keys of version 1, another implementation under the same name on PyPI.

Imported only if a run uses one of them; ``_options`` has their names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from pytest_test_categories._rules.named_tuples import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

PAGE: Final = "https://pytest-test-categories.readthedocs.io/guides/from-1.x/"
IGNORED: Final = "ignored"
REFUSED: Final = "refused"

_SHARES: Final = "version 2 does not check how many tests have which size"
_JSON: Final = "write the JSON report with --network-report=FILE.json"


class Row(NamedTuple):
    """How one setting of version 1 is handled.

    Attributes:
        name: The option or ini key.
        value: The value that the row is for; empty for all other values.
        fate: ``IGNORED``; or ``REFUSED`` if it asks for a failure or a file that the run would not produce.
        line: The reason, or what to use instead.
    """

    name: str
    value: str
    fate: str
    line: str


TABLE: Final = (
    Row("test_categories_distribution_enforcement", "strict", REFUSED, f"{_SHARES}: remove it"),
    Row("test_categories_distribution_enforcement", "", IGNORED, _SHARES),
    Row("test_categories_small_target", "", IGNORED, _SHARES),
    Row("test_categories_medium_target", "", IGNORED, _SHARES),
    Row("test_categories_large_target", "", IGNORED, _SHARES),
    Row("test_categories_tolerance", "", IGNORED, _SHARES),
    Row("--test-categories-distribution-enforcement", "strict", REFUSED, f"{_SHARES}: remove it"),
    Row("--test-categories-distribution-enforcement", "", IGNORED, _SHARES),
    Row("--test-categories-small-target", "", IGNORED, _SHARES),
    Row("--test-categories-medium-target", "", IGNORED, _SHARES),
    Row("--test-categories-large-target", "", IGNORED, _SHARES),
    Row("--test-categories-tolerance", "", IGNORED, _SHARES),
    Row("--test-size-report", "json", REFUSED, _JSON),
    Row("--test-size-report", "", IGNORED, "the summary counts sizes; --network-explain lists each test's"),
    Row("--test-size-report-file", "", REFUSED, _JSON),
    Row("--test-categories-suggest", "", REFUSED, "use --network-suggest-sizes; it enforces nothing in its run"),
    Row("--test-categories-suggest-output", "", REFUSED, "use --network-suggest-sizes --network-report=FILE.json"),
)

MARKER_ARGUMENTS: Final = {
    "timeout": "version 2 checks no times: use pytest-timeout",
    "allow_external_systems": "version 2 has no such warning: remove it",
    "override": "the closest size marker wins: remove it",
}
"""The arguments that size markers took in version 1."""


def about_arguments(names: Iterable[str]) -> str:
    """Return what to do with arguments of a size marker that version 1 took; empty for other arguments."""
    return "; ".join(f"{name}: {MARKER_ARGUMENTS[name]}" for name in names if name in MARKER_ARGUMENTS)


class From1x:
    """Lists at the end of a run the settings of version 1 that it ignored.

    Raises:
        pytest.UsageError: A setting is refused.
    """

    def __init__(self, given: Mapping[str, str]) -> None:
        rows = [_row(name, value) for name, value in given.items()]
        refused = [
            f"{row.name}{f'={row.value}' if row.value else ''} is a setting of version 1: {row.line}"
            for row in rows
            if row.fate == REFUSED
        ]
        if refused:
            raise pytest.UsageError(*refused, f"coming from version 1: {PAGE}")
        self._ignored = rows

    def lines(self) -> Iterator[str]:
        """Yield a line for each ignored setting, and a link."""
        for row in self._ignored:
            yield f"{row.name} is ignored: {row.line}"
        yield f"coming from version 1: {PAGE}"

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Write the section that lists the ignored settings."""
        terminalreporter.write_sep("=", "test categories: settings of version 1")
        for line in self.lines():
            terminalreporter.write_line(line)


def _row(name: str, value: str) -> Row:
    return next(row for row in TABLE if row.name == name and row.value in {"", value.strip().lower()})
