"""The report as Markdown, short enough for a comment on a pull request."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pytest_test_categories._report.model import SYMBOLS
from pytest_test_categories._rules.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_test_categories._report.model import Report, Site

LIMIT: Final = 30_000
"""The most characters: GitHub accepts comments of up to 65,536, and a comment may contain other texts, too."""

_ROWS: Final = 40
_TESTS: Final = 3
_NAMES: Final = 10
_LATE: Final = 10
_WIDTH: Final = 240
_CUT: Final = "*More was cut: the HTML report has it.*\n\n"


def render(report: Report) -> str:
    """Return the report as Markdown of at most ``LIMIT`` characters, the same text for the same report."""
    text = ""
    sites = report.sites
    for section in (_head(report), _lines(sites), _fakes(sites), _late(report), _unsized(report), _unwatched(report)):
        added = "".join(f"{block}\n\n" for block in section)
        # With names of thousands of characters, later sections are left out.
        text += added if len(text) + len(added) < LIMIT - len(_CUT) else ("" if text.endswith(_CUT) else _CUT)
    return text.rstrip("\n") + "\n"


def _head(report: Report) -> Iterator[str]:
    yield f"## Network report ({report.mode}): {_plain(report.headline)}"
    if not report.complete:
        reasons = "; ".join(_plain(why) for why in report.why_incomplete[:_NAMES]) or "not every test ran to its end"
        yield f"> **Incomplete run:** {reasons}."
    if report.counters:
        yield ", ".join(f"**{number:,}** {label}" for number, label, _ in report.counters)


def _lines(sites: Sequence[Site]) -> Iterator[str]:
    if not sites:
        return
    yield f"### What to fix: {counted(len(sites), 'line')} of code"
    rows: list[list[str]] = []
    spent = 0
    for site in sites[:_ROWS]:
        row = [
            _code(site.where) if site.where else "no line is known",
            _listed(site.targets, _TESTS, "<br>"),
            f"{SYMBOLS[site.verdict]} {site.verdict}",
            str(site.attempts),
            _listed(site.tests, _TESTS, "<br>"),
            "<br>".join(_plain(cure) for cure in site.cures),
        ]
        spent += sum(map(len, row))
        if spent > LIMIT // 2:
            break
        rows.append(row)
    yield _table(["line", "host", "verdict", "attempts", "tests", "how to fix"], rows)
    if missing := len(sites) - len(rows):
        yield f"... and {missing} more; the HTML report lists them all."


def _fakes(sites: Sequence[Site]) -> Iterator[str]:
    spent = 0
    for site in [site for site in sites if site.fake][:_NAMES]:
        # Lines of Python, none of which can end the block; their string literals are printable.
        head = f"<details><summary>Fake to paste: {_code(site.where)}</summary>"
        text = f"{head}\n\n```python\n{site.fake}\n```\n\n</details>"
        spent += len(text)
        if spent < LIMIT // 3:
            yield text


def _late(report: Report) -> Iterator[str]:
    if report.late:
        yield f"### Network use after the end of the test: {len(report.late)}"
        lines = [f"- {_code(access.violation.test)}: {_code(access.line)}" for access in report.late[:_LATE]]
        missing = len(report.late) - len(lines)
        yield "\n".join([*lines, *([f"- ... and {missing} more"] if missing else [])])


def _unsized(report: Report) -> Iterator[str]:
    if report.unsized:
        yield f"### Tests without a size: {len(report.unsized)}"
        yield _listed([test.id for test in report.unsized], _NAMES, ", ")


def _unwatched(report: Report) -> Iterator[str]:
    if report.unwatched:
        yield f"### Programs that were not watched: {len(report.unwatched)}"
        yield _listed(
            [f"{program} ({counted(count, 'start')})" for program, count in report.unwatched.items()], _NAMES, ", "
        )


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    heads = list(heads)
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _listed(texts: Sequence[str], limit: int, comma: str) -> str:
    shown = [_code(text) for text in texts[:limit]]
    missing = len(texts) - len(shown)
    return comma.join([*shown, *([f"and {missing} more"] if missing else [])])


# Special characters of Markdown and of its tables. A span in backquotes could contain no backquote and, inside of a
# table, no pipe.
_ESCAPES: Final = {c: f"\\{c}" for c in "\\`*_[]~#!$"} | {"|": "&#124;", "<": "&lt;", ">": "&gt;", "&": "&amp;"}
_SPECIAL: Final = re.compile("[" + re.escape("".join(_ESCAPES)) + "]")
_LINK: Final = re.compile(r"(?::(?=//)|(?<=www)\.)", re.IGNORECASE)
_AT: Final = re.compile(r"(@[\w./-]+)")


def _code(text: str) -> str:
    """Return a text in a ``<code>`` element: code hosts send no notification for an @name inside of one."""
    return f"<code>{_escaped(_cut(text))}</code>"


def _plain(text: str) -> str:
    """Return a text with each @name as code: ``@pytest.mark.large`` is not a mention of a user."""
    pieces = _AT.split(_cut(text))
    return "".join(_code(piece) if number % 2 else _escaped(piece) for number, piece in enumerate(pieces))


def _escaped(text: str) -> str:
    marked = _SPECIAL.sub(lambda special: _ESCAPES[special[0]], text)
    return _LINK.sub(lambda found: f"&#{ord(found[0])};", marked)  # so that an address doesn't become a link


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 3]}..."
