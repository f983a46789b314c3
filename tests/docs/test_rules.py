"""The clauses of docs/reference/rules.md: numbered in order, and each shown by tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "reference" / "rules.md"
CLAUSE: Final = re.compile(
    r'^<a id="rule-(\d+)-(\d+)"></a>\n\*\*(\d+)\.(\d+)\*\* (.*?)\n\n((?:- [^\n]*\n)*)', re.MULTILINE | re.DOTALL
)
RULE: Final = re.compile(r"test_(rule_\d+)_")


def names(body: list[ast.stmt], prefix: str) -> Iterator[str]:
    """Yield the node ids of the tests in a module or class."""
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield from names(node.body, f"{prefix}::{node.name}")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield f"{prefix}::{node.name}"


def known_tests() -> set[str]:
    """Return the node ids of all tests of the project, without parameters."""
    return {
        name
        for file in sorted((ROOT / "tests").rglob("test_*.py"))
        if "ecosystem" not in file.parts or file.parent.name == "ecosystem"  # sample projects have tests of their own
        for name in names(ast.parse(file.read_text(encoding="utf-8")).body, file.relative_to(ROOT).as_posix())
    }


def clauses() -> list[tuple[str, str, list[str]]]:
    """Return the number, the text and the tests of each clause."""
    found = CLAUSE.findall(PAGE.read_text(encoding="utf-8"))
    for section, number, said_section, said_number, *_ in found:
        assert (section, number) == (said_section, said_number)
    return [(f"{a}.{b}", text, re.findall(r"^- `(.*)`$", named, re.MULTILINE)) for a, b, _, _, text, named in found]


def test_each_test_that_a_clause_names_is_there() -> None:
    known = known_tests()
    missing = [(number, test) for number, _, named in clauses() for test in named if test not in known]
    assert missing == []


def test_each_clause_says_what_must_or_may_be_and_names_a_test() -> None:
    found = clauses()
    assert len(found) == PAGE.read_text(encoding="utf-8").count('<a id="rule-')
    lacking = [number for number, text, named in found if not named or not re.search(r"\b(MUST|MAY)\b", text)]
    assert lacking == []


def test_clauses_are_numbered_in_order_below_their_headings() -> None:
    text = PAGE.read_text(encoding="utf-8")
    wanted = []
    for number, section in enumerate(re.split(r"^## ", text, flags=re.MULTILINE)[1:], 1):
        assert section.startswith(f"{number}. ")
        wanted += [f"{number}.{clause}" for clause in range(1, section.count('<a id="rule-') + 1)]
    assert [number for number, _, _ in clauses()] == wanted


def test_each_rule_that_tests_are_named_after_has_a_clause() -> None:
    rules = {found[1] for test in known_tests() if (found := RULE.search(test))}
    shown = {found[1] for _, _, named in clauses() for test in named if (found := RULE.search(test))}
    assert rules - shown == set()
