"""What a report of 10,000 tests and 200 hosts takes to open and to search, in Chromium."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from tests.benchmarks.inner import Machine, UnmeasuredError
from tests.benchmarks.table import Figure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser

_CHROMIUM: Final = os.environ.get("CHROMIUM", "/usr/bin/chromium")
_PLACES: Final = (
    ({"view": "matrix"}, ".matrix td[title]"),
    ({"view": "hosts"}, "#hosts summary"),
    ({"view": "tests"}, "#tests summary"),
    ({"q": "service1 refused", "view": "tests"}, "#status:not(:empty)"),
    ({"host": "service002.example.com"}, "#hosts .card"),
)
_SEARCH: Final = """() => {
    const before = performance.now();
    history.replaceState(null, "", "#view=hosts&q=module123+client");
    dispatchEvent(new HashChangeEvent("hashchange"));
    return (performance.now() - before) / 1000;
}"""


@contextmanager
def _browser(machine: Machine) -> Iterator[tuple[Browser, Path]]:
    """Start a browser, and write a report; both in the environment of the benchmarks, which has what they need.

    Raises:
        UnmeasuredError: Playwright, Jinja2 or Chromium is missing.
    """
    try:
        from playwright.sync_api import sync_playwright
        from tests.report.samples import big_report

        from pytest_test_categories._report import html
    except ImportError as error:
        raise UnmeasuredError(str(error)) from error
    if not os.path.exists(_CHROMIUM):
        raise UnmeasuredError(f"there is no {_CHROMIUM}")
    file = machine.directory("page") / "report.html"
    file.write_text(html.render(big_report()), encoding="utf-8", newline="\n")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser, file
        browser.close()


def opens(machine: Machine) -> Figure:
    """Time the opening of the page at each of its views; the slowest counts."""
    taken: list[float] = []
    with _browser(machine) as (browser, file):
        for place, first in _PLACES:
            rounds = []
            for _ in range(3):
                with browser.new_context() as context:
                    start = time.perf_counter()
                    page = context.new_page()
                    page.goto(f"{file.as_uri()}#{urlencode(place)}")
                    page.wait_for_selector(first)
                    rounds.append(time.perf_counter() - start)
            taken.append(min(rounds))
    return Figure({"ours": max(taken)})


def searches(machine: Machine) -> Figure:
    """Time a search for words."""
    with _browser(machine) as (browser, file), browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{file.as_uri()}#view=hosts")
        page.wait_for_selector("#hosts summary")
        return Figure({"ours": float(page.evaluate(_SEARCH))})
