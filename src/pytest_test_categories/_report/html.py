"""The report as one HTML file that works from disk: no network, no external fonts or scripts."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
from collections.abc import Hashable
from importlib import resources
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from pytest_test_categories._report.model import MEANINGS, SIZES, SYMBOLS, VERDICTS
from pytest_test_categories._rules.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_test_categories._report.model import Report

_LATE: Final = 20
_SITES: Final = 20
_SITES_KEPT: Final = 500
_PER_SITE: Final = {"tests_shown": 3, "targets_shown": 3, "notes_shown": 4}


class MissingExtraError(ValueError):
    """A format needs a package that is not installed."""


def check_installed() -> None:
    """Check that Jinja2 is installed.

    Raises:
        MissingExtraError: It is not installed; the message says how to install it.
    """
    if importlib.util.find_spec("jinja2") is None:
        raise MissingExtraError("an HTML report needs Jinja2: pip install 'pytest-test-categories[report]'")


def render(report: Report) -> str:
    """Return the report as a page, the same text for the same report.

    Raises:
        MissingExtraError: Jinja2 is not installed.
    """
    check_installed()
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    style, script = _read("report.css"), _read("report.js")
    return environment.from_string(_read("report.html")).render(
        report=report,
        verdicts=[(verdict, SYMBOLS[verdict], MEANINGS[verdict]) for verdict in reversed(VERDICTS)],
        symbols=SYMBOLS,
        sizes=[*SIZES, ""],
        late=report.late[:_LATE],
        sites_shown=_SITES,
        sites_kept=_SITES_KEPT,
        counted=counted,
        **_PER_SITE,
        style=Markup(style),  # noqa: S704 - our own file
        style_hash=_hash(style),
        script=Markup(script),  # noqa: S704 - our own file
        script_hash=_hash(script),
        data=Markup(_embedded(_data(report))),  # noqa: S704 - JSON with no "<" in it
    )


def _read(name: str) -> str:
    return resources.files(__package__).joinpath("templates", name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """Return the source expression with which a content security policy permits exactly this text."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _embedded(data: dict[str, Any]) -> str:
    """Return JSON that can't end the script element around it and can't start a comment in it."""
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c").replace(">", "\\u003e")


class _Texts(dict[Hashable, int]):
    """Numbers texts, or tuples of texts, in the order of their first use: many accesses share them."""

    def __missing__(self, text: Hashable) -> int:
        number = self[text] = len(self)
        return number


def _data(report: Report) -> dict[str, Any]:
    """Return the data for the page's script, as columns, since there may be tens of thousands of rows."""
    others = [test for test in report.by_test if test not in report.cases]  # the run itself, and tests of another run
    ids = [*(test.id for test in report.tests), *others]
    tests = {test: number for number, test in reversed(list(enumerate(ids)))}
    hosts = {host: number for number, host in enumerate(report.by_host)}
    modules = {module: number for number, module in enumerate(report.by_module)}
    texts, lines = _Texts(), _Texts()
    return {
        "verdicts": VERDICTS,
        "symbols": SYMBOLS,
        "sizes": ["", *SIZES],
        "hosts": list(hosts),
        "modules": list(modules),
        "tests": {
            # Most of a hundred thousand tests are like their neighbours: same file, size and outcome.
            "file": _runs(test.partition("::")[0] for test in ids),
            "name": [test.partition("::")[2] for test in ids],
            "size": _runs([*(_size(test.size) for test in report.tests), *(0 for _ in others)]),
            "outcome": _runs([*(texts[test.outcome] for test in report.tests), *(texts[""] for _ in others)]),
            "unwatched": _runs([*(test.unwatched for test in report.tests), *(0 for _ in others)]),
        },
        "accesses": {
            "test": [tests[access.violation.test] for access in report.accesses],
            "host": [hosts[access.host] for access in report.accesses],
            "module": [modules[access.module] for access in report.accesses],
            "target": [texts[access.aim] for access in report.accesses],
            "size": [_size(access.violation.size) for access in report.accesses],
            "needs": [_size(access.needs) for access in report.accesses],
            "verdict": [VERDICTS.index(access.verdict) for access in report.accesses],
            "count": [access.violation.count for access in report.accesses],
            "where": [texts[access.where] for access in report.accesses],
            "from": [texts[access.violation.called_from] for access in report.accesses],
            "notes": [lines[access.notes] for access in report.accesses],
            "cures": [lines[access.cures] for access in report.accesses],
        },
        "texts": list(texts),
        "lines": list(lines),
    }


def _runs(values: Iterable[Hashable]) -> list[tuple[Hashable, int]]:
    """Return a column as its values and how often each follows itself."""
    return [(value, sum(1 for _ in same)) for value, same in groupby(values)]


def _size(size: str) -> int:
    return SIZES.index(size) + 1 if size else 0
