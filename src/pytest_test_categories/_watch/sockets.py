"""The table of wrapt wrappers on socket entry points.

One row adds an entry point: its target, how to read the endpoint from the call, and the kind of attempt.
"""

from __future__ import annotations

import _socket
import contextlib
import socket
import sys
from types import BuiltinFunctionType
from typing import TYPE_CHECKING, Any, Final

from pytest_test_categories._attribution import stack
from pytest_test_categories._attribution.origin import (
    Asked,
    asked,
    asked_here,
    asked_in_thread,
    charge,
    current,
    memo_of_thread,
    resolving,
    scope_here,
)
from pytest_test_categories._host import names
from pytest_test_categories._host.c_library import refuses_name_flags
from pytest_test_categories._host.multicast import JOINS, group_joined
from pytest_test_categories._host.names import look_ups, reach_of_name, spelled_here
from pytest_test_categories._host.unix_sockets import our_family
from pytest_test_categories._host.wrapping import EntryPoint
from pytest_test_categories._rules.address import Endpoint, Reach, host_text, parse_ip
from pytest_test_categories._rules.policy import Attempt, Kind, decide
from pytest_test_categories._watch import connections, passes
from pytest_test_categories._watch.endpoints import (
    AF_PACKET,
    AF_PIPE,
    AF_UNIX,
    IP_FAMILIES,
    addresses_in,
    answered,
    family_of,
    kind_of_bind,
    named_here,
    numeric_host,
    read_address,
    read_bound_name,
    read_c_lookup,
    read_c_name,
    read_c_reverse,
    read_group,
    read_pipe,
    reader_of_connect,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from pytest_test_categories._watch import Judge, Remember, Sight

_SOCKET_GLOBALS: Final = vars(socket)
_NOT_GIVEN: Final = object()


def _is_fake(function: Any, address: Any = None) -> bool:
    """Return whether a wrapped function is another tool's patch: not the call is judged, but what it leads to.

    A patched ``connect`` that may not be a fake is judged all the same if it is called with a host name: it may call
    the interpreter's own, which resolves the name before it raises an audit event.
    """
    home = getattr(function, "__globals__", None)
    if isinstance(function, BuiltinFunctionType) or home is _SOCKET_GLOBALS:
        return False
    # The module may have been imported again.
    if isinstance(home, dict) and str(home.get("__name__")).partition(".")[0] in {"gevent", "socket"}:
        return False
    if address is None or type(function).__module__ == "unittest.mock":
        return True
    sight = read_address(Kind.CONNECT, _socket.AF_INET6, address)
    return sight is None or parse_ip(sight.endpoint.host) is not None


def _named(address: Any) -> Asked | None:
    """Return a label for an address with a host name: the look-up and the access to its address are one attempt."""
    if type(address) is not tuple or len(address) < 2 or type(address[1]) is not int or asked_here() is not None:  # noqa: PLR2004 - (host, port)
        return None
    name = host_text(address[0]) if isinstance(address[0], (str, bytes, bytearray)) else ""
    return None if name in _NO_NAMES or parse_ip(name) is not None else Asked(name, address[1])


_NO_NAMES: Final = frozenset({"", "<broadcast>"})


class _Table:
    """Creates the wrappers, each bound to the judge that it asks."""

    def __init__(self, judge: Judge, remember: Remember) -> None:
        self.judge = judge
        self.remember = remember
        self.sends = connections.Sends(judge)

    def methods(self, route: str) -> list[tuple[str, Any]]:
        """Return the names of the socket methods, each with its wrapper."""
        return [(name, self.method(kind, event, f"{route}.{name}", read)) for name, kind, event, read in _METHODS]

    def look_ups(self, route: str) -> list[tuple[str, Any]]:
        """Return the names of the resolver functions, each with its wrapper."""
        return [
            (name, self.lookup(kind, event, f"{route}.{name}", read, flags_at))
            for name, kind, event, read, flags_at in _LOOKUPS
        ]

    def method(self, kind: Kind, event: str, route: str, read: Callable[[tuple[Any, ...]], Any]) -> Any:
        """Return a wrapper for a socket method; ``read`` finds the address in its arguments."""
        judge = self.judge
        numeric = self._numeric
        sends = self.sends if route.endswith(".sendmsg") else None  # without an address it sends as ``send`` does

        def wrapper(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            __tracebackhide__ = True
            address = read(args)
            if address is None and sends is not None:
                sends.check(route, instance)
            if address is None or (type(wrapped) is not BuiltinFunctionType and _is_fake(wrapped, address)):
                return wrapped(*args, **kwargs)
            real = instance
            try:
                family = family_of(real)
            except TypeError:
                real = getattr(instance, "_sock", None)  # gevent's sockets hold one of the interpreter's
                if not isinstance(real, _socket.socket):  # not a socket at all: the call itself raises the error
                    return wrapped(*args, **kwargs)
                family = family_of(real)
            if type(wrapped) is BuiltinFunctionType and (sent := self._known(kind, family, address)) is not None:
                return wrapped(*(sent if arg is address else arg for arg in args), **kwargs)
            asks = kind if family != AF_PACKET else kind_of_bind(kind, family)
            reads = read_address if asks is not Kind.CONNECT else reader_of_connect(asks, family, real)
            label = _named(address) if family in IP_FAMILIES else None
            token = None if label is None else asked.set(label)
            try:
                if judge(asks, route, family, address, instance, reads) and family in IP_FAMILIES:
                    sent = numeric(kind, route, family, address, instance, reads)
                    if sent is not address:
                        args = tuple(sent if arg is address else arg for arg in args)
                        address = sent
            finally:
                if token is not None:
                    asked.reset(token)
            one_shot = (event, real, address)
            passes.allow(one_shot)
            try:
                result = wrapped(*args, **kwargs)
            finally:
                passes.withdraw(one_shot)
            if family == AF_UNIX and kind is Kind.BIND:
                our_family.note(real, address)
            elif family == AF_UNIX and kind is Kind.CONNECT:
                connections.note_connected(instance)
            return result

        return wrapper

    def direct(self, kind: Kind, wrapper: Any) -> Callable[[Any], Callable[..., Any]]:
        """Return what makes, of a C method with one argument, the function that its calls run.

        What the memo holds costs one look.
        """

        def make(method: Any) -> Callable[..., Any]:
            bound = method.__get__

            def call(sock: Any, address: Any = _NOT_GIVEN, /, *rest: Any, **kwargs: Any) -> Any:
                __tracebackhide__ = True
                scope = current.get()
                memo = scope.memo if scope is not None and scope.open else memo_of_thread(scope)
                if memo and not rest and not kwargs:
                    try:
                        # Plain types only: others may equal what was permitted, as 80.0 does, which the call refuses.
                        plain = type(address[0]) is str and type(address[1]) is int
                        permitted = memo.get((kind, address)) if plain else None
                    except (TypeError, IndexError):  # an address that every call refuses
                        permitted = None
                    if permitted is not None:  # the audit hook recognizes it
                        return method(sock, permitted)
                return wrapper(bound(sock), sock, () if address is _NOT_GIVEN else (address, *rest), kwargs)

            return call

        return make

    def addressed(self, kind: Kind, wrapper: Any, fewest: int) -> Callable[[Any], Callable[..., Any]]:
        """Return the same for a method that takes an address as the last of at least ``fewest`` arguments."""

        def make(method: Any) -> Callable[..., Any]:
            bound = method.__get__

            def call(sock: Any, /, *args: Any, **kwargs: Any) -> Any:
                __tracebackhide__ = True
                scope = current.get()
                memo = scope.memo if scope is not None and scope.open else memo_of_thread(scope)
                if memo and (count := len(args)) >= fewest and not kwargs:
                    address = args[-1]
                    try:
                        plain = type(address[0]) is str and type(address[1]) is int
                        permitted = memo.get((kind, address)) if plain else None
                    except (TypeError, IndexError):
                        permitted = None
                    if permitted is not None:
                        return method(sock, args[0], permitted) if count == 2 else method(sock, *args[:-1], permitted)  # noqa: PLR2004 - sendto(data, address)
                return wrapper(bound(sock), sock, args, kwargs)

            return call

        return make

    def _numeric(
        self,
        kind: Kind,
        route: str,
        family: int,
        address: Any,
        sock: Any,
        read: Callable[[Kind, int, Any], Sight | None],
    ) -> Any:
        """Resolve a host name as the C library would, so that the address it connects to is judged, too."""
        __tracebackhide__ = True
        host = host_text(address[0])  # the address has been judged, and is therefore valid
        if host in _NO_NAMES or parse_ip(host) is not None:
            return address
        if kind is Kind.BIND:
            self.judge(Kind.LOOKUP, route, family, address, sock, read_bound_name)
        asked_for = bytes(address[0]) if isinstance(address[0], bytearray) else address[0]
        stamp = names.hosts_file.stamp()
        spelled = spelled_here(host, family)
        asked_for = spelled or asked_for
        one_shot = ("socket.getaddrinfo", asked_for, None)
        passes.allow(one_shot)
        try:
            found = _socket.getaddrinfo(asked_for, None, family, _socket.SOCK_DGRAM)
        finally:
            passes.withdraw(one_shot)
        first = str(found[0][4][0])
        self.remember(host, [first])
        resolved = (first, *address[1:])
        self.judge(kind, route, family, resolved, sock, read)
        scope = scope_here()
        if spelled is None and type(host) is type(address[0]) and scope is not None:
            with contextlib.suppress(TypeError):  # an item that can't be hashed
                if scope.memo.get((Reach.MACHINE, (kind, address)), "") == stamp:
                    scope.memo[kind, family, address] = _LookUp(_socket.getaddrinfo, host, stamp, first, scope.serial)
        return resolved

    def _known(self, kind: Kind, family: int, address: Any) -> Any:
        """Return the permitted address of a name that was permitted to the guard before; None if it has to be judged.

        The name is looked up each time, as the call would do.
        """
        scope = scope_here()
        if scope is None or type(address) is not tuple or not address or type(address[0]) is not str:
            return None
        try:
            known: _LookUp | None = scope.memo.get((kind, family, address))
        except TypeError:  # an item that can't be hashed
            return None
        if known is None or type(address[1]) is not int:  # 80.0 equals 80, and is refused by the call itself
            return None
        if known.function is not _socket.getaddrinfo or known.stamp != names.hosts_file.stamp():
            return None
        first = str(known.function(known.host, None, family, _socket.SOCK_DGRAM)[0][4][0])
        if known.latest is not look_ups.latest or first != known.answer:
            self.remember(address[0], [first])
            known.note(first)
        return scope.memo.get((kind, (first, *address[1:])))

    def listen(self, wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Judge ``listen`` on an unbound socket as a bind: the system chooses the port."""
        __tracebackhide__ = True
        if isinstance(instance, _socket.socket) and (family := family_of(instance)) in IP_FAMILIES:
            try:
                host, port = _socket.socket.getsockname(instance)[:2]
            except OSError:  # closed, or this system needs a bound socket: the call itself raises the error
                return wrapped(*args, **kwargs)
            if port == 0:
                self.judge(Kind.BIND, "socket.listen", family, (host, port), instance, read_address)
        return wrapped(*args, **kwargs)

    def setsockopt(self, wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Judge joining a multicast group as a send to the group: the system reports it to the network."""
        try:
            joins = args[:2] in JOINS
        except TypeError:  # the call itself raises the error
            joins = False
        if joins and len(args) > 2 and isinstance(instance, _socket.socket):  # noqa: PLR2004 - (level, option, value)
            __tracebackhide__ = True
            group = group_joined((args[0], args[1]), args[2])
            if group is not None:
                self.judge(Kind.SEND, "socket.setsockopt", family_of(instance), (group, None), instance, read_group)
        return wrapped(*args, **kwargs)

    def option(self, method: Any) -> Callable[..., Any]:
        """Make the function that the calls of ``setsockopt`` run: nearly all set options that send nothing."""

        def call(sock: Any, *args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            try:
                joins = args[:2] in JOINS
            except TypeError:  # the call itself raises the error
                joins = False
            if not joins:
                return method(sock, *args, **kwargs)
            return self.setsockopt(method.__get__(sock), sock, args, kwargs)

        return call

    def lookup(self, kind: Kind, event: str, route: str, read: Callable[..., Sight | None], flags_at: int) -> Any:
        """Return a wrapper for a resolver function that takes its flags as argument number ``flags_at`` (0: none)."""
        needed = 2 if flags_at else 1
        read = answered(read)
        looks_up, hexadecimal = kind is Kind.LOOKUP, route.endswith("_ex")

        def wrapper(wrapped: Any, _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            __tracebackhide__ = True
            host = called = args[0] if args else kwargs.get("host")
            if looks_up and type(host) is str and (ip := parse_ip(host)) is not None:
                if hexadecimal and "x" in host:  # the C library would ask a server for it
                    args = (str(ip), *args[1:])
                return wrapped(*args, **kwargs)  # nothing is looked up
            stamp = names.hosts_file.stamp() if looks_up else None  # what changes from here on is found out later
            flags = args[flags_at] if 0 < flags_at < len(args) else kwargs.get("flags", 0)
            port = args[1] if len(args) > 1 and flags_at > 1 else kwargs.get("port")
            short = len(args) < needed and len(args) + ("host" in kwargs) + ("port" in kwargs) < needed
            if host is None or not isinstance(flags, int) or short or _is_fake(wrapped):
                answer = wrapped(*args, **kwargs)
                self._keep(host, answer)
                return answer
            named = None
            subject: Any
            if event == "socket.getnameinfo":
                subject = numeric_host(host)
                if (
                    not flags & socket.NI_NUMERICHOST
                    and not (flags and refuses_name_flags(flags))
                    and self.judge(kind, route, 0, (subject, None, 0, 0, 0, 0), None, read)
                ):
                    named = named_here(subject)
                    if named is not None:  # the C library only needs to name the service
                        args, kwargs = (host, flags | socket.NI_NUMERICHOST), {}
            elif self.judge(
                kind, route, 0, subject := (host, port, flags, *(rest := _wanted(event, args, kwargs))), None, read
            ):
                named = named_here(host) if kind is Kind.REVERSE_LOOKUP else None
                if named is not None:
                    self.remember("", [])
                    return named, [], [host_text(host)]
                mapped = flags & _socket.AI_V4MAPPED  # IPv4 addresses are accepted, too
                called = spelled_here(host_text(host), 0 if mapped else rest[0]) or host
                if called is not host:
                    if kind is Kind.REVERSE_LOOKUP and parse_ip(called) is not None:  # a server would get its name
                        self.remember("", [])
                        return host_text(host), [], [called]
                    args, kwargs = (called, *args[1:]), {name: kwargs[name] for name in kwargs if name != "host"}
            answer = _passed_on((event, called, None), wrapped, args, kwargs)
            if kind is Kind.REVERSE_LOOKUP:
                self.remember("", [])  # this attempt has ended: the thread's next look-up is another one
            if named is not None:
                return named, *answer[1:]
            self._keep(host, answer)
            if called is not host:
                return _as_of(host, called, answer)
            if looks_up and not kwargs and type(host) is str:
                _note_look_up((route, args), subject, wrapped, stamp, answer)
            return answer

        return wrapper

    def look_up(self, route: str, wrapper: Any) -> Callable[[Any], Callable[..., Any]]:
        """Return what makes, of a resolver function of Python, the function that its calls run."""

        def make(function: Any) -> Callable[..., Any]:
            def call(_proxy: Any, /, *args: Any, **kwargs: Any) -> Any:
                __tracebackhide__ = True
                if args and not kwargs and type(host := args[0]) is str:
                    if parse_ip(host) is not None:
                        return function(*args)  # nothing is looked up
                    scope = current.get()
                    memo = scope.memo if scope is not None and scope.open else memo_of_thread(scope)
                    try:
                        known: _LookUp | None = memo.get((route, args)) if memo else None
                    except TypeError:  # an argument that can't be hashed: the call itself raises the error
                        known = None
                    if known is not None and known.function is function and known.stamp == names.hosts_file.stamp():
                        answer = function(known.host, *args[1:])
                        if known.latest is not look_ups.latest or answer != known.answer:
                            self._keep(host, answer)
                            known.note(answer)
                        return answer
                return wrapper(function, None, args, kwargs)

            return call

        return make

    def _keep(self, host: Any, answer: Any) -> None:
        if not isinstance(host, (str, bytes, bytearray)) or parse_ip(name := host_text(host)) is not None:
            return
        self.remember(name, addresses_in(answer))

    def create_connection(self, wrapped: Any, _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Label the steps inside: the look-up and the connects are one attempt, at the host that the caller named."""
        __tracebackhide__ = True
        address = args[0] if args else kwargs.get("address")
        if not isinstance(address, tuple) or len(address) != 2 or not isinstance(address[0], (str, bytes, bytearray)):  # noqa: PLR2004 - (host, port)
            return wrapped(*args, **kwargs)
        host = host_text(address[0])
        if parse_ip(host) is not None:  # a single step, which connects to the address that the caller gave
            return wrapped(*args, **kwargs)
        token = asked.set(Asked(host, address[1]))
        try:
            return wrapped(*args, **kwargs)
        finally:
            asked.reset(token)

    def connection(self, function: Any) -> Callable[..., Any]:
        """Make the function that the calls of ``create_connection`` run."""

        def call(_proxy: Any, /, *args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            address = args[0] if args else None
            if type(address) is not tuple or len(address) != 2 or type(host := address[0]) is not str:  # noqa: PLR2004 - (host, port)
                return self.create_connection(function, None, args, kwargs)
            if parse_ip(host) is not None:  # a single step, which connects to the address that the caller gave
                return function(*args, **kwargs)
            if asked.get() is not None or asked_in_thread.address is not None or "greenlet" in sys.modules:
                return self.create_connection(function, None, args, kwargs)
            asked_in_thread.address = address
            try:
                return function(*args, **kwargs)
            finally:
                asked_in_thread.address = asked_in_thread.asked = None

        return call

    def labelled(self, method: Any) -> Any:
        """Return a wrapper for a method that calls other entry points: their steps are the same attempt."""

        def wrapper(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            __tracebackhide__ = True
            address = args[-1] if args else None
            sight = read_address(Kind.CONNECT, _socket.AF_INET6, address)
            if sight is None or asked_here() is not None:
                return method(wrapped, instance, args, kwargs)
            token = asked.set(Asked(sight.endpoint.host, sight.endpoint.port))
            try:
                return method(wrapped, instance, args, kwargs)
            finally:
                asked.reset(token)

        return wrapper

    def outermost(self, method: Any) -> Any:
        """Return a wrapper for a resolver's method that doesn't judge a look-up which has already been judged."""

        def wrapper(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            __tracebackhide__ = True
            return wrapped(*args, **kwargs) if resolving.get() else method(wrapped, instance, args, kwargs)

        return wrapper

    def proactor(self, kind: Kind, route: str, at: int, name: str) -> Any:
        """Return a wrapper for a method of Windows' proactor, which does not call the socket's own methods."""

        def wrapper(wrapped: Any, _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            __tracebackhide__ = True
            sock = args[0] if args else kwargs.get("conn")
            address = args[at] if at < len(args) else kwargs.get(name)
            if isinstance(sock, _socket.socket):
                family = family_of(sock)
                self.judge(kind, route, family, address, sock, reader_of_connect(kind, family, sock))
            return wrapped(*args, **kwargs)

        return wrapper

    def connect_pipe(self, wrapped: Any, _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Judge the connection of Windows' proactor to a named pipe: its C code raises no audit event."""
        __tracebackhide__ = True
        path = args[0] if args else kwargs.get("address")
        if isinstance(path, str):
            self.judge(Kind.CONNECT, "loop.create_pipe_connection", AF_PIPE, (str.__str__(path),), None, read_pipe)
        return wrapped(*args, **kwargs)


def _passed_on(
    one_shot: tuple[str, Any, Any], function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Call a resolver function whose audit event, and whose steps in gevent's threads, are not judged again."""
    __tracebackhide__ = True
    passes.allow(one_shot)
    token = resolving.set(True) if "gevent" in sys.modules else None
    try:
        return function(*args, **kwargs)
    finally:
        if token is not None:
            resolving.reset(token)
        passes.withdraw(one_shot)


class _LookUp:
    """A permitted look-up that is passed on as it is, and what came of it last.

    It holds as long as the hosts file stays: what a look-up of a local name becomes depends on the file.

    Attributes:
        function: What the wrapper calls. Another tool may patch that meanwhile.
        host: The host, which the audit hook recognizes.
        stamp: The stamp of the hosts file from before it was read.
        answer: The answer that is on record.
        latest: The state of the table of look-ups when it was recorded.
    """

    __slots__ = ("answer", "function", "host", "latest", "stamp")

    def __init__(self, function: Any, host: str, stamp: tuple[int, int, int] | None, answer: Any, serial: int) -> None:
        self.function = function
        self.host = passes.PermittedHost(host, serial)
        self.stamp = stamp
        self.note(answer)

    def note(self, answer: Any) -> None:
        """Note that an answer is on record, as the latest of all."""
        self.answer = list(answer) if type(answer) is list else answer  # the caller may change its list
        self.latest = look_ups.latest


def _note_look_up(
    call: tuple[str, tuple[Any, ...]],
    subject: tuple[Any, ...],
    function: Any,
    stamp: tuple[int, int, int] | None,
    answer: Any,
) -> None:
    """Remember a look-up for the next such call, if the judge remembers that it is permitted."""
    scope = scope_here()
    # Only for the module's own function: gevent's goes on in other threads, and C code has no direct form.
    if scope is not None and getattr(function, "__globals__", None) is _SOCKET_GLOBALS:
        with contextlib.suppress(TypeError):  # an argument that can't be hashed
            judged = (Kind.LOOKUP, subject)
            if judged in scope.memo or scope.memo.get((Reach.NOWHERE, judged), "") == stamp:
                scope.memo[call] = _LookUp(function, call[1][0], stamp, answer, scope.serial)


def _wanted(event: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any, Any]:
    """Return the family, socket type and protocol that the caller of a resolver function wants."""
    if event != "socket.getaddrinfo":
        return _socket.AF_INET if event == "socket.gethostbyname" else 0, 0, 0
    given = args[2:5]
    return (
        given[0] if given else kwargs.get("family", 0),
        given[1] if len(given) > 1 else kwargs.get("type", 0),
        given[2] if len(given) > 2 else kwargs.get("proto", 0),  # noqa: PLR2004 - family, type, protocol
    )


def _first(args: tuple[Any, ...]) -> Any:
    return args[0] if len(args) == 1 else None


def _last_of_sendto(args: tuple[Any, ...]) -> Any:
    if len(args) not in {2, 3}:
        return None
    try:
        memoryview(args[0]).release()
    except TypeError:  # the call reads its data before its address, and will raise the error
        return None
    return args[-1]


def _fourth(args: tuple[Any, ...]) -> Any:
    return args[3] if len(args) > 3 else None  # noqa: PLR2004 - sendmsg(buffers, ancdata, flags, address)


_METHODS: Final = (
    ("connect", Kind.CONNECT, "socket.connect", _first),
    ("connect_ex", Kind.CONNECT, "socket.connect", _first),
    ("bind", Kind.BIND, "socket.bind", _first),
    ("sendto", Kind.SEND, "socket.sendto", _last_of_sendto),
    ("sendmsg", Kind.SEND, "socket.sendmsg", _fourth),
)
_FEWEST_ARGUMENTS: Final = {"sendto": 2, "sendmsg": 4}
"""How many arguments a method takes at least together with an address; the others take nothing else."""
_PROACTOR: Final = (  # method, kind, route, and where the address is: these methods look up no names
    ("connect", Kind.CONNECT, "loop.sock_connect", 1, "address"),
    ("sendto", Kind.SEND, "loop.sock_sendto", 3, "addr"),
)
_LOOKUPS: Final = (
    ("getaddrinfo", Kind.LOOKUP, "socket.getaddrinfo", read_c_lookup, 5),
    ("gethostbyname", Kind.LOOKUP, "socket.gethostbyname", read_c_name, 0),
    ("gethostbyname_ex", Kind.LOOKUP, "socket.gethostbyname", read_c_name, 0),
    ("gethostbyaddr", Kind.REVERSE_LOOKUP, "socket.gethostbyaddr", read_c_name, 0),
    ("getnameinfo", Kind.REVERSE_LOOKUP, "socket.getnameinfo", read_c_reverse, 1),
)


def match_by_name(wrapped: Any, _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Compare a host with macOS' proxy exceptions by name only, as CPython does from 3.13 on.

    Before that version CPython looks up every host, since the system's exceptions contain a network (169.254/16);
    requests calls this function even where a fake receives the request. A look-up that a guard would refuse is skipped.
    """
    charged = charge()
    if charged is not None and len(args) == 2 and isinstance(args[0], str):  # noqa: PLR2004 - (host, settings)
        host, settings = args
        name = host.partition(":")[0]
        attempt = Attempt(Kind.LOOKUP, Endpoint(name), reach_of_name(name))
        if parse_ip(name) is None and any(
            link.policy is not None and not decide(link.policy, attempt).permitted for link in charged.scopes
        ):
            names = [one for one in settings.get("exceptions", ()) if one and not one[0].isdigit()]
            args = (host, {**settings, "exceptions": names})
    return wrapped(*args, **kwargs)


def _real_classes() -> list[type[Any]]:
    """Return the real ``socket.socket`` classes, even where another tool has replaced the attribute.

    After a reload of the module, or a second import, there are several: early imports keep the old ones.
    """
    return [
        cls for cls in _socket.socket.__subclasses__() if cls.__module__ == "socket" and cls.__qualname__ == "socket"
    ] or [socket.socket]


_known_classes: list[type[Any]] = []


def _as_of(name: Any, number: Any, answer: Any) -> Any:
    """Return the answer for a name whose address was looked up in its place."""
    if parse_ip(number) is None:
        return answer
    if isinstance(answer, list):  # getaddrinfo's, with the canonical name
        return [(*info[:3], host_text(name) if info[3] == number else info[3], info[4]) for info in answer]
    return (host_text(name), *answer[1:]) if isinstance(answer, tuple) else answer


def replaced() -> bool:
    """Return whether the socket module was executed again: its new class has none of our wrappers."""
    cls = getattr(sys.modules.get("socket"), "socket", None)
    return cls not in _known_classes and bool(_new_classes())


def _new_classes() -> list[type[Any]]:
    return [cls for cls in _real_classes() if cls not in _known_classes]


def entry_points(judge: Judge, remember: Remember) -> list[EntryPoint]:
    """Return the rows of the table, bound to a judge."""
    table = _Table(judge, remember)
    _known_classes[:] = _real_classes()
    return [
        *(row for cls in _known_classes for row in _class_rows(table, cls)),
        *(
            EntryPoint(
                "socket", name, wrap, direct=table.look_up(f"socket.{name}", wrap) if name == "getaddrinfo" else None
            )
            for name, wrap in table.look_ups("socket")
        ),
        EntryPoint("socket", "create_connection", table.create_connection, direct=table.connection),
        *_gevent_rows(table),
        *connections.entry_points(table.sends),
        *(
            EntryPoint("asyncio.windows_events", f"IocpProactor.{name}", table.proactor(kind, route, at, argument))
            for name, kind, route, at, argument in _PROACTOR
        ),
        EntryPoint("asyncio.windows_events", "IocpProactor.connect_pipe", table.connect_pipe),
        *(
            [EntryPoint("urllib.request", "_proxy_bypass_macosx_sysconf", match_by_name)]
            if sys.platform == "darwin" and sys.version_info < (3, 13)
            else []
        ),
    ]


def entry_points_of_replacement(judge: Judge, remember: Remember) -> list[EntryPoint]:
    """Return the rows for a socket module that was executed again.

    Only its class needs new rows: the rows of its functions wrap them again when the module is imported.
    """
    table = _Table(judge, remember)
    new = _new_classes()
    _known_classes.extend(new)
    return [row for cls in new for row in _class_rows(table, cls)]


def _class_rows(table: _Table, cls: type[Any]) -> list[EntryPoint]:
    return [
        *(
            EntryPoint(
                "socket",
                name,
                wrap,
                owner=cls,
                direct=table.direct(kind, wrap)
                if name not in _FEWEST_ARGUMENTS
                else table.addressed(kind, wrap, _FEWEST_ARGUMENTS[name]),
            )
            for (name, wrap), (_, kind, *_) in zip(table.methods("socket"), _METHODS, strict=True)
            if hasattr(cls, name)
        ),
        EntryPoint("socket", "listen", table.listen, owner=cls),
        EntryPoint("socket", "setsockopt", table.setsockopt, owner=cls, direct=table.option),
        *connections.class_rows(table.sends, cls),
    ]


def _gevent_rows(table: _Table) -> list[EntryPoint]:
    """Return the rows for gevent's own functions, whose threads no guard would be charged for."""
    return [
        *(EntryPoint("gevent._socket3", f"socket.{name}", table.labelled(w)) for name, w in table.methods("gevent")),
        *(EntryPoint("gevent.socket", name, wrap) for name, wrap in table.look_ups("gevent")),
        # Resolvers that ask name servers themselves: gevent's getfqdn calls them directly.
        *(
            EntryPoint("gevent.resolver", f"AbstractResolver.{name}", table.outermost(wrap))
            for name, wrap in table.look_ups("gevent")
        ),
        EntryPoint("gevent.socket", "create_connection", table.create_connection),
    ]


_ASIDE: Final = {
    # A child process fetches a socket that was sent to it, and a fork server receives a request.
    "get_connection": "multiprocessing.resource_sharer",
    "connect_to_new_process": "multiprocessing.forkserver",
    # pydevd, which debugpy and IDEs ship, attaches a child process to its debugger.
    "start_client": "_pydevd_bundle.pydevd_comm",
    "create_server_socket": "_pydevd_bundle.pydevd_comm",
    "_on_run": "_pydevd_bundle.pydevd_comm",
    # From CPython 3.14 on, `python -m pdb -p` attaches to a process, which then connects to pdb.
    "_connect": "pdb",
    "_send": "pdb",
    # Socket pairs written in Python connect a socket to itself, and so does eventlet to create its wake-up pair.
    "setup": "eventlet.tpool",
    "socketpair": "socket",
    "_fallback_socketpair": "socket",
    # A loop may have created its wake-up pair before any guard; on systems without socket pairs it is a connection.
    "_write_to_self": "asyncio",
    "wakeup_thread_and_signal_safe": "trio",
}
"""Functions whose calls are not attempts, each with its module or package."""


def set_aside() -> None:
    """Exempt the calls of a few functions of the standard library and of other packages from judgement."""
    for name in _ASIDE:
        stack.set_aside(name, _is_nobodys)


def unset_aside() -> None:
    """End what ``set_aside`` began."""
    for name in _ASIDE:
        stack.unset_aside(name, _is_nobodys)


def _is_nobodys(frame: FrameType, _called: FrameType | None) -> bool:
    home, name = _ASIDE[frame.f_code.co_name], str(frame.f_globals.get("__name__"))
    return name == home or name.startswith(f"{home}.")
