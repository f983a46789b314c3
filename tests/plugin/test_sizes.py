"""Rule 3: sizes are looked up: parameter set, function, derived class, base, outer class, module, path, default."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

# Each test says the size that it expects in its name: the fixture compares.
ASKS: Final = """
import unittest
import pytest

@pytest.fixture(autouse=True)
def _compare(network_isolation, request):
    callspec = getattr(request.node, "callspec", None)
    wanted = request.node.name.rpartition("_")[2] if callspec is None else callspec.id.rpartition("-")[2]
    assert network_isolation.size.value == wanted, (network_isolation.size.value, wanted)
"""

MARKED: Final = (
    ASKS
    + """
pytestmark = pytest.mark.large

def test_module_large(): pass

@pytest.mark.small
def test_function_small(): pass

@pytest.mark.medium
@pytest.mark.parametrize("n", [
    pytest.param(1, marks=pytest.mark.small, id="small"),
    pytest.param(2, id="medium"),
    pytest.param(3, marks=[pytest.mark.large, pytest.mark.skipif(False, reason="")], id="large"),
])
def test_parameter(n): pass

@pytest.mark.parametrize("m", [pytest.param(1, marks=pytest.mark.small, id="small"), pytest.param(2, id="large")])
@pytest.mark.parametrize("n", [pytest.param(1, id="x")])
def test_two_sets(m, n): pass

@pytest.mark.small
class Base:
    def test_base_small(self): pass
    @pytest.mark.medium
    def test_method_medium(self): pass

class TestBase(Base):
    pass

@pytest.mark.medium
class TestDerived(Base):
    test_base_small = None
    def test_derived_medium(self): pass

@pytest.mark.medium
class TestOuter:
    def test_outer_medium(self): pass
    class TestInner:
        def test_inner_medium(self): pass
    @pytest.mark.small
    class TestSized:
        def test_sized_small(self): pass

@pytest.mark.small
class CaseBase(unittest.TestCase):
    def test_case_small(self): pass

@pytest.mark.medium
class CaseDerived(CaseBase):
    test_case_small = None
    def test_case_medium(self): pass

class CaseUnmarked(CaseDerived):
    def test_again_medium(self): pass
"""
)


def test_the_closest_marker_wins(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult], workers: int
) -> None:
    pytester.makepyfile(test_marked=MARKED)
    result = run_pytest("--strict-markers", workers=workers)
    assert result.parseoutcomes().keys() == {"passed"}
    assert result.ret == pytest.ExitCode.OK


def test_paths_markers_and_the_default_give_sizes_in_that_order(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    summary: Callable[[pytest.RunResult], list[str]],
    workers: int,
) -> None:
    pytester.makeini(
        """
        [pytest]
        markers = unit
            e2e
        test_categories_default_size = xlarge
        test_categories_marker_sizes =
            unit = small
            e2e = large
        test_categories_path_sizes =
            tests = medium
            ./tests/unit/ = small
            tests/unit/slow/test_file.py = large
        """
    )
    pytester.makepyfile(
        **{
            "tests/test_path": ASKS
            + "def test_path_medium(): pass\n@pytest.mark.unit\ndef test_marker_small(): pass\n",
            "tests/unit/test_unit": ASKS
            + "def test_longest_small(): pass\n@pytest.mark.e2e\ndef test_marker_large(): pass\n",
            "tests/unit/slow/test_file": ASKS + "def test_file_large(): pass\n",
            "tests/unit/slow/test_other": ASKS + "def test_other_small(): pass\n",
            "tests/unit_tests/test_prefix": ASKS + "def test_prefix_medium(): pass\n",
            "elsewhere/test_default": ASKS
            + "def test_default_xlarge(): pass\n@pytest.mark.medium\ndef test_own_medium(): pass\n",
        }
    )
    result = run_pytest("--import-mode=importlib", workers=workers)
    result.assert_outcomes(passed=9)
    assert summary(result) == ["sizes: 3 small, 3 medium, 2 large, 1 xlarge"]
    # From a directory below the root, and by an absolute path, sizes stay the same.
    result = run_pytest(
        "--rootdir", str(pytester.path), str(pytester.path / "tests" / "unit"), "--import-mode=importlib"
    )
    result.assert_outcomes(passed=4)


def test_markers_that_a_conftest_adds_to_items_count(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult], workers: int
) -> None:
    pytester.makeconftest(
        """
        import pytest
        @pytest.hookimpl(trylast=True)
        def pytest_collection_modifyitems(items):
            for item in items:
                if not item.get_closest_marker("large"):
                    item.add_marker(pytest.mark.small)
        """
    )
    pytester.makepyfile(
        test_added=ASKS
        + """
def test_added_small(): pass
@pytest.mark.large
def test_kept_large(): pass
class TestIt:
    def test_added_small(self): pass
"""
    )
    run_pytest(workers=workers).assert_outcomes(passed=3)


def test_tests_with_no_size_are_held_to_nothing_and_counted(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    summary: Callable[[pytest.RunResult], list[str]],
    workers: int,
) -> None:
    pytester.makepyfile(
        test_unsized="""
        import socket, pytest
        def test_one():
            with socket.socket() as s: s.bind(("127.0.0.1", 0))
        def test_two(): pass
        @pytest.mark.small
        def test_small(): pass
        """
    )
    result = run_pytest("-q", workers=workers)
    result.assert_outcomes(passed=3)
    assert summary(result) == [
        "sizes: 1 small",
        "2 tests have no size and may use any network (test_categories_default_size gives them a size)",
    ]


CASES: Final = """
import contextlib, socket, unittest
import pytest
from pytest_test_categories import LargeTest, MediumTest, SmallTest, XLargeTest

def bind():
    with socket.socket() as s: s.bind(("127.0.0.1", 0))

def reach(port):
    with contextlib.suppress(OSError), socket.socket() as s: s.connect(("127.0.0.2", port))

class Small(SmallTest, unittest.TestCase):
    def test_small(self): bind()

class SmallAsync(SmallTest, unittest.IsolatedAsyncioTestCase):
    async def test_small_async(self): bind()

class Medium(MediumTest, unittest.TestCase):
    def test_medium(self): bind()

class Large(LargeTest, unittest.TestCase):
    def test_large(self): bind()

class XLarge(XLargeTest, unittest.TestCase):
    def test_xlarge(self): bind()

class Allowing(SmallTest, unittest.TestCase):
    network_allow = ["small: 127.0.0.2:9"]
    def test_allowed(self): reach(9)
    def test_refused(self): reach(10)

class Warning(SmallTest, unittest.TestCase):
    network_mode = "warn"
    def test_warns(self): bind()

class Off(SmallTest, unittest.TestCase):
    network_mode = "off"
    def test_off(self): bind()

class Reclassified(Small):
    @pytest.mark.medium
    def test_small(self): bind()
"""


@pytest.mark.filterwarnings("ignore")
def test_the_unittest_classes_carry_their_marker_and_attributes_under_pytest(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    outcomes: Callable[[pytest.RunResult], dict[str, set[str]]],
    workers: int,
) -> None:
    pytester.makepyfile(test_cases=CASES)
    result = run_pytest("-v", workers=workers)
    found = outcomes(result)
    assert {name for name, words in found.items() if "FAILED" in words} == {
        "Small::test_small",
        "SmallAsync::test_small_async",
        "Allowing::test_refused",
    }
    assert len(found) == 10
    result.stdout.fnmatch_lines(["*Network access violation in test_warns: attempted connection to 127.0.0.1:0*"])


def test_m_small_selects_the_unittest_classes(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]
) -> None:
    pytester.makepyfile(test_cases=CASES)
    run_pytest("-m", "small", mode="off").assert_outcomes(passed=6, deselected=4)
    run_pytest("-m", "xlarge", mode="off").assert_outcomes(passed=1, deselected=9)


def test_the_unittest_classes_follow_the_runs_mode(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]
) -> None:
    pytester.makepyfile(test_cases=CASES)
    run_pytest(mode="off").assert_outcomes(passed=10)
    result = run_pytest(mode="warn")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*Network access violation in test_small: attempted connection to 127.0.0.1:0*"])


ALLOWED = """
import socket
import pytest
from pytest_test_categories import SmallTest, network_guard

def bind(host="127.0.0.7"):
    with socket.socket() as s:
        s.connect_ex((host, 9))

@pytest.mark.small
@pytest.mark.network_allow("127.0.0.7")
def test_marked(): bind()

@pytest.mark.small
@pytest.mark.network_allow("127.0.0.7", "127.0.0.8:9")
@pytest.mark.network_allow("medium: 127.0.0.9")
def test_several():
    for last in (7, 8, 9):
        bind(f"127.0.0.{last}")

@pytest.mark.small
def test_unmarked(): bind()

@pytest.mark.small
@pytest.mark.network_allow("127.0.0.8")
def test_other(): bind()

@pytest.mark.network_allow("127.0.0.7")
@pytest.mark.small
class TestClass:
    def test_inside(self): bind()
    def test_beyond(self): bind("127.0.0.8")

class TestAttribute(SmallTest):
    network_allow = ["127.0.0.7"]
    def test_inside(self): bind()
    def test_beyond(self): bind("127.0.0.8")

@pytest.mark.large
def test_block():
    with network_guard("small", allow=["127.0.0.7:9"]):
        bind()
"""


def test_an_entry_that_is_given_to_one_thing_widens_it_whatever_its_size(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult], outcomes: Any, workers: int
) -> None:
    pytester.makepyfile(ALLOWED)
    result = run_pytest("-v", "--strict-markers", workers=workers)
    assert outcomes(result) == {
        "test_marked": {"PASSED"},
        "test_several": {"PASSED"},
        "test_unmarked": {"FAILED"},
        "test_other": {"FAILED"},
        "TestClass::test_inside": {"PASSED"},
        "TestClass::test_beyond": {"FAILED"},
        "TestAttribute::test_inside": {"PASSED"},
        "TestAttribute::test_beyond": {"FAILED"},
        "test_block": {"PASSED"},
    }


def test_an_allow_marker_of_a_module_widens_its_tests_and_an_entry_of_the_ini_file_medium(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]
) -> None:
    body = """
        import socket, subprocess, sys
        import pytest
        pytestmark = [pytest.mark.small, {marker}]
        DIAL = "import socket; socket.socket().connect_ex(('127.0.0.7', 9))"
        def test_here(): exec(DIAL)
        def test_child(): subprocess.run([sys.executable, "-c", DIAL], check=True)
    """
    pytester.makeini("[pytest]\ntest_categories_network_allow = 127.0.0.7\n")
    pytester.makepyfile(
        test_own=body.format(marker="pytest.mark.network_allow('127.0.0.7')"),
        test_ini=body.format(marker="pytest.mark.filterwarnings('default')"),
    )
    run_pytest().assert_outcomes(passed=2, failed=2)


def test_custom_items_with_funcargs_and_no_fixture_information_run_and_are_counted(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult], workers: int
) -> None:
    pytester.makeini("[pytest]\ntest_categories_default_size = small\n")
    pytester.makeconftest(
        """
        import socket
        import pytest

        class Item(pytest.Item):
            funcargs = {}
            def runtest(self):
                if self.name == "dials":
                    socket.socket().connect_ex(("127.0.0.1", 9))

        class File(pytest.File):
            def collect(self):
                return [Item.from_parent(self, name=name) for name in ("clean", "dials")]

        def pytest_collect_file(file_path, parent):
            return File.from_parent(parent, path=file_path) if file_path.suffix == ".x" else None
        """
    )
    pytester.makefile(".x", a="")
    result = run_pytest(workers=workers)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["sizes: 2 small"])


def test_rule_12_size_markers_that_are_added_while_tests_run_are_told(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    summary: Callable[[pytest.RunResult], list[str]],
    workers: int,
) -> None:
    pytester.makeconftest(
        """
        import pytest

        def pytest_collection_modifyitems(items):
            for item in items:
                if item.name == "test_in_time":
                    item.add_marker("large")

        @pytest.hookimpl(tryfirst=True)
        def pytest_runtest_setup(item):
            if item.name == "test_hook":
                item.add_marker("xlarge", append=False)
        """
    )
    pytester.makepyfile(
        test_it="""
        import pytest

        @pytest.fixture
        def needs(request):
            request.node.add_marker(pytest.mark.medium)
            request.node.add_marker(pytest.mark.other)

        @pytest.fixture(scope="class")
        def for_all(request):
            request.applymarker("large")

        @pytest.mark.small
        def test_fixture(needs): pass

        @pytest.mark.medium
        def test_same(needs): pass

        @pytest.mark.usefixtures("for_all")
        class TestIt:
            def test_one(self): pass

        def test_in_time(): pass
        def test_hook(): pass
        """
    )
    ini = "[pytest]\ntest_categories_default_size = small\nmarkers =\n    other\n"
    pytester.makeini(ini)
    lines = summary(run_pytest(workers=workers))
    why = "(sizes are settled when tests are collected)"
    assert sorted(line for line in lines if "too late" in line) == [
        f"added too late, and ignored: @pytest.mark.large on test_it.py::TestIt {why}",
        f"added too late, and ignored: @pytest.mark.medium on test_it.py::test_fixture {why}",
        f"added too late, and ignored: @pytest.mark.xlarge on test_it.py::test_hook {why}",
    ]
    assert lines[-1] == "sizes: 3 small, 1 medium, 1 large"


def test_an_item_that_is_made_where_a_dropped_one_was_is_not_counted_in_its_place(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    summary: Callable[[pytest.RunResult], list[str]],
) -> None:
    pytester.makeconftest(
        """
        import gc
        import pytest
        from _pytest.runner import runtestprotocol

        @pytest.hookimpl(trylast=True)
        def pytest_collection_finish(session):
            session.items[:] = session.items[:1]

        @pytest.hookimpl(tryfirst=True)
        def pytest_runtest_protocol(item, nextitem):
            gc.collect()
            one = [
                pytest.Function.from_parent(item.parent, name=item.originalname, callobj=item.obj) for _ in range(200)
            ]
            for extra in one:
                runtestprotocol(extra, log=False, nextitem=item)
        """
    )
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.small
        @pytest.mark.parametrize("number", range(200))
        def test_many(number): pass
        """
    )
    assert summary(run_pytest()) == ["sizes: 1 small"]
