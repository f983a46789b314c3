"""Laws of the values and of the judge, for whatever hypothesis thinks of."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import pickle
import socket
import string
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from pytest_test_categories import EnforcementMode, NetworkAccessViolationError, TestSize, Violation, network_guard
from pytest_test_categories._host.names import HostsFile, LookUps, reach_of_address
from pytest_test_categories._rules.address import (
    ALLOW_FORMS,
    AllowEntry,
    Endpoint,
    Reach,
    host_text,
    is_local_ip,
    is_localhost,
    normal_name,
    parse_allow_entry,
    parse_ip,
)
from pytest_test_categories._rules.policy import Attempt, Kind, LookedUp, Policy, decide, parse_allow
from pytest_test_categories._rules.wording import report_text, warning_text

if TYPE_CHECKING:
    import pytest

# A busy machine takes its time to make examples; what is tested is what holds, not how fast.
settings.register_profile("laws", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("laws")

# -- what there is -----------------------------------------------------------------------------------------------------

LABELS = st.from_regex(r"[a-z_]([a-z0-9_-]{0,8}[a-z0-9_])?", fullmatch=True)
NAMES = st.lists(LABELS, min_size=1, max_size=3).map(".".join) | st.sampled_from(
    ["localhost", "app.localhost", "127.evil.example", "localhost.example.com", "db", "1e100.net"]
)
IPV4 = st.ip_addresses(v=4) | st.sampled_from(
    [ipaddress.ip_address(text) for text in ("127.0.0.1", "0.0.0.0", "10.0.0.7", "198.51.100.1")]
)
IPV6 = st.ip_addresses(v=6) | st.sampled_from([ipaddress.ip_address(text) for text in ("::1", "::", "fd00::7")])
PORTS = st.integers(1, 65535) | st.sampled_from([80, 443])
PATHS = st.text(string.ascii_letters + "/._-", min_size=1).map(lambda text: f"/{text}")


@st.composite
def entry_texts(draw: st.DrawFn) -> str:
    kind = draw(st.sampled_from(["name", "pattern", "v4", "v4net", "v6", "v6net", "unix"]))
    port = draw(st.none() | PORTS)
    tail = "" if port is None else f":{port}"
    if kind == "unix":
        text = f"unix:{draw(PATHS)}"
    elif kind in {"name", "pattern"}:
        text = ("*." if kind == "pattern" else "") + draw(NAMES) + tail
    elif kind == "v4":
        text = f"{draw(IPV4)}{tail}"
    elif kind == "v4net":
        text = f"{draw(IPV4)}/{draw(st.integers(0, 32))}{tail}"
    elif kind == "v6":
        text = f"[{draw(IPV6)}]{tail}"
    else:
        text = f"[{draw(IPV6)}]/{draw(st.integers(0, 128))}{tail}"
    return draw(st.sampled_from(["", "small: ", "medium: "])) + text


ENTRIES = entry_texts().map(parse_allow_entry)
ALLOW = st.lists(ENTRIES, max_size=4).map(tuple)
NARROWING = st.lists(ENTRIES.filter(lambda entry: not entry.has_size), max_size=4).map(tuple)
ONLY = st.lists(NARROWING, max_size=2).map(tuple)
SIZES = st.sampled_from(TestSize)
ANY_SIZE = st.none() | SIZES
LOOKED_UP = st.builds(LookedUp, NAMES, ALLOW)
ENDPOINTS = (
    st.builds(Endpoint, NAMES | IPV4.map(str) | IPV6.map(str), st.none() | PORTS | st.just("https"), st.just("ip"))
    | st.builds(Endpoint, PATHS, st.none(), st.just("unix"))
    | st.builds(Endpoint, st.integers(0, 9).map(str), PORTS, st.just("vsock"))
)
ATTEMPTS = st.builds(
    Attempt,
    st.sampled_from(Kind),
    ENDPOINTS,
    st.sampled_from(Reach),
    st.lists(LOOKED_UP, max_size=3).map(tuple),
)
TEXT = st.text(max_size=20)
VIOLATIONS = st.builds(
    Violation,
    test=TEXT,
    size=st.sampled_from(["small", "medium"]),
    kind=st.sampled_from([kind.value for kind in Kind]),
    target=ENDPOINTS.map(str) | TEXT,
    cassette=st.booleans(),
    count=st.integers(1, 5),
    reach=st.sampled_from(["machine", "beyond"]),
    **dict.fromkeys(
        (
            "route",
            "address",
            "location",
            "function",
            "called_from",
            "library",
            "importing",
            "thread",
            "process",
            "fixture",
            "held_by",
            "guard",
            "late",
        ),
        TEXT,
    ),
)


def permits(size: TestSize | None, attempt: Attempt, allow: tuple[AllowEntry, ...] = ()) -> bool:
    return decide(Policy(size, EnforcementMode.STRICT, allow), attempt).permitted


# -- the judge ---------------------------------------------------------------------------------------------------------


@given(SIZES, ATTEMPTS, ALLOW, ENTRIES, st.integers(0, 4))
def test_an_allow_entry_only_widens(
    size: TestSize, attempt: Attempt, allow: tuple[AllowEntry, ...], entry: AllowEntry, place: int
) -> None:
    more = (*allow[:place], entry, *allow[place:])
    assert permits(size, attempt, more) >= permits(size, attempt, allow)


@given(SIZES, SIZES, ATTEMPTS, ALLOW)
def test_a_smaller_size_only_narrows(
    one: TestSize, other: TestSize, attempt: Attempt, allow: tuple[AllowEntry, ...]
) -> None:
    smaller, larger = sorted((one, other), key=lambda size: size.rank)
    assert permits(smaller, attempt, allow) <= permits(larger, attempt, allow)
    assert permits(larger, attempt, allow) <= permits(None, attempt, allow)


@given(SIZES, ATTEMPTS, ALLOW)
def test_the_mode_and_the_order_of_entries_change_no_verdict(
    size: TestSize, attempt: Attempt, allow: tuple[AllowEntry, ...]
) -> None:
    verdicts = {
        decide(Policy(size, mode, order), attempt).permitted
        for mode in (EnforcementMode.STRICT, EnforcementMode.WARN)
        for order in (allow, allow[::-1])
    }
    assert len(verdicts) == 1


@given(ATTEMPTS, ALLOW)
def test_more_remembered_names_only_widen(attempt: Attempt, allow: tuple[AllowEntry, ...]) -> None:
    bare = attempt._replace(names=())
    for size in TestSize:
        assert permits(size, bare, allow) <= permits(size, attempt, allow)


@given(ATTEMPTS)
def test_without_entries_only_the_reach_and_the_kind_count(attempt: Attempt) -> None:
    assert permits(TestSize.SMALL, attempt) is (attempt.reach is Reach.NOWHERE)
    assert permits(TestSize.MEDIUM, attempt) is (attempt.reach is not Reach.BEYOND or attempt.kind is Kind.BIND)
    assert permits(TestSize.LARGE, attempt)
    assert permits(TestSize.XLARGE, attempt)


@given(ANY_SIZE, ATTEMPTS, ALLOW, ONLY, NARROWING, NARROWING, st.integers(0, 4))
def test_only_and_deny_only_narrow(
    size: TestSize | None,
    attempt: Attempt,
    allow: tuple[AllowEntry, ...],
    only: tuple[tuple[AllowEntry, ...], ...],
    deny: tuple[AllowEntry, ...],
    more: tuple[AllowEntry, ...],
    place: int,
) -> None:
    policy = Policy(size, allow=allow, only=only, deny=deny)
    permitted = decide(policy, attempt).permitted
    assert permitted <= permits(size, attempt, allow)
    narrower = policy._replace(only=(*only[:place], more, *only[place:]))
    assert decide(narrower, attempt).permitted <= permitted
    assert decide(policy._replace(deny=(*deny[:place], *more, *deny[place:])), attempt).permitted <= permitted
    if not policy.restricts:
        assert permitted


@given(ANY_SIZE, ATTEMPTS, ALLOW, NARROWING)
def test_an_allow_entry_lifts_no_deny_entry(
    size: TestSize | None, attempt: Attempt, allow: tuple[AllowEntry, ...], deny: tuple[AllowEntry, ...]
) -> None:
    if not decide(Policy(None, deny=deny), attempt).permitted:
        assert not decide(Policy(size, allow=allow, deny=deny), attempt).permitted


@given(ANY_SIZE, ATTEMPTS, ALLOW, ONLY, NARROWING)
def test_what_sends_nothing_is_free_whatever_is_listed(
    size: TestSize | None,
    attempt: Attempt,
    allow: tuple[AllowEntry, ...],
    only: tuple[tuple[AllowEntry, ...], ...],
    deny: tuple[AllowEntry, ...],
) -> None:
    assert decide(Policy(size, allow=allow, only=only, deny=deny), attempt._replace(reach=Reach.NOWHERE)).permitted


@given(ANY_SIZE, st.sampled_from(["strict", "warn"]), ALLOW, ONLY, NARROWING, st.frozensets(st.tuples(TEXT, TEXT)))
def test_a_policy_that_crosses_to_another_process_is_what_it_was(
    size: TestSize | None,
    mode: str,
    allow: tuple[AllowEntry, ...],
    only: tuple[tuple[AllowEntry, ...], ...],
    deny: tuple[AllowEntry, ...],
    known: frozenset[tuple[str, str]],
) -> None:
    policy = Policy(size, EnforcementMode.parse(mode), allow, known, only, deny)
    assert Policy.from_data(json.loads(json.dumps(policy.to_data()))) == policy


@given(st.lists(SIZES, min_size=1, max_size=4), st.booleans())
@example([TestSize.LARGE, TestSize.SMALL, TestSize.XLARGE], False)
def test_nesting_equals_the_narrowest(sizes: list[TestSize], foreign: bool) -> None:
    narrowest = min(sizes, key=lambda size: size.rank)
    if foreign and narrowest.rank >= TestSize.LARGE.rank:
        return  # it would be let through to the network
    host, reach = ("198.51.100.1", Reach.BEYOND) if foreign else ("127.0.0.1", Reach.MACHINE)
    attempt = Attempt(Kind.SEND, Endpoint(host, 9), reach)
    permitted = permits(narrowest, attempt)
    refused = False
    with (
        contextlib.suppress(NetworkAccessViolationError),
        contextlib.ExitStack() as guards,
        socket.socket(type=socket.SOCK_DGRAM) as sock,
    ):
        entered = [guards.enter_context(network_guard(size, "strict")) for size in sizes]
        try:
            sock.sendto(b"", (host, 9))  # a foreign one is refused: the narrowest size is small or medium
        except NetworkAccessViolationError:
            refused = True
            raise
        finally:
            recorded = [bool(guard.violations) for guard in entered]
    assert refused is not permitted
    assert recorded == [not permits(size, attempt) for size in sizes]


# -- entries -----------------------------------------------------------------------------------------------------------


@given(entry_texts())
@example(ALLOW_FORMS.split(", ", maxsplit=1)[0])
def test_an_entry_keeps_its_text_and_parses_to_itself(text: str) -> None:
    entry = parse_allow_entry(text)
    assert entry.text == text
    assert parse_allow_entry(entry.text) == entry == pickle.loads(pickle.dumps(entry))
    assert parse_allow_entry(f"  {text} ") == entry
    assert parse_allow([text]) == parse_allow(text) == parse_allow((entry,)) == (entry,)


@given(st.text())
def test_whatever_is_no_entry_is_refused_with_the_choices(text: str) -> None:
    try:
        entry = parse_allow_entry(text)
    except ValueError as error:
        assert str(error) == f"{text!r} is not a network allow entry; write one like {ALLOW_FORMS}"
    else:
        assert sum(map(bool, (entry.name, entry.network is not None, entry.path))) == 1


@given(NAMES, PORTS)
def test_an_entry_of_a_name_admits_it_in_any_spelling(name: str, port: int) -> None:
    for spelling in (name, name.upper(), f"{name}.", name.title()):
        for entry in (name, f"{name}:{port}", spelling):
            assert parse_allow_entry(entry).admits_name(spelling, port)
            assert parse_allow_entry(entry).admits_name(spelling, None)
        assert not parse_allow_entry(f"{name}:{port % 65535 + 1}").admits_name(spelling, port)


@given(IPV4 | IPV6, st.integers(0, 128), PORTS)
def test_an_entry_of_a_network_admits_what_is_in_it(
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address, length: int, port: int
) -> None:
    length = min(length, ip.max_prefixlen)
    for text in (f"[{ip}]/{length}", f"[{ip}]/{length}:{port}"):
        entry = parse_allow_entry(text)
        asked = parse_ip(str(ip))
        assert asked is not None
        if asked.version == ip.version:
            assert entry.admits_ip(asked, port)
        assert not entry.admits_name(str(ip), port)


@given(ENDPOINTS)
def test_an_endpoint_shows_as_an_entry_that_admits_it(endpoint: Endpoint) -> None:
    assume(endpoint.family != "vsock")
    assume(isinstance(endpoint.port, int) or endpoint.port is None)
    text = str(endpoint)
    attempt = Attempt(Kind.CONNECT, endpoint, Reach.BEYOND)
    assert permits(TestSize.MEDIUM, attempt, parse_allow([text]))
    assert not permits(TestSize.SMALL, attempt, parse_allow([text]))
    assert permits(TestSize.SMALL, attempt, parse_allow([f"small: {text}"]))


# -- addresses and names -----------------------------------------------------------------------------------------------

PARTS: Any = st.sampled_from([str, hex, lambda n: hex(n).upper().replace("X", "x"), lambda n: f"0{n:o}"])
DIGITS = st.sampled_from(["0123456789", "\uff10\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18\uff19"])


@st.composite
def ipv4_spellings(draw: st.DrawFn, number: st.SearchStrategy[int]) -> tuple[int, str]:
    """An IPv4 address, and a way to write it: one to four parts, decimal, hexadecimal or octal, any digits."""
    value = draw(number)
    count = draw(st.integers(1, 4))
    heads = [value >> shift & 255 for shift in (24, 16, 8)][: count - 1]
    last = value & (1 << 8 * (5 - count)) - 1
    text = ".".join(draw(PARTS)(part) for part in (*heads, last))
    digits = draw(DIGITS)
    return value, text.translate(str.maketrans("0123456789", digits))


@st.composite
def ipv6_spellings(draw: st.DrawFn, number: st.SearchStrategy[int]) -> tuple[int, str]:
    """An IPv6 address, and a way to write it: shortened or in full, either case, perhaps with a scope."""
    ip = ipaddress.IPv6Address(draw(number))
    # Not ip.exploded, which shows the mapped ones with an IPv4 tail from 3.13 on.
    full = ":".join(f"{int(ip) >> shift & 0xFFFF:04x}" for shift in range(112, -16, -16))
    text = draw(st.sampled_from([str(ip), full, str(ip).upper(), f"{full[:-9]}{ipv4_tail(ip)}"]))
    return int(ip), text + draw(st.sampled_from(["", "%lo", "%1", "%eth0", "%a.b@c"]))


def ipv4_tail(ip: ipaddress.IPv6Address) -> str:
    return str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF))


LOOPBACK_4 = st.integers(0x7F000000, 0x7FFFFFFF)
LOOPBACK_6 = st.just(1) | LOOPBACK_4.map(lambda n: 0xFFFF << 32 | n)


@given(ipv4_spellings(LOOPBACK_4 | st.just(0)) | ipv6_spellings(LOOPBACK_6 | st.sampled_from([0, 0xFFFF << 32])))
def test_any_spelling_of_a_loopback_or_unspecified_address_is_local(spelled: tuple[int, str]) -> None:
    ip = parse_ip(spelled[1])
    assert ip is not None
    assert is_local_ip(ip)
    assert reach_of_address(ip) is Reach.MACHINE


@given(ipv4_spellings(st.integers(0, 2**32 - 1)))
def test_any_spelling_of_an_ipv4_address_is_that_address(spelled: tuple[int, str]) -> None:
    value, text = spelled
    assert parse_ip(text) == ipaddress.IPv4Address(value)
    assert parse_ip(f"::ffff:{ipaddress.IPv4Address(value)}") == ipaddress.IPv4Address(value)


@given(ipv6_spellings(st.integers(0, 2**128 - 1)))
def test_any_spelling_of_an_ipv6_address_is_that_address(spelled: tuple[int, str]) -> None:
    value, text = spelled
    ip = parse_ip(text)
    assert ip is not None
    assert int(ip) == (value & 0xFFFFFFFF if value >> 32 == 0xFFFF else value)


@given(ipv4_spellings(st.integers(0, 2**32 - 1)) | ipv6_spellings(st.integers(0, 2**128 - 1)))
def test_only_loopback_and_unspecified_are_local_by_themselves(spelled: tuple[int, str]) -> None:
    ip = parse_ip(spelled[1])
    assert ip is not None
    value = int(ip)
    loopback = value >> 24 == 127 if ip.version == 4 else value == 1
    assert is_local_ip(ip) is (loopback or value == 0)


@given(st.lists(st.text(string.ascii_letters + string.digits + "-_", min_size=1, max_size=8), min_size=1, max_size=5))
def test_no_name_is_ever_taken_for_an_address(labels: list[str]) -> None:
    """What the C library's own numeric parser refuses is a name."""
    name = ".".join(labels)
    try:
        socket.getaddrinfo(name, None, flags=socket.AI_NUMERICHOST)
        numeric = True
    except socket.gaierror:
        numeric = False
    assert (parse_ip(name) is not None) is numeric
    if labels[-1][0].isalpha() and not labels[-1].lower().startswith("0x"):
        assert parse_ip(name) is None
    assert parse_ip(f"127.0.0.1.{name}x") is None
    assert parse_ip(f"{name}.example") is None


@given(st.text())
@example("127.0.0.1 evil.example")
@example("0x7f.1\0.evil.example")
@example("127.0.0.1\n")
@example("::1%\0")
def test_any_text_is_a_name_or_an_address_and_neither_raises(text: str) -> None:
    ip = parse_ip(text)
    if ip is not None:
        assert not is_localhost(text)
    assert normal_name(normal_name(text)) == normal_name(text) or text.endswith(".")
    str(Endpoint(text, 1))
    str(Endpoint(text, family="unix"))


@given(st.binary())
def test_any_bytes_are_a_host(data: bytes) -> None:
    text = host_text(data)
    assert text.isascii()
    assert host_text(bytearray(data)) == text
    if data.isascii():
        assert text.encode() == data


@given(NAMES)
def test_a_name_below_localhost_is_local_and_one_above_is_not(name: str) -> None:
    for spelling in (f"{name}.localhost", f"{name}.LOCALHOST.".title()):
        assert is_localhost(spelling)
    for foreign in (f"localhost.{name}x", f"{name}localhost.example", f"x{name}xlocalhost"):
        assert not is_localhost(foreign)


# -- records -----------------------------------------------------------------------------------------------------------


@given(VIOLATIONS)
def test_a_violation_crosses_dicts_json_and_pickle(violation: Violation) -> None:
    assert Violation.from_dict(violation.to_dict()) == violation
    assert Violation.from_dict(json.loads(json.dumps(violation.to_dict()))) == violation
    assert pickle.loads(pickle.dumps(violation)) == violation


@given(st.lists(VIOLATIONS, min_size=1, max_size=3), st.booleans())
def test_an_error_crosses_pickle(violations: list[Violation], undelivered: bool) -> None:
    error = NetworkAccessViolationError(violations, undelivered=undelivered)
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), again.violations, again.undelivered) == (type(error), error.violations, undelivered)
    assert str(again) == str(error) == report_text(tuple(violations), undelivered=undelivered)


@given(VIOLATIONS)
def test_every_violation_has_its_specified_lines(violation: Violation) -> None:
    text = report_text((violation,))
    by_another = violation.fixture and violation.held_by and violation.held_by != violation.test
    category = (violation.test_size if by_another else "") or violation.size
    assert text.startswith(
        "[TC001] Network Access Violation\n"
        f"Test: {violation.test}\nCategory: {category.upper()}\n\nWhat happened:\n"
        f"  Attempted network connection to {violation.target}\n"
    )
    assert text.endswith("\n\nDocumentation: https://pytest-test-categories.readthedocs.io/errors/TC001")
    assert warning_text(violation).startswith("Network access violation in ")
    assert f": attempted connection to {violation.target}" in warning_text(violation)


@given(st.lists(st.tuples(NAMES, IPV4, st.integers(0, 3)), max_size=60), st.integers(1, 5))
def test_remembered_look_ups_are_bounded_and_the_latest_is_there(
    asked: list[tuple[str, ipaddress.IPv4Address, int]], size: int
) -> None:
    table = LookUps(size=size)
    for name, ip, context in asked:
        table.remember(name, (), [str(ip)], context)
        assert table.names_of(ip)[-1] == LookedUp(name)
        assert table.shown_name(ip, context) == name
        assert len(table._by_address) <= size


@given(st.dictionaries(NAMES, st.sets(IPV4 | IPV6, min_size=1, max_size=3), max_size=5))
def test_a_hosts_file_gives_back_what_stands_in_it(
    tmp_path_factory: pytest.TempPathFactory, names: dict[str, set[ipaddress.IPv4Address | ipaddress.IPv6Address]]
) -> None:
    path = tmp_path_factory.mktemp("hosts") / "hosts"
    path.write_text("".join(f"{ip}\t{name.upper()} # x\n" for name, ips in names.items() for ip in ips))
    file = HostsFile(str(path))
    for name, ips in names.items():
        assert file.addresses(f"{name}.") == {str(ip) for ip in ips}
        parsed = [parse_ip(str(ip)) for ip in ips]
        assert file.maps_to_loopback(name) is all(ip is not None and ip.is_loopback for ip in parsed)
        assert all(file.holds_address(ip) for ip in parsed if ip is not None)
