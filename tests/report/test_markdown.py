"""Markdown: short, and inert whatever the names in it are."""

from __future__ import annotations

import re

import pytest
from tests.report.samples import big_report, small_report

from pytest_test_categories._report import markdown
from pytest_test_categories._report.model import Access, Case, Report
from pytest_test_categories._rules.violation import Violation

HOSTILE = "t.py::test[| `code` <b>x</b> @octocat **bold** __init__ [l](http://x) https://evil.example www.evil.example #1 ~~s~~ $x$ \\]"


def hostile_report() -> Report:
    violation = Violation(HOSTILE, "small", "connect", "<img src=x>|`@octocat`:80", location="a|b.py:1", function="@f")
    return Report(
        [Case(HOSTILE), Case("x\ny| z")], [Access(violation, "refused", "large")], unwatched={"@tool|`": 1},
        complete=False, why_incomplete=["-k 'a|b' @octocat\n# heading"],
    )  # fmt: skip


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_it_starts_with_the_headline() -> None:
    report = small_report()
    assert markdown.render(report).startswith(
        "## Network report (strict): 4 of 7 tests used more network than their size permits"
    )


def test_it_gives_the_numbers_that_are_not_zero() -> None:
    numbers = markdown.render(small_report()).split("\n\n")[2]
    assert numbers.startswith("**4** refused, **1** warned, **1** observed, **1** in the baseline, ")
    assert numbers.endswith(", **1** test without a size")
    assert "**0**" not in markdown.render(hostile_report())


def test_it_lists_the_lines_with_the_fix() -> None:
    row = next(line for line in markdown.render(small_report()).splitlines() if "api.example.com" in line)
    where, host, verdict, attempts, tests, fix = cells(row)
    assert (host, verdict, attempts) == ("<code>api.example.com:443</code>", "✕ refused", "3")
    assert "src/shop/users.py:12 in fetch\\_user" in where
    assert "test\\_fetch" in tests
    assert "<code>@pytest.mark.large</code> instead" in fix
    assert "use responses or requests-mock" in fix


def test_it_holds_the_fakes_to_paste() -> None:
    report = small_report()
    text = markdown.render(report)
    summary = "<details><summary>Fake to paste: <code>src/shop/users.py:12 in fetch\\_user</code></summary>\n\n"
    block = f"{summary}```python\n{report.sites[0].fake}\n```\n\n</details>\n"
    assert text.count("<details>") == 1
    assert block in text
    assert 'fake.add("GET", "https://api.example.com/users/7", json={})' in block


def test_fakes_of_many_lines_leave_room_for_the_rest() -> None:
    def access(number: int) -> Access:
        violation = Violation(
            f"tests/test_users.py::test_{'x' * 200}{number}", "small", "connect", "h:1", location=f"a.py:{number + 1}",
            library="requests", request=f"GET https://h/{'`' * 250}{number}",
        )  # fmt: skip
        return Access(violation, "refused", "large")

    text = markdown.render(Report([Case("t.py::test_a")], map(access, range(50))))
    assert len(text) < markdown.LIMIT
    assert text.count("<details>") == text.count("</details>") > 1
    assert "### Tests without a size" in text


def test_it_says_what_is_missing() -> None:
    text = markdown.render(small_report())
    assert "**Incomplete run:** -k was given." in text
    assert "### Tests without a size: 1\n\n<code>tests/test\\_orders.py::test\\_unsized</code>" in text
    assert "### Programs that were not watched: 1\n\n<code>curl (2 starts)</code>" in text
    assert "### Network use after the end of the test: 1" in text


def test_an_empty_run_says_so_and_no_more() -> None:
    text = markdown.render(Report([Case("a", "small")], []))
    assert "No network use in 1 test" in text
    assert "###" not in text


def test_an_incomplete_run_without_a_reason_is_one_too() -> None:
    assert "**Incomplete run:** not every test" in markdown.render(Report([], [], complete=False))


def test_it_fits_into_a_comment_and_says_how_many_more() -> None:
    text = markdown.render(big_report())
    assert len(text) < markdown.LIMIT
    assert re.search(r"^\.\.\. and \d+ more; the HTML report lists them all\.$", text, re.MULTILINE)
    assert "and 2490 more" in text


def test_the_longest_names_fit_too() -> None:
    def access(number: int) -> Access:
        name = "|" * 5000 + str(number)
        violation = Violation(name, "medium", "connect", name, location=f"{name}.py:1", thread=name, late=name)
        return Access(violation, "refused", "large")

    report = Report([Case("`" * 5000 + str(n)) for n in range(50)], map(access, range(50)), unwatched={"<" * 5000: 1})
    assert len(markdown.render(report)) < markdown.LIMIT


def test_names_neither_break_tables_nor_make_markup() -> None:
    text = markdown.render(hostile_report())
    tables = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    assert len(tables) == 1
    for lines in tables:
        assert len({len(cells(line)) for line in lines}) == 1
    assert set(re.findall(r"<[^>]*>", text)) <= {"<code>", "</code>", "<br>"}
    names = re.sub(r"^#+ |\*\*Incomplete run:\*\*|\*\*\d+\*\*|&#\d+;", "", text, flags=re.MULTILINE)
    assert re.findall(r"(?<!\\)[`*\[\]~$#]", names) == []
    assert "://" not in text
    assert "www." not in text


def test_nobody_is_notified() -> None:
    for report in (hostile_report(), small_report()):
        text = re.sub(
            r"<code>.*?</code>|^```python$.*?^```$", "", markdown.render(report), flags=re.DOTALL | re.MULTILINE
        )
        assert "@" not in text


def test_it_renders_as_one_table_with_its_texts() -> None:
    renderer = pytest.importorskip("markdown_it").MarkdownIt("gfm-like", {"html": True, "linkify": False})
    html = renderer.render(markdown.render(hostile_report()))
    assert "<img" not in html
    assert "<b>" not in html
    assert "<a " not in html
    assert "&lt;img src=x&gt;|`@octocat`" in html
    assert "__init__" in html
    assert html.count("<table>") == 1


def test_it_tells_no_secret_and_is_the_same_each_time() -> None:
    text = markdown.render(small_report())
    assert [word for word in ("secret", "bob", "key=1", "/usr/bin") if word in text] == []
    assert markdown.render(small_report()) == text
