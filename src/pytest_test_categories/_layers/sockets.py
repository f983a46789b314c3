"""The table of wrapt wrappers on socket entry points.

Adding an entry point is one row: its target, how to read the endpoint from the call, what kind of attempt it is.
"""

from __future__ import annotations

import _socket
import socket
from typing import TYPE_CHECKING, Any, Final

from pytest_test_categories._address import Endpoint, Reach, host_text, parse_ip
from pytest_test_categories._layers import Sight, audit
from pytest_test_categories._names import SYSTEM_LOG_SOCKETS, reach_of_name, reach_of_reverse
from pytest_test_categories._origin import Asked, asked
from pytest_test_categories._policy import Kind
from pytest_test_categories._wrapping import EntryPoint

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType

    from pytest_test_categories._layers import Judge, Remember

IP_FAMILIES: Final = (_socket.AF_INET, _socket.AF_INET6)
AF_UNIX: Final = getattr(_socket, "AF_UNIX", -1)
AF_VSOCK: Final = getattr(_socket, "AF_VSOCK", -1)
family_of: Final = _socket.socket.family.__get__
"""The family of a socket as a plain number; ``socket.socket.family`` would make an enum of it each time."""

HIGHEST_PORT: Final = 65535

bound_paths: set[str] = set()
"""Unix sockets that this process bound itself."""


# -- reading endpoints -------------------------------------------------------------------------------------------------


def read_address(kind: Kind, family: int, address: Any) -> Sight | None:  # noqa: ANN401 - whatever the caller gave
    """Read a socket address; None for families that are not judged and for addresses that the call will refuse."""
    if family in IP_FAMILIES:
        return _read_ip(address)
    if family == AF_UNIX:
        path = unix_path(address)
        if path is None or kind is Kind.BIND:
            return None
        inside = path in bound_paths or path in SYSTEM_LOG_SOCKETS
        return Sight(Endpoint(path, family="unix"), Reach.NOWHERE if inside else Reach.MACHINE)
    if family == AF_VSOCK and isinstance(address, tuple) and len(address) == 2:  # noqa: PLR2004 - (cid, port)
        return Sight(Endpoint(str(address[0]), str(address[1]), "vsock"), Reach.BEYOND)
    return None


def _read_ip(address: Any) -> Sight | None:  # noqa: ANN401 - whatever the caller gave
    if not isinstance(address, tuple) or len(address) < 2 or not isinstance(address[0], (str, bytes, bytearray)):  # noqa: PLR2004 - (host, port)
        return None
    host = host_text(address[0])
    port = address[1]
    if not isinstance(port, int):
        return None
    if host == "":
        return Sight(Endpoint("0.0.0.0", port), Reach.MACHINE)  # noqa: S104 - what an empty host means
    if parse_ip(host) is not None:
        return Sight(Endpoint(host, port)) if 0 <= port <= HIGHEST_PORT else None
    local = host != "<broadcast>" and reach_of_name(host) is not Reach.BEYOND
    return Sight(Endpoint(host, port), Reach.MACHINE if local else Reach.BEYOND)


def unix_path(address: Any) -> str | None:  # noqa: ANN401 - whatever the caller gave
    """Return the path of a unix socket's address, an abstract one with ``@`` in front; None if it is none."""
    if isinstance(address, (bytes, bytearray)):
        address = bytes(address).decode("utf-8", "surrogateescape")
    if not isinstance(address, str):
        return None
    return "@" + address[1:] if address.startswith("\0") else address


def read_lookup(_kind: Kind, _family: int, address: tuple[Any, Any, int]) -> Sight | None:
    """Read a look-up's ``(host, port, flags)``; None if it sends nothing."""
    host, port, flags = address
    if not isinstance(host, (str, bytes, bytearray)) or flags & socket.AI_NUMERICHOST:
        return None
    host = host_text(host)
    if parse_ip(host) is not None:
        return None
    shown = port if isinstance(port, (int, str)) and not isinstance(port, bool) and port != 0 else None
    return Sight(Endpoint(host, shown), reach_of_name(host))


def read_reverse(kind: Kind, family: int, address: tuple[Any, Any, int]) -> Sight | None:
    """Read the look-up of an address's name (or, as ``gethostbyaddr`` takes both, of a name)."""
    host, port, flags = address
    if not isinstance(host, (str, bytes, bytearray)):
        return None
    ip = parse_ip(host_text(host))
    if ip is None:
        return read_lookup(kind, family, (host, port, flags))
    return Sight(Endpoint(host_text(host)), reach_of_reverse(ip))


# -- wrappers ----------------------------------------------------------------------------------------------------------


class _Table:
    """Makes the wrappers, each bound to the judge it asks."""

    def __init__(self, judge: Judge, remember: Remember) -> None:
        self.judge = judge
        self.remember = remember

    def method(self, kind: Kind, event: str, route: str, read: Callable[[tuple[Any, ...]], Any]) -> Any:  # noqa: ANN401 - a wrapper
        """Return a wrapper for a socket method; ``read`` finds the address in its arguments."""
        judge = self.judge
        passes = audit.passes
        numeric = self._numeric

        def wrapper(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401 - wrapt's signature
            __tracebackhide__ = True
            address = read(args)
            if address is None:
                return wrapped(*args, **kwargs)
            try:
                family = family_of(instance)
            except TypeError:  # not a socket at all: the call itself says so
                return wrapped(*args, **kwargs)
            if judge(kind, route, family, address, instance, read_address) and family in IP_FAMILIES:
                sent = numeric(kind, route, family, address, instance)
                if sent is not address:
                    args = tuple(sent if arg is address else arg for arg in args)
                    address = sent
            one_shot = (event, instance, address)
            passes.append(one_shot)
            try:
                result = wrapped(*args, **kwargs)
            finally:
                audit.withdraw(one_shot)
            if kind is Kind.BIND and family == AF_UNIX:
                note_bound(address)
            return result

        return wrapper

    def _numeric(self, kind: Kind, route: str, family: int, address: Any, sock: Any) -> Any:  # noqa: ANN401 - whatever the caller gave
        """Resolve a host name as the C library is about to, so that the address it connects to is judged too."""
        __tracebackhide__ = True
        if not isinstance(address, tuple) or len(address) < 2 or not isinstance(address[0], (str, bytes, bytearray)):  # noqa: PLR2004 - (host, port)
            return address
        host = host_text(address[0])
        if host in {"", "<broadcast>"} or parse_ip(host) is not None:
            return address
        if kind is Kind.BIND:
            self.judge(Kind.LOOKUP, route, 0, (host, None, 0), sock, read_lookup)
        one_shot = ("socket.getaddrinfo", address[0], None)
        audit.passes.append(one_shot)
        try:
            found = _socket.getaddrinfo(address[0], None, family, _socket.SOCK_DGRAM)
        finally:
            audit.withdraw(one_shot)
        self.remember(host, [found[0][4][0]])
        resolved = (found[0][4][0], *address[1:])
        self.judge(kind, route, family, resolved, sock, read_address)
        return resolved

    def lookup(self, kind: Kind, event: str, route: str, read: Callable[..., Sight | None], flags_at: int) -> Any:  # noqa: ANN401 - a wrapper
        """Return a wrapper for a resolver function whose flags are its argument number ``flags_at``."""

        def wrapper(wrapped: Any, _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401 - wrapt's signature
            __tracebackhide__ = True
            host = args[0] if args else kwargs.get("host")
            flags = args[flags_at] if 0 < flags_at < len(args) else kwargs.get("flags", 0)
            port = args[1] if len(args) > 1 and flags_at > 1 else kwargs.get("port")
            if host is None or not isinstance(flags, int):
                return wrapped(*args, **kwargs)
            if event == "socket.getnameinfo":
                subject = host[0] if isinstance(host, tuple) and host else None
                if not flags & socket.NI_NUMERICHOST:
                    self.judge(kind, route, 0, (subject, None, 0), None, read)
            else:
                self.judge(kind, route, 0, (host, port, flags), None, read)
            one_shot = (event, host, None)
            audit.passes.append(one_shot)
            try:
                answer = wrapped(*args, **kwargs)
            finally:
                audit.withdraw(one_shot)
            self._keep(host, answer)
            return answer

        return wrapper

    def _keep(self, host: Any, answer: Any) -> None:  # noqa: ANN401 - whatever a resolver, or its fake, returns
        if not isinstance(host, (str, bytes, bytearray)) or parse_ip(name := host_text(host)) is not None:
            return
        self.remember(name, addresses_in(answer))

    def create_connection(self, wrapped: Any, _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401 - wrapt's signature
        """Label what happens inside: the look-up and the connects are one attempt, at what the caller asked for."""
        __tracebackhide__ = True
        address = args[0] if args else kwargs.get("address")
        if not isinstance(address, tuple) or len(address) != 2 or not isinstance(address[0], (str, bytes, bytearray)):  # noqa: PLR2004 - (host, port)
            return wrapped(*args, **kwargs)
        token = asked.set(Asked(host_text(address[0]), address[1]))
        try:
            return wrapped(*args, **kwargs)
        finally:
            asked.reset(token)

    def proactor(self, wrapped: Any, _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401 - wrapt's signature
        """Judge the proactor loop's ``sock_connect``, which never meets ``socket.connect``."""
        __tracebackhide__ = True
        sock, address = (*args, kwargs.get("address"))[:2] if args else (kwargs.get("sock"), kwargs.get("address"))
        if isinstance(sock, _socket.socket):
            self.judge(Kind.CONNECT, "loop.sock_connect", family_of(sock), address, sock, read_address)
        return wrapped(*args, **kwargs)


def addresses_in(answer: Any) -> list[str]:  # noqa: ANN401 - whatever a resolver, or its fake, returns
    """Return the addresses in what getaddrinfo, gethostbyname or gethostbyname_ex answered."""
    if isinstance(answer, str):
        return [answer]
    if isinstance(answer, tuple) and len(answer) == 3 and isinstance(answer[2], list):  # noqa: PLR2004 - (name, aliases, addresses)
        return [str(address) for address in answer[2]]
    if isinstance(answer, list):
        return [str(info[4][0]) for info in answer if isinstance(info, tuple) and len(info) == 5 and info[4]]  # noqa: PLR2004 - getaddrinfo's tuple
    return []


def note_bound(address: Any) -> None:  # noqa: ANN401 - whatever the caller gave
    """Remember that this process bound a unix socket."""
    path = unix_path(address)
    if path:
        bound_paths.add(path)


def _first(args: tuple[Any, ...]) -> Any:  # noqa: ANN401 - whatever the caller gave
    return args[0] if len(args) == 1 else None


def _last_of_sendto(args: tuple[Any, ...]) -> Any:  # noqa: ANN401 - whatever the caller gave
    return args[-1] if len(args) in {2, 3} else None


def _fourth(args: tuple[Any, ...]) -> Any:  # noqa: ANN401 - whatever the caller gave
    return args[3] if len(args) > 3 else None  # noqa: PLR2004 - sendmsg(buffers, ancdata, flags, address)


_METHODS: Final = (
    ("connect", Kind.CONNECT, "socket.connect", _first),
    ("connect_ex", Kind.CONNECT, "socket.connect", _first),
    ("bind", Kind.BIND, "socket.bind", _first),
    ("sendto", Kind.SEND, "socket.sendto", _last_of_sendto),
    ("sendmsg", Kind.SEND, "socket.sendmsg", _fourth),
)
_LOOKUPS: Final = (
    ("getaddrinfo", Kind.LOOKUP, "socket.getaddrinfo", read_lookup, 5),
    ("gethostbyname", Kind.LOOKUP, "socket.gethostbyname", read_lookup, 0),
    ("gethostbyname_ex", Kind.LOOKUP, "socket.gethostbyname", read_lookup, 0),
    ("gethostbyaddr", Kind.REVERSE_LOOKUP, "socket.gethostbyaddr", read_reverse, 0),
    ("getnameinfo", Kind.REVERSE_LOOKUP, "socket.getnameinfo", read_reverse, 1),
)


def _real_class() -> type[Any]:
    """Return ``socket.socket`` itself, also where somebody has put a class of theirs in its place."""
    named = [
        cls
        for cls in _socket.socket.__subclasses__()
        if cls.__module__ == "socket" and cls.__qualname__ == "socket"
    ]
    return socket.socket if socket.socket in named or not named else named[-1]


_known_classes: list[type[Any]] = []


def replaced() -> bool:
    """Tell whether the socket module was reloaded: its new class has none of our wrappers."""
    cls = socket.socket
    return cls is not _known_classes[-1] and _real_class() not in _known_classes


def entry_points(judge: Judge, remember: Remember) -> list[EntryPoint]:
    """Return the rows of the table, bound to a judge."""
    table = _Table(judge, remember)
    _known_classes[:] = [_real_class()]
    return [
        *_class_rows(table, _known_classes[0]),
        *_module_rows(table),
        EntryPoint("asyncio.proactor_events", "BaseProactorEventLoop.sock_connect", table.proactor),
    ]


def entry_points_of_replacement(judge: Judge, remember: Remember) -> list[EntryPoint]:
    """Return the rows for a reloaded socket module."""
    table = _Table(judge, remember)
    _known_classes.append(_real_class())
    return [*_class_rows(table, _known_classes[-1]), *_module_rows(table)]


def _class_rows(table: _Table, cls: type[Any]) -> list[EntryPoint]:
    return [
        EntryPoint("socket", name, table.method(kind, event, f"socket.{name}", read), owner=cls)
        for name, kind, event, read in _METHODS
        if hasattr(cls, name)
    ]


def _module_rows(table: _Table) -> list[EntryPoint]:
    rows = [
        EntryPoint("socket", name, table.lookup(kind, event, f"socket.{name}", read, flags_at))
        for name, kind, event, read, flags_at in _LOOKUPS
    ]
    return [*rows, EntryPoint("socket", "create_connection", table.create_connection)]


def exempt_codes() -> set[CodeType]:
    """Return the code of the pure-Python ``socketpair``, which connects a socket to itself."""
    functions = (getattr(socket, name, None) for name in ("_fallback_socketpair", "socketpair"))
    return {code for code in (getattr(f, "__code__", None) for f in functions) if code is not None}
