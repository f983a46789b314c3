"""The site: built, opened from disk in Chromium, searched, and looked at on a wide and a narrow screen."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest
from tests.docs.test_reference import ROOT
from tests.report.test_html import browser

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Page

__all__ = ["browser"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of a site that is made to be opened from disk."""
    if any(find_spec(name) is None for name in ("mkdocs", "material", "mkdocstrings")):
        pytest.skip("the group docs is not installed")
    built = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-d", str(built)],
        check=False,
        cwd=ROOT,
        env=os.environ | {"OFFLINE": "true", "NO_MKDOCS_2_WARNING": "1"},
        stderr=subprocess.STDOUT,
        stdout=subprocess.PIPE,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout
    return built


def opened(browser: Browser, path: Path, width: int = 1280) -> tuple[Page, list[str]]:
    """Return a page, and the addresses that it loads from elsewhere, which it adds to."""
    page = browser.new_page(viewport={"width": width, "height": 900})
    elsewhere: list[str] = []
    page.on("request", lambda request: None if request.url.startswith("file:") else elsewhere.append(request.url))
    page.goto(path.as_uri())
    return page, elsewhere


def test_the_search_works_from_disk(site: Path, browser: Browser) -> None:
    for path in (site / "index.html", site / "guides" / "ci.html"):
        page, elsewhere = opened(browser, path)
        page.locator(".md-search__input").click()
        page.keyboard.type("baseline")
        page.locator(".md-search-result__item").first.wait_for(timeout=10_000)
        assert page.locator(".md-search-result__item a[href*='baseline']").count() > 0
        assert elsewhere == []
        page.close()


@pytest.mark.parametrize("width", [1280, 390])
def test_no_signature_is_cut_off(site: Path, browser: Browser, width: int) -> None:
    page, _ = opened(browser, site / "reference" / "api.html", width)
    cut = "[...document.querySelectorAll('.doc-signature code')].filter(it => it.scrollWidth > it.clientWidth + 1)"
    assert page.locator(".doc-signature code").count() > 10
    assert page.evaluate(f"{cut}.map(it => it.textContent)") == []
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.close()


def test_the_home_page_has_the_install_command(site: Path, browser: Browser) -> None:
    page, _ = opened(browser, site / "index.html")
    assert "python -m pip install ." in [text.strip() for text in page.locator("pre code").all_inner_texts()]
    page.close()
