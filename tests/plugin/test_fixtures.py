"""Rule 6: fixtures are held to the smallest size among the tests that use them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

# Binding at import would be charged to the module, so that the conftest listens.
SERVER: Final = """
import socket, threading
server = None

def pytest_sessionstart():
    global server
    server = socket.create_server(("127.0.0.1", 0), backlog=128)
"""
HEAD: Final = """
import contextlib, socket, unittest
import conftest, pytest
from pytest_test_categories import NetworkAccessViolationError, network_guard

def local():
    socket.create_connection(conftest.server.getsockname(), 1).close()

def swallowed():
    with contextlib.suppress(Exception): local()
"""


def _scoped(scope: str, before: str, after: str) -> str:
    return f"""
@pytest.fixture(scope="{scope}")
def {scope}_{"up" if before == "local()" else "down"}():
    {before}
    yield
    {after}
"""


EVERY_SCOPE: Final = (
    HEAD
    + "".join(
        _scoped(scope, *parts)
        for scope in ("session", "package", "module", "class", "function")
        for parts in (("local()", "pass"), ("pass", "local()"))
    )
    + """
class TestMedium:
    pytestmark = pytest.mark.medium
    @pytest.mark.parametrize("name", [f"{scope}_up" for scope in ("session", "package", "module", "class", "function")])
    def test_nothing(self, name): pass

class TestA:
    @pytest.mark.SIZE1
    def test_one(self, SCOPE_WHEN): pass
    @pytest.mark.SIZE2
    def test_two(self, SCOPE_WHEN): pass
"""
)


@pytest.mark.parametrize(
    "sizes", [pytest.param(("small", "medium"), id="small first"), pytest.param(("medium", "small"), id="small last")]
)
def test_a_fixture_of_any_scope_is_held_to_its_smallest_user_in_both_orders(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    summary: Callable[[pytest.RunResult], list[str]],
    sizes: tuple[str, str],
) -> None:
    pytester.makeconftest(SERVER)
    for scope in ("session", "package", "module", "class"):
        for when in ("up", "down"):
            text = (
                EVERY_SCOPE.replace("SIZE1", sizes[0])
                .replace("SIZE2", sizes[1])
                .replace("SCOPE_WHEN", f"{scope}_{when}")
            )
            pytester.makepyfile(**{f"{scope}_{when}/__init__": "", f"{scope}_{when}/test_{scope}_{when}": text})
    result = run_pytest("-v")
    listed = "\n".join(summary(result))
    smallest = f"TestA::{'test_one' if sizes[0] == 'small' else 'test_two'}"
    for scope in ("session", "package", "module", "class"):
        for when in ("up", "down"):
            file = f"{scope}_{when}/test_{scope}_{when}.py"
            assert f"in fixture {scope}_{when} ({scope}), held to small by {file}::{smallest}" in listed
    # Set-up refuses both tests of each scope, since pytest remembers the error. Tear-down fails once, together for the
    # last two: to pytest, a package fixture of a test module lives as long as the session.
    result.assert_outcomes(errors=4 * 2 + 3, passed=4 * 2 + 8 * 5)


def test_a_function_fixture_is_held_to_its_own_tests_size(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    outcomes: Callable[[pytest.RunResult], dict[str, set[str]]],
) -> None:
    pytester.makeconftest(SERVER)
    pytester.makepyfile(
        test_function=HEAD
        + _scoped("function", "local()", "pass")
        + _scoped("function", "pass", "local()")
        + """
@pytest.mark.small
def test_small_up(function_up): pass
@pytest.mark.small
def test_small_down(function_down): pass
@pytest.mark.medium
def test_medium(function_up, function_down): pass
"""
    )
    found = outcomes(run_pytest("-v"))
    assert found == {"test_small_up": {"ERROR"}, "test_small_down": {"PASSED", "ERROR"}, "test_medium": {"PASSED"}}


DESELECTED: Final = (
    HEAD
    + """
@pytest.fixture(scope="module")
def server():
    local()

@pytest.mark.medium
def test_medium(server): pass

@pytest.mark.small
def test_small(server): pass
"""
)


def test_deselected_tests_count_so_that_k_changes_no_verdict(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]
) -> None:
    pytester.makeconftest(SERVER)
    pytester.makepyfile(test_chosen=DESELECTED)
    for arguments in (("-k", "medium"), ("-m", "medium"), ("--deselect", "test_chosen.py::test_small")):
        result = run_pytest(*arguments)
        result.assert_outcomes(errors=1, deselected=1)
        result.stdout.fnmatch_lines(["*in fixture server (module), held to small by test_chosen.py::test_small"])


BY_PARAMETER: Final = (
    HEAD
    + """
@pytest.fixture(scope="session", params=["memory", "server"])
def database(request):
    if request.param == "server": local()
    yield request.param
    if request.param == "server": local()

@pytest.mark.small
@pytest.mark.parametrize("database", ["memory"], indirect=True)
def test_small(database): assert database == "memory"

@pytest.mark.medium
@pytest.mark.parametrize("database", ["memory", "server"], indirect=True)
def test_medium(database): pass

@pytest.fixture(scope="module", params=[
    pytest.param("memory", marks=pytest.mark.small), pytest.param("server", marks=pytest.mark.medium)
])
def marked(request):
    if request.param == "server": local()
    return request.param

def test_marked(marked): pass
"""
)


def test_a_parametrized_fixture_is_held_by_parameter(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]
) -> None:
    pytester.makeconftest(SERVER)
    pytester.makepyfile(test_parameters=BY_PARAMETER)
    result = run_pytest("-v")
    result.assert_outcomes(passed=5)
    assert result.ret == pytest.ExitCode.OK


DYNAMIC: Final = (
    HEAD
    + """
@pytest.fixture(scope="module")
def server():
    local()
    return 1

@pytest.fixture(scope="module")
def asked_by_both():
    local()

@pytest.mark.small
def test_small_asks(request):
    request.getfixturevalue("server")

@pytest.mark.medium
def test_medium_asks(request, asked_by_both):
    request.getfixturevalue("asked_by_both")

@pytest.fixture(scope="module")
def indirect(request):
    return request.getfixturevalue("server2")

@pytest.fixture(scope="module")
def server2():
    local()

@pytest.mark.medium
def test_medium_asks_indirectly(indirect): pass
"""
)


def test_a_dynamic_request_adds_the_requesting_tests_size(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    outcomes: Callable[[pytest.RunResult], dict[str, set[str]]],
) -> None:
    pytester.makeconftest(SERVER)
    pytester.makepyfile(test_dynamic=DYNAMIC)
    found = outcomes(run_pytest("-v"))
    assert found == {
        "test_small_asks": {"FAILED"},
        "test_medium_asks": {"PASSED"},
        "test_medium_asks_indirectly": {"PASSED"},
    }


ASKED_FOR: Final = """
@pytest.fixture(scope="session")
def service():
    local()
    yield 1
    local()

@pytest.fixture(scope="module")
def table():
    yield 1
    local()

@pytest.mark.medium
def test_a_asks(request):
    assert request.getfixturevalue("service") == request.getfixturevalue("table")

@pytest.mark.small
def test_b_bystander(): pass
"""


def test_rule_4_what_tests_only_ask_for_dynamically_is_torn_down_at_no_bystanders_cost(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    outcomes: Callable[[pytest.RunResult], dict[str, set[str]]],
) -> None:
    pytester.makeconftest(SERVER)
    pytester.makepyfile(test_dynamic=HEAD + ASKED_FOR)
    assert outcomes(run_pytest("-v")) == {"test_a_asks": {"PASSED"}, "test_b_bystander": {"PASSED"}}


def test_a_dynamic_request_counts_for_every_later_set_up(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    outcomes: Callable[[pytest.RunResult], dict[str, set[str]]],
) -> None:
    pytester.makeconftest(
        SERVER
        + """
import pytest
@pytest.fixture(scope="module")
def table():
    if module_dials: socket.create_connection(server.getsockname(), 1).close()
module_dials = False
"""
    )
    asks = """
import conftest, pytest
@pytest.mark.{size}
def test_{name}(request):
    conftest.module_dials = {dials}
    request.getfixturevalue("table")
"""
    pytester.makepyfile(
        test_1=asks.format(name="medium", size="medium", dials=True),
        test_2=asks.format(name="small", size="small", dials=False),
        test_3=asks.format(name="medium_too", size="medium", dials=True),
    )
    result = run_pytest("-v")
    assert outcomes(result) == {"test_medium": {"PASSED"}, "test_small": {"PASSED"}, "test_medium_too": {"FAILED"}}
    result.stdout.fnmatch_lines(["*in fixture table (module), held to small by test_2.py::test_small"])


OVERRIDES: Final = {
    "conftest": SERVER
    + """
import pytest
@pytest.fixture(scope="session")
def service():
    socket.create_connection(server.getsockname(), 1).close()
    return "real"
""",
    "test_override": HEAD
    + """
@pytest.fixture(scope="module")
def service():
    return "fake"

@pytest.mark.small
def test_small(service): assert service == "fake"
""",
    "test_real": HEAD
    + """
@pytest.mark.medium
def test_medium(service): assert service == "real"
""",
    "test_extended": HEAD
    + """
@pytest.fixture(scope="module")
def service(service):
    return service + " and more"

@pytest.mark.medium
def test_medium(service): assert service == "real and more"
""",
}


def test_an_override_that_does_not_ask_for_what_it_overrides_narrows_nothing(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]
) -> None:
    pytester.makepyfile(**OVERRIDES)
    run_pytest("-v").assert_outcomes(passed=3)


AUTOUSE: Final = (
    HEAD
    + """
@pytest.fixture(scope="session", autouse=True)
def environment():
    local()
    yield
    local()

@pytest.mark.medium
def test_medium(): pass

@pytest.mark.small
def test_small(): pass

@pytest.mark.small
def test_small_too(): pass
"""
)


def test_a_broad_autouse_fixture_is_held_to_the_largest_and_the_summary_says_who_stands_on_it(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    summary: Callable[[pytest.RunResult], list[str]],
    workers: int,
) -> None:
    pytester.makeconftest(SERVER)
    pytester.makepyfile(test_autouse=AUTOUSE)
    result = run_pytest("-q", workers=workers)
    result.assert_outcomes(passed=3)
    assert result.ret == pytest.ExitCode.OK
    notes = [line for line in summary(result) if line.startswith("autouse")]
    assert len(notes) == 1
    assert notes[0].startswith("autouse fixture environment (session) reached 127.0.0.1:")
    assert notes[0].endswith("2 smaller tests stand on it")


def test_a_broad_autouse_fixture_of_small_tests_only_is_small(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]
) -> None:
    pytester.makeconftest(SERVER)
    pytester.makepyfile(test_autouse=AUTOUSE.replace("mark.medium", "mark.small"))
    result = run_pytest()
    result.assert_outcomes(errors=3)
    result.stdout.fnmatch_lines(["*in fixture environment (session), held to small by test_autouse.py::test_medium"])


def test_declared_sizes_beat_what_the_tests_say(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]
) -> None:
    pytester.makeini("[pytest]\ntest_categories_fixture_sizes =\n    server = medium\n    environment = small\n")
    pytester.makeconftest(SERVER)
    pytester.makepyfile(test_chosen=DESELECTED, test_autouse=AUTOUSE)
    result = run_pytest("test_chosen.py")
    result.assert_outcomes(passed=2)
    result = run_pytest("test_autouse.py")
    result.assert_outcomes(errors=3)
    result.stdout.fnmatch_lines(["*in fixture environment (session), held to small by test_categories_fixture_sizes"])


GUARDED: Final = """
import pytest
@pytest.fixture(scope="{scope}")
def {scope}_quiet():
    with network_guard("small") as guard:
        yield guard

@pytest.mark.medium
def test_{scope}_quiet({scope}_quiet): local()

@pytest.mark.medium
def test_{scope}_raises({scope}_quiet):
    with pytest.raises(NetworkAccessViolationError): local()
"""


@pytest.mark.parametrize("scope", ["function", "class", "module", "package", "session"])
def test_a_guard_entered_in_a_yield_fixture_encloses_the_tests(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    outcomes: Callable[[pytest.RunResult], dict[str, set[str]]],
    scope: str,
) -> None:
    pytester.makeconftest(SERVER)
    pytester.makepyfile(
        **{
            "inside/__init__": "",
            "inside/test_quiet": HEAD + GUARDED.format(scope=scope),
            "test_zz_after": HEAD + "\n@pytest.mark.medium\ndef test_after(): local()\n",
        }
    )
    found = outcomes(run_pytest("-v"))
    assert found[f"test_{scope}_quiet"] == {"FAILED"}
    assert found[f"test_{scope}_raises"] == {"PASSED"}
    if scope not in {"package", "session"}:
        assert found["test_after"] == {"PASSED"}


def _class(*lines: str, base: str = "") -> str:
    inside = "".join(f"    {line}\n" for line in (*lines, "def test_one(self): pass"))
    return f"{{mark}}\nclass Test{base and f'(unittest.{base})'}:\n{inside}"


XUNIT: Final = {
    "test_module_up": "def setup_module(): local()\n{mark}\ndef test_one(): pass\n",
    "test_module_down": "def teardown_module(): local()\n{mark}\ndef test_one(): pass\n",
    "test_function_up": "def setup_function(): local()\n{mark}\ndef test_one(): pass\n",
    "test_class_up": _class("@classmethod", "def setup_class(cls): local()"),
    "test_class_down": _class("@classmethod", "def teardown_class(cls): local()"),
    "test_method_up": _class("def setup_method(self): local()"),
    "test_case_class_up": _class("@classmethod", "def setUpClass(cls): local()", base="TestCase"),
    "test_case_class_down": _class("@classmethod", "def tearDownClass(cls): local()", base="TestCase"),
    "test_case_class_cleanup": _class(
        "@classmethod", "def setUpClass(cls): cls.addClassCleanup(local)", base="TestCase"
    ),
    "test_case_class_skips": _class(
        "@classmethod", "def setUpClass(cls):", "    swallowed()", "    raise unittest.SkipTest", base="TestCase"
    ),
    "test_case_module_up": "def setUpModule(): local()\n" + _class(base="TestCase"),
    "test_case_up": _class("def setUp(self): local()", base="TestCase"),
    "test_case_down": _class("def tearDown(self): local()", base="TestCase"),
}


@pytest.mark.parametrize("size", ["small", "medium"])
def test_xunit_style_set_up_and_tear_down_are_guarded(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult], size: str, workers: int
) -> None:
    pytester.makeconftest(SERVER)
    pytester.makepyfile(**{name: HEAD + text.format(mark=f"@pytest.mark.{size}") for name, text in XUNIT.items()})
    result = run_pytest("-v", workers=workers)
    broken = {
        line.split()[1].partition(".py")[0]
        for line in result.outlines
        if line.startswith(("ERROR test", "FAILED test"))
    }
    assert broken == (set(XUNIT) if size == "small" else set())


SWALLOWED: Final = (
    HEAD
    + """
@pytest.fixture(scope="module")
def swallows_up():
    swallowed()

@pytest.fixture(scope="module")
def swallows_down():
    yield
    swallowed()

@pytest.fixture(scope="module")
def skips():
    swallowed()
    pytest.skip("no network")

@pytest.fixture
def function_skips():
    swallowed()
    pytest.skip("no network")

@pytest.fixture(scope="module")
def finalizes(request):
    request.addfinalizer(swallowed)

@pytest.mark.small
def test_swallows_up(swallows_up): pass
@pytest.mark.small
def test_skips(skips): pass
@pytest.mark.small
def test_function_skips(function_skips): pass
@pytest.mark.small
@pytest.mark.xfail
def test_xfails(function_skips): pass
@pytest.mark.small
def test_finalizes(finalizes): pass
@pytest.mark.small
def test_swallows_down(swallows_down): pass
"""
)


def test_a_refusal_swallowed_in_a_fixture_is_an_error_of_the_test(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    outcomes: Callable[[pytest.RunResult], dict[str, set[str]]],
) -> None:
    pytester.makeconftest(SERVER)
    pytester.makepyfile(test_swallowed=SWALLOWED)
    result = run_pytest("-v")
    found = outcomes(result)
    assert {name for name in found if "ERROR" not in found[name]} <= {
        "test_finalizes"
    }  # its tear-down is the last one's
    assert len(found) == 6
    result.stdout.fnmatch_lines(["*in fixture finalizes (module), held to small by *"])


def test_network_isolation_can_be_named_by_other_fixtures(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    outcomes: Callable[[pytest.RunResult], dict[str, set[str]]],
) -> None:
    pytester.makeconftest(SERVER)
    pytester.makepyfile(
        test_named=HEAD
        + """
import sys

@pytest.fixture
def client(network_isolation):
    return network_isolation

@pytest.fixture(autouse=True)
def _every(network_isolation):
    yield
    seen.append(network_isolation.violations)

seen = []

@pytest.mark.small
def test_small(client):
    assert client.size.value == "small"
    assert client.mode.value == MODE
    swallowed()
    assert len(client.violations) == 1

@pytest.mark.medium
def test_medium(client, network_isolation):
    assert (client.size, client.mode) == (network_isolation.size, network_isolation.mode)
    assert client.size.value == "medium"
    local()
    assert client.violations == []
    with pytest.raises(RuntimeError, match="is not entered"):  # the plugin entered it, and leaves it
        network_isolation.__exit__(None, None, None)
    with network_isolation:
        local()
""".replace("MODE", "'strict'")
    )
    assert outcomes(run_pytest("-v")) == {"test_small": {"FAILED"}, "test_medium": {"PASSED"}}
    pytester.makepyfile(
        test_named=HEAD
        + """
@pytest.fixture
def client(network_isolation):
    return network_isolation

@pytest.mark.small
def test_small(client):
    assert client.mode.value == "off"
    local()
    assert client.violations == []
"""
    )
    assert outcomes(run_pytest("-v", mode="off")) == {"test_small": {"PASSED"}}


def test_every_fixture_that_an_override_stands_on_is_narrowed_and_one_that_asks_for_itself_fails_as_ever(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    outcomes: Callable[[pytest.RunResult], dict[str, set[str]]],
) -> None:
    pytester.makeconftest(
        SERVER
        + """
import pytest
@pytest.fixture(scope="module")
def service():
    socket.create_connection(server.getsockname(), 1).close()
"""
    )
    pytester.makepyfile(
        test_chain=HEAD
        + """
@pytest.fixture(scope="module")
def service(service): pass

@pytest.fixture(scope="module")
def itself(itself): pass

@pytest.mark.medium
def test_first(service): pass

@pytest.mark.medium
def test_never(itself): pass

@pytest.mark.small
class TestSmall:
    @pytest.fixture(scope="class")
    def service(self, service): pass

    def test_extended(self, service): pass
"""
    )
    result = run_pytest("-v")
    found = outcomes(result)
    assert found == {"test_first": {"ERROR"}, "test_never": {"ERROR"}, "TestSmall::test_extended": {"ERROR"}}
    result.stdout.fnmatch_lines(
        ["*in fixture service (module), held to small by *::TestSmall::test_extended", "*recursive dependency*itself*"]
    )


NAMED_AND_NOT: Final = """
@pytest.fixture(scope="module")
def server():
    local()

@pytest.fixture(scope="module", autouse=True)
def everywhere(server): pass

"""
BY_NAME: Final = '@pytest.mark.small\n@pytest.mark.usefixtures("everywhere")\ndef test_by_name(): pass\n'
AS_EVERYBODY: Final = "@pytest.mark.medium\ndef test_as_everybody(): pass\n"


@pytest.mark.parametrize(
    "tests",
    [pytest.param((BY_NAME, AS_EVERYBODY), id="by name first"), pytest.param((AS_EVERYBODY, BY_NAME), id="last")],
)
def test_what_an_autouse_fixture_stands_on_is_held_to_a_test_that_names_it(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult], tests: tuple[str, str]
) -> None:
    pytester.makeconftest(SERVER)
    pytester.makepyfile(test_named=HEAD + NAMED_AND_NOT + "\n".join(tests))
    result = run_pytest()
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(["*in fixture server (module), held to small by test_named.py::test_by_name"])


def test_a_small_test_that_asks_dynamically_for_a_medium_tests_fixture_holds_it_to_small(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    outcomes: Callable[[pytest.RunResult], dict[str, set[str]]],
) -> None:
    pytester.makeconftest(SERVER)
    pytester.makepyfile(
        test_dynamic=HEAD
        + """
@pytest.fixture(scope="module")
def server(): local()

@pytest.mark.small
def test_asks(request): request.getfixturevalue("server")

@pytest.mark.medium
def test_names(server): pass
"""
    )
    assert outcomes(run_pytest("-v"))["test_asks"] == {"FAILED"}


def test_what_an_autouse_fixture_does_that_every_test_on_it_may_is_not_noted(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    summary: Callable[[pytest.RunResult], list[str]],
) -> None:
    pytester.makeconftest(SERVER)
    pytester.makepyfile(
        test_quiet=HEAD
        + """
@pytest.fixture(scope="session", autouse=True)
def environment(): socket.getaddrinfo("localhost", 80)

@pytest.mark.medium
def test_medium(): pass

@pytest.mark.small
def test_small(): pass
"""
    )
    result = run_pytest()
    result.assert_outcomes(passed=2)
    assert summary(result) == ["sizes: 1 small, 1 medium"]


def test_a_refusal_in_a_fixture_that_a_hook_makes_is_an_error_too(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]
) -> None:
    """A hook in pytest's place need not keep a value for later tests: there is none to put the error in for."""
    pytester.makeconftest(
        SERVER
        + """
import contextlib, pytest
@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup(fixturedef):
    if fixturedef.argname == "made":
        with contextlib.suppress(Exception):
            socket.create_connection(server.getsockname(), 1).close()
        return "made"
"""
    )
    pytester.makepyfile(
        test_made=HEAD
        + """
@pytest.fixture(scope="module")
def made(): raise AssertionError

@pytest.mark.small
def test_made(made): pass
"""
    )
    result = run_pytest()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*in fixture made (module), held to small by test_made.py::test_made"])
    result.stdout.no_fnmatch_line("*TypeError*")


def test_a_guard_that_a_tear_down_enters_and_leaves_open_is_not_ended_with_the_fixture(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]
) -> None:
    pytester.makeconftest(
        SERVER
        + """
import pytest
@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown():
    socket.create_connection(server.getsockname(), 1).close()
    yield
    socket.create_connection(server.getsockname(), 1).close()
"""
    )
    pytester.makepyfile(
        test_left_open=HEAD
        + """
@pytest.fixture(scope="module")
def leaves_open():
    yield
    network_guard("small").__enter__()

@pytest.mark.medium
def test_it(leaves_open): pass
"""
    )
    result = run_pytest()
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*refused by network_guard('small', 'strict') at *"])


def test_a_fixture_set_up_and_torn_down_in_one_phase_is_listed_once(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    summary: Callable[[pytest.RunResult], list[str]],
) -> None:
    pytester.makeconftest(SERVER)
    pytester.makepyfile(
        test_late=HEAD
        + """
@pytest.fixture(scope="module")
def late():
    local()
    yield
    local()

@pytest.fixture(scope="module")
def early(): pass

@pytest.fixture
def asks_at_the_end(request, early):
    yield
    request.getfixturevalue("late")

@pytest.mark.small
def test_it(asks_at_the_end): pass
"""
    )
    result = run_pytest("-W", "ignore", mode="warn")
    result.assert_outcomes(passed=1)
    (line,) = (line for line in summary(result) if "in fixture late (module)" in line)
    assert "(x2)" in line


def test_the_cures_for_a_narrowed_fixture_name_the_test_that_narrowed_it_and_the_setting(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]
) -> None:
    pytester.makepyfile(
        """
        import socket
        import pytest

        @pytest.fixture(scope="module")
        def server():
            with socket.create_server(("127.0.0.1", 0)) as listening:
                yield listening

        @pytest.mark.medium
        def test_uses(server): pass

        @pytest.mark.small
        def test_narrows(server): pass
        """
    )
    result = run_pytest()
    result.stdout.fnmatch_lines(
        [
            "*How to fix:",
            "*not of this test: fixture server is small because of *::test_narrows. Make that test medium,",
            "*or declare the fixture's size: test_categories_fixture_sizes = server = medium",
            "*Documentation:*",
        ]
    )
    result = run_pytest("-o", "test_categories_fixture_sizes=server = small")
    result.stdout.fnmatch_lines(["*test_categories_fixture_sizes declares fixture server small: declare it medium"])


@pytest.mark.parametrize("keeps", [True, False], ids=["pytest keeps it", "pytest keeps it elsewhere"])
def test_every_test_is_told_of_a_fixture_that_swallowed_a_refusal(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult], keeps: bool
) -> None:
    """Also with a pytest that keeps what fixtures return where we don't know it."""
    pytester.makeconftest(
        ""
        if keeps
        else """
        from pytest_test_categories.pytest_plugin import _private

        _private.keep_error = lambda _definition, _error: False
        """
    )
    pytester.makepyfile(
        test_it="""
        import contextlib, socket
        import pytest

        @pytest.fixture(scope="module")
        def service():
            with contextlib.suppress(Exception):
                socket.create_connection(("198.51.100.1", 80), 1)
            yield "service"

        @pytest.fixture
        def client(service):
            return service

        @pytest.mark.small
        def test_first(service): pass

        @pytest.mark.small
        def test_second(client): pass

        @pytest.mark.small
        def test_without(): pass
        """,
        test_other="""
        import pytest

        @pytest.fixture(scope="module")
        def service():
            return "another"

        @pytest.mark.small
        def test_other(service): pass
        """,
    )
    result = run_pytest("test_it.py", "test_other.py")
    result.assert_outcomes(passed=2, errors=2)
    result.stdout.fnmatch_lines(["*service (module)*"])
