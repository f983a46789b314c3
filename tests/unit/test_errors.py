"""TC001's text, its hints and facts, and the exception and warning that carry it."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

import pytest_test_categories
from pytest_test_categories import (
    HermeticityViolationError,
    NetworkAccessViolationError,
    NetworkAccessWarning,
    Violation,
)
from pytest_test_categories._rules.address import parse_allow_entry
from pytest_test_categories._rules.advice import CURES, short_fix
from pytest_test_categories._rules.policy import DENIED_BY, NOT_LISTED
from pytest_test_categories._rules.wording import line_text, place_text, report_text, short_text, warning_text

ISSUE = Violation(
    test="tests/test_api.py::test_fetch_user",
    size="small",
    kind="connect",
    target="api.example.com:443",
    route="socket.connect",
    location="src/myapp/users.py:12",
    function="fetch_user",
    called_from="tests/test_api.py:8",
    library="requests",
)

SPECIFICATION = """\
[TC001] Network Access Violation
Test: tests/test_api.py::test_fetch_user
Category: SMALL

What happened:
  Attempted network connection to api.example.com:443
    at src/myapp/users.py:12 in fetch_user, called from tests/test_api.py:8

How to fix:
  1. Mock the network call using responses, httpretty, or respx
    with requests, use responses or requests-mock
  2. Use dependency injection to provide a fake HTTP client
  3. Change test category to @pytest.mark.medium (if network is required)
    @pytest.mark.large instead: api.example.com is not on this machine

Documentation: https://pytest-test-categories.readthedocs.io/errors/TC001"""


def changed(**changes: Any) -> Violation:
    return Violation.from_dict({**ISSUE.to_dict(), **changes})


def facts(violation: Violation) -> list[str]:
    """What stands below the target, without its indentation."""
    part = report_text((violation,)).partition("What happened:\n")[2].partition("\n\nHow to fix:")[0]
    head, *lines = part.split("\n")
    assert head == f"  Attempted network connection to {violation.target}"
    assert all(line.startswith("    ") for line in lines)
    return [line[4:] for line in lines]


def hints(violation: Violation) -> tuple[list[str], list[str]]:
    """What stands below ways 1 and 3 of fixing it, without its indentation."""
    part = report_text((violation,)).partition("How to fix:\n")[2].partition("\n\nDocumentation:")[0]
    first, rest = part.split("\n  2. Use dependency injection to provide a fake HTTP client\n")
    (one, *mock), (three, *size) = first.split("\n"), rest.split("\n")
    assert one == "  1. Mock the network call using responses, httpretty, or respx"
    assert three == "  3. Change test category to @pytest.mark.medium (if network is required)"
    assert all(line.startswith("    ") for line in mock + size)
    return [line[4:] for line in mock], [line[4:] for line in size]


def test_the_text_is_the_specification_s() -> None:
    assert report_text((ISSUE,)) == SPECIFICATION
    assert str(NetworkAccessViolationError(ISSUE)) == SPECIFICATION


@pytest.mark.parametrize("size", ["small", "medium"])
@pytest.mark.parametrize("undelivered", [False, True])
def test_the_specification_s_lines_stand_whatever_else_is_known(size: str, undelivered: bool) -> None:
    everything = {name: f"a {name}" for name in Violation(test="", size="", kind="", target="").to_dict()}
    violation = Violation.from_dict({**everything, "size": size, "cassette": True, "count": 2})
    lines = report_text((violation, ISSUE), undelivered=undelivered).split("\n")
    places = [
        lines.index(line)
        for line in (
            "[TC001] Network Access Violation",
            "Test: a test",
            "Category: A TEST_SIZE",  # the violation is that of a fixture which another test narrows
            "What happened:",
            "  Attempted network connection to a target",
            "How to fix:",
            "  1. Mock the network call using responses, httpretty, or respx",
            "  2. Use dependency injection to provide a fake HTTP client",
            "  3. Change test category to @pytest.mark.medium (if network is required)",
            "Documentation: https://pytest-test-categories.readthedocs.io/errors/TC001",
        )
    ]
    assert places == sorted(places)
    assert places[:5] == [0, 1, 2, 4, 5]
    assert lines[3] == ""
    assert places[-1] == len(lines) - 1


@pytest.mark.parametrize(
    ("changes", "fact"),
    [
        pytest.param(
            {"kind": "bind", "route": "socket.bind"},
            "listen on api.example.com:443, by socket.bind",
            id="bind",
        ),
        pytest.param({"kind": "send", "route": "socket.sendto"}, "by a send (socket.sendto)", id="send"),
        pytest.param(
            {"kind": "lookup", "route": "socket.getaddrinfo"},
            "by a lookup (socket.getaddrinfo)",
            id="lookup",
        ),
        pytest.param(
            {"kind": "reverse-lookup", "route": "socket.gethostbyaddr"},
            "by a reverse-lookup (socket.gethostbyaddr)",
            id="reverse-lookup",
        ),
        pytest.param(
            {"importing": "myapp.boot"},
            "while importing myapp.boot: mock or disable it there",
            id="import",
        ),
        pytest.param({"fixture": "db (session)"}, "in fixture db (session)", id="fixture"),
        pytest.param(
            {"fixture": "db (session)", "held_by": "tests/test_b.py::test_x"},
            "in fixture db (session), held to small by tests/test_b.py::test_x",
            id="fixture-held-by-a-test",
        ),
        pytest.param({"thread": "Thread-7"}, "in thread Thread-7", id="thread"),
        pytest.param({"process": "child process 4711"}, "in child process 4711", id="process"),
        pytest.param({"guard": "tests/conftest.py:3"}, "refused by tests/conftest.py:3", id="guard"),
        pytest.param({"late": "after its test had ended"}, "after its test had ended", id="late"),
        pytest.param({"address": "198.51.100.1"}, "its address: 198.51.100.1", id="address"),
        pytest.param({"count": 3}, "seen 3 times", id="count"),
    ],
)
def test_each_fact_is_a_line_below_the_target(changes: dict[str, Any], fact: str) -> None:
    where = "at src/myapp/users.py:12 in fetch_user, called from tests/test_api.py:8"
    assert facts(changed(**changes)) == [where, fact]


def test_a_connect_with_nothing_known_has_no_facts() -> None:
    assert facts(Violation(test="t", size="small", kind="connect", target="192.0.2.1:1")) == []


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        pytest.param({}, "at src/myapp/users.py:12 in fetch_user, called from tests/test_api.py:8", id="all"),
        pytest.param({"called_from": ""}, "at src/myapp/users.py:12 in fetch_user", id="in-the-test-itself"),
        pytest.param({"called_from": "", "function": ""}, "at src/myapp/users.py:12", id="line-alone"),
        pytest.param({"location": ""}, "", id="unknown"),
    ],
)
def test_the_place_is_the_line_and_who_called_it(changes: dict[str, Any], place: str) -> None:
    assert place_text(changed(**changes)) == place


@pytest.mark.parametrize("library", sorted(CURES))
def test_what_fits_the_client_on_the_stack_is_named(library: str) -> None:
    fits = any(name in CURES[library] for name in ("responses", "httpretty", "respx"))
    assert hints(changed(library=library))[0] == [
        f"with {library}, use {CURES[library]}" if fits else f"with {library}, use {CURES[library]} instead"
    ]


def test_a_medium_test_is_not_advised_to_become_medium() -> None:
    assert hints(changed(library="redis", size="medium"))[0] == ["with redis, use fakeredis, or a local server instead"]


@pytest.mark.parametrize(
    ("library", "cure"),
    [
        pytest.param("requests", "responses or requests-mock", id="requests"),
        pytest.param("httpx", "respx or pytest-httpx", id="httpx"),
        pytest.param("aiohttp", "vcrpy, or aiointercept and @pytest.mark.medium", id="aiohttp"),
        pytest.param("botocore", "moto", id="boto"),
        pytest.param("urllib3", "pook or manual patching", id="urllib3"),
        pytest.param("urllib", "pook or manual patching", id="urllib"),
    ],
)
def test_cures_are_those_of_the_client(library: str, cure: str) -> None:
    assert CURES[library] == cure


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        pytest.param({"library": ""}, [], id="none"),
        pytest.param({"library": "of-somebody"}, [], id="unknown-library"),
        pytest.param(
            {"library": "", "cassette": True},
            ["under a VCR cassette: record once with --test-categories-enforcement=off"],
            id="cassette",
        ),
        pytest.param(
            {"library": "", "target": "169.254.169.254:80"},
            [
                (
                    "the metadata probe of a cloud SDK: "
                    "AWS_EC2_METADATA_DISABLED=true stops boto, NO_GCE_CHECK=true google-auth"
                ),
            ],
            id="metadata-address",
        ),
        pytest.param(
            {"library": "", "target": "metadata.google.internal:80"},
            ["the metadata probe of google-auth: NO_GCE_CHECK=true stops it"],
            id="metadata-name",
        ),
        pytest.param(
            {"library": "", "target": "metadata.google.internal", "kind": "lookup"},
            ["the metadata probe of google-auth: NO_GCE_CHECK=true stops it"],
            id="metadata-look-up",
        ),
        pytest.param(
            {"library": "urllib3", "target": "metadata.google.internal", "cassette": True},
            ["the metadata probe of google-auth: NO_GCE_CHECK=true stops it"],
            id="metadata-with-a-client",
        ),
        pytest.param(
            {"library": "urllib3", "cassette": True},
            [
                "with urllib3, use pook or manual patching instead",
                "under a VCR cassette: record once with --test-categories-enforcement=off",
            ],
            id="all-of-them",
        ),
    ],
)
def test_each_hint_at_a_mock_is_a_line_below_the_first_way(changes: dict[str, Any], lines: list[str]) -> None:
    assert hints(changed(**changes))[0] == lines


@pytest.mark.parametrize(
    ("target", "host"),
    [
        pytest.param("api.example.com:443", "api.example.com", id="name"),
        pytest.param("api.example.com", "api.example.com", id="name-alone"),
        pytest.param("[2001:db8::1]:443", "[2001:db8::1]", id="ipv6"),
        pytest.param("2001:db8::1", "2001:db8::1", id="ipv6-alone"),
        pytest.param("vsock:2:1234", "vsock:2:1234", id="vsock"),
    ],
)
def test_a_small_test_that_medium_does_not_help_is_sent_to_large_at_once(target: str, host: str) -> None:
    assert hints(changed(target=target))[1] == [f"@pytest.mark.large instead: {host} is not on this machine"]


@pytest.mark.parametrize("target", ["localhost:5432", "[::1]:80", "unix:/run/app.sock"])
def test_a_small_test_is_told_that_medium_is_enough(target: str) -> None:
    assert hints(changed(target=target, reach="machine"))[1] == [
        f"@pytest.mark.medium is enough: {target} is on this machine"
    ]


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        pytest.param("127.0.0.1:0", "listen on 127.0.0.1 (any port)", id="any-port"),
        pytest.param("127.0.0.1:8080", "listen on 127.0.0.1:8080", id="port"),
        pytest.param("[::]:0", "listen on [::] (any port)", id="ipv6"),
        pytest.param("unix:/run/app.sock", "listen on unix:/run/app.sock", id="unix"),
    ],
)
def test_a_server_is_told_as_what_it_is(target: str, shown: str) -> None:
    server = changed(kind="bind", target=target, reach="machine", route="socket.bind", library="", called_from="")
    assert facts(server)[-1] == f"{shown}, by socket.bind"
    assert line_text(server) == f"{shown} at src/myapp/users.py:12 in fetch_user"
    assert short_text(server) == f"[TC001] {shown} at src/myapp/users.py:12"
    assert warning_text(server) == (
        f"Network access violation in test_fetch_user: attempted connection to {target}: {shown}"
    )
    assert hints(server) == (
        ["the test starts a server: call the application without one"],
        ["@pytest.mark.medium is enough: it may listen on this machine"],
    )
    assert short_fix(server) == "@pytest.mark.medium"
    in_fixture = server._replace(fixture="database (session)", held_by="test_a.py::test_small")
    assert hints(in_fixture)[0] == ["fixture database starts a server: call the application without one"]


def test_in_unittest_the_size_is_a_base_class() -> None:
    in_unittest = changed(test="tests.test_api.Tests.test_fetch")
    assert hints(in_unittest)[1] == ["LargeTest instead: api.example.com is not on this machine"]
    assert short_fix(changed(test="a.B.c", reach="machine", library="redis")) == "fakeredis, or MediumTest"


def test_the_size_that_the_run_s_entries_leave_is_advised() -> None:
    assert hints(changed(target="postgres:5432", needs="medium"))[1] == [
        "@pytest.mark.medium is enough: postgres:5432 is on the run's allow list"
    ]


def test_a_metadata_probe_needs_no_other_size() -> None:
    probe = changed(target="169.254.169.254:80", library="botocore")
    assert hints(probe)[1] == ["no other size is needed: a test should not depend on this probe"]
    assert short_fix(probe) == ""


def test_what_an_explicit_guard_refused_is_not_fixed_by_a_marker() -> None:
    guarded = changed(guard="network_guard('small', 'strict') at src/app.py:3")
    assert hints(guarded)[1] == [
        "the size of the guard counts, not the test's: network_guard('small', 'strict') at src/app.py:3",
        "this needs large",
    ]
    assert short_fix(guarded) == ""


@pytest.mark.parametrize(
    ("held_by", "lines", "short"),
    [
        pytest.param(
            "tests/test_b.py::test_x",
            [
                "not of this test: fixture db is small because of tests/test_b.py::test_x. Make that test large,",
                "or declare the fixture's size: test_categories_fixture_sizes = db = large",
            ],
            "large for tests/test_b.py::test_x, or test_categories_fixture_sizes = db = large",
            id="a-test",
        ),
        pytest.param(
            "test_categories_fixture_sizes",
            ["not of this test: test_categories_fixture_sizes declares fixture db small: declare it large"],
            "test_categories_fixture_sizes = db = large",
            id="declared",
        ),
    ],
)
def test_rule_6_what_a_fixture_is_held_to_is_not_fixed_at_the_failing_test(
    held_by: str, lines: list[str], short: str
) -> None:
    assert hints(changed(fixture="db (session)", held_by=held_by))[1] == lines
    assert short_fix(changed(fixture="db (session)", held_by=held_by)) == short


@pytest.mark.parametrize(
    ("changes", "short"),
    [
        pytest.param({}, "responses or requests-mock, or @pytest.mark.large", id="client"),
        pytest.param({"library": ""}, "a fake of fetch_user, or @pytest.mark.large", id="no-client"),
        pytest.param({"library": "", "function": "test_fetch_user"}, "@pytest.mark.large", id="in-the-test-itself"),
        pytest.param({"library": "", "function": "<lambda>"}, "@pytest.mark.large", id="no-name"),
        pytest.param({"library": "redis", "reach": "machine"}, "fakeredis, or @pytest.mark.medium", id="service"),
        pytest.param({"because": f"{DENIED_BY}api.example.com"}, "responses or requests-mock", id="denied"),
        pytest.param(
            {"because": NOT_LISTED, "library": ""}, "a fake of fetch_user, or an entry of network_only", id="list"
        ),
    ],
)
def test_lists_say_the_fix_in_a_phrase(changes: dict[str, Any], short: str) -> None:
    assert short_fix(changed(**changes)) == short


@pytest.mark.parametrize(
    ("changes", "host", "entry"),
    [
        pytest.param({"target": "postgres:5432"}, "postgres", "postgres:5432", id="name"),
        pytest.param({"target": "postgres", "kind": "lookup"}, "postgres", "postgres", id="look-up"),
        pytest.param({"target": "api:443", "kind": "lookup"}, "api", "api:443", id="look-up-with-port"),
        pytest.param({"target": "api:https", "kind": "lookup"}, "api", "api", id="look-up-with-service"),
        pytest.param(
            {"target": "10.0.0.7", "kind": "reverse-lookup"},
            "10.0.0.7",
            "10.0.0.7",
            id="reverse-look-up",
        ),
        pytest.param({"target": "[fd00::7]:443"}, "[fd00::7]", "[fd00::7]:443", id="ipv6"),
        pytest.param({"target": "fd00::7", "kind": "reverse-lookup"}, "fd00::7", "fd00::7", id="ipv6-alone"),
        pytest.param({"target": "unix:/run/d.sock"}, "unix:/run/d.sock", "unix:/run/d.sock", id="unix"),
    ],
)
def test_a_medium_test_hears_of_large_and_of_the_entry_that_parses(
    changes: dict[str, Any], host: str, entry: str
) -> None:
    assert hints(changed(size="medium", **changes))[1] == [
        f"@pytest.mark.large instead: {host} is not on this machine",
        f"or, if it is a service of your test environment, test_categories_network_allow = {entry}",
    ]
    assert parse_allow_entry(entry).text == entry


@pytest.mark.parametrize("target", ["vsock:2:1234", "<broadcast>:9", "a b:80"])
def test_no_entry_is_offered_that_would_not_parse(target: str) -> None:
    lines = hints(changed(size="medium", target=target))[1]
    assert len(lines) == 1
    assert lines[0].startswith("@pytest.mark.large instead: ")


def test_an_undelivered_violation_says_so_and_names_the_way_out() -> None:
    assert str(NetworkAccessViolationError(ISSUE, undelivered=True)) == SPECIFICATION.replace(
        "called from tests/test_api.py:8\n",
        "called from tests/test_api.py:8\n"
        "    the refusal did not reach the test: it was caught on the way, or lost in a thread or task\n"
        "    a test whose subject is being refused says `with expect_network_violation():`\n",
    )


def test_each_further_violation_is_a_line() -> None:
    others = (
        changed(target="b.example:1", count=2, thread="T", late="late"),
        Violation(test="t", size="small", kind="connect", target="192.0.2.1:1"),
    )
    assert report_text((ISSUE, *others)) == SPECIFICATION.replace(
        "called from tests/test_api.py:8\n",
        "called from tests/test_api.py:8\n"
        "  Also attempted: b.example:1 (x2) at src/myapp/users.py:12 in fetch_user, "
        "called from tests/test_api.py:8; in thread T; late\n"
        "  Also attempted: 192.0.2.1:1\n",
    )


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        pytest.param({"location": ""}, "api.example.com:443", id="target"),
        pytest.param({"location": "", "count": 2}, "api.example.com:443 (x2)", id="count"),
        pytest.param(
            {"called_from": ""},
            "api.example.com:443 at src/myapp/users.py:12 in fetch_user",
            id="place",
        ),
        pytest.param(
            {"location": "", "fixture": "db (module)", "process": "child process 7"},
            "api.example.com:443; in fixture db (module); in child process 7",
            id="circumstances",
        ),
    ],
)
def test_a_violation_fits_a_line(changes: dict[str, Any], line: str) -> None:
    assert line_text(changed(**changes)) == line


@pytest.mark.parametrize(
    ("test", "shown"),
    [
        pytest.param("tests/test_api.py::test_fetch_user", "test_fetch_user", id="function"),
        pytest.param("tests/test_api.py::TestApi::test_fetch_user", "test_fetch_user", id="method"),
        pytest.param("tests/test_api.py::test_get[::1]", "test_get[::1]", id="colons-in-a-parameter"),
        pytest.param(
            "tests/test_api.py::TestApi::test_get[a::b[c]]",
            "test_get[a::b[c]]",
            id="brackets-in-a-parameter",
        ),
        pytest.param("tests/[x]/test_api.py::test_get", "test_get", id="brackets-in-the-path"),
        pytest.param("tests/[x]/test_api.py::test_get[::1]", "test_get[::1]", id="brackets-in-both"),
        pytest.param("tests.test_api.Tests.test_get", "tests.test_api.Tests.test_get", id="unittest"),
    ],
)
def test_the_warning_is_one_line_that_names_the_test(test: str, shown: str) -> None:
    line = f"Network access violation in {shown}: attempted connection to api.example.com:443"
    assert warning_text(changed(test=test)) == line


@pytest.mark.parametrize("undelivered", [False, True])
@pytest.mark.parametrize("count", [1, 3])
def test_an_error_pickles_and_copies(undelivered: bool, count: int) -> None:
    class_of_error = NetworkAccessViolationError
    error = class_of_error([changed(count=n) for n in range(1, count + 1)], undelivered=undelivered)
    error.records.append(object())
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(error, protocol))
        assert type(again) is class_of_error
        assert (again.violations, again.undelivered, str(again)) == (
            error.violations,
            undelivered,
            str(error),
        )
        assert again.records == []
    assert copy.copy(error).violations == error.violations


class OwnError(NetworkAccessViolationError):
    """Somebody's own kind."""


def test_a_derived_error_pickles_as_itself() -> None:
    assert type(pickle.loads(pickle.dumps(OwnError(ISSUE)))) is OwnError


def test_an_error_takes_one_violation_or_several() -> None:
    assert NetworkAccessViolationError(ISSUE).violations == (ISSUE,)
    several = NetworkAccessViolationError(iter([ISSUE, changed(count=2)]))
    assert several.violations == (ISSUE, changed(count=2))
    assert several.violation == ISSUE


def test_an_error_made_anew_of_another_says_what_that_said() -> None:
    error = NetworkAccessViolationError([ISSUE], undelivered=True)
    for made in (type(error)(error), type(error)(*error.args)):
        assert made.violations == (ISSUE,)
        assert "api.example.com:443" in str(made)
    of_text = type(error)(str(error))
    assert str(of_text) == str(error)
    assert of_text.violations == ()
    assert str(pickle.loads(pickle.dumps(of_text))) == str(error)


def test_an_error_in_a_group_is_shown_in_a_line() -> None:
    group = ExceptionGroup("several", [NetworkAccessViolationError(ISSUE)])
    assert "NetworkAccessViolationError('api.example.com:443 at src/myapp/users.py:12" in repr(group)
    assert repr(NetworkAccessViolationError("text")) == "NetworkAccessViolationError('text')"


def test_an_error_is_a_hermeticity_violation_and_no_os_error() -> None:
    assert issubclass(NetworkAccessViolationError, HermeticityViolationError)
    assert issubclass(HermeticityViolationError, Exception)
    assert not issubclass(NetworkAccessViolationError, OSError)
    assert issubclass(NetworkAccessWarning, UserWarning)


@pytest.mark.parametrize("cls", [HermeticityViolationError, NetworkAccessViolationError, NetworkAccessWarning])
def test_tracebacks_name_the_module_to_import_from(cls: type) -> None:
    assert cls.__module__ == "pytest_test_categories"
    assert getattr(pytest_test_categories, cls.__qualname__) is cls
