"""The judge: who may reach what."""

from __future__ import annotations

import json
import pickle

import pytest

from pytest_test_categories._rules.address import Endpoint, Reach, parse_allow_entry
from pytest_test_categories._rules.policy import (
    Attempt,
    EnforcementMode,
    Kind,
    LookedUp,
    Policy,
    TestSize,
    decide,
    needed_size,
    parse_allow,
    parse_narrowing,
    parse_only,
    parse_own_allow,
)

SMALL, MEDIUM, LARGE, XLARGE = TestSize


def connect(reach: Reach, host: str = "198.51.100.1", port: int = 443, *names: LookedUp) -> Attempt:
    return Attempt(Kind.CONNECT, Endpoint(host, port), reach, names)


def permits(policy: Policy, attempt: Attempt) -> bool:
    return decide(policy, attempt).permitted


@pytest.mark.parametrize(
    ("size", "reaches"),
    [
        pytest.param(SMALL, {Reach.NOWHERE}, id="small"),
        pytest.param(MEDIUM, {Reach.NOWHERE, Reach.MACHINE}, id="medium"),
        pytest.param(LARGE, set(Reach), id="large"),
        pytest.param(XLARGE, set(Reach), id="xlarge"),
        pytest.param(None, set(Reach), id="no-size"),
    ],
)
@pytest.mark.parametrize("mode", [EnforcementMode.STRICT, EnforcementMode.WARN])
def test_a_size_reaches_so_far_and_no_farther(
    size: TestSize | None, reaches: set[Reach], mode: EnforcementMode
) -> None:
    assert {reach for reach in Reach if permits(Policy(size, mode), connect(reach))} == reaches


@pytest.mark.parametrize("reach", list(Reach))
def test_a_server_is_free_in_medium(reach: Reach) -> None:
    attempt = Attempt(Kind.BIND, Endpoint("198.51.100.1", 0), reach)
    assert permits(Policy(MEDIUM), attempt)
    assert permits(Policy(SMALL), attempt) is (reach is Reach.NOWHERE)


@pytest.mark.parametrize(
    ("policy", "attempt", "because"),
    [
        pytest.param(Policy(LARGE), connect(Reach.BEYOND), "this size is not restricted", id="large"),
        pytest.param(Policy(SMALL), connect(Reach.NOWHERE), "it sends nothing", id="nowhere"),
        pytest.param(Policy(MEDIUM), connect(Reach.MACHINE), "it stays on this machine", id="machine"),
        pytest.param(
            Policy(MEDIUM, allow=parse_allow("db, 198.51.100.0/24")),
            connect(Reach.BEYOND),
            "allowed by 198.51.100.0/24",
            id="allowed",
        ),
        pytest.param(Policy(SMALL), connect(Reach.MACHINE), "small reaches no network", id="small"),
        pytest.param(Policy(MEDIUM), connect(Reach.BEYOND), "medium reaches this machine only", id="medium"),
    ],
)
def test_a_verdict_says_why(policy: Policy, attempt: Attempt, because: str) -> None:
    assert decide(policy, attempt).because == because


@pytest.mark.parametrize(
    ("size", "entry", "permitted"),
    [
        pytest.param(MEDIUM, "api.example.com", True, id="medium"),
        pytest.param(MEDIUM, "small: api.example.com", True, id="small-entry-in-medium"),
        pytest.param(SMALL, "small: api.example.com", True, id="small-entry-in-small"),
        pytest.param(SMALL, "api.example.com", False, id="medium-entry-in-small"),
    ],
)
def test_an_entry_widens_the_size_it_names_and_larger_ones(size: TestSize, entry: str, permitted: bool) -> None:
    assert permits(Policy(size, allow=parse_allow([entry])), connect(Reach.BEYOND, "api.example.com")) is permitted


@pytest.mark.parametrize(
    ("entry", "attempt", "permitted"),
    [
        pytest.param(
            "unix:/run/d.sock",
            Attempt(Kind.CONNECT, Endpoint("/run/d.sock", family="unix"), Reach.MACHINE),
            True,
            id="unix",
        ),
        pytest.param(
            "d.sock",
            Attempt(Kind.CONNECT, Endpoint("d.sock", family="unix"), Reach.MACHINE),
            False,
            id="unix-no-name",
        ),
        pytest.param(
            "0.0.0.2",
            Attempt(Kind.CONNECT, Endpoint("2", "1", "vsock"), Reach.BEYOND),
            False,
            id="vsock-never",
        ),
        pytest.param(
            "db:5432",
            Attempt(Kind.LOOKUP, Endpoint("db", 80), Reach.BEYOND),
            True,
            id="look-up-any-port",
        ),
        pytest.param(
            "198.51.100.0/24:443",
            Attempt(Kind.REVERSE_LOOKUP, Endpoint("198.51.100.1"), Reach.BEYOND),
            True,
            id="reverse-look-up",
        ),
        pytest.param("db:5432", connect(Reach.BEYOND, "db", 5432), True, id="name"),
        pytest.param("db:5432", connect(Reach.BEYOND, "db", 5433), False, id="name-another-port"),
    ],
)
def test_an_entry_of_small_admits_what_it_names(entry: str, attempt: Attempt, permitted: bool) -> None:
    assert permits(Policy(SMALL, allow=parse_allow([f"small: {entry}"])), attempt) is permitted


DB = parse_allow_entry("db:5432")
LOCALHOST = parse_allow_entry("small: localhost")


@pytest.mark.parametrize(
    ("names", "port", "permitted"),
    [
        pytest.param([LookedUp("db", (DB,))], 5432, True, id="looked-up-under-the-entry"),
        pytest.param([LookedUp("db")], 5432, False, id="looked-up-under-another-policy"),
        pytest.param([LookedUp("db", (DB,))], 80, False, id="another-port"),
        pytest.param([LookedUp("evil.example", (DB,))], 5432, False, id="another-name"),
        pytest.param(
            [LookedUp("x", (DB,)), LookedUp("db", (DB,)), LookedUp("y", (DB,))],
            5432,
            True,
            id="any-name",
        ),
        pytest.param([], 5432, False, id="none"),
    ],
)
def test_an_allowed_name_carries_its_addresses(names: list[LookedUp], port: int, permitted: bool) -> None:
    attempt = connect(Reach.BEYOND, "198.51.100.1", port, *names)
    assert permits(Policy(MEDIUM, allow=(DB,)), attempt) is permitted


def test_localhost_never_carries_a_foreign_address() -> None:
    policy = Policy(SMALL, allow=(LOCALHOST,))
    told = LookedUp("LOCALHOST.", (LOCALHOST,))
    assert permits(policy, connect(Reach.MACHINE, "127.0.0.1", 80, told))
    assert not permits(policy, connect(Reach.BEYOND, "198.51.100.1", 80, told))


@pytest.mark.parametrize("size", TestSize)
def test_sizes_and_their_names_in_any_case_are_parsed(size: TestSize) -> None:
    for value in (size, size.value, f" {size.value.upper()} "):
        assert TestSize.parse(value) is size


@pytest.mark.parametrize("mode", EnforcementMode)
def test_modes_and_their_names_in_any_case_are_parsed(mode: EnforcementMode) -> None:
    for value in (mode, mode.value, f" {mode.value.upper()} "):
        assert EnforcementMode.parse(value) is mode


@pytest.mark.parametrize("value", [pytest.param("tiny", id="text"), pytest.param(1, id="number")])
def test_what_is_no_size_is_refused_with_the_choices(value: str) -> None:
    with pytest.raises(
        ValueError,
        match=f"^{value!r} is not a test size; choose one of small, medium, large, xlarge$",
    ):
        TestSize.parse(value)


@pytest.mark.parametrize("value", [pytest.param("loud", id="text"), pytest.param(None, id="none")])
def test_what_is_no_mode_is_refused_with_the_choices(value: str) -> None:
    with pytest.raises(ValueError, match=f"^{value!r} is not an enforcement mode; choose one of strict, warn, off$"):
        EnforcementMode.parse(value)


def test_a_size_is_no_mode() -> None:
    with pytest.raises(ValueError, match="is not an enforcement mode"):
        EnforcementMode.parse(SMALL)  # type: ignore[arg-type]


def test_sizes_are_ranked_smallest_first() -> None:
    assert [size.rank for size in TestSize] == [0, 1, 2, 3]


def test_policies_and_attempts_pickle() -> None:
    policy = Policy(SMALL, EnforcementMode.WARN, (DB, LOCALHOST))
    attempt = connect(Reach.BEYOND, "198.51.100.1", 1, LookedUp("db", (DB,)))
    assert pickle.loads(pickle.dumps((policy, attempt))) == (policy, attempt)


@pytest.mark.parametrize(
    ("entries", "texts"),
    [
        pytest.param("db:5432, redis\n\n 10.0.0.0/8 ,", ["db:5432", "redis", "10.0.0.0/8"], id="text"),
        pytest.param(["db", "redis"], ["db", "redis"], id="list"),
        pytest.param(("db",), ["db"], id="tuple"),
        pytest.param({"db"}, ["db"], id="set"),
        pytest.param(frozenset({DB}), ["db:5432"], id="parsed"),
        pytest.param([], [], id="empty-list"),
        pytest.param("", [], id="empty-text"),
    ],
)
def test_entries_come_as_one_text_or_several(entries: object, texts: list[str]) -> None:
    assert [entry.text for entry in parse_allow(entries)] == texts


@pytest.mark.parametrize("entries", [pytest.param(None, id="none"), pytest.param(5432, id="number")])
def test_what_is_no_list_of_entries_is_refused(entries: object) -> None:
    with pytest.raises(ValueError, match=r"^allow takes a list of entries such as 'postgres:5432', not "):
        parse_allow(entries)


def test_one_bad_entry_refuses_the_list() -> None:
    with pytest.raises(ValueError, match="'a b' is not a network allow entry"):
        parse_allow(["db", "a b"])


@pytest.mark.parametrize("entry", [pytest.param(None, id="none"), pytest.param(5432, id="number")])
def test_an_entry_that_is_no_text_refuses_the_list(entry: object) -> None:
    with pytest.raises(ValueError, match=f"^{entry!r} is not a network allow entry; write one like "):
        parse_allow(["db", entry])


@pytest.mark.parametrize("allow", [(), ("small: 198.51.100.1",), ("198.51.100.0/24",)])
def test_the_size_that_is_needed_is_the_smallest_that_permits(allow: tuple[str, ...]) -> None:
    entries = parse_allow(allow)
    for kind in Kind:
        for reach in Reach:
            attempt = Attempt(kind, Endpoint("198.51.100.1", 9), reach)
            needed = needed_size(attempt, entries)
            permitting = [size for size in TestSize if decide(Policy(size, allow=entries), attempt).permitted]
            assert needed is min(permitting, key=lambda size: size.rank)
            assert needed_size(attempt, entries) is needed


def test_what_other_processes_are_told_of_policies_and_attempts_comes_back_as_it_was() -> None:
    entries = parse_allow("small: [fd00::]/8, *.svc.cluster.local:443\nunix:/run/s")
    for policy in (
        Policy(None),
        Policy(MEDIUM, EnforcementMode.WARN, entries, frozenset({("connect", "a:1"), ("lookup", "b")})),
        Policy(LARGE, only=(parse_narrowing("a:1, b"), ()), deny=parse_narrowing("unix:/run/s")),
    ):
        assert Policy.from_data(json.loads(json.dumps(policy.to_data()))) == policy
    for endpoint in (Endpoint("a", 1), Endpoint("b", "http"), Endpoint("/run/s", family="unix")):
        attempt = Attempt(Kind.REUSE, endpoint, Reach.MACHINE)
        assert Attempt.from_data(json.loads(json.dumps(attempt.to_data()))) == attempt
    long = Attempt(Kind.CONNECT, Endpoint("x" * 5000, 1), Reach.BEYOND)
    assert len(json.dumps(long.to_data())) < 1000


class TestOnly:
    """``network_only``: of what size and allow entries permit, these entries."""

    @pytest.mark.parametrize("size", [LARGE, XLARGE, None])
    @pytest.mark.parametrize(
        ("attempt", "permitted"),
        [
            pytest.param(Attempt(Kind.CONNECT, Endpoint("staging", 443), Reach.BEYOND), True, id="listed"),
            pytest.param(Attempt(Kind.LOOKUP, Endpoint("staging"), Reach.BEYOND), True, id="its-look-up"),
            pytest.param(
                Attempt(Kind.LOOKUP, Endpoint("STAGING.", "https"), Reach.BEYOND), True, id="spelled-otherwise"
            ),
            pytest.param(Attempt(Kind.CONNECT, Endpoint("staging", 80), Reach.BEYOND), False, id="another-port"),
            pytest.param(Attempt(Kind.CONNECT, Endpoint("other", 443), Reach.BEYOND), False, id="another-host"),
            pytest.param(Attempt(Kind.LOOKUP, Endpoint("other"), Reach.BEYOND), False, id="another-look-up"),
            pytest.param(Attempt(Kind.REUSE, Endpoint("198.51.100.1", 443), Reach.BEYOND), False, id="open-connection"),
            pytest.param(Attempt(Kind.SEND, Endpoint("198.51.100.1", 443), Reach.BEYOND), False, id="datagram"),
            pytest.param(Attempt(Kind.CONNECT, Endpoint("127.0.0.1", 443), Reach.MACHINE), False, id="this-machine"),
            pytest.param(
                Attempt(Kind.CONNECT, Endpoint("/run/x.sock", family="unix"), Reach.MACHINE), False, id="unix-socket"
            ),
            pytest.param(Attempt(Kind.CONNECT, Endpoint("3", "1", "vsock"), Reach.BEYOND), False, id="vsock"),
            pytest.param(Attempt(Kind.BIND, Endpoint("127.0.0.1", 0), Reach.MACHINE), True, id="server"),
            pytest.param(Attempt(Kind.CONNECT, Endpoint("127.0.0.1", 9), Reach.NOWHERE), True, id="sends-nothing"),
        ],
    )
    def test_a_large_test_reaches_what_is_listed_alone(
        self, size: TestSize | None, attempt: Attempt, permitted: bool
    ) -> None:
        assert permits(Policy(size, only=parse_only("staging:443")), attempt) is permitted

    def test_an_address_of_a_listed_name_is_listed_whoever_looked_it_up(self) -> None:
        policy = Policy(LARGE, only=parse_only("staging:443"))
        assert permits(policy, connect(Reach.BEYOND, "198.51.100.1", 443, LookedUp("staging")))
        assert not permits(policy, connect(Reach.BEYOND, "198.51.100.1", 80, LookedUp("staging")))
        assert not permits(policy, connect(Reach.BEYOND, "198.51.100.1", 443, LookedUp("other")))
        narrow = policy._replace(size=MEDIUM, allow=parse_allow("staging"))
        assert not permits(narrow, connect(Reach.BEYOND, "198.51.100.1", 443, LookedUp("staging")))

    def test_it_permits_nothing_that_the_size_does_not(self) -> None:
        policy = Policy(SMALL, only=parse_only("198.51.100.1"))
        assert not permits(policy, connect(Reach.BEYOND))
        assert permits(policy._replace(allow=parse_own_allow("198.51.100.1")), connect(Reach.BEYOND))

    def test_each_list_narrows(self) -> None:
        both = Policy(LARGE, only=(*parse_only("198.51.100.0/24"), *parse_only("198.51.100.1, 203.0.113.1")))
        reached = [
            host
            for host in ("198.51.100.1", "198.51.100.2", "203.0.113.1")
            if permits(both, connect(Reach.BEYOND, host))
        ]
        assert reached == ["198.51.100.1"]

    def test_an_empty_list_permits_nothing(self) -> None:
        assert not permits(Policy(LARGE, only=parse_only(())), connect(Reach.BEYOND))
        assert parse_only(None) == ()

    def test_the_verdict_says_so(self) -> None:
        assert (
            decide(Policy(LARGE, only=parse_only("db")), connect(Reach.BEYOND)).because
            == "network_only does not list it"
        )


class TestDeny:
    """Deny entries, which nothing lifts."""

    @pytest.mark.parametrize(
        ("entry", "attempt"),
        [
            pytest.param("198.51.100.0/24", connect(Reach.BEYOND), id="network"),
            pytest.param("198.51.100.0/24:443", connect(Reach.BEYOND), id="network-and-port"),
            pytest.param("[::ffff:198.51.100.1]", connect(Reach.BEYOND), id="mapped-entry"),
            pytest.param("198.51.100.1", connect(Reach.BEYOND, "::ffff:198.51.100.1"), id="mapped-address"),
            pytest.param("198.51.100.1", connect(Reach.BEYOND, "0xc6336401"), id="hexadecimal"),
            pytest.param("api.example.com", connect(Reach.BEYOND, "API.Example.com."), id="name"),
            pytest.param(
                "api.example.com:443",
                Attempt(Kind.CONNECT, Endpoint("api.example.com", "https"), Reach.BEYOND),
                id="service",
            ),
            pytest.param(
                "*.example.com",
                Attempt(Kind.LOOKUP, Endpoint("api.example.com"), Reach.BEYOND),
                id="look-up-of-pattern",
            ),
            pytest.param(
                "api.example.com:443",
                Attempt(Kind.LOOKUP, Endpoint("api.example.com", 443), Reach.BEYOND),
                id="look-up-for-the-port",
            ),
            pytest.param(
                "api.example.com",
                connect(Reach.BEYOND, "198.51.100.1", 443, LookedUp("api.example.com"), LookedUp("cdn.example.net")),
                id="address-of-two-names",
            ),
            pytest.param(
                "alias:80",
                Attempt(Kind.CONNECT, Endpoint("127.0.0.1", 80), Reach.MACHINE, asked=Endpoint("alias", "http")),
                id="name-in-the-hosts-file",
            ),
            pytest.param("127.0.0.1:80", connect(Reach.MACHINE, "0.0.0.0", 80), id="unspecified"),
            pytest.param("[::1]:80", connect(Reach.MACHINE, "::", 80), id="unspecified-v6"),
            pytest.param("localhost:80", connect(Reach.MACHINE, "127.0.0.2", 80), id="localhost"),
            pytest.param(
                "unix:/run/docker.sock",
                Attempt(Kind.CONNECT, Endpoint("/run/docker.sock", family="unix"), Reach.MACHINE),
                id="unix-socket",
            ),
            pytest.param(
                "198.51.100.1", Attempt(Kind.REUSE, Endpoint("198.51.100.1", 443), Reach.BEYOND), id="open-connection"
            ),
            pytest.param("198.51.100.1", Attempt(Kind.SEND, Endpoint("198.51.100.1", 9), Reach.BEYOND), id="datagram"),
        ],
    )
    @pytest.mark.parametrize("size", [SMALL, LARGE, XLARGE, None])
    def test_nothing_lifts_it(self, size: TestSize | None, entry: str, attempt: Attempt) -> None:
        everything = parse_own_allow(f"0.0.0.0/0, [::]/0, unix:*, {entry}, api.example.com, cdn.example.net")
        policy = Policy(size, allow=everything, deny=parse_narrowing(entry))
        assert decide(policy, attempt) == (False, f"denied by {entry}", False)

    @pytest.mark.parametrize(
        ("entry", "attempt"),
        [
            pytest.param("198.51.100.1:80", connect(Reach.BEYOND), id="another-port"),
            pytest.param("api.example.com", connect(Reach.BEYOND, "www.example.com"), id="another-name"),
            pytest.param(
                "api.example.com:443",
                Attempt(Kind.LOOKUP, Endpoint("api.example.com"), Reach.BEYOND),
                id="look-up-alone",
            ),
            pytest.param(
                "api.example.com:443",
                Attempt(Kind.LOOKUP, Endpoint("api.example.com", 80), Reach.BEYOND),
                id="its-other-port",
            ),
            pytest.param("127.0.0.1", Attempt(Kind.BIND, Endpoint("127.0.0.1", 80), Reach.MACHINE), id="server"),
            pytest.param("localhost", Attempt(Kind.LOOKUP, Endpoint("localhost"), Reach.NOWHERE), id="sends-nothing"),
        ],
    )
    def test_what_it_does_not_name_is_free_in_large(self, entry: str, attempt: Attempt) -> None:
        assert permits(Policy(LARGE, deny=parse_narrowing(entry)), attempt)

    def test_what_the_baseline_lists_is_known(self) -> None:
        policy = Policy(LARGE, deny=parse_narrowing("198.51.100.1"), known=frozenset({("connect", "198.51.100.1:443")}))
        assert decide(policy, connect(Reach.BEYOND)) == (False, "denied by 198.51.100.1", True)


@pytest.mark.parametrize("entry", ["small: db:5432", "medium: 127.0.0.1", "no entry!"])
def test_an_entry_that_narrows_has_no_size(entry: str) -> None:
    with pytest.raises(ValueError, match="size|not a network allow entry"):
        parse_narrowing([entry])


@pytest.mark.parametrize("size", [*TestSize, None])
def test_a_policy_restricts_if_it_may_refuse_anything(size: TestSize | None) -> None:
    assert Policy(size).restricts is (size in {SMALL, MEDIUM})
    assert Policy(size, only=((),)).restricts
    assert Policy(size, deny=parse_narrowing("db")).restricts
    assert Policy(size, deny=parse_narrowing("db")).denies_names
    assert not Policy(size, deny=parse_narrowing("10.0.0.0/8")).denies_names
