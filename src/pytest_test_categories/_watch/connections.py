"""Open connections: bytes sent on a connection that the guarded code did not open itself.

A module-level client with keep-alive, or a session fixture's pool, lets a test reach the network without a connect.
Sending on a connected socket is therefore an attempt of its own, at the socket's peer. The judge is asked once for each
socket and guard; a permitted socket stays permitted. Only the sends of a guard's own context, threads and jobs are
judged.
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

from pytest_test_categories._attribution.origin import Scope, ScopeKind, charge, current, scope_here
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
"""Argument positions: ``close_fds``, descriptors to keep, the child's ends of three pipes, ``preexec_fn``."""

_LOOP_STARTS: Final = ("subprocess_exec", "subprocess_shell")

_HERE: Final = Scope(ScopeKind.EXPECT, None, "")
"""Marks, in place of a guard, a socket that this process accepted or paired: it reaches no new peer."""
KEPT: Final = 256
"""The number of remembered sockets from which closed ones are first removed."""


class _Cleared(weakref.ref[Any]):
    """A reference to a socket, with the guard that has permitted it to send."""

    __slots__ = ("scope",)
    scope: Scope


class _Seen:
    """What is known about sockets, by identity: the mutable state of this module.

    Attributes:
        cleared: For each socket that a guard has permitted to send, a reference that knows the guard.
        reported: The guards that have recorded the socket's connect and let it proceed (warn mode).
        proofs: By descriptor, the cheap proof that was the right one the last time.
        sends: The wrappers that are in place.
        sweep_at: The number of entries in ``cleared`` from which those of deleted sockets are removed.
    """

    def __init__(self) -> None:
        self.cleared: dict[int, _Cleared] = {}
        self.reported: dict[int, tuple[set[int], weakref.ref[Any]]] = {}
        self.proofs: dict[int, Callable[[int], bool]] = {}
        self.sends: Sends | None = None
        self.sweep_at = KEPT


seen: Final = _Seen()
_proofs: Final = seen.proofs

_STANDARD: Final = range(3)
"""Descriptors of a program's standard input, output and error."""
_NONBLOCKING: Final = getattr(_socket, "SOCK_NONBLOCK", 0)
_DESCRIPTORS: Final = "/proc/self/fd" if sys.platform == "linux" else "/dev/fd"
_CLOSE_FROM: Final = getattr(os, "POSIX_SPAWN_CLOSEFROM", -1)  # from 3.13 on
_NUMBERS: Final = 3  # the leading parts of a file action: the operation, and up to two descriptors
# S_IFMT, S_IFSOCK and S_IFIFO of stat.h: the file type's bits, a socket's type, and a pipe's
_FORMAT, _SOCKET, _PIPE = 0o170000, 0o140000, 0o010000


def _known_as(descriptor: int) -> Any:
    """Return the remembered socket that has this descriptor; None if there is none."""
    for known in (*list(seen.cleared.values()), *(known for _, known in list(seen.reported.values()))):
        sock = known()
        with contextlib.suppress(Exception):  # an unknown class, whose fileno() may raise anything
            if sock is not None and sock.fileno() == descriptor:
                return sock
    return None


def _fileno(file: Any) -> Any:
    with contextlib.suppress(Exception):  # not a file, or an unknown class
        return file.fileno()
    return None


def _number(descriptor: Any) -> Any:
    """Return the number that C code reads from a descriptor, even of a subclass of int; other values unchanged."""
    if type(descriptor) is int:
        return descriptor
    with contextlib.suppress(TypeError):
        return int.__index__(descriptor)
    with contextlib.suppress(Exception):  # the call itself raises the error
        return operator.index(descriptor)
    return descriptor


def _plain_action(action: Any) -> Any:
    """Return one of ``posix_spawn``'s file actions as the C code reads it."""
    try:
        parts = list(tuple.__iter__(action))
        return (*map(_number, parts[:_NUMBERS]), *parts[_NUMBERS:])
    except TypeError:  # not a tuple: the call itself raises the error
        return action


def _own_outputs() -> frozenset[tuple[int, int]]:
    """Return inode and device of this program's standard streams: in a service these may be sockets, and be copied."""
    found = set()
    for descriptor in _STANDARD:
        with contextlib.suppress(OSError):  # the descriptor is closed
            found.add(System.fstat(descriptor)[1:3])
    return frozenset(found)


_own: Final = _own_outputs()


def _is_foreign_socket(descriptor: int) -> bool:
    """Return whether a descriptor is a socket, and not a copy of this process's original standard streams.

    Raises:
        OSError: The descriptor is closed, or the number is too large.
    """
    mode, *which = System.fstat(descriptor)[:3]
    if mode & _FORMAT != _SOCKET:
        _find_proof(descriptor, mode, which[1])
        return False
    # Where the system gives sockets no inode numbers, only the standard descriptors themselves can be recognized.
    return tuple(which) not in _own or not (which[0] or descriptor in _STANDARD)


# Proofs that a descriptor is no socket. ``fstat`` would be one, too, but takes twice to three times as long. What is
# remembered is which proof to try first, and never its answer: nobody is told when a descriptor is closed and native
# code opens a socket that gets the same number.


def _has_position(descriptor: int) -> bool:
    """Return whether a descriptor has a position, which no socket has.

    Raises:
        OSError: It has none.
    """
    return System.lseek(descriptor, 0, os.SEEK_CUR) >= 0


def _is_on(device: int) -> Callable[[int], bool]:
    """Return a proof that a descriptor is on a device that is not that of sockets: Linux has one for pipes."""
    fstatvfs = System.fstatvfs
    return lambda descriptor: fstatvfs(descriptor).f_fsid == device


def _is_no_socket(descriptor: int) -> bool:
    """Return whether a cheap proof shows that a descriptor is no socket."""
    try:
        return _proofs[descriptor](descriptor)
    except (KeyError, OSError):
        return False


def _find_proof(descriptor: int, mode: int, device: int) -> None:
    """Note which cheap proof shows that a descriptor is no socket, if any does.

    Args:
        descriptor: The descriptor.
        mode: Its file type.
        device: Its device. On Linux, that of pipes and that of sockets are also the ids of their file systems.
    """
    candidates: tuple[Callable[[int], bool], ...] = (_has_position, System.isatty)
    if mode & _FORMAT == _PIPE:
        candidates = (_is_on(device),) if sys.platform == "linux" and device else ()
    for candidate in candidates:
        with contextlib.suppress(OSError):
            if candidate(descriptor):
                seen.proofs[descriptor] = candidate
                return


def _inheritable_sockets() -> set[tuple[int, int, int]]:
    """Return descriptor, inode and device of the sockets that a program would inherit, beside its standard streams."""
    try:
        named = [int(name) for name in System.listdir(_DESCRIPTORS)]
    except (OSError, ValueError):  # there is no such directory
        return set()
    found = set()
    for descriptor in named:
        with contextlib.suppress(OSError):  # the descriptor used to read the directory is closed by now
            if descriptor not in _STANDARD and System.get_inheritable(descriptor) and _is_foreign_socket(descriptor):
                found.add((descriptor, *System.fstat(descriptor)[1:3]))
    return found


_inherited: Final = _inheritable_sockets()
"""The inheritable sockets that were open when the layers were loaded."""
our_family.inherited = frozenset(inode for *_, inode, _device in (*_inherited, *_own))


def _peer_of(descriptor: int) -> tuple[int, Any, int]:
    """Return a socket's family, its peer's address and, for a unix socket, its peer's process.

    The socket itself is not changed.

    Raises:
        OSError: The descriptor is not a socket, or the socket has no peer.
    """
    if _NONBLOCKING:
        # A socket object made from a descriptor applies the default timeout to it, unless its type says SOCK_NONBLOCK.
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
    """Return the guard that has permitted a socket to send, if any."""
    known = seen.cleared.get(identity(sock))
    return known.scope if known is not None and known() is sock else None


def _clear(sock: Any, scope: Scope) -> None:
    """Permit a socket to send under a guard, without asking the judge again."""
    if len(seen.cleared) >= seen.sweep_at:
        _sweep()
    try:
        known = _Cleared(sock)
    except TypeError:  # it takes no weak reference: the judge is asked each time
        return
    known.scope = scope
    seen.cleared[identity(sock)] = known


def note_connected(sock: Any) -> None:
    """Permit a unix socket to send, since its connect has just been judged.

    Its peer's name would not do: that is the name which the server gave to the socket.
    """
    charged = charge()
    if charged is not None and charged.scopes:
        _clear(sock, charged.scopes[0])


def _sweep() -> None:
    """Forget deleted sockets: a sweep costs a fraction of weak references with a callback."""
    for number, entry in seen.cleared.copy().items():
        if entry() is None:
            taken = seen.cleared.pop(number, entry)
            if taken is not entry:  # another thread has stored a new socket with the same identity
                seen.cleared.setdefault(number, taken)
    seen.sweep_at = max(KEPT, 2 * len(seen.cleared))


def note_reported(sock: Any, serials: set[int]) -> None:
    """Remember the guards that recorded a socket's connect and let it proceed: they don't report its sends again."""
    number = identity(sock)
    known, _ = seen.reported.get(number, (set(), None))
    with contextlib.suppress(TypeError):  # a plain _socket.socket, whose sends no wrapper sees
        seen.reported[number] = (known | serials, weakref.ref(sock, lambda _: seen.reported.pop(number, None)))


def is_reported(sock: Any, serial: int) -> bool:
    """Return whether a guard has recorded the connect of this socket."""
    known = seen.reported.get(identity(sock))
    return known is not None and serial in known[0]


def forget() -> None:
    """Forget all sockets, once no guard is active."""
    seen.sweep_at = KEPT
    seen.cleared.clear()
    seen.reported.clear()
    seen.proofs.clear()


def _first(_instance: Any, args: tuple[Any, ...]) -> Any:
    return args[0] if args else None


def _unless_addressed(instance: Any, args: tuple[Any, ...]) -> Any:
    addressed = len(args) > 3 and args[3] is not None  # noqa: PLR2004 - sendmsg(buffers, ancdata, flags, address)
    return None if addressed else instance


def _reader(process: int) -> Callable[[Kind, int, Any], Sight | None]:
    """Return a reader for the peer of a unix socket, judged by its process where that is known, and not by its name.

    By now the name may belong to another socket, or to none.
    """

    def read(kind: Kind, family: int, address: Any) -> Sight | None:
        sight = read_address(kind, family, address)
        if sight is None or family != AF_UNIX or not process or not can_ask():
            return sight
        return sight._replace(reach=Reach.MACHINE, stays=functools.partial(our_family.has, process))

    return read


def _writing(wrapped: Any) -> Any:
    """Return the function in the place of ``os.write``.

    It refers to little besides functions of this module, so that tools that send a function's code can send it.
    """
    proofs = seen.proofs

    def write(_home: object, fd: Any, data: Any, /) -> Any:
        __tracebackhide__ = True
        try:
            known = type(fd) is int and proofs[fd](fd)  # as ``_is_no_socket``
        except (KeyError, OSError):
            known = False
        return wrapped(fd if known else _judged(fd), data)

    return write


def _judged(descriptor: Any) -> Any:
    """Judge a connection that is written to, and return its descriptor, converted once."""
    __tracebackhide__ = True
    number = _number(descriptor)
    if seen.sends is not None:
        seen.sends.check_if_socket("os.write", number)
    return number


class Sends:
    """Creates the wrappers, each bound to the judge that it asks."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge

    def method(self, route: str) -> Any:
        """Return a wrapper for a method of a socket that sends."""
        check = self.check

        def wrapper(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            __tracebackhide__ = True
            check(route, instance)
            return wrapped(*args, **kwargs)

        return wrapper

    def direct(self, route: str) -> Callable[[Any], Callable[..., Any]]:
        """Return what makes, of a C method that sends, the function that its calls run."""
        check, cleared = self.check, seen.cleared.get

        def make(method: Any) -> Callable[..., Any]:
            def call(sock: Any, *args: Any, **kwargs: Any) -> Any:
                __tracebackhide__ = True
                known = cleared(identity(sock))
                if (
                    known is None
                    or known() is not sock
                    or not ((scope := known.scope) is current.get() or scope is _HERE or scope is scope_here())
                    or not scope.open
                ):
                    check(route, sock)
                return method(sock, args[0]) if len(args) == 1 and not kwargs else method(sock, *args, **kwargs)

            return call

        return make

    def function(self, route: str, find: Callable[[Any, tuple[Any, ...]], Any]) -> Any:
        """Return a wrapper for a function that sends; ``find`` returns its socket, or None, from the call."""

        def wrapper(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            __tracebackhide__ = True
            self.check(route, find(instance, args))
            return wrapped(*args, **kwargs)

        return wrapper

    def check(self, route: str, sock: Any) -> None:
        """Ask the judge about a connection, unless it is known to be permitted."""
        __tracebackhide__ = True
        known = _cleared_for(sock)
        if known is _HERE:
            return
        here = scope_here()
        if here is not None and here is known:
            return
        if here is not None and here.memo and isinstance(sock, _socket.socket):
            # The guard has permitted a connect to this peer, usually that of this socket.
            try:
                if (Kind.CONNECT, _socket.socket.getpeername(sock)) in here.memo:
                    _clear(sock, here)
                    return
            except OSError:  # not connected: the call itself raises the error
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
        # The connect of a datagram socket sends nothing, and was not judged.
        datagram = type_of(real) == _socket.SOCK_DGRAM
        # Debuggers, reporters and execnet gateways send from their own threads; leftovers are judged when they connect.
        if not datagram and (charged.late or charged.unattributed or scope.kind is ScopeKind.COLLECT):
            return
        try:
            peer = _socket.socket.getpeername(real)
        except OSError:  # not connected: the call itself raises the error
            return
        if peer:  # one end of a socket pair has no name
            family = family_of(real)
            kind = Kind.SEND if datagram and family in IP_FAMILIES else Kind.REUSE
            read = read_address if family != AF_UNIX else _reader(peer_process(real))
            self._judge(kind, route, family, peer, real, read)
        _clear(sock, scope)

    def descriptor(self, route: str, at: int, name: str = "") -> Any:
        """Return a wrapper for a C function that writes to a descriptor, its argument number ``at`` or ``name``."""
        check = self.check_if_socket

        def wrapper(wrapped: Any, _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            __tracebackhide__ = True
            given = args[at] if at < len(args) else kwargs.get(name)
            if type(given) is not int or not _is_no_socket(given):
                number = _number(given)
                if number is not given:  # converted once: the next __index__ call may return another descriptor
                    args = (*args[:at], number, *args[at + 1 :]) if at < len(args) else args
                    kwargs = kwargs if at < len(args) else {**kwargs, name: number}
                check(route, number)
            return wrapped(*args, **kwargs)

        return wrapper

    def connection(self, wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Judge what multiprocessing sends on a connection: it binds ``os.write`` when it is imported."""
        __tracebackhide__ = True
        self.check_if_socket("multiprocessing.connection", _fileno(instance))
        return wrapped(*args, **kwargs)

    def fork_exec(self, wrapped: Any, _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Judge the connections that a new program receives as standard streams, or that are kept open for it."""
        __tracebackhide__ = True
        if len(args) > _ERROR_WRITE:
            kept = tuple.__iter__(args[_TO_KEEP]) if isinstance(args[_TO_KEEP], tuple) else ()
            for found in (args[_INPUT_READ], args[_OUTPUT_WRITE], args[_ERROR_WRITE], *kept):
                self.check_if_socket("subprocess", found)
            closed_from = _STANDARD.stop if args[_CLOSES_OTHERS] else None
            self._check_inherited("subprocess", closed_from=closed_from)
            if len(args) > _BEFORE and callable(args[_BEFORE]):
                args = (*args[:_BEFORE], self._after(args[_BEFORE], closed_from), *args[_BEFORE + 1 :])
        return wrapped(*args, **kwargs)

    def _after(self, before: Callable[[], object], closed_from: int | None) -> Callable[[], None]:
        """Return a ``preexec_fn`` that calls the given one, and then judges the descriptors as it leaves them."""

        def both() -> None:
            before()
            self._check_inherited("subprocess", closed_from=closed_from)

        return both

    def posix_spawn(self, wrapped: Any, _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Judge the connections that a program receives by ``file_actions``; subprocess uses them from 3.13 on."""
        __tracebackhide__ = True
        actions: Any = ()
        if kwargs.get("file_actions"):
            with contextlib.suppress(TypeError):  # the call itself raises the error
                # Read once: it may be an iterator, and its members may have other values the next time.
                actions = kwargs["file_actions"] = [_plain_action(action) for action in kwargs["file_actions"]]
        named: dict[Any, set[int]] = {}
        for action in actions:
            if type(action) is tuple and len(action) > 1 and type(action[1]) is int:
                named.setdefault(action[0], set()).add(action[1])
        sources = named.get(os.POSIX_SPAWN_DUP2, set())
        for descriptor in sources:
            self.check_if_socket("os.posix_spawn", descriptor)
        closed = named.get(os.POSIX_SPAWN_CLOSE, set()) - sources
        self._check_inherited("os.posix_spawn", closed, min(named.get(_CLOSE_FROM, ()), default=None))
        return wrapped(*args, **kwargs)

    def inherits(self, route: str) -> Any:
        """Return a wrapper for a function that runs a program, which gets all inheritable descriptors."""

        def wrapper(wrapped: Any, _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            __tracebackhide__ = True
            # execvp calls this for every directory of the search path.
            if route == "os.system" or not (args and isinstance(args[0], (str, bytes))) or System.exists(args[0]):
                self._check_inherited(route)
            return wrapped(*args, **kwargs)

        return wrapper

    def loop_subprocess(self, wrapped: Any, _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Judge the connections that a program started by libuv receives as standard streams or in ``pass_fds``."""
        __tracebackhide__ = True
        for name in ("stdin", "stdout", "stderr"):
            given = kwargs.get(name)
            number = _number(given)
            self.check_if_socket("uvloop.subprocess", number if type(number) is int else _fileno(given))
        kept = kwargs.get("pass_fds")
        if kept:
            with contextlib.suppress(TypeError):  # the call itself raises the error
                kept = kwargs["pass_fds"] = tuple(kept)
                for found in kept:
                    self.check_if_socket("uvloop.subprocess", found)
        closes_others = kwargs.get("close_fds") is not False
        self._check_inherited("uvloop.subprocess", closed_from=_STANDARD.stop if closes_others else None)
        return wrapped(*args, **kwargs)

    def check_file(self, file: Any) -> None:
        """Judge the connection that a file object is made from, which then writes to it in C."""
        __tracebackhide__ = True
        self.check_if_socket("os.fdopen", file)

    def check_if_socket(self, route: str, descriptor: Any) -> None:
        __tracebackhide__ = True
        number = _number(descriptor)
        if type(number) is int and number >= 0 and not _is_no_socket(number):
            try:
                foreign = _is_foreign_socket(number)
            except (OSError, OverflowError):  # the call itself raises the error
                return
            if foreign:
                self.check_descriptor(route, number)

    def _check_inherited(self, route: str, closed: Collection[int] = (), closed_from: int | None = None) -> None:
        """Judge the connections that are a program's standard streams or are marked as inheritable.

        Those that were open before the layers were loaded are left out: they may belong to an agent that started this
        process.

        Args:
            route: The entry point.
            closed: Inheritable descriptors that the program does not receive.
            closed_from: The program receives no descriptor from this number on.
        """
        __tracebackhide__ = True
        for descriptor in _STANDARD:
            self.check_if_socket(route, descriptor)
        if closed_from is not None and closed_from <= _STANDARD.stop:
            return
        for descriptor, *_ in _inheritable_sockets() - _inherited:
            if descriptor not in closed and (closed_from is None or descriptor < closed_from):
                self.check_descriptor(route, descriptor)

    def check_descriptor(self, route: str, descriptor: int) -> None:
        """Ask the judge about a connection of which only the descriptor is known."""
        __tracebackhide__ = True
        charged = charge()
        if charged is None or not charged.scopes or charged.late or charged.unattributed:
            return
        scope = charged.scopes[0]
        if scope.kind is ScopeKind.COLLECT:
            return
        try:
            family, peer, process = _peer_of(descriptor)
        except OSError:  # not connected: the call itself raises the error
            return
        if not peer:  # one end of a socket pair has no name
            return
        sock = _known_as(descriptor)
        if sock is None or _cleared_for(sock) not in {_HERE, scope}:
            self._judge(Kind.REUSE, route, family, peer, sock, _reader(process))

    @staticmethod
    def accept(wrapped: Any, _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Note a connection that a server of this process accepted."""
        answer = wrapped(*args, **kwargs)
        if isinstance(answer, tuple) and isinstance(answer[0], _socket.socket):
            _clear(answer[0], _HERE)
        return answer

    @staticmethod
    def accepting(wrapped: Any, _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Note the socket on which Windows' proactor is about to accept a connection."""
        sock = wrapped(*args, **kwargs)
        _clear(sock, _HERE)
        return sock

    @staticmethod
    def pair(wrapped: Any, _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Note both ends of a socket pair, which is a loopback connection on systems without socket pairs."""
        ends = wrapped(*args, **kwargs)
        for end in ends:
            _clear(end, _HERE)
        return ends


def class_rows(sends: Sends, cls: type[Any]) -> list[EntryPoint]:
    """Return the rows for ``socket.socket`` itself, except its ``sendmsg``, which may carry an address."""
    return [
        *(
            EntryPoint("socket", name, sends.method(f"socket.{name}"), owner=cls, direct=sends.direct(f"socket.{name}"))
            for name in ("send", "sendall", "sendfile")
        ),
        EntryPoint("socket", "accept", sends.accept, owner=cls),
    ]


def entry_points(sends: Sends) -> list[EntryPoint]:
    """Return the rows for what sends without ``socket.socket``'s methods, or bound them before they were wrapped."""
    seen.sends = sends
    return [
        EntryPoint("socket", "socketpair", sends.pair),
        EntryPoint("socket", "_fallback_socketpair", sends.pair),
        # These write to the descriptor in C.
        EntryPoint("os", "write", sends.descriptor("os.write", 0), direct=_writing),
        *(EntryPoint("os", name, sends.descriptor(f"os.{name}", 0, "out_fd")) for name in ("writev", "sendfile")),
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
    """Return the rows that judge what a program inherits; they must be installed last on the functions that start it.

    They are then outside the wrappers that pass policies to child processes, which call the function in their own way.
    """
    sends = Sends(judge)
    return [EntryPoint("os", name, sends.inherits(f"os.{name}")) for name in ("execv", "execve", "system")]
