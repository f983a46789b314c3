"""How to fix a violation: by client library, by target, by size."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final

from pytest_test_categories._rules.address import parse_allow_entry, split_target
from pytest_test_categories._rules.policy import DENIED_BY, NOT_LISTED
from pytest_test_categories._rules.violation import PROGRAM, is_of_command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_test_categories._rules.violation import Violation

_HTTP: Final = {
    "aiobotocore": "a stubbed client, or moto's server and @pytest.mark.medium",
    # aioresponses 0.7.9 and pook 2.1.6 answer no aiohttp from 3.14 on.
    "aiohttp": "vcrpy, or aiointercept and @pytest.mark.medium",
    "boto3": "moto",
    "botocore": "moto",
    "http.client": "pook or manual patching",  # httpretty 1.1.4 answers no https of it from CPython 3.14 on
    "httpcore": "respx",
    "httpx": "respx or pytest-httpx",
    "curl_cffi": "a fake client, or a local HTTP server and @pytest.mark.medium",
    "impit": "a fake client, or a local HTTP server and @pytest.mark.medium",
    "pyreqwest": "a fake client, or a local HTTP server and @pytest.mark.medium",
    "wreq": "a fake client, or a local HTTP server and @pytest.mark.medium",
    "httpr": "a fake client, or a local HTTP server and @pytest.mark.medium",
    "primp": "a fake client, or a local HTTP server and @pytest.mark.medium",
    "pycurl": "a fake client, or a local HTTP server and @pytest.mark.medium",
    "requests": "responses or requests-mock",
    "rnet": "a fake client, or a local HTTP server and @pytest.mark.medium",
    "tornado": "vcrpy or manual patching",
    "urllib": "pook or manual patching",  # the same
    "urllib3": "pook or manual patching",  # httpretty 1.1.4 can't shut its connections down
}
_SERVICES: Final = dict.fromkeys(
    (
        "aiomysql",
        "aiopg",
        "asyncpg",
        "elasticsearch",
        "kafka",
        "ldap3",
        "glide",
        "motor",
        "mysql",
        "pulsar",
        "MySQLdb",
        "adbc_driver_manager",
        "connectorx",
        "pg8000",
        "pika",
        "psycopg",
        "psycopg2",
        "psycopg_pool",
        "pylibmc",
        "pymongo",
        "pymssql",
        "pymysql",
        "pyodbc",
    ),
    "a fake repository, or a local server and @pytest.mark.medium",
) | {
    "aiodns": "manual patching",
    "aiosmtplib": "manual patching, or a local aiosmtpd and @pytest.mark.medium",
    "confluent_kafka": "a fake producer or consumer, or test.mock.num.brokers and @pytest.mark.medium",
    "deltalake": "a table in tmp_path",
    "duckdb": "files of tmp_path",
    "ftplib": "manual patching",
    "grpc": "grpc_testing or a fake stub, or a server in this process and @pytest.mark.medium",
    "obstore": "obstore.store.MemoryStore",
    "paramiko": "manual patching",
    "polars": "files of tmp_path",
    "pyarrow": "pyarrow.fs.LocalFileSystem and tmp_path",
    "pygit2": "a repository in tmp_path",
    "snowflake": "a fake repository",
    "redis": "fakeredis, or a local server and @pytest.mark.medium",
    "smtplib": "manual patching, or a local aiosmtpd and @pytest.mark.medium",
    "temporalio": "temporalio.testing, or a local server and @pytest.mark.medium",
    "websockets": "manual patching, or a local server and @pytest.mark.medium",
    "zmq": "inproc:// endpoints",
}
CURES: Final = _HTTP | _SERVICES
"""What to use instead of the network, by the client library's top-level module."""


def library_of_route(route: str) -> str:
    """Return the client library of a native client's entry point, for which no frame on the stack names it."""
    top = route.partition(".")[0].lstrip("_")
    return top if top in CURES else ""


_METADATA: Final = {
    "169.254.169.254": (
        "the metadata probe of a cloud SDK: AWS_EC2_METADATA_DISABLED=true stops boto, NO_GCE_CHECK=true google-auth"
    ),
    "metadata.google.internal": "the metadata probe of google-auth: NO_GCE_CHECK=true stops it",
}
SAYS: Final = " says)"
"""The end of ``held_by`` if the test is not in the run, and a file says that it holds a fixture to its size."""

_DECLARED: Final = "test_categories_fixture_sizes"
_NAMED: Final = ("responses", "httpretty", "respx")
"""The libraries that the first way to fix a violation names, as the specification words it."""


def cures(violation: Violation) -> list[str]:
    """Return what to use instead of the network for this attempt: the lines below the first way to fix it."""
    if hint := metadata_hint(violation):
        return [hint]
    if is_of_command(violation):
        return []
    found = []
    if violation.kind == PROGRAM:
        found.append(f"{violation.target} is a program: patch the call that starts it")
    elif violation.kind == "bind":
        who = f"fixture {violation.fixture.partition(' ')[0]}" if violation.fixture else "the test"
        found.append(f"{who} starts a server: call the application without one")
    elif cure := CURES.get(violation.library):
        if violation.size != "small":
            cure = cure.replace(" and @pytest.mark.medium", "")  # the test has that size already
        fits = any(name in cure for name in _NAMED)
        found.append(f"with {violation.library}, use {cure}{'' if fits else ' instead'}")
    if violation.cassette:
        found.append("under a VCR cassette: record once with --test-categories-enforcement=off")
    return found


def reach_hints(violation: Violation) -> list[str]:
    """Return which size or allow entry permits this attempt: the lines below the third way to fix it."""
    if is_of_command(violation):
        return command_hints([violation])
    if metadata_hint(violation):
        return ["no other size is needed: a test should not depend on this probe"]
    if violation.kind == PROGRAM:
        return _program_hints(violation)
    if narrowed := _narrowed_hints(violation):
        return narrowed
    if is_held_by_another(violation):
        return _fixture_hints(violation)
    host, port = split_target(violation.target)
    needs = _needed(violation)
    if violation.guard:
        return [f"the size of the guard counts, not the test's: {violation.guard}", f"this needs {needs}"]
    if violation.kind == "bind":
        return [f"{_size_of_test(violation)} is enough: it may listen on this machine"]
    if needs == "medium":
        why = "is on this machine" if violation.reach == "machine" else "is on the run's allow list"
        return [f"{_size_of_test(violation)} is enough: {violation.target} {why}"]
    found = [f"{_size_of_test(violation)} instead: {host} is not on this machine"]
    entry = violation.target if not port or port.isdecimal() else host  # an entry can't have "https" as its port
    if violation.size == "medium" and _is_allow_entry(entry):
        found.append(f"or, if it is a service of your test environment, test_categories_network_allow = {entry}")
    return found


def command_hints(violations: Sequence[Violation]) -> list[str]:
    """Return the options of ``run`` that permit a command's attempts."""
    found = []
    entries: dict[str, None] = {}
    needs = "small"
    for violation in violations:
        if violation.because.startswith(DENIED_BY):
            entry = violation.because.removeprefix(DENIED_BY)
            found.append(f"no size and no --allow permits {violation.target}: {entry} is denied")
            continue
        needs = max(needs, _needed(violation), key=_ORDER.index)
        entry = violation.target
        if entry.endswith(":0"):  # any port
            entry = ""
        elif split_target(entry)[1] and not _is_allow_entry(entry):
            entry = split_target(entry)[0]
        if _is_allow_entry(entry):
            entries[f"--allow {shlex.quote(entry)}"] = None
    if 0 < len(entries) <= _ENTRIES:
        found.append(f"permit {'this target' if len(entries) == 1 else 'these targets'}: {' '.join(entries)}")
    if needs != "small":
        reaches = "this machine" if needs == "medium" else "the whole network"
        found.append(f"permit {reaches}: --size {needs}")
    return found


_ENTRIES: Final = 8
_ORDER: Final = ("small", "medium", "large")


def short_fix(violation: Violation) -> str:
    """Return a phrase with the ways to fix a violation, for lists; empty if that takes the whole report."""
    if violation.kind == PROGRAM:
        return "--network-kernel-guard=auto"
    if metadata_hint(violation) or violation.guard:
        return ""
    if is_held_by_another(violation):
        declare = f"{_DECLARED} = {violation.fixture.partition(' ')[0]} = {_needed(violation)}"
        return (
            declare if violation.held_by == _DECLARED else f"{_needed(violation)} for {violation.held_by}, or {declare}"
        )
    mock = "" if violation.kind == "bind" else CURES.get(violation.library) or _fake_of_function(violation)
    ways = [mock.partition(",")[0].partition(" and @pytest")[0]]
    if violation.because == NOT_LISTED:
        ways.append("an entry of network_only")
    elif not violation.because.startswith(DENIED_BY):  # no size lifts that
        ways.append(_size_of_test(violation))
    return ", or ".join(filter(None, ways))


def _fake_of_function(violation: Violation) -> str:
    """Return the advice to fake the project's function that made the attempt; empty if that is the test."""
    test = violation.test.partition("[")[0].rpartition("::")[2]
    function = violation.function
    return "" if not function.isidentifier() or function == test else f"a fake of {function}"


def is_held_by_another(violation: Violation) -> bool:
    """Tell whether a fixture broke a size that is not the failing test's: that of another test, or a declared one."""
    return bool(violation.fixture and violation.held_by) and violation.held_by != violation.test


def _needed(violation: Violation) -> str:
    """Return the name of the smallest size that permits an attempt."""
    if violation.needs not in {"", violation.size}:
        return violation.needs
    return "medium" if violation.size == "small" and violation.reach == "machine" else "large"


def _size_of_test(violation: Violation) -> str:
    """Return how to give a test the size that permits an attempt: a marker or, in unittest, a base class."""
    needs = _needed(violation)
    names = violation.test.split(".")
    in_unittest = len(names) > 2 and all(map(str.isidentifier, names))  # noqa: PLR2004 - module, class and method
    return f"{needs.capitalize()}Test" if in_unittest else f"@pytest.mark.{needs}"


def metadata_hint(violation: Violation) -> str:
    """Return how to stop a cloud SDK's probe for metadata; empty if the attempt is none."""
    host = violation.target.rpartition(":")[0] or violation.target
    return _METADATA.get(host) or _METADATA.get(violation.target, "")


def _program_hints(violation: Violation) -> list[str]:
    """Return how to watch a program that no layer watches, and which size lets it run unwatched."""
    found = ["watch it: --network-kernel-guard=auto has the kernel layer see what any program does (Linux)"]
    if violation.size in {"small", "medium"}:
        found.append("or, if it is to use the network, make the test @pytest.mark.large")
    return found


def _narrowed_hints(violation: Violation) -> list[str]:
    """Return what to change if no size permits the target: a deny entry, or a list that lacks the target."""
    if violation.because.startswith(DENIED_BY):
        entry = violation.because.removeprefix(DENIED_BY)
        return [f"no size and no allow entry permits {violation.target}: {entry} is in test_categories_network_deny"]
    if violation.because == NOT_LISTED:
        whose = violation.guard or f"network_only of {violation.test}"
        return [
            f"no size permits {violation.target}: {whose} does not list it",
            "add it there; where a module, a class and a test have such lists, each must list it",
        ]
    return []


def _fixture_hints(violation: Violation) -> list[str]:
    """Return what to change for a fixture that is held to its size by another test than the failing one."""
    name = violation.fixture.partition(" ")[0]
    needs = _needed(violation)
    if violation.held_by == _DECLARED:
        return [f"not of this test: {_DECLARED} declares fixture {name} {violation.size}: declare it {needs}"]
    because = f"fixture {name} is {violation.size} because of {violation.held_by}"
    hints = [
        f"not of this test: {because}. Make that test {needs},",
        f"or declare the fixture's size: {_DECLARED} = {name} = {needs}",
    ]
    if violation.held_by.endswith(SAYS):
        hints.append("then write the file anew, with all tests: --network-fixtures-update")
    return hints


def _is_allow_entry(text: str) -> bool:
    try:
        parse_allow_entry(text)
    except ValueError:
        return False
    return True
