"""What is published: README on PyPI, metadata, the policy, issue forms, the API page."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

import pytest
from tests.docs.test_reference import DOCS, ROOT, table
from tests.schemas import published

import pytest_test_categories

if TYPE_CHECKING:
    from pathlib import Path

PROJECT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SITE: Final = "https://pytest-test-categories.readthedocs.io/"
PYTHONS: Final = [
    name.rpartition(" ")[2]
    for name in PROJECT["project"]["classifiers"]
    if re.fullmatch(r"Programming Language :: Python :: 3\.\d+", name)
]


def requirement(name: str) -> str:
    """Return the lowest version that the project needs of a distribution."""
    [found] = [text for text in PROJECT["project"]["dependencies"] if text.startswith(name)]
    version: str = found.partition(">=")[2]
    return version


@pytest.fixture(scope="module")
def readme() -> str:
    """Return README as PyPI shows it."""
    if find_spec("hatch_fancy_pypi_readme") is None:
        pytest.skip("hatch-fancy-pypi-readme is not installed")
    command = [sys.executable, "-m", "hatch_fancy_pypi_readme"]
    return subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.PIPE, text=True).stdout


def test_the_published_readme_has_no_comments_and_no_relative_links(readme: str) -> None:
    assert "<!--" not in readme
    assert [link for link in re.findall(r"\]\(([^)]*)\)", readme) if not link.startswith("https://")] == []


def test_each_link_of_the_published_readme_to_the_site_is_a_page(readme: str) -> None:
    links = [link.removeprefix(SITE) for link in re.findall(r"\]\(([^)]*)\)", readme) if link.startswith(SITE)]
    assert len(links) > 20
    assert [link for link in links if not (DOCS / f"{link.partition('#')[0].rstrip('/')}.md").is_file()] == []


def test_the_rest_of_the_published_readme_is_readme(readme: str) -> None:
    code = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
    assert code.findall(readme) == code.findall((ROOT / "README.md").read_text(encoding="utf-8"))


def test_what_badges_say_is_what_the_project_says() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"img\.shields\.io/badge/([^)]*)\)", text) == [
        f"python-{PYTHONS[0]}_to_{PYTHONS[-1]}-blue",
        f"pytest-{requirement('pytest')}_or_later-blue",
        f"license-{PROJECT['project']['license']}-blue",
    ]


def test_the_policy_says_what_the_project_says() -> None:
    page = DOCS / "policy.md"
    assert [row[0] for row in table(page, "Python")] == PYTHONS
    assert PROJECT["project"]["requires-python"] == f">={PYTHONS[0]}"
    assert f"pytest {requirement('pytest')} or later and wrapt {requirement('wrapt')} or later" in page.read_text(
        encoding="utf-8"
    )


def test_the_version_is_above_that_of_the_other_implementation() -> None:
    version = tuple(map(int, PROJECT["project"]["version"].split(".")))
    assert version > (1, 2, 2)
    assert f"## {PROJECT['project']['version']}" in (DOCS / "changelog.md").read_text(encoding="utf-8")


FORMS: Final = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.name)
def test_an_issue_form_is_valid(path: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    form = pytest.importorskip("yaml").safe_load(path.read_text(encoding="utf-8"))
    jsonschema.validate(form, published(f"github-issue-{'config' if path.stem == 'config' else 'forms'}.json"))


def test_there_is_a_form_for_each_kind_of_report() -> None:
    assert [path.stem for path in FORMS] == ["config", "false-alarm", "feature", "missed-attempt", "wrong-blame"]


API: Final = (DOCS / "reference" / "api.md").read_text(encoding="utf-8")


def test_the_api_page_has_each_public_name() -> None:
    listed = re.findall(r"^::: pytest_test_categories\.(\w+)$", API, re.MULTILINE)
    assert sorted(listed) == sorted(pytest_test_categories.__all__)


@pytest.mark.parametrize("name", pytest_test_categories.__all__)
def test_the_api_page_has_each_public_attribute(name: str) -> None:
    value = getattr(pytest_test_categories, name)
    if not inspect.isclass(value):
        return
    options = re.search(rf"^::: pytest_test_categories\.{name}$\n(?:    .*\n)*", API, re.MULTILINE)
    assert options is not None
    members = re.search(r"members: \[(.*)\]", options[0])
    shown = set() if members is None else {one.strip() for one in members[1].split(",")}
    text = inspect.getdoc(value) or ""
    said = {
        *re.findall(r"^ {4}(\w+)(?: \(.*\))?: ", text, re.MULTILINE),
        *re.findall(r"^\| `(\w+)` ", API, re.MULTILINE),
    }
    own = {
        attribute
        for cls in value.__mro__
        if cls.__module__.startswith("pytest_test_categories.")
        if cls is value or cls.__name__ not in pytest_test_categories.__all__  # a base has its own entry
        for attribute in vars(cls)
        if not attribute.startswith("_")
    }
    assert sorted(own - shown - said - NOT_LISTED) == []


def test_the_api_page_has_what_a_guard_holds() -> None:
    held = [name for name in vars(pytest_test_categories.network_guard("small")) if not name.startswith("_")]
    assert held == ["size"]
    assert "The attribute `size` is " in API


NOT_LISTED: Final = {
    # unittest's, which the base classes guard.
    *dir(__import__("unittest").TestCase),
    "pytestmark",
    # How the package's own parts enter a guard.
    *("fresh", "of", "open", "policy", "shut"),
    # The four sizes and three modes, which the text names.
    *(member.name for member in pytest_test_categories.TestSize),
    *(member.name for member in pytest_test_categories.EnforcementMode),
}
