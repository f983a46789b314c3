"""Decides what a test of a size may reach.

``decide`` is a pure function and the only place with rules about what may connect to what. The layers and the guard
collect facts into an ``Attempt``; they decide nothing.
"""

from __future__ import annotations

import enum
import functools
from typing import Any, Final, TypeVar

from pytest_test_categories._rules.address import (
    ALLOW_FORMS,
    AllowEntry,
    Endpoint,
    Reach,
    is_local_ip,
    is_localhost,
    parse_allow_entry,
    parse_ip,
    split_target,
    stable_target,
)
from pytest_test_categories._rules.named_tuples import NamedTuple

_E = TypeVar("_E", bound=enum.Enum)


class TestSize(enum.Enum):
    """The size of a test, which says what network it may touch.

    The sizes are those of *Software Engineering at Google*, chapter 11: small tests run in one process, medium
    tests on one machine, large tests wherever they like.
    """

    __test__ = False  # keeps pytest from collecting it because of its name

    SMALL = "small"
    MEDIUM = "medium"
    LARGE = "large"
    XLARGE = "xlarge"

    __hash__ = object.__hash__  # members are compared by identity; enum's own hash runs Python code

    @classmethod
    def parse(cls, value: TestSize | str) -> TestSize:
        """Return the size for a member or the name of one.

        Raises:
            ValueError: There is no such size; the message lists the choices.
        """
        return _parse(cls, value, "a test size")

    def __init__(self, _value: str) -> None:
        self.rank: int = len(type(self).__members__)
        """Position in the order of sizes, from 0 for the smallest."""


class EnforcementMode(enum.Enum):
    """What happens on a violation: ``strict`` raises and fails the test, ``warn`` warns, ``off`` watches nothing."""

    STRICT = "strict"
    WARN = "warn"
    OFF = "off"

    @classmethod
    def parse(cls, value: EnforcementMode | str) -> EnforcementMode:
        """Return the mode for a member or the name of one.

        Raises:
            ValueError: There is no such mode; the message lists the choices.
        """
        return _parse(cls, value, "an enforcement mode")


def _parse(cls: type[_E], value: _E | str, what: str) -> _E:
    if isinstance(value, cls):
        return value
    if isinstance(value, str):
        for member in cls:
            if member.value == value.strip().lower():
                return member
    choices = ", ".join(str(member.value) for member in cls)
    raise ValueError(f"{value!r} is not {what}; choose one of {choices}")


class Kind(enum.Enum):
    """The kind of network access."""

    __hash__ = object.__hash__  # members are compared by identity; enum's own hash runs Python code

    CONNECT = "connect"
    SEND = "send"
    LOOKUP = "lookup"
    REVERSE_LOOKUP = "reverse-lookup"
    BIND = "bind"
    REUSE = "reuse"  # sending on a connection that was opened elsewhere


MODE_VARIABLE: Final = "TEST_CATEGORIES_ENFORCEMENT"
"""The environment variable with the mode where no argument or option says it."""
ALLOW_VARIABLE: Final = "TEST_CATEGORIES_NETWORK_ALLOW"
DENY_VARIABLE: Final = "TEST_CATEGORIES_NETWORK_DENY"


class Policy(NamedTuple):
    """What applies to a test: its size, the mode, and the entries that widen or narrow the size.

    Attributes:
        size: The size; None for a test without one, which no size restricts.
        mode: Strict or warn; a guard that is off has no policy.
        allow: Entries that widen the size.
        known: Violations that the baseline lists for the test, each as kind and target; in strict mode they only warn.
        only: Lists of entries. What size and ``allow`` permit must also be in every one of these lists.
        deny: Entries that are refused whatever the size and ``allow`` permit.
    """

    size: TestSize | None
    mode: EnforcementMode = EnforcementMode.STRICT
    allow: tuple[AllowEntry, ...] = ()
    known: frozenset[tuple[str, str]] = frozenset()
    only: tuple[tuple[AllowEntry, ...], ...] = ()
    deny: tuple[AllowEntry, ...] = ()

    @property
    def restricts(self) -> bool:
        """Whether the policy can refuse anything."""
        size = self.size
        return bool(self.only or self.deny) or (size is not None and size.rank < TestSize.LARGE.rank)

    @property
    def denies_names(self) -> bool:
        """Whether a deny entry is a name, so that a look-up decides which addresses it denies."""
        return any(entry.name for entry in self.deny)

    def to_data(self) -> list[Any]:
        """Return the policy as JSON-safe values, for another process."""
        size = None if self.size is None else self.size.value
        only = [[entry.text for entry in group] for group in self.only]
        deny = [entry.text for entry in self.deny]
        return [size, self.mode.value, [entry.text for entry in self.allow], sorted(self.known), only, deny]

    @classmethod
    def from_data(cls, data: list[Any]) -> Policy:
        """Return the policy from the values of ``to_data``."""
        size, mode, allow, known, only, deny = data
        return cls(
            None if size is None else TestSize(size),
            EnforcementMode(mode),
            tuple(map(parse_allow_entry, allow)),
            frozenset((kind, target) for kind, target in known),
            tuple(tuple(map(parse_allow_entry, group)) for group in only),
            tuple(map(parse_allow_entry, deny)),
        )


class LookedUp(NamedTuple):
    """A name that a look-up resolved to an address, and the allow entries in force at that look-up."""

    name: str
    allow: tuple[AllowEntry, ...] = ()


class Attempt(NamedTuple):
    """One attempt to use the network, with the facts that a decision needs.

    Attributes:
        kind: The kind of access.
        endpoint: The endpoint that it is for.
        reach: How far it goes, judged from the endpoint alone.
        names: Names that look-ups have resolved to the endpoint's address. For a unix socket, other paths that lead to
            it; only deny entries are compared with those.
        asked: The endpoint that the caller of ``create_connection`` passed, if known: the baseline lists that one,
            whatever the look-up returned.
    """

    kind: Kind
    endpoint: Endpoint
    reach: Reach
    names: tuple[LookedUp, ...] = ()
    asked: Endpoint | None = None

    def to_data(self) -> list[Any]:
        """Return kind, endpoint and reach as JSON-safe values, short enough for one line of a report."""
        end = self.endpoint
        return [self.kind.value, end.host[:_LONGEST_HOST], end.port, end.family, self.reach.value]

    @classmethod
    def from_data(cls, data: list[Any]) -> Attempt:
        """Return the attempt from the values of ``to_data``."""
        kind, host, port, family, reach = data
        return cls(Kind(kind), Endpoint(host, port, family), Reach(reach))


_LONGEST_HOST: Final = 512


class Verdict(NamedTuple):
    """Whether an attempt is permitted, the reason, and whether the baseline lists it as a violation."""

    permitted: bool
    because: str
    known: bool = False


DENIED_BY: Final = "denied by "
"""Start of the reason of a verdict that a deny entry led to."""

NOT_LISTED: Final = "network_only does not list it"
"""The reason of a verdict if size and allow entries would permit the attempt, and an ``only`` list does not."""


def decide(policy: Policy, attempt: Attempt) -> Verdict:
    """Judge an attempt by a policy: small reaches nothing, medium this machine, larger sizes everything.

    ``only`` and ``deny`` narrow that. They apply to what a test reaches, and therefore neither to calls that send
    nothing nor to binding the socket of a server.
    """
    if not policy.only and not policy.deny:
        return _by_size(policy, attempt)
    if attempt.reach is Reach.NOWHERE or attempt.kind is Kind.BIND:
        return _by_size(policy, attempt)
    denying = next((entry for entry in policy.deny if _denies(entry, attempt)), None)
    if denying is not None:
        because = f"{DENIED_BY}{denying.text}"
    else:
        verdict = _by_size(policy, attempt)
        if not verdict.permitted or all(any(_lists(entry, attempt) for entry in group) for group in policy.only):
            return verdict
        because = NOT_LISTED
    return Verdict(permitted=False, because=because, known=bool(policy.known) and _is_known(policy.known, attempt))


def _by_size(policy: Policy, attempt: Attempt) -> Verdict:
    size = policy.size
    if size is None or size.rank >= TestSize.LARGE.rank:
        return Verdict(permitted=True, because="this size is not restricted")
    if attempt.reach is Reach.NOWHERE:
        return Verdict(permitted=True, because="it sends nothing")
    if size is TestSize.MEDIUM and (attempt.reach is Reach.MACHINE or attempt.kind is Kind.BIND):
        return Verdict(permitted=True, because="it stays on this machine")
    for entry in policy.allow:
        if TestSize(entry.size).rank <= size.rank and _admits(entry, attempt):
            return Verdict(permitted=True, because=f"allowed by {entry.text}")
    reaches = "no network" if size is TestSize.SMALL else "this machine only"
    known = bool(policy.known) and _is_known(policy.known, attempt)
    return Verdict(permitted=False, because=f"{size.value} reaches {reaches}", known=known)


def refuses(policy: Policy, verdict: Verdict) -> bool:
    """Tell whether an attempt that is not permitted is stopped: in strict mode, unless the baseline lists it."""
    return policy.mode is EnforcementMode.STRICT and not verdict.known


def needed_size(attempt: Attempt, allow: tuple[AllowEntry, ...] = ()) -> TestSize:
    """Return the smallest size that permits an attempt."""
    if allow:
        return next(size for size in TestSize if decide(Policy(size, allow=allow), attempt).permitted)
    return _needed(attempt.kind, attempt.reach)  # without allow entries only kind and reach matter


@functools.cache
def _needed(kind: Kind, reach: Reach) -> TestSize:
    attempt = Attempt(kind, Endpoint(""), reach)
    return next(size for size in TestSize if decide(Policy(size), attempt).permitted)


def _is_known(known: frozenset[tuple[str, str]], attempt: Attempt) -> bool:
    end = attempt.endpoint
    names = [looked_up.name for looked_up in attempt.names]
    if attempt.asked is not None and (attempt.kind.value, stable_target(str(attempt.asked))) in known:
        return True
    # Which test opens a shared connection, and which one reuses it, depends on their order.
    kind = Kind.CONNECT if attempt.kind is Kind.REUSE else attempt.kind
    if any(
        (kind.value, stable_target(str(Endpoint(host, end.port, end.family)))) in known for host in (end.host, *names)
    ):
        return True
    # A listed look-up includes the connections to its results: a name may have any number of addresses.
    hosts = {split_target(target)[0] for kind, target in known if kind == Kind.LOOKUP.value}
    return attempt.kind not in {Kind.LOOKUP, Kind.REVERSE_LOOKUP} and any(name in hosts for name in names)


def _admits(entry: AllowEntry, attempt: Attempt) -> bool:
    end = attempt.endpoint
    if end.family == "unix":
        return entry.admits_path(end.host)
    if end.family == "pipe":
        return entry.admits_path(str(end).lower())
    if end.family != "ip":
        return False
    port = None if attempt.kind in {Kind.LOOKUP, Kind.REVERSE_LOOKUP} else end.port
    ip = parse_ip(end.host)
    if ip is None:
        return entry.admits_name(end.host, port)
    if entry.admits_ip(ip, port):
        return True
    return any(
        # An allowed name includes its addresses, but "localhost" never includes a remote one.
        entry in looked_up.allow
        and entry.admits_name(looked_up.name, port)
        and (attempt.reach is Reach.MACHINE or not is_localhost(looked_up.name))
        for looked_up in attempt.names
    )


def _lists(entry: AllowEntry, attempt: Attempt) -> bool:
    """Tell whether an entry of ``network_only`` matches the endpoint or any name that was resolved to its address.

    It does not matter which test looked the name up, since the entry permits nothing that the size does not.
    """
    end = attempt.endpoint
    return _admits(entry, attempt) or (
        end.family == "ip" and any(entry.admits_name(looked_up.name, end.port) for looked_up in attempt.names)
    )


def _denies(entry: AllowEntry, attempt: Attempt) -> bool:
    """Tell whether a deny entry matches the endpoint's name or address, or any name that resolved to the address."""
    end = attempt.endpoint
    if end.family == "unix":
        return any(map(entry.admits_path, (end.host, *(other.name for other in attempt.names))))
    if end.family != "ip":
        return _admits(entry, attempt)
    if end.port is None and entry.port is not None:  # a look-up without a port: the connect is denied
        return False
    # A port that is not a number is the name of a service, for which only the system's table has the number.
    port = end.port if str(end.port).isdecimal() else None
    ip = parse_ip(end.host)
    names = [looked_up.name for looked_up in attempt.names]
    names += [end.host] if ip is None else []
    names += [attempt.asked.host] if attempt.asked is not None else []
    if any(entry.admits_name(name, port) for name in names):
        return True
    if ip is None:
        return False
    # A connection to the unspecified address reaches loopback.
    reached = parse_ip("::1" if ip.version == 6 else "127.0.0.1") if ip.is_unspecified else ip  # noqa: PLR2004 - IPv6
    return any(entry.admits_ip(one, port) for one in (ip, reached) if one is not None) or (
        is_localhost(entry.name) and is_local_ip(ip) and entry.admits_name(entry.name, port)
    )


def parse_own_allow(entries: object) -> tuple[AllowEntry, ...]:
    """Parse the allow entries of one guard, class or test, which widen it whatever its size.

    Raises:
        ValueError: An entry does not parse.
    """
    return tuple(entry.of_any_size() for entry in parse_allow(entries))


def parse_narrowing(entries: object) -> tuple[AllowEntry, ...]:
    """Parse the entries of ``network_only`` or of a deny list, which apply to every size.

    Raises:
        ValueError: An entry does not parse, or starts with a size.
    """
    found = parse_allow(entries)
    for entry in found:
        if entry.has_size:
            raise ValueError(f"{entry.text!r}: such an entry holds for every size; write it without the size")
    return found


def parse_only(entries: object) -> tuple[tuple[AllowEntry, ...], ...]:
    """Parse a guard's argument ``only`` or a class's attribute ``network_only``; None means no list.

    Raises:
        ValueError: As for ``parse_narrowing``.
    """
    return () if entries is None else (parse_narrowing(entries),)


def parse_allow(entries: object) -> tuple[AllowEntry, ...]:
    """Parse allow entries, given as one string or as a list of strings.

    Raises:
        ValueError: An entry does not parse.
    """
    if isinstance(entries, str):
        entries = [line for line in entries.replace(",", "\n").splitlines() if line.strip()]
    if not isinstance(entries, (list, tuple, set, frozenset)):
        raise ValueError(f"allow takes a list of entries such as 'postgres:5432', not {entries!r}")  # noqa: TRY004 - bad settings are ValueErrors throughout
    if odd := [entry for entry in entries if not isinstance(entry, (str, AllowEntry))]:
        raise ValueError(f"{odd[0]!r} is not a network allow entry; write one like {ALLOW_FORMS}")
    return tuple(e if isinstance(e, AllowEntry) else parse_allow_entry(e) for e in entries)
