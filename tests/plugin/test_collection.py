"""Rule 13: what test modules and conftests reach for while they are imported counts."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

# A connect on this machine: small forbids it, medium permits it. Nobody listens there.
DIALS: Final = """
import contextlib, socket, unittest
import pytest

def dial():
    with contextlib.suppress(OSError), socket.socket() as s: s.connect(("127.0.0.1", 9))
"""

BROKEN = [
    pytest.param("dial()\n@pytest.mark.small\ndef test_one(): pass\n", "test_dials.py:8", id="marker on a function"),
    pytest.param(
        "pytestmark = pytest.mark.small\ndial()\ndef test_one(): pass\n", "test_dials.py:9", id="marker on the module"
    ),
    pytest.param(
        "@pytest.mark.small\nclass TestIt:\n    dial()\n    def test_one(self): pass\n",
        "test_dials.py:10",
        id="marker on a class",
    ),
    pytest.param(
        "@pytest.mark.small\nclass T(unittest.TestCase):\n    dial()\n    def test_one(self): pass\n",
        "test_dials.py:10",
        id="unittest class",
    ),
    pytest.param(
        "def cases():\n    dial()\n    return [1, 2]\n"
        "@pytest.mark.small\n@pytest.mark.parametrize('n', cases())\ndef test_one(n): pass\n",
        "test_dials.py:9",
        id="parameters",
    ),
    pytest.param(
        "@pytest.mark.small\ndef test_one(n): pass\n"
        "def pytest_generate_tests(metafunc):\n    dial()\n    metafunc.parametrize('n', [1])\n",
        "test_dials.py:11",
        id="pytest_generate_tests",
    ),
    pytest.param(
        "try: dial()\nexcept Exception: pass\n"
        "@pytest.mark.small\ndef test_one(): pass\n@pytest.mark.medium\ndef test_two(): pass\n",
        "test_dials.py:8",
        id="one small test of two",
    ),
    pytest.param("import app\n@pytest.mark.small\ndef test_one(): pass\n", "app.py:8", id="imported module"),
]


@pytest.mark.parametrize(("text", "line"), BROKEN)
def test_an_import_that_dials_is_an_error_of_a_module_with_a_test_that_may_not(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    summary: Callable[[pytest.RunResult], list[str]],
    text: str,
    line: str,
) -> None:
    pytester.makepyfile(test_dials=DIALS + text, test_other="def test_other(): pass", app=DIALS + "dial()")
    result = run_pytest("--continue-on-collection-errors")
    result.assert_outcomes(errors=1, passed=1)
    imported = "app" if line.startswith("app") else "test_dials"
    result.stdout.fnmatch_lines(
        [
            "*ERROR collecting test_dials.py*",
            "[[]TC001[]] Network Access Violation",
            "Test: test_dials.py",
            "Category: SMALL",
        ]
    )
    assert f"while importing {imported}" in result.stdout.str() or "generate" in text
    listed = "\n".join(summary(result))
    assert "network violations: 1 in 1 place\n  test_dials.py [small]" in listed
    assert run_pytest().ret == pytest.ExitCode.INTERRUPTED


def test_an_import_that_dials_is_nobodys_matter_where_no_test_forbids_it(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    summary: Callable[[pytest.RunResult], list[str]],
    workers: int,
) -> None:
    pytester.makepyfile(
        test_medium=DIALS + "dial()\n@pytest.mark.medium\ndef test_one(): pass\n",
        test_large=DIALS + "dial()\n@pytest.mark.large\ndef test_one(): pass\n",
        test_unsized=DIALS + "dial()\ndef test_one(): pass\n",
        test_small="import pytest\n@pytest.mark.small\ndef test_one(): pass\n",
    )
    result = run_pytest(workers=workers)
    result.assert_outcomes(passed=4)
    assert result.ret == pytest.ExitCode.OK
    assert not [line for line in summary(result) if "violation" in line]


def test_an_import_that_dials_fails_the_run_under_xdist(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    summary: Callable[[pytest.RunResult], list[str]],
) -> None:
    pytester.makepyfile(
        test_dials=DIALS + "dial()\n@pytest.mark.small\ndef test_one(): pass\n", test_other="def test_other(): pass"
    )
    result = run_pytest("--continue-on-collection-errors", workers=2)
    assert result.ret != pytest.ExitCode.OK
    text = result.stdout.str()
    assert "[TC001] Network Access Violation" in text
    assert "  test_dials.py [small]" in summary(result)
    assert "INTERNALERROR" not in text


@pytest.mark.parametrize(
    "setting",
    ["test_categories_path_sizes = here = small", "test_categories_default_size = small"],
    ids=["path rule", "default"],
)
def test_where_the_size_is_known_before_the_import_the_attempt_is_refused(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    summary: Callable[[pytest.RunResult], list[str]],
    setting: str,
    workers: int,
) -> None:
    pytester.makeini(f"[pytest]\n{setting}\n")
    pytester.makepyfile(
        **{
            "here/test_refused": DIALS + "dial()\ndef test_one(): pass\n",
            "here/test_swallowed": DIALS + "try: dial()\nexcept Exception: pass\ndef test_one(): pass\n",
            "here/test_skips": DIALS
            + "try: dial()\nexcept Exception: pytest.skip('no network', allow_module_level=True)\n",
            "here/test_clean": "def test_one(): pass\n",
        }
    )
    result = run_pytest("--continue-on-collection-errors", "--import-mode=importlib", workers=workers)
    result.assert_outcomes(errors=3, passed=1)
    listed = "\n".join(summary(result))
    for name in ("refused", "swallowed", "skips"):
        assert f"here/test_{name}.py [small]" in listed


SERVED: Final = """
import contextlib, pathlib, socket
import pytest

def dial():
    with contextlib.suppress(OSError), socket.socket() as s:
        s.connect(("127.0.0.1", int(pathlib.Path(__file__).with_name("port").read_text())))
"""


@pytest.mark.parametrize(
    ("text", "stopped"),
    [
        pytest.param(
            "try: dial()\nexcept Exception: pass\n@pytest.mark.small\ndef test_it(): pass\n", True, id="function"
        ),
        pytest.param(
            "pytestmark = pytest.mark.small\ntry: dial()\nexcept Exception: pass\ndef test_it(): pass\n",
            True,
            id="module",
        ),
        pytest.param("@pytest.mark.small\nclass TestIt:\n    dial()\n    def test_it(self): pass\n", True, id="class"),
        pytest.param(
            "def cases(): return [dial()]\n@pytest.mark.parametrize('n', cases())\n"
            "@pytest.mark.small\ndef test_it(n): pass\n",
            True,
            id="parameters",
        ),
        pytest.param(
            "@pytest.mark.small\ndef test_it(n): pass\n"
            "def pytest_generate_tests(metafunc):\n    dial()\n    metafunc.parametrize('n', [1])\n",
            True,
            id="pytest_generate_tests",
        ),
        pytest.param("import app\n@pytest.mark.small\ndef test_it(): pass\n", True, id="imported module"),
        pytest.param(
            "from cases import cases\n@pytest.mark.small\n@pytest.mark.parametrize('n', cases())\n"
            "def test_it(n): pass\n",
            True,
            id="another module's parameters",
        ),
        pytest.param(
            "dial()\n@pytest.mark.small\ndef test_it(): pass\n@pytest.mark.medium\ndef test_two(): pass\n",
            False,
            id="a medium test beside it",
        ),
        pytest.param("dial()\nsize = pytest.mark.small\n@size\ndef test_it(): pass\n", False, id="not told"),
    ],
)
def test_rule_13_an_import_is_refused_as_the_sizes_in_its_source_would_be(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    summary: Callable[[pytest.RunResult], list[str]],
    text: str,
    *,
    stopped: bool,
) -> None:
    pytester.makepyfile(app=SERVED + "dial()\n", cases=SERVED + "def cases(): dial()\n", test_dials=SERVED + text)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        (pytester.path / "port").write_text(str(server.getsockname()[1]))
        result = run_pytest()
        try:
            server.accept()[0].close()
        except BlockingIOError:
            arrived = False
        else:
            arrived = True
    assert arrived is not stopped
    result.assert_outcomes(errors=1)  # as ever
    result.stdout.fnmatch_lines(["*TC001*", "*127.0.0.1:*"])
    assert "  test_dials.py [small]" in summary(result)


def test_a_marker_does_not_undo_the_refusal_of_a_path_rule(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]
) -> None:
    pytester.makeini("[pytest]\ntest_categories_path_sizes = here = medium\n")
    pytester.makepyfile(
        **{
            # Medium by the rule, so that the import may bind; a marker makes a test small, which forbids it.
            "here/test_narrowed": DIALS + "dial()\n@pytest.mark.small\ndef test_one(): pass\n",
            "here/test_as_ruled": DIALS + "dial()\ndef test_one(): pass\n",
        }
    )
    result = run_pytest("--continue-on-collection-errors")
    result.assert_outcomes(errors=1, passed=1)
    result.stdout.fnmatch_lines(["*ERROR collecting here/test_narrowed.py*"])


def test_a_conftest_that_dials_is_one_violation_of_the_run(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    summary: Callable[[pytest.RunResult], list[str]],
    workers: int,
) -> None:
    pytester.makeconftest(DIALS + "dial()\n")
    pytester.makepyfile(
        test_one="import pytest\n@pytest.mark.small\ndef test_one(): pass\n",
        test_two="import pytest\n@pytest.mark.small\ndef test_two(): pass\n",
    )
    result = run_pytest(workers=workers)
    result.assert_outcomes(passed=2)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    listed = summary(result)
    assert listed[0] == "network violations that no running test is charged with: 1 (they fail the run)"
    assert len([line for line in listed if "while importing conftest" in line]) == 1
    assert "conftest.py:5 in dial" in "\n".join(listed)


def test_a_conftest_of_a_directory_that_dials_is_one_violation_of_the_run(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    summary: Callable[[pytest.RunResult], list[str]],
) -> None:
    pytester.makepyfile(
        **{
            "below/conftest": DIALS + "dial()\n",
            "below/test_one": "import pytest\n@pytest.mark.small\ndef test_one(): pass\n",
        }
    )
    result = run_pytest()
    result.assert_outcomes(passed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert summary(result)[0] == "network violations that no running test is charged with: 1 (they fail the run)"
    assert "below/conftest.py:5 in dial" in "\n".join(summary(result))


def test_a_conftest_that_dials_in_a_run_that_permits_it_is_fine(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]
) -> None:
    pytester.makeconftest(DIALS + "dial()\n")
    pytester.makepyfile(test_one="import pytest\n@pytest.mark.medium\ndef test_one(): pass\n")
    assert run_pytest().ret == pytest.ExitCode.OK


@pytest.mark.parametrize("setting", ["", "test_categories_default_size = small"], ids=["marker", "default"])
def test_an_import_that_dials_is_warned_about_in_warn_mode(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    summary: Callable[[pytest.RunResult], list[str]],
    setting: str,
    workers: int,
) -> None:
    pytester.makeini(f"[pytest]\n{setting}\n")
    pytester.makepyfile(test_dials=DIALS + "dial()\n@pytest.mark.small\ndef test_one(): pass\n")
    result = run_pytest(mode="warn", workers=workers)
    result.assert_outcomes(passed=1, warnings=2 if workers else 1)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*Network access violation in test_dials.py: attempted connection to 127.0.0.1:9*"])
    assert summary(result)[:2] == ["network violations: 1 in 1 place, each a warning above", "  1 test [small]"]


def test_imports_are_nobodys_matter_in_off_mode(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]
) -> None:
    pytester.makeconftest(DIALS + "dial()\n")
    pytester.makepyfile(test_dials=DIALS + "dial()\n@pytest.mark.small\ndef test_one(): pass\n")
    assert run_pytest(mode="off").ret == pytest.ExitCode.OK


def test_collect_only_judges_imports_too(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]
) -> None:
    pytester.makepyfile(
        test_dials=DIALS + "dial()\n@pytest.mark.small\ndef test_one(): pass\n", test_other="def test_other(): pass"
    )
    result = run_pytest("--collect-only", "-q")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["test_other.py::test_other", "*[[]TC001[]] Network Access Violation*"])
    result = run_pytest("--collect-only", "-q", "test_other.py")
    assert result.ret == pytest.ExitCode.OK
    assert "test categories" not in result.stdout.str()


def test_a_module_that_expects_its_refusal_is_fine_and_one_that_fails_by_itself_keeps_its_error(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    summary: Callable[[pytest.RunResult], list[str]],
) -> None:
    pytester.makeini("[pytest]\ntest_categories_default_size = small\n")
    expects = "from pytest_test_categories import expect_network_violation\nwith expect_network_violation(): dial()\n"
    pytester.makepyfile(
        test_expects=DIALS + expects + "def test_one(): pass\n",
        test_fails=DIALS + "try: dial()\nexcept Exception: pass\nraise ZeroDivisionError('of its own')\n",
    )
    result = run_pytest("--continue-on-collection-errors")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        ["E   ZeroDivisionError: of its own", "*- TC001 network access -*", "*[[]TC001[]] Network Access Violation*"]
    )
    listed = summary(result)
    assert "  test_fails.py [small]" in listed
    assert not any("test_expects" in line for line in listed)


def test_rule_13_an_import_beside_a_star_is_refused_as_its_source_says(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult], listener: tuple[str, int]
) -> None:
    pytester.makepyfile(
        target=f"import socket\nimport pytest\n\nADDRESS = {listener!r}\n",
        test_dials="""
            from target import *

            pytestmark = pytest.mark.small

            def pytest_generate_tests(metafunc):
                try:
                    socket.create_connection(ADDRESS).close()
                except Exception:
                    pytest.refused = True

            def test_it(): pass
            """,
        conftest="""
            import pytest

            def pytest_unconfigure():
                print("refused:", getattr(pytest, "refused", False))
            """,
    )
    result = run_pytest("-s")
    result.stdout.fnmatch_lines(["*refused: True*"])
    assert result.ret == 2
