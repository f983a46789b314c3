"""Violations as records."""

from __future__ import annotations

import json
import pickle

import pytest

from pytest_test_categories import Violation

FULL = Violation(
    test="tests/test_api.py::test_fetch_user",
    size="medium",
    kind="lookup",
    target="api.example.com:443",
    route="socket.getaddrinfo",
    reach="beyond",
    address="198.51.100.1",
    location="src/myapp/users.py:12",
    function="fetch_user",
    called_from="tests/test_api.py:8",
    library="requests",
    cassette=True,
    importing="myapp.boot",
    thread="Thread-1",
    process="child process 7",
    fixture="db (session)",
    held_by="tests/test_api.py::test_small",
    test_size="medium",
    guard="tests/conftest.py:3",
    late="after its end",
    count=3,
    request="GET https://api.example.com/users/7?page=...",
    replace="shop.users.fetch_user",
)


def test_a_record_says_only_what_is_known() -> None:
    bare = Violation(test="t", size="small", kind="connect", target="h:1")
    assert (bare.reach, bare.count, bare.cassette) == ("beyond", 1, False)
    assert not any((bare.route, bare.address, bare.location, bare.function, bare.called_from, bare.library))
    assert not any((bare.importing, bare.thread, bare.process, bare.fixture, bare.held_by, bare.guard, bare.late))


def test_a_record_is_frozen() -> None:
    with pytest.raises(AttributeError):
        FULL.count = 4  # type: ignore[misc]


def test_a_record_crosses_json_and_pickle() -> None:
    assert Violation.from_dict(FULL.to_dict()) == FULL
    assert Violation.from_dict(json.loads(json.dumps(FULL.to_dict()))) == FULL
    assert pickle.loads(pickle.dumps(FULL)) == FULL
    assert hash(FULL) == hash(pickle.loads(pickle.dumps(FULL)))


def test_every_field_is_written_under_its_name() -> None:
    written = FULL.to_dict()
    assert {name: getattr(FULL, name) for name in written} == written
    assert len(written) == 27


def test_records_of_an_older_version_are_read() -> None:
    older = {key: value for key, value in FULL.to_dict().items() if key not in {"request", "replace", "test_size"}}
    assert Violation.from_dict(older) == FULL._replace(request="", replace="", test_size="")


def test_keys_of_a_newer_version_are_passed_over() -> None:
    assert Violation.from_dict({**FULL.to_dict(), "colour": "red", "key": "x"}) == FULL


@pytest.mark.parametrize(
    ("change", "same"),
    [
        pytest.param({"count": 9}, True, id="count"),
        pytest.param({"thread": "Thread-2"}, True, id="thread"),
        pytest.param({"route": "socket.connect"}, True, id="entry-point"),
        pytest.param({"verdict": "warned"}, True, id="verdict"),
        pytest.param({"request": "POST https://api.example.com/users"}, True, id="request"),
        pytest.param({"replace": ""}, True, id="replaced-function"),
        pytest.param({"kind": "bind"}, False, id="kind"),
        pytest.param({"verdict": "known"}, False, id="known"),
        pytest.param({"target": "other.example:1"}, False, id="target"),
        pytest.param({"location": "src/myapp/users.py:13"}, False, id="line"),
        pytest.param({"test": "tests/test_api.py::test_other"}, False, id="test"),
        pytest.param({"size": "small"}, False, id="size"),
        pytest.param({"late": ""}, False, id="late"),
    ],
)
def test_the_same_breach_seen_again_has_the_same_key(change: dict[str, object], same: bool) -> None:
    other = Violation.from_dict({**FULL.to_dict(), **change})
    assert (other.key == FULL.key) is same
