"""What the reference says is what the plugin has: options, variables, markers, entries, error codes."""

from __future__ import annotations

import argparse
import importlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from pytest_test_categories import _commands, _judge
from pytest_test_categories._rules import policy, wording
from pytest_test_categories._rules.address import parse_allow_entry
from pytest_test_categories._rules.policy import TestSize
from pytest_test_categories.pytest_plugin import _from_1x, _options

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT: Final = Path(__file__).parents[2]
DOCS: Final = ROOT / "docs"
PACKAGE: Final = Path(wording.__file__).parents[1]
PAGES: Final = sorted(page for page in DOCS.rglob("*.md") if "/." not in page.as_posix().removeprefix(DOCS.as_posix()))
"""Those of the site. README's first command leaves an environment below ``docs``, with texts of its own."""


def table(page: Path, heading: str) -> list[list[str]]:
    """Return the cells of the table whose first heading is ``heading``, without backquotes."""
    lines = page.read_text(encoding="utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"| {heading} "))
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip().replace("`", "") for cell in line.strip("|").split("|")])
    return rows


class _Group:
    """Takes the options that the plugin adds."""

    def __init__(self) -> None:
        self.ini: list[str] = []
        self.options: list[str] = []

    def getgroup(self, _name: str) -> _Group:
        return self

    def addini(self, name: str, _text: str, **_settings: object) -> None:
        self.ini.append(name)

    def addoption(self, name: str, **_settings: object) -> None:
        self.options.append(name)


def test_the_table_of_options_holds_the_plugins_options() -> None:
    added = _Group()
    _options.add(added)  # type: ignore[arg-type]  # what it uses of pytest's parser
    rows = table(DOCS / "reference" / "options.md", "ini key")
    assert [row[:3] for row in rows] == [[key.ini, key.option, key.default] for key in _options.KEYS]
    assert added.ini == [*(key.ini for key in _options.KEYS), *_options._RENAMED.values()]
    single = [
        name.partition("=")[0].partition("[")[0] for name, _ in table(DOCS / "reference" / "options.md", "command line")
    ]
    assert sorted([*(row[1] for row in rows), *single]) == sorted(added.options)


def test_each_ini_key_and_option_is_in_the_help(run_pytest: Callable[..., pytest.RunResult]) -> None:
    text = run_pytest("--help").stdout.str()
    for ini, option, *_ in table(DOCS / "reference" / "options.md", "ini key"):
        assert ini in text
        assert option in text


def test_the_table_of_variables_holds_the_variables() -> None:
    rows = table(DOCS / "reference" / "options.md", "variable")
    guards = {policy.MODE_VARIABLE, policy.ALLOW_VARIABLE, policy.DENY_VARIABLE}
    keys = {key.variable for key in _options.KEYS if key.variable}
    assert {name for name, _ in rows} == guards | keys | {_judge.DEBUG_VARIABLE}


def test_the_table_of_markers_holds_the_markers() -> None:
    rows = table(DOCS / "reference" / "markers.md", "marker")
    assert [name.removeprefix("@pytest.mark.") for name, _ in rows] == list(_options.MARKERS)


def test_the_pages_of_the_commands_hold_the_commands_and_their_options() -> None:
    page = DOCS / "reference" / "commands.md"
    assert [name for name, _ in table(page, "command")] == list(_commands.COMMANDS)
    text = page.read_text(encoding="utf-8") + (DOCS / "guides" / "combine.md").read_text(encoding="utf-8")
    for name in _commands.COMMANDS:
        assert f"\n## {name}\n" in text
        parser = argparse.ArgumentParser(add_help=False)
        importlib.import_module(f"{_commands.__name__}.{name}").add_arguments(parser)
        for action in parser._actions:
            assert not action.option_strings or any(f"`{option}" in text for option in action.option_strings), action


def test_each_form_of_an_allow_entry_parses() -> None:
    rows = table(DOCS / "guides" / "local-services.md", "entry")
    for entries, _ in rows:
        for entry in entries.split(", "):
            assert parse_allow_entry(entry).text == entry


@pytest.mark.parametrize("page", [ROOT / "README.md", DOCS / "index.md"], ids=["README", "index"])
def test_the_table_of_sizes_holds_the_sizes(page: Path) -> None:
    sizes = ", ".join(row[0] for row in table(page, "size"))
    assert sizes == ", ".join(size.value for size in TestSize)


def test_each_error_code_has_a_page_and_each_page_a_code() -> None:
    sources = [path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")]
    codes = {code for source in sources for code in re.findall(r"\bTC\d{3}\b", source)}
    assert codes == {page.stem for page in (DOCS / "errors").glob("*.md")}


def test_the_report_links_to_the_page_of_its_code() -> None:
    site = re.search(r"^site_url: (.*)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
    assert site is not None
    assert f"{site[1]}errors/TC001" == wording.DOCUMENTATION


def test_each_page_is_in_the_navigation() -> None:
    listed = re.findall(r": (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
    pages = [page.relative_to(DOCS).as_posix() for page in PAGES]
    assert sorted(listed) == sorted(pages)


def test_each_file_that_readme_links_to_is_there() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_page_on_1x_says_of_each_setting_what_the_run_says() -> None:
    rows = [row[:3] for row in table(DOCS / "guides" / "from-1.x.md", "1.x |")]
    told = [
        [f"{row.name}{(' = ' if row.name[0] != '-' else '=') + row.value if row.value else ''}", row.fate, row.line]
        for row in _from_1x.TABLE
    ]
    assert [name for name, fate, _ in rows if fate == "understood"] == [
        "test_categories_enforcement",
        "--test-categories-enforcement",
    ]
    assert [row for row in rows if row[1] != "understood" and not row[0].startswith("@")] == told
    arguments = [row[0].partition("(")[2].partition("=")[0] for row in rows if row[0].startswith("@")]
    assert arguments == list(_from_1x.MARKER_ARGUMENTS)


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda page: page.stem)
def test_no_install_line_takes_version_1_from_the_index(page: Path) -> None:
    lines = [line for line in page.read_text(encoding="utf-8").splitlines() if "pip install" in line]
    assert [
        line for line in lines if re.search(r"(?<!/)\bpytest-test-categories\b(?!\]\()", line.split("pip install")[1])
    ] == []
