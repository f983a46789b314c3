"""The wrapper of all rows: it reads where a call leads, and asks the judge about each place."""

from __future__ import annotations

import _socket
import contextlib
import functools
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from pytest_test_categories._attribution import stack
from pytest_test_categories._attribution.origin import Asked, asked, asked_here, charge
from pytest_test_categories._host.names import reach_of_name, spelled_here
from pytest_test_categories._host.unix_sockets import our_family
from pytest_test_categories._rules.address import Endpoint, Reach, host_text, parse_ip, pipe_endpoint
from pytest_test_categories._rules.policy import Kind
from pytest_test_categories._watch import Sight, passes
from pytest_test_categories._watch.clients.places import place
from pytest_test_categories._watch.endpoints import (
    AF_PIPE,
    AF_UNIX,
    addresses_in,
    ends_here,
    read_address,
    read_lookup,
    read_pipe,
    read_reverse,
    unanswered,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from pytest_test_categories._watch import Judge, Remember
    from pytest_test_categories._watch.clients import Read
    from pytest_test_categories._watch.clients.rows import Row

UNREADABLE: Final = "an address that could not be read"
"""The place of a call that a reader of the table fails to read, perhaps for an unknown version of the library."""

AF_IP: Final = _socket.AF_INET6
"""Means either IP family, since a native client chooses by itself."""


def wrapper(
    row: Row,
    read: Read,
    whom: Callable[[], tuple[Judge, Remember] | None],
    after: Callable[[Any, Any, tuple[Any, ...], dict[str, Any]], None] | None = None,
) -> Any:
    """Return a row's wrapper, which does nothing while ``whom`` returns None.

    Args:
        row: The row of the table.
        read: The row's reader.
        whom: Returns the judge to ask, and its memory for look-ups.
        after: Called with the instance, the call's result, and its arguments; such a call is not judged.
    """
    kind = Kind(row.kind)
    route = f"{row.module.partition('.')[0]}.{row.name}"

    def read_places(instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
        if charge() is None:  # no guard is charged for this call
            return []
        try:
            found = read(instance, args, kwargs) or ()
            return [found] if isinstance(found, (str, tuple)) and found else list(found)
        except Exception:
            if not isinstance(row.read, str):  # a registered reader: its author must see the error
                raise
            return [UNREADABLE]

    def ask(instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        __tracebackhide__ = True
        judges = whom()
        if judges is not None:
            for where in read_places(instance, args, kwargs):
                _ask(*judges, kind, route, where)

    def plain(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        __tracebackhide__ = True
        ask(instance, args, kwargs)
        return wrapped(*args, **kwargs)

    def stepwise(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        __tracebackhide__ = True
        with _one_attempt(whom(), kind, route, lambda: read_places(instance, args, kwargs)) as keep:
            return keep(wrapped(*args, **kwargs))

    async def stepwise_when_awaited(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        __tracebackhide__ = True
        with _one_attempt(whom(), kind, route, lambda: read_places(instance, args, kwargs)) as keep:
            return keep(await wrapped(*args, **kwargs))

    def awaited(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        async def judged() -> Any:  # the code that awaits it is charged
            __tracebackhide__ = True
            ask(instance, args, kwargs)
            return await wrapped(*args, **kwargs)

        return judged()

    def followed(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        result = wrapped(*args, **kwargs)
        if after is not None and whom() is not None:
            after(instance, result, args, kwargs)
        return result

    if after is not None:
        return followed
    if row.steps:
        return stepwise_when_awaited if row.awaited else stepwise
    return awaited if row.awaited else plain


_answering: Final[ContextVar[Asked | None]] = ContextVar("network_guard_answering", default=None)
"""The permitted look-up that is running in this context: asking a name server for it is permitted, too."""


@contextlib.contextmanager
def _one_attempt(
    judges: tuple[Judge, Remember] | None, kind: Kind, route: str, read_places: Callable[[], list[Any]]
) -> Iterator[Callable[[Any], Any]]:
    """Ask about the place that a call leads to; once that is recorded, the call's later accesses are steps of it.

    The context manager's value is a function that takes the call's result, and returns it.
    """
    __tracebackhide__ = True
    places = [] if judges is None else read_places()
    if judges is None or not places:
        yield _as_it_is
        return
    outer = asked_here()  # this call may be a step itself
    label = outer or Asked(*place(places[0])[1])
    token = asked.set(label)
    try:
        _ask(*judges, kind, route, places[0])
        if label.reported:
            yield _as_it_is
            return
        # Nothing was recorded: later accesses are judged by themselves, but a look-up's queries belong to it.
        asked.set(outer)
        if kind is Kind.LOOKUP:
            with _answered(label):
                yield functools.partial(_kept, judges[1], places[0][0])
        else:
            yield _as_it_is
    finally:
        asked.reset(token)


@contextlib.contextmanager
def _answered(label: Asked) -> Iterator[None]:
    def is_asked_here(frame: FrameType, _called: FrameType | None) -> bool:
        return _answering.get() is label and frame.f_globals.get("__name__") in {"dns.resolver", "dns.asyncresolver"}

    token = _answering.set(label)
    stack.set_aside("resolve", is_asked_here)
    try:
        yield
    finally:
        stack.unset_aside("resolve", is_asked_here)
        _answering.reset(token)


def _as_it_is(result: Any) -> Any:
    return result


def _kept(remember: Remember, name: str, answer: Any) -> Any:
    """Remember the addresses that a look-up by dnspython found: those of an allowed name are allowed, too."""
    remember(name, [record.address for record in answer.rrset or () if hasattr(record, "address")])
    return answer


def _ask(judge: Judge, remember: Remember, kind: Kind, route: str, where: Any) -> None:
    __tracebackhide__ = True
    family, address = place(where)
    if family == "unix":
        if kind is Kind.BIND:
            our_family.note_path(address)
        judge(kind, route, AF_UNIX, address, None, read_address)
        return
    if family == "pipe":
        if kind is Kind.BIND:
            our_family.note_pipe(pipe_endpoint(address).host)
        else:
            judge(kind, route, AF_PIPE, (address,), None, read_pipe)
        return
    looks_up = kind in {Kind.LOOKUP, Kind.REVERSE_LOOKUP}
    # The access to a place and to the addresses of its name are one attempt.
    steps = not looks_up and asked_here() is None and parse_ip(address[0]) is None
    token = asked.set(Asked(*address)) if steps else None
    try:
        if route.startswith("uvloop."):
            _ask_for_libuv(judge, remember, kind, route, address)
        elif looks_up:
            judge(kind, route, 0, (*address, 0), None, read_lookup if kind is Kind.LOOKUP else read_reverse)
        else:
            _ask_about_place(judge, remember, kind, route, address, read_place)
    finally:
        if token is not None:
            asked.reset(token)


def _ask_for_libuv(
    judge: Judge, remember: Remember, kind: Kind, route: str, address: tuple[str, int | str | None]
) -> None:
    """Ask about an address that libuv receives: it looks names up in the C library, up to a NUL, without a wrapper."""
    __tracebackhide__ = True
    name = address[0].partition("\0")[0]
    address = (name, address[1])
    is_name = bool(name) and parse_ip(name) is None
    if is_name and ends_here(name):
        return
    if kind is Kind.REVERSE_LOOKUP:
        judge(kind, route, 0, (*address, 0), None, unanswered(read_reverse))
        return
    if is_name and kind in {Kind.LOOKUP, Kind.BIND}:
        judge(Kind.LOOKUP, route, 0, address, None, unanswered(read_name))
    if kind is not Kind.LOOKUP:
        _ask_about_place(judge, remember, kind, route, address, unanswered(read_place))


def _ask_about_place(
    judge: Judge,
    remember: Remember,
    kind: Kind,
    route: str,
    address: tuple[str, int | str | None],
    read: Callable[[Kind, int, Any], Sight | None],
) -> None:
    __tracebackhide__ = True
    restricted = judge(kind, route, AF_IP, address, None, read)
    if not restricted or kind is Kind.BIND or parse_ip(address[0]) is not None:
        return
    if reach_of_name(address[0]) is Reach.BEYOND and not _denies_networks():
        return
    # A name that should be this machine's is resolved as the client is about to: a resolver may say otherwise. Likewise
    # one whose address may be denied.
    asked_for = spelled_here(address[0]) or address[0]
    one_shot = ("socket.getaddrinfo", asked_for, None)
    passes.allow(one_shot)
    try:
        answers = addresses_in(_socket.getaddrinfo(asked_for, None, 0, _socket.SOCK_STREAM))
    except (OSError, UnicodeError):  # the client itself raises the error
        return
    finally:
        passes.withdraw(one_shot)
    remember(address[0], answers)
    for answer in answers:
        judge(kind, route, AF_IP, (answer, address[1]), None, read_place)


def _denies_networks() -> bool:
    charged = charge()
    policies = () if charged is None else [link.policy for link in charged.scopes if link.policy is not None]
    return any(entry.network is not None for policy in policies for entry in policy.deny)


def read_name(_kind: Kind, _family: int, address: tuple[str, int | str | None]) -> Sight:
    """Read the look-up of a name."""
    return Sight(Endpoint(host_text(address[0]), address[1] or None), reach_of_name(host_text(address[0])))


def read_place(_kind: Kind, _family: int, address: tuple[str, int | str | None]) -> Sight | None:
    """Read ``(host, port)``, as ``place`` returns it."""
    host = host_text(address[0])
    if not host:
        return Sight(Endpoint("0.0.0.0", address[1]), Reach.MACHINE)  # noqa: S104 - what an empty host means
    if parse_ip(host) is not None:
        return Sight(Endpoint(host, address[1]))
    reach = reach_of_name(host)
    return Sight(Endpoint(host, address[1]), Reach.BEYOND if reach is Reach.BEYOND else Reach.MACHINE)
