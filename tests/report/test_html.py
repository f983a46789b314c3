"""The HTML report, opened from disk in a real browser."""

from __future__ import annotations

import json
import os
import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

import pytest
from tests.report.samples import big_report, small_report

from pytest_test_categories._report import html
from pytest_test_categories._report.model import MEANINGS, SYMBOLS, VERDICTS, Access, Case, Report
from pytest_test_categories._rules.violation import Violation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, BrowserContext, Page

    Open = Callable[..., Page]

CHROMIUM: Final = os.environ.get("CHROMIUM", "/usr/bin/chromium")
ARGUMENTS: Final = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
ELEMENTS: Final = 8_000
"""What may be drawn at a time of a report of 10,000 tests and 200 hosts: each element takes time."""

HOSTILE: Final = "t.py::test[</script><script>document.title='owned'</script><!-- <img src=x onerror=alert(1)> & \"']"


def missing(what: str) -> None:
    """Fail in CI, where all is to be there, and skip elsewhere."""
    if os.environ.get("CI"):
        pytest.fail(f"there is no {what}")
    pytest.skip(f"there is no {what}")


# Of this module alone: Playwright's synchronous interface keeps an event loop running in its thread.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("playwright")
    if not os.path.exists(CHROMIUM):
        missing(CHROMIUM)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The reports, on disk."""
    hostile = Violation(HOSTILE, "small", "connect", '</script> "a" b:80', location="src/a.py:1", thread="</script>")
    pages = {
        "small": small_report(),
        "big": big_report(),
        "empty": Report([Case("t.py::test_a", "small", "t.py", 1, "passed")], []),
        "hostile": Report([Case(HOSTILE, "small")], [Access(hostile, "refused", "large")], unwatched={"</script>": 1}),
    }
    directory = tmp_path_factory.mktemp("reports")
    written = {}
    for name, report in pages.items():
        written[name] = directory / f"{name} report.html"
        written[name].write_text(html.render(report), encoding="utf-8", newline="\n")
    return written


@pytest.fixture
def open_page(browser: Browser, files: dict[str, Path]) -> Iterator[Open]:
    """Open a report, at a place of it; in the end nothing may have gone wrong, and nothing been asked for."""
    contexts: list[BrowserContext] = []
    wrong: list[str] = []
    requests: list[str] = []
    urls: set[str] = set()

    def opened(name: str = "small", width: int = 1280, height: int = 900, script: bool = True, **place: str) -> Page:
        context = browser.new_context(viewport={"width": width, "height": height}, java_script_enabled=script)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        url = files[name].as_uri()
        urls.add(url)
        page.goto(url + (f"#{urlencode(place)}" if place else ""))
        return page

    yield opened
    for context in contexts:
        context.close()
    assert wrong == []
    assert {request.partition("#")[0] for request in requests} == urls


def status(page: Page) -> str:
    return page.locator("#status").inner_text()


def cells(page: Page) -> dict[str, str]:
    """Return what the cells of the matrix stand for."""
    titles = page.locator(".matrix td[title]").evaluate_all("cells => cells.map(cell => cell.title)")
    return dict(title.rsplit(": ", 1) for title in titles)


def names(page: Page, view: str) -> list[str]:
    """Return what a list names, once it is there: an address is shown a moment after it was gone to."""
    page.locator(f"#view-{view}").wait_for()
    return page.locator(f"#{view} > .list > li > details > summary .name").all_inner_texts()


# -- what it shows -----------------------------------------------------------------------------------------------------


def test_the_summary_gives_the_headline_the_numbers_and_what_is_missing(open_page: Open) -> None:
    page = open_page()
    text = page.locator("body").inner_text()
    assert "4 of 7 tests used more network than their size permits: 7 attempts to 5 hosts." in text
    assert "This run is incomplete." in text
    assert "-k was given" in text
    assert "curl, started 2 times" in text
    assert "Tests without a size: 1 of 7" in text
    assert "a thread that tests/test_users.py::TestStore::test_save started and that outlived it" in text
    assert page.locator(".numbers li").all_inner_texts() == [
        f"{number} {label}" for number, label, _ in small_report().counters
    ]
    page.get_by_text("What the verdicts mean").click()
    assert [" ".join(text.split()) for text in page.locator(".meanings div").all_inner_texts()] == [
        f"{SYMBOLS[verdict]} {verdict} {MEANINGS[verdict]}" for verdict in reversed(VERDICTS)
    ]


def test_the_lines_to_fix_come_first_with_their_fixes_and_tests(open_page: Open) -> None:
    page = open_page()
    assert page.locator("h2").all_inner_texts() == ["What to fix: 5 lines of code", "Also check", "All results"]
    sites = small_report().sites
    shown = page.locator(".site").all_inner_texts()
    assert len(shown) == len(sites)
    for site, text in zip(sites, shown, strict=True):
        for said in (site.where, *site.targets, *site.cures, *site.tests, site.verdict):
            assert said in text
    fake = page.locator(".site pre")
    assert fake.all_inner_texts() == [sites[0].fake]
    assert 'fake.add("GET", "https://api.example.com/users/7", json={})' in sites[0].fake
    page.locator(".site").first.get_by_role("link", name="test_fetch").click()
    assert page.locator("#tests details[open] .name").inner_text() == "tests/test_users.py::test_fetch"


def test_counters_and_verdicts_that_are_zero_hide(open_page: Open) -> None:
    page = open_page("hostile")
    assert page.locator(".numbers li").all_inner_texts() == [
        "1 refused",
        "1 test used the network",
        "1 host",
        "1 program start not watched",
    ]
    assert page.locator("input[name=verdict]:visible").evaluate_all("all => all.map(it => it.value)") == [
        "refused",
        "nothing",
    ]
    empty = open_page("empty")
    assert empty.locator(".numbers li").count() == 0
    assert empty.locator("h2").all_inner_texts() == ["All results"]


def test_of_many_lines_the_first_are_shown_and_the_rest_opens(open_page: Open) -> None:
    page = open_page("big")
    sites = page.locator(".site")
    assert sites.count() == len(big_report().sites)
    visible = page.locator(".site:visible").count()
    assert visible == 20
    page.get_by_text(f"Show {sites.count() - visible} more lines").click()
    assert sites.last.is_visible()


def test_the_summary_and_the_hosts_can_be_read_without_javascript(open_page: Open) -> None:
    page = open_page(script=False)
    text = page.locator("body").inner_text()
    assert "4 of 7 tests used more network than their size permits" in text
    assert "src/shop/users.py:12 in fetch_user" in text
    assert "responses or requests-mock" in text
    assert "need JavaScript" in text
    assert "telemetry.example.net" in text
    assert not page.locator("#results").is_visible()


def test_the_matrix_shows_what_the_model_says(open_page: Open) -> None:
    wanted: dict[str, tuple[str, int]] = {}
    for access in small_report().accesses:
        verdict, attempts = wanted.get(cell := f"{access.module}, {access.host}", (access.verdict, 0))
        worst = max(verdict, access.verdict, key=VERDICTS.index)
        wanted[cell] = (worst, attempts + access.violation.count)
    assert cells(open_page(view="matrix")) == {
        cell: f"{worst}, {attempts} attempt{'s' if attempts > 1 else ''}" for cell, (worst, attempts) in wanted.items()
    }


def test_the_list_of_hosts_shows_what_the_model_says(open_page: Open) -> None:
    page = open_page(view="hosts")
    report = small_report()
    assert names(page, "hosts") == [host.name for host in report.hosts]
    facts = page.locator("#hosts summary .facts").all_inner_texts()
    assert [fact.split(" · ")[0].split()[0] for fact in facts] == [str(host.attempts) for host in report.hosts]
    assert [fact.rpartition(" ")[2] for fact in facts] == [host.needs for host in report.hosts]


def test_the_list_of_tests_shows_what_the_model_says(open_page: Open) -> None:
    page = open_page(view="tests")
    assert names(page, "tests") == list(small_report().by_test)


def test_a_host_lists_lines_cures_and_tests(open_page: Open) -> None:
    page = open_page(view="hosts")
    page.get_by_text("api.example.com", exact=True).click()
    page.locator("#hosts details[open] .card").first.wait_for()
    text = page.locator("#hosts details[open]").inner_text()
    for said in (
        "src/shop/users.py:12 in fetch_user",
        "with requests; GET https://api.example.com/users/7?...; by a lookup (socket.connect)",
        "use responses or requests-mock",
        "tests/test_users.py::test_fetch (small) \u00d73, called from tests/test_users.py:9",
        "needs large",
    ):
        assert said in text


def test_a_test_lists_what_it_reached_for(open_page: Open) -> None:
    page = open_page(view="tests")
    page.locator("#tests summary", has_text="TestStore::test_save").click()
    opened = page.locator("#tests details[open]", has_text="localhost:6379")  # filled in once it is open
    opened.wait_for()
    text = opened.inner_text()
    for said in (
        "localhost:6379",
        "in fixture cache (session)",
        "with redis",
        "in thread telemetry",
        "that outlived it",
    ):
        assert said in text


# -- filter and search -------------------------------------------------------------------------------------------------


def test_verdicts_filter_all_views_and_stand_in_the_address(open_page: Open) -> None:
    page = open_page(view="matrix")
    assert status(page) == "10 attempts, 7 hosts, 6 tests match the filter."
    for verdict in ("warned", "known", "observed", "permitted"):
        page.locator(f"input[value={verdict}]").uncheck()
    page.wait_for_url(re.compile("verdict=refused$"))
    assert status(page) == "4 attempts, 2 hosts, 2 tests match the filter."
    assert {text.split(",")[0] for text in cells(page).values()} == {"refused"}
    page.get_by_role("link", name="By host").click()
    assert names(page, "hosts") == ["api.example.com", "<script>alert(1)</script>.example"]
    page.reload()
    assert names(page, "hosts") == ["api.example.com", "<script>alert(1)</script>.example"]
    assert not page.locator("input[value=permitted]").is_checked()


def test_sizes_filter(open_page: Open) -> None:
    page = open_page(view="tests", size="none")
    assert names(page, "tests") == ["tests/test_orders.py::test_unsized"]


def test_tests_that_reached_for_nothing_can_be_listed(open_page: Open) -> None:
    page = open_page(view="tests", verdict="nothing")
    assert names(page, "tests") == ["tests/test_orders.py::test_skipped"]


def test_the_summary_links_to_the_tests_with_no_size(open_page: Open) -> None:
    page = open_page()
    page.get_by_role("link", name="List them").click()
    assert names(page, "tests") == ["tests/test_orders.py::test_unsized"]


@pytest.mark.parametrize(
    ("query", "tests"),
    [
        pytest.param("REDIS", ["tests/test_users.py::TestStore::test_save"], id="library"),
        pytest.param("src/shop/pay.py:3", ["tests/test_orders.py::test_pays"], id="line"),
        pytest.param("session cache", ["tests/test_users.py::TestStore::test_save"], id="fixture, two words"),
        pytest.param("requests-mock", ["tests/test_users.py::test_fetch"], id="cure"),
        pytest.param("telemetry orders", [], id="words of different accesses"),
        pytest.param("host:localhost file:tests/test_orders.py", [], id="a host and a file that never met"),
        pytest.param('host:"<script>alert(1)</script>.example"', ["tests/test_orders.py::test_spawns"], id="host"),
        pytest.param('host:"unfinished', [], id="open quotation"),
    ],
)
def test_search_finds(open_page: Open, query: str, tests: list[str]) -> None:
    page = open_page(view="tests")
    page.get_by_label("Search").fill(query)
    page.wait_for_url(re.compile("q="))  # a moment after the last key
    assert names(page, "tests") == tests
    if not tests:
        assert "Nothing matches the filter." in page.locator("#tests").inner_text()
    page.get_by_role("button", name="Reset").click()
    assert len(names(page, "tests")) == 6
    assert page.get_by_label("Search").input_value() == ""


def test_a_search_that_matches_nothing_empties_the_matrix(open_page: Open) -> None:
    page = open_page(q="nowhere", view="matrix")
    assert status(page) == "0 attempts, 0 hosts, 0 tests match the filter."
    assert not page.locator(".scroller").is_visible()
    page.get_by_role("button", name="Reset").click()
    assert len(cells(page)) == 7


def test_what_the_filter_finds_is_announced(open_page: Open) -> None:
    live = open_page().locator("#status")
    assert (live.get_attribute("role"), live.get_attribute("aria-live")) == ("status", "polite")


# -- links -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [host.name for host in small_report().hosts])
def test_a_host_can_be_linked_to(open_page: Open, name: str) -> None:
    page = open_page(host=name)
    opened = page.locator("#hosts details[open]")
    assert opened.locator(".name").first.inner_text() == name
    assert page.evaluate("document.activeElement === document.querySelector('details[open] > summary')")
    assert page.evaluate("document.activeElement.id") == f"host={name}"


@pytest.mark.parametrize("name", [test.id for test in small_report().tests])
def test_a_test_can_be_linked_to_also_if_it_reached_for_nothing(open_page: Open, name: str) -> None:
    page = open_page(test=name)
    assert page.locator("#tests details[open] .name").inner_text() == name


def test_late_violations_link_to_their_tests(open_page: Open) -> None:
    page = open_page()
    page.locator("#check ~ .columns").get_by_role("link", name="TestStore::test_save").click()
    assert page.locator("#tests details[open] .name").inner_text() == "tests/test_users.py::TestStore::test_save"


def test_links_lead_from_a_host_to_a_test_and_back(open_page: Open) -> None:
    page = open_page(host="pay.example.org")
    page.get_by_role("link", name="tests/test_orders.py::test_pays").click()
    assert page.locator("#tests details[open] .name").inner_text() == "tests/test_orders.py::test_pays"
    page.get_by_role("link", name="pay.example.org:443").click()
    assert page.locator("#hosts details[open] .name").inner_text() == "pay.example.org"
    page.go_back()
    assert page.locator("#tests details[open] .name").inner_text() == "tests/test_orders.py::test_pays"


def test_each_item_says_how_to_link_to_it(open_page: Open) -> None:
    page = open_page(host="localhost")
    assert page.get_by_role("link", name="Link to this host").get_attribute("href") == "#host=localhost"


def test_a_link_into_the_middle_of_a_long_list_shows_its_neighbours(open_page: Open) -> None:
    number = 7003
    name = f"tests/area{number % 400 // 20}/test_module{number % 400:03}.py::test_case_{number:05}"
    page = open_page("big", test=name)
    assert page.locator("#tests details[open] .name").inner_text() == name
    assert page.locator("#tests details[open] > summary").evaluate(
        "it => Math.abs(it.getBoundingClientRect().top) < 200"
    )
    first = names(page, "tests")[0]
    page.get_by_role("button", name="earlier").click()
    assert names(page, "tests").index(first) == 200
    page.get_by_role("button", name=re.compile(r"more of [\d,]+$")).last.click()
    shown = names(page, "tests")
    assert len(shown) == 600
    assert shown == sorted(shown)


def test_a_line_that_many_tests_stand_on_shows_some_and_then_more(open_page: Open) -> None:
    page = open_page("big", host="service021.localhost")
    tests = page.locator("#hosts details[open] .card .list > li")
    assert tests.count() == 25
    page.get_by_role("button", name="Show 25 more of 125").click()
    assert tests.count() == 50
    assert page.evaluate("document.activeElement.textContent") == tests.nth(25).locator("a").inner_text()


# -- the matrix --------------------------------------------------------------------------------------------------------


def test_a_cell_leads_to_what_it_stands_for(open_page: Open) -> None:
    page = open_page(view="matrix")
    page.locator('td[title^="tests/test_users.py, localhost"]').click()
    assert names(page, "tests") == [
        "tests/test_users.py::TestStore::test_save",
        "tests/test_users.py::test_list[https://...@example.com/?...]",
    ]
    assert page.get_by_label("Search").input_value() == "file:tests/test_users.py host:localhost"


def test_an_empty_cell_leads_nowhere(open_page: Open) -> None:
    page = open_page(view="matrix")
    page.locator(".matrix td[aria-colindex]:not([title])").first.click()
    assert page.locator("#view-matrix").is_visible()


def test_heads_lead_to_the_host_and_to_the_tests_of_the_file(open_page: Open) -> None:
    page = open_page(view="matrix")
    page.locator(".matrix").get_by_role("link", name="tests/test_orders.py").click()
    assert all(name.startswith("tests/test_orders.py::") for name in names(page, "tests"))
    page.go_back()
    page.locator(".matrix").get_by_role("link", name="api.example.com").click()
    assert page.locator("#hosts details[open] .name").inner_text() == "api.example.com"


def test_the_matrix_is_a_grid_that_the_keyboard_walks(open_page: Open) -> None:
    page = open_page("big", view="matrix")
    grid = page.get_by_role("grid", name="Test files and hosts")
    assert (grid.get_attribute("aria-rowcount"), grid.get_attribute("aria-colcount")) == ("401", "201")
    page.locator("td[tabindex='0']").focus()

    def active() -> Any:
        return page.evaluate(
            "[Number(document.activeElement.dataset.row), Number(document.activeElement.dataset.column)]"
        )

    for key, place in (
        ("ArrowDown", [1, 0]),
        ("ArrowRight", [1, 1]),
        ("ArrowUp", [0, 1]),
        ("ArrowUp", [0, 1]),
        ("End", [0, 199]),
        ("Control+End", [399, 199]),
        ("ArrowRight", [399, 199]),
        ("Home", [399, 0]),
        ("Control+Home", [0, 0]),
    ):
        page.keyboard.press(key)
        assert active() == place
        box = page.evaluate("(({top, left}) => [top, left])(document.activeElement.getBoundingClientRect())")
        heads = page.locator(".corner").bounding_box()
        assert heads is not None
        assert box[0] >= heads["y"] + heads["height"] - 1
        assert box[1] >= heads["x"] + heads["width"] - 1
    page.keyboard.press("PageDown")
    assert active()[0] > 5


def test_enter_opens_a_cell(open_page: Open) -> None:
    page = open_page(view="matrix")
    page.locator('td[title^="tests/test_users.py, api.example.com"]').focus()
    page.locator("td[tabindex='0']").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert names(page, "tests") == ["tests/test_users.py::test_fetch"]
    assert page.evaluate("document.activeElement.id") == "to-tests"


def test_only_what_is_in_sight_of_the_matrix_is_in_the_document(open_page: Open) -> None:
    page = open_page("big", view="matrix")
    assert page.locator(".matrix td").count() < 4000
    page.locator(".scroller").evaluate("it => it.scrollTo(1e6, 1e6)")
    last = page.locator(".matrix tr[aria-rowindex='401']")
    last.wait_for()
    assert last.locator("th").inner_text() == "tests/area9/test_module199.py"
    box = last.locator("td[aria-colindex='201']").bounding_box()
    frame = page.locator(".scroller").bounding_box()
    assert box is not None
    assert frame is not None
    assert frame["x"] < box["x"] < frame["x"] + frame["width"]
    assert frame["y"] < box["y"] < frame["y"] + frame["height"]


def test_small_cells_show_more(open_page: Open) -> None:
    page = open_page("big", view="matrix")
    before = page.locator(".matrix tbody th").count()
    page.get_by_label("Small cells").check()
    assert page.locator(".matrix tbody th").count() > before


# -- people ------------------------------------------------------------------------------------------------------------


def test_the_keyboard_reaches_everything_in_order(open_page: Open) -> None:
    page = open_page()  # from the top: an address of a view scrolls to it, and some browsers then begin there
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to all results"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "results"
    reached = []
    for _ in range(30):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.localName"))
    for name in ("query", "reset", "to-matrix", "to-tests", "host=api.example.com"):
        assert name in reached
    assert reached.index("query") < reached.index("to-matrix") < reached.index("host=api.example.com")


def test_the_focus_is_visible(open_page: Open) -> None:
    page = open_page(view="hosts")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_a_slash_goes_to_the_search_and_is_a_letter_there(open_page: Open) -> None:
    page = open_page()
    page.keyboard.press("/")
    page.keyboard.type("src/")
    assert page.get_by_label("Search").input_value() == "src/"


def test_enter_opens_a_host(open_page: Open) -> None:
    page = open_page(view="hosts")
    page.locator("#hosts summary").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#hosts details[open] .card")


def test_light_and_dark_follow_the_system_and_the_button(open_page: Open) -> None:
    page = open_page()

    def shade() -> int:
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(map(int, re.findall(r"\d+", colour)[:3]))

    page.emulate_media(color_scheme="light")
    light = shade()
    page.emulate_media(color_scheme="dark")
    dark = shade()
    assert light > 600
    assert dark < 150
    button = page.get_by_role("button", name="Theme")
    button.click()
    assert (shade(), button.inner_text()) == (light, "Theme: light")
    page.emulate_media(color_scheme="light")
    button.click()
    assert (shade(), button.inner_text()) == (dark, "Theme: dark")
    button.click()
    assert (shade(), button.inner_text()) == (light, "Theme: system")


@pytest.mark.parametrize("view", ["matrix", "hosts", "tests"])
def test_a_narrow_window_scrolls_in_one_direction(open_page: Open, view: str) -> None:
    page = open_page("hostile", width=360, view=view)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "place",
    [
        pytest.param({}, id="top"),
        pytest.param({"view": "matrix"}, id="matrix"),
        pytest.param({"host": "api.example.com"}, id="host"),
        pytest.param({"test": "tests/test_users.py::TestStore::test_save", "verdict": "all"}, id="test"),
    ],
)
def test_axe_finds_nothing_to_complain_of(open_page: Open, place: dict[str, str], scheme: str) -> None:
    try:
        from axe_playwright_python.sync_playwright import Axe
    except ImportError:
        missing("axe-playwright-python")
    page = open_page(**place)
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
    found = Axe().run(page).response["violations"]
    assert [(rule["id"], [node["html"][:120] for node in rule["nodes"]][:4]) for rule in found] == []


def test_headings_and_landmarks_are_in_order(open_page: Open) -> None:
    page = open_page()
    levels = page.locator("h1, h2, h3").evaluate_all("all => all.map(it => Number(it.localName[1]))")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    for role in ("banner", "main", "navigation", "search"):
        assert page.get_by_role(role).count() == 1


# -- safety ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [{}, {"view": "hosts"}, {"test": HOSTILE}, {"host": '</script> "a" b'}])
def test_names_are_text_whatever_they_hold(open_page: Open, place: dict[str, str]) -> None:
    page = open_page("hostile", **place)
    assert page.title().startswith("Network report: 1 of 1 test used more network")
    assert page.locator("img").count() == 0
    assert page.locator("script").count() == 2
    if "test" in place:
        assert page.locator("#tests details[open] .name").inner_text() == HOSTILE
    if "host" in place:
        assert page.locator("#hosts details[open] .name").inner_text() == place["host"]


def test_a_cell_of_a_host_with_quotation_marks_leads_to_it(open_page: Open) -> None:
    page = open_page("hostile", view="matrix")
    page.locator(".matrix td[title]").click()
    assert names(page, "tests") == [HOSTILE]


def test_a_script_that_is_not_the_reports_own_does_not_run(browser: Browser, files: dict[str, Path]) -> None:
    changed = files["small"].with_name("changed.html")
    text = files["small"].read_text(encoding="utf-8")
    changed.write_text(text.replace("</main>", "</main><script>document.title='owned'</script>"), encoding="utf-8")
    context = browser.new_context()
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(changed.as_uri())
    assert page.title() != "owned"
    assert any("Content Security Policy" in text for text in said)
    context.close()


def test_the_page_names_nothing_outside_of_itself() -> None:
    text = re.sub(r"<script type=.*?</script>", "", html.render(small_report()), flags=re.DOTALL)
    text = text.replace("https://api.example.com/users/7", "")  # what was asked for, as text
    assert (
        re.findall(r"(?:src|href)=[\"'](?!#)|url\(|@import|innerHTML|eval\(|https?://(?!\.\.\.@)|\bfetch\(", text) == []
    )
    assert "default-src 'none'" in text
    assert "unsafe" not in text


def test_the_data_ends_no_script_early() -> None:
    report = Report([Case(HOSTILE)], [])
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', html.render(report), re.DOTALL)
    assert data is not None
    assert "<" not in data[1]
    tests = json.loads(data[1])["tests"]
    assert [f"{file}::{name}" for (file, _), name in zip(tests["file"], tests["name"], strict=True)] == [HOSTILE]
    assert html._embedded({"a": "\u2028\u2029<!--"}) == '{"a":"\\u2028\\u2029\\u003c!--"}'


def test_it_tells_no_secret_and_is_the_same_each_time() -> None:
    text = html.render(small_report())
    assert [word for word in ("secret", "bob", "key=1", "/usr/bin") if word in text] == []
    assert html.render(small_report()) == text


# -- size --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "first"),
    [
        pytest.param({"view": "matrix"}, ".matrix td[title]", id="matrix"),
        pytest.param({"view": "hosts"}, "#hosts summary", id="hosts"),
        pytest.param({"view": "tests"}, "#tests summary", id="tests"),
        pytest.param({"q": "service1 refused", "view": "tests"}, "#status:not(:empty)", id="search"),
        pytest.param({"host": "service002.example.com"}, "#hosts .card", id="link"),
    ],
)
def test_a_big_report_draws_what_is_in_sight_alone(open_page: Open, place: dict[str, str], first: str) -> None:
    """How long that takes, the benchmarks say."""
    page = open_page("big", **place)
    page.wait_for_selector(first)
    drawn = page.evaluate("document.getElementsByTagName('*').length")
    assert drawn < ELEMENTS


def test_a_big_report_answers_a_search_before_it_does_anything_else(open_page: Open) -> None:
    page = open_page("big", view="hosts")
    said, drawn = page.evaluate(
        """() => {
            history.replaceState(null, "", "#view=hosts&q=module123+client");
            dispatchEvent(new HashChangeEvent("hashchange"));
            return [document.getElementById("status").innerText, document.getElementsByTagName("*").length];
        }"""
    )
    assert "match the filter" in said
    assert drawn < ELEMENTS


def test_a_run_that_reached_for_nothing_has_a_page_too(open_page: Open) -> None:
    page = open_page("empty")
    assert "No network use in 1 test." in page.locator("body").inner_text()
    assert status(page) == "0 attempts, 0 hosts, 0 tests match the filter."
