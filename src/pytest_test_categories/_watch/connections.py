"""Open connections: bytes sent on a connection that the code under guard did not open itself.

A module-level client with keep-alive, or a session fixture's pool, lets a test reach the network without a connect.
Sending on a connected socket is therefore an attempt of its own, at the socket's peer. Asked once for each socket and
guard: what is permitted stays permitted. Only what a guard's own context, threads and jobs send is judged.
"""

from __future__ import annotations

import _socket
import contextlib
import functools
import operator
import os
import sys
import weakref
from typing import TYPE_CHECKING, Any, Final

from pytest_test_categories._attribution.origin import Scope, ScopeKind, charge, current
from pytest_test_categories._attribution.stack import identity
from pytest_test_categories._host.system import System
from pytest_test_categories._host.unix_sockets import can_ask, our_family, peer_process
from pytest_test_categories._host.wrapping import EntryPoint
from pytest_test_categories._rules.address import Reach
from pytest_test_categories._rules.policy import Kind
from pytest_test_categories._watch.endpoints import AF_UNIX, IP_FAMILIES, family_of, read_address, type_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from pytest_test_categories._watch import Judge, Sight

_FORK_EXEC: Final = (("_posixsubprocess", "fork_exec"), ("subprocess", "_fork_exec"))
_CLOSES_OTHERS, _TO_KEEP, _INPUT_READ, _OUTPUT_WRITE, _ERROR_WRITE, _BEFORE = 2, 3, 6, 9, 11, 21
"""Places in its arguments: whether it closes descriptors, which it keeps, its ends of three pipes, ``preexec_fn``."""

_LOOP_STARTS: Final = ("subprocess_exec", "subprocess_shell")

_HERE: Final = Scope(ScopeKind.EXPECT, None, "")
"""In place of a guard: a socket that this process accepted or paired leads to nobody new."""
KEPT: Final = 256
"""So many sockets are kept in mind before those that are gone are sought."""


class _Seen:
    """What is known of sockets, by identity: the part of this file that changes.

    Attributes:
        cleared: Which guard has let a socket send.
        reported: Which guards have its connect on record, and let it go on (warn mode).
        sweep_at: So many are kept in mind before those that are gone are sought.
    """

    def __init__(self) -> None:
        self.cleared: dict[int, tuple[Scope, weakref.ref[Any]]] = {}
        self.reported: dict[int, tuple[set[int], weakref.ref[Any]]] = {}
        self.sweep_at = KEPT


seen: Final = _Seen()

_STANDARD: Final = range(3)
"""Descriptors of a program's input, output and errors."""
_NONBLOCKING: Final = getattr(_socket, "SOCK_NONBLOCK", 0)
_DESCRIPTORS: Final = "/proc/self/fd" if sys.platform == "linux" else "/dev/fd"
_CLOSE_FROM: Final = getattr(os, "POSIX_SPAWN_CLOSEFROM", -1)  # from 3.13 on
_NUMBERS: Final = 3  # of a file action's parts: what to do, and up to two descriptors
_FORMAT, _SOCKET = 0o170000, 0o140000  # of stat.h: the part of a mode that says what a file is, and a socket's


def _known_as(descriptor: int) -> Any:
    """Return the socket that we know something of whose descriptor this is; None for others."""
    for known in (*list(seen.cleared.values()), *list(seen.reported.values())):
        sock = known[1]()
        with contextlib.suppress(Exception):  # a class that we know nothing of
            if sock is not None and sock.fileno() == descriptor:
                return sock
    return None


def _fileno(file: Any) -> Any:
    with contextlib.suppress(Exception):  # no file, or a class that we know nothing of
        return file.fileno()
    return None


def _number(descriptor: Any) -> Any:
    """Return the number that C reads from a descriptor, whatever its class says of itself; others as they are."""
    if type(descriptor) is int:
        return descriptor
    with contextlib.suppress(TypeError):
        return int.__index__(descriptor)
    with contextlib.suppress(Exception):  # the call itself says so
        return operator.index(descriptor)
    return descriptor


def _plain_action(action: Any) -> Any:
    """Return one of ``posix_spawn``'s file actions as C reads it."""
    try:
        parts = list(tuple.__iter__(action))
        return (*map(_number, parts[:_NUMBERS]), *parts[_NUMBERS:])
    except TypeError:  # no tuple: the call itself says so
        return action


def _own_outputs() -> frozenset[tuple[int, int]]:
    """Return inode and device of the program's own input and output: services have sockets there, and copy them."""
    found = set()
    for descriptor in _STANDARD:
        with contextlib.suppress(OSError):  # it is closed
            found.add(System.fstat(descriptor)[1:3])
    return frozenset(found)


_own: Final = _own_outputs()


def _is_foreign_socket(descriptor: int) -> bool:
    """Tell whether a descriptor is a socket's, and no copy of what this process had as input and output to begin with.

    Raises:
        OSError: It is closed, or too large a number.
    """
    mode, *which = System.fstat(descriptor)[:3]
    if mode & _FORMAT != _SOCKET:
        return False
    # Where sockets have no numbers, only the standard descriptors themselves are known.
    return tuple(which) not in _own or not (which[0] or descriptor in _STANDARD)


def _inheritable_sockets() -> set[tuple[int, int, int]]:
    """Return descriptor, inode and device of the sockets that a program would inherit, beside its input and output."""
    try:
        named = [int(name) for name in System.listdir(_DESCRIPTORS)]
    except (OSError, ValueError):  # there is no such directory
        return set()
    found = set()
    for descriptor in named:
        with contextlib.suppress(OSError):  # the one that the directory was read by: it is closed again
            if descriptor not in _STANDARD and System.get_inheritable(descriptor) and _is_foreign_socket(descriptor):
                found.add((descriptor, *System.fstat(descriptor)[1:3]))
    return found


_inherited: Final = _inheritable_sockets()
"""Those that were there when the layers were loaded."""
our_family.inherited = frozenset(inode for *_, inode, _device in (*_inherited, *_own))


def _peer_of(descriptor: int) -> tuple[int, Any, int]:
    """Return a socket's family, its peer's address and, of unix sockets, process; the socket stays as it is.

    Raises:
        OSError: It is no socket, or has no peer.
    """
    if _NONBLOCKING:
        # An object for a descriptor sets it to the default timeout, but for one that says it doesn't block.
        found = _socket.socket(fileno=descriptor, type=_socket.SOCK_STREAM | _NONBLOCKING)
    else:
        blocking = os.get_blocking(descriptor)
        found = _socket.socket(fileno=descriptor)
    try:
        if not _NONBLOCKING:
            os.set_blocking(descriptor, blocking)
        return family_of(found), found.getpeername(), peer_process(found)
    finally:
        found.detach()


def _cleared_for(sock: Any) -> Scope | None:
    """Return the guard that has let a socket send, if one has."""
    known = seen.cleared.get(identity(sock))
    return known[0] if known is not None and known[1]() is sock else None


def _clear(sock: Any, scope: Scope) -> None:
    """Let a socket send: its guard has been asked."""
    if len(seen.cleared) >= seen.sweep_at:
        _sweep()
    try:
        seen.cleared[identity(sock)] = (scope, weakref.ref(sock))
    except TypeError:  # no weak reference to it: it is asked about each time
        return


def note_connected(sock: Any) -> None:
    """Let a unix socket send whose connect was judged here and now: its peer's name is what the server called it."""
    charged = charge()
    if charged is not None and charged.scopes:
        _clear(sock, charged.scopes[0])


def _sweep() -> None:
    """Forget the sockets that are gone: references with no call when a socket dies are a fraction of the price."""
    for number, entry in seen.cleared.copy().items():
        if entry[1]() is None:
            taken = seen.cleared.pop(number, entry)
            if taken is not entry:  # another thread has a new socket of that number
                seen.cleared.setdefault(number, taken)
    seen.sweep_at = max(KEPT, 2 * len(seen.cleared))


def note_reported(sock: Any, serials: set[int]) -> None:
    """Remember guards that have put a socket's connect on record and let it go on: its bytes are no news to them."""
    number = identity(sock)
    known, _ = seen.reported.get(number, (set(), None))
    with contextlib.suppress(TypeError):  # the interpreter's own sockets, whose sends meet no wrapper
        seen.reported[number] = (known | serials, weakref.ref(sock, lambda _: seen.reported.pop(number, None)))


def is_reported(sock: Any, serial: int) -> bool:
    """Tell whether a guard has the connect of this socket on record."""
    known = seen.reported.get(identity(sock))
    return known is not None and serial in known[0]


def forget() -> None:
    """Forget all sockets, when nothing is guarded any more."""
    seen.sweep_at = KEPT
    seen.cleared.clear()
    seen.reported.clear()


def _first(_instance: Any, args: tuple[Any, ...]) -> Any:
    return args[0] if args else None


def _unless_addressed(instance: Any, args: tuple[Any, ...]) -> Any:
    addressed = len(args) > 3 and args[3] is not None  # noqa: PLR2004 - sendmsg(buffers, ancdata, flags, address)
    return None if addressed else instance


def _reader(process: int) -> Callable[[Kind, int, Any], Sight | None]:
    """Return what reads the peer of a unix socket: its process counts, where it is known, and not its name.

    By now the name may be another's, or nobody's.
    """

    def read(kind: Kind, family: int, address: Any) -> Sight | None:
        sight = read_address(kind, family, address)
        if sight is None or family != AF_UNIX or not process or not can_ask():
            return sight
        return sight._replace(reach=Reach.MACHINE, stays=functools.partial(our_family.has, process))

    return read


class Sends:
    """Makes the wrappers, each bound to the judge it asks."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge

    def method(self, route: str) -> Any:
        """Return a wrapper for a socket's own method that sends."""
        check = self.check

        def wrapper(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            known = seen.cleared.get(identity(instance))
            if known is None or known[0] is not current.get() or not known[0].open or known[1]() is not instance:
                __tracebackhide__ = True
                check(route, instance)
            return wrapped(*args, **kwargs)

        return wrapper

    def function(self, route: str, find: Callable[[Any, tuple[Any, ...]], Any]) -> Any:
        """Return a wrapper for what sends on a socket that ``find`` tells from instance and arguments, or on None."""

        def wrapper(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            __tracebackhide__ = True
            self.check(route, find(instance, args))
            return wrapped(*args, **kwargs)

        return wrapper

    def check(self, route: str, sock: Any) -> None:
        """Ask the judge about a connection, unless it is the guard's own, or known to be permitted."""
        __tracebackhide__ = True
        known = _cleared_for(sock)
        if known is _HERE:
            return
        here = current.get()
        if here is not None and here is known and here.open:
            return
        if here is not None and here.memo and here.open and isinstance(sock, _socket.socket):
            # The guard has let somebody connect there, as a rule this socket.
            try:
                if (Kind.CONNECT, family_of(sock), _socket.socket.getpeername(sock)) in here.memo:
                    _clear(sock, here)
                    return
            except OSError:  # not connected: the call itself says so
                return
        charged = charge()
        if charged is None or not charged.scopes:
            return
        scope = charged.scopes[0]
        if known is scope:
            return
        real = sock if isinstance(sock, _socket.socket) else getattr(sock, "_sock", None)  # gevent's, trio's, asyncio's
        if not isinstance(real, _socket.socket):
            return
        # Of a datagram socket the connect sends nothing, and was not judged.
        datagram = type_of(real) == _socket.SOCK_DGRAM
        # Debuggers, reporters and gateways send from threads of their own, and leftovers are judged when they connect.
        if not datagram and (charged.late or charged.unattributed or scope.kind is ScopeKind.COLLECT):
            return
        try:
            peer = _socket.socket.getpeername(real)
        except OSError:  # not connected: the call itself says so
            return
        if peer:  # a socket pair's end has no name
            family = family_of(real)
            kind = Kind.SEND if datagram and family in IP_FAMILIES else Kind.REUSE
            read = read_address if family != AF_UNIX else _reader(peer_process(real))
            self._judge(kind, route, family, peer, real, read)
        _clear(sock, scope)

    def descriptor(self, route: str, at: int, name: str = "") -> Any:
        """Return a wrapper for what writes to its argument number ``at``, a descriptor, in C."""
        check = self._check_if_socket

        def wrapper(wrapped: Any, _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            __tracebackhide__ = True
            given = args[at] if at < len(args) else kwargs.get(name)
            number = _number(given)
            if number is not given:  # asked once: what a class answers the next time may be another descriptor
                args = (*args[:at], number, *args[at + 1 :]) if at < len(args) else args
                kwargs = kwargs if at < len(args) else {**kwargs, name: number}
            check(route, number)
            return wrapped(*args, **kwargs)

        return wrapper

    def connection(self, wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Judge what multiprocessing sends on a connection: it took hold of ``os.write`` when it was imported."""
        __tracebackhide__ = True
        self._check_if_socket("multiprocessing.connection", _fileno(instance))
        return wrapped(*args, **kwargs)

    def fork_exec(self, wrapped: Any, _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Judge the connections that a program is handed, as its input or output or to keep."""
        __tracebackhide__ = True
        if len(args) > _ERROR_WRITE:
            kept = tuple.__iter__(args[_TO_KEEP]) if isinstance(args[_TO_KEEP], tuple) else ()
            for found in (args[_INPUT_READ], args[_OUTPUT_WRITE], args[_ERROR_WRITE], *kept):
                self._check_if_socket("subprocess", found)
            closed_from = _STANDARD.stop if args[_CLOSES_OTHERS] else None
            self._check_inherited("subprocess", closed_from=closed_from)
            if len(args) > _BEFORE and callable(args[_BEFORE]):
                args = (*args[:_BEFORE], self._after(args[_BEFORE], closed_from), *args[_BEFORE + 1 :])
        return wrapped(*args, **kwargs)

    def _after(self, before: Callable[[], object], closed_from: int | None) -> Callable[[], None]:
        """Return a ``preexec_fn`` that looks at what the given one has made of the program's descriptors."""

        def both() -> None:
            before()
            self._check_inherited("subprocess", closed_from=closed_from)

        return both

    def posix_spawn(self, wrapped: Any, _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Judge the connections that a program is handed by ``file_actions``: subprocess does so from 3.13 on."""
        __tracebackhide__ = True
        actions: Any = ()
        if kwargs.get("file_actions"):
            with contextlib.suppress(TypeError):  # the call itself says so
                # Read once: it may be an iterator, with members of classes that say another thing the next time.
                actions = kwargs["file_actions"] = [_plain_action(action) for action in kwargs["file_actions"]]
        named: dict[Any, set[int]] = {}
        for action in actions:
            if type(action) is tuple and len(action) > 1 and type(action[1]) is int:
                named.setdefault(action[0], set()).add(action[1])
        sources = named.get(os.POSIX_SPAWN_DUP2, set())
        for descriptor in sources:
            self._check_if_socket("os.posix_spawn", descriptor)
        closed = named.get(os.POSIX_SPAWN_CLOSE, set()) - sources
        self._check_inherited("os.posix_spawn", closed, min(named.get(_CLOSE_FROM, ()), default=None))
        return wrapped(*args, **kwargs)

    def inherits(self, route: str) -> Any:
        """Return a wrapper for what runs a program with all that is inheritable, perhaps in this one's place."""

        def wrapper(wrapped: Any, _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            __tracebackhide__ = True
            # execvp tries every directory of the path.
            if route == "os.system" or not (args and isinstance(args[0], (str, bytes))) or System.exists(args[0]):
                self._check_inherited(route)
            return wrapped(*args, **kwargs)

        return wrapper

    def loop_subprocess(self, wrapped: Any, _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Judge the connections that are a program's input or output where libuv starts it, or that it keeps."""
        __tracebackhide__ = True
        for name in ("stdin", "stdout", "stderr"):
            given = kwargs.get(name)
            number = _number(given)
            self._check_if_socket("uvloop.subprocess", number if type(number) is int else _fileno(given))
        kept = kwargs.get("pass_fds")
        if kept:
            with contextlib.suppress(TypeError):  # the call itself says so
                kept = kwargs["pass_fds"] = tuple(kept)
                for found in kept:
                    self._check_if_socket("uvloop.subprocess", found)
        closes_others = kwargs.get("close_fds") is not False
        self._check_inherited("uvloop.subprocess", closed_from=_STANDARD.stop if closes_others else None)
        return wrapped(*args, **kwargs)

    def check_file(self, file: Any) -> None:
        """Judge a connection that a file is made of, which writes in C."""
        __tracebackhide__ = True
        self._check_if_socket("os.fdopen", file)

    def _check_if_socket(self, route: str, descriptor: Any) -> None:
        __tracebackhide__ = True
        number = _number(descriptor)
        if type(number) is int and number >= 0:
            try:
                foreign = _is_foreign_socket(number)
            except (OSError, OverflowError):  # the call itself says so
                return
            if foreign:
                self.check_descriptor(route, number)

    def _check_inherited(self, route: str, closed: Collection[int] = (), closed_from: int | None = None) -> None:
        """Judge the connections that are a program's input and output, or that are marked for programs to inherit.

        Those that were there before the layers were are let alone: an agent's, say, that started this process.

        Args:
            route: The entry point.
            closed: Marked ones that the program doesn't get.
            closed_from: Nor those from this one on.
        """
        __tracebackhide__ = True
        for descriptor in _STANDARD:
            self._check_if_socket(route, descriptor)
        if closed_from is not None and closed_from <= _STANDARD.stop:
            return
        for descriptor, *_ in _inheritable_sockets() - _inherited:
            if descriptor not in closed and (closed_from is None or descriptor < closed_from):
                self.check_descriptor(route, descriptor)

    def check_descriptor(self, route: str, descriptor: int) -> None:
        """Ask the judge about a connection that nothing is known of but its descriptor."""
        __tracebackhide__ = True
        charged = charge()
        if charged is None or not charged.scopes or charged.late or charged.unattributed:
            return
        scope = charged.scopes[0]
        if scope.kind is ScopeKind.COLLECT:
            return
        try:
            family, peer, process = _peer_of(descriptor)
        except OSError:  # not connected: the call itself says so
            return
        if not peer:  # a socket pair's end has no name
            return
        sock = _known_as(descriptor)
        if sock is None or _cleared_for(sock) not in {_HERE, scope}:
            self._judge(Kind.REUSE, route, family, peer, sock, _reader(process))

    @staticmethod
    def accept(wrapped: Any, _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Note what a server of this process accepted."""
        answer = wrapped(*args, **kwargs)
        if isinstance(answer, tuple) and isinstance(answer[0], _socket.socket):
            _clear(answer[0], _HERE)
        return answer

    @staticmethod
    def accepting(wrapped: Any, _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Note the socket that Windows' proactor is about to accept a connection on."""
        sock = wrapped(*args, **kwargs)
        _clear(sock, _HERE)
        return sock

    @staticmethod
    def pair(wrapped: Any, _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Note the ends of a socket pair, which is a loopback connection where the system has none."""
        ends = wrapped(*args, **kwargs)
        for end in ends:
            _clear(end, _HERE)
        return ends


def class_rows(sends: Sends, cls: type[Any]) -> list[EntryPoint]:
    """Return the rows for ``socket.socket`` itself, beside its ``sendmsg``, which may carry an address."""
    return [
        *(
            EntryPoint("socket", name, sends.method(f"socket.{name}"), owner=cls)
            for name in ("send", "sendall", "sendfile")
        ),
        EntryPoint("socket", "accept", sends.accept, owner=cls),
    ]


def entry_points(sends: Sends) -> list[EntryPoint]:
    """Return the rows for those that send past ``socket.socket``'s methods, or bound them before they were wrapped."""
    return [
        EntryPoint("socket", "socketpair", sends.pair),
        EntryPoint("socket", "_fallback_socketpair", sends.pair),
        # These write to the descriptor in C.
        *(
            EntryPoint("os", name, sends.descriptor(f"os.{name}", 0, "out_fd"))
            for name in ("write", "writev", "sendfile")
        ),
        *([] if os.name == "nt" else [EntryPoint("multiprocessing.connection", "Connection._send", sends.connection)]),
        EntryPoint("os", "splice", sends.descriptor("os.splice", 1, "dst")),
        *(EntryPoint(module, name, sends.fork_exec) for module, name in _FORK_EXEC),
        *(EntryPoint("os", name, sends.posix_spawn) for name in ("posix_spawn", "posix_spawnp")),
        *(EntryPoint("uvloop.loop", f"Loop.{name}", sends.loop_subprocess) for name in _LOOP_STARTS),
        *(EntryPoint("ssl", f"SSLSocket.{name}", sends.method(f"ssl.{name}")) for name in ("send", "write")),
        EntryPoint(
            "asyncio.unix_events",
            "_UnixSelectorEventLoop._sock_sendfile_native",
            sends.function("loop.sock_sendfile", _first),
        ),
        *(
            EntryPoint("asyncio.windows_events", f"IocpProactor.{name}", sends.function(f"loop.{route}", _first))
            for name, route in (("send", "sock_sendall"), ("sendfile", "sock_sendfile"))
        ),
        EntryPoint("asyncio.windows_events", "IocpProactor._get_accept_socket", sends.accepting),
        *(
            EntryPoint("gevent._socket3", f"socket.{name}", sends.method(f"gevent.{name}"))
            for name in ("send", "sendall", "sendfile")
        ),
        EntryPoint("trio._socket", "_SocketType.send", sends.method("trio.send")),
        EntryPoint("trio._socket", "_SocketType.sendmsg", sends.function("trio.sendmsg", _unless_addressed)),
    ]


def rows_around_programs(judge: Judge) -> list[EntryPoint]:
    """Return the rows that judge what a program inherits, to come after all others on its start.

    They stand outside those that hand policies down: these make a call of their own.
    """
    sends = Sends(judge)
    return [EntryPoint("os", name, sends.inherits(f"os.{name}")) for name in ("execv", "execve", "system")]
