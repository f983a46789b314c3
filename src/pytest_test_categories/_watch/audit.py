"""The audit hook: judges the calls that bypass the wrappers.

``_socket.socket``, and methods bound before the wrapping, call no wrapper but do raise audit events. A hook can't be
removed, so there is one for each process: a module-level function that returns at once for other events, and does
nothing while no guard is active.
"""

from __future__ import annotations

import _socket
import sys
from typing import TYPE_CHECKING, Any, Final

from pytest_test_categories._attribution.origin import current, is_here, memo_of_thread
from pytest_test_categories._host import names, unix_sockets
from pytest_test_categories._rules.address import parse_ip, pipe_of
from pytest_test_categories._rules.policy import Kind
from pytest_test_categories._watch.endpoints import (
    AF_PIPE,
    AF_UNIX,
    family_of,
    kind_of_bind,
    numeric_host,
    read_address,
    read_bound_name,
    read_c_lookup,
    read_c_reverse,
    read_pipe,
    reader_of_connect,
    unanswered,
)
from pytest_test_categories._watch.passes import Permitted, PermittedHost, passed

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_test_categories._watch import Judge


_READS: Final = frozenset("rbt")
"""Letters in the modes of files that are opened only to be read."""


class AuditHook:
    """Asks the judge about audit events from ``start`` to ``stop``; the installed hook stays, and then does nothing.

    Attributes:
        judge: The judge; None while no guard is active.
        opened: Called with each descriptor (or path that is not a str) from which a writable file is made.
    """

    def __init__(self) -> None:
        self.judge: Judge | None = None
        self.opened: Callable[[Any], None] | None = None
        self._installed = False

    def start(self, judge: Judge, opened: Callable[[Any], None] | None = None) -> None:
        """Start asking the judge."""
        self.judge, self.opened = judge, opened
        if not self._installed:
            sys.addaudithook(_hook)
            self._installed = True

    def stop(self) -> None:
        """Stop asking the judge."""
        self.judge = None


hook: Final = AuditHook()


def _hook(event: str, args: tuple[Any, ...]) -> None:
    # By far the commonest event, of calls such as copy.deepcopy's: comparing costs less than the hash of a new text.
    if event != "builtins.id" and event in EVENTS:
        if args and type(args[-1]) is Permitted and is_here(args[-1].serial):  # the commonest call that is permitted
            return
        judge = hook.judge
        if judge is not None:
            EVENTS[event](judge, event, args)


def _socket_event(judge: Judge, event: str, args: tuple[Any, ...]) -> None:
    __tracebackhide__ = True
    # The interpreter's event carries a socket and an address; other code may raise an event of the same name.
    if len(args) != 2 or not issubclass(type(args[0]), _socket.socket):  # noqa: PLR2004 - (socket, address)
        return
    sock, address = args
    kind = _KINDS[event]
    scope = current.get()
    memo = scope.memo if scope is not None and scope.open else memo_of_thread(scope)
    if memo:
        try:
            if type(address) is tuple and type(address[0]) is str and (kind, address) in memo:
                return
        except (TypeError, IndexError):  # an address that every call refuses
            pass
    if address is None or passed(event, sock, address) or type(sock) is names.Probe:
        return
    family = family_of(sock)
    if event == "socket.bind" and family == AF_UNIX:
        unix_sockets.our_family.note_path(address)
    if kind is Kind.BIND:
        kind = kind_of_bind(kind, family)
        if read_bound_name(kind, family, address) is not None:  # it has been looked up by now
            judge(Kind.LOOKUP, f"_{event}", family, address, sock, read_bound_name)
    read = read_address if event != "socket.connect" else reader_of_connect(kind, family, sock)
    judge(kind, f"_{event}", family, address, sock, read)


def _open_event(_judge: Judge, _event: str, args: tuple[Any, ...]) -> None:
    __tracebackhide__ = True
    if len(args) > 1:  # the interpreter's event has three; other code may raise an event of the same name
        file, mode, *_ = args
        # The common case comes first to be cheap: each import opens files by their path.
        if type(file) is not str and hook.opened is not None and type(mode) is str and not _READS.issuperset(mode):
            hook.opened(file)


def _open_event_of_windows(judge: Judge, event: str, args: tuple[Any, ...]) -> None:
    __tracebackhide__ = True
    _pipe_event(judge, event, args)
    _open_event(judge, event, args)


def _pipe_event(judge: Judge, event: str, args: tuple[Any, ...]) -> None:
    __tracebackhide__ = True
    path = args[0] if args else None
    if type(path) is not str or (found := pipe_of(path)) is None:
        return
    if event == "_winapi.CreateNamedPipe":
        unix_sockets.our_family.note_pipe(found[1])
    else:
        judge(Kind.CONNECT, event, AF_PIPE, (path,), None, read_pipe)


def _name_event(judge: Judge, event: str, args: tuple[Any, ...]) -> None:
    __tracebackhide__ = True
    # The commonest calls that are permitted: a wrapper has judged it, or nothing is looked up.
    if args:
        host = args[0]
        if is_here(host.serial) if type(host) is PermittedHost else type(host) is str and parse_ip(host) is not None:
            return
    _lookup_event(judge, event, args)


def _lookup_event(judge: Judge, event: str, args: tuple[Any, ...]) -> None:
    __tracebackhide__ = True
    if len(args) < _FEWEST.get(event, 1):  # not raised by the interpreter
        return
    subject = args[0]
    kind = _KINDS[event]
    if subject is None or passed(event, subject, None):
        return
    if event == "socket.getnameinfo":
        subject = numeric_host(subject)
    port, flags, rest = None, 0, (_socket.AF_INET if event == "socket.gethostbyname" else 0, 0, 0)
    if event == "socket.getaddrinfo":
        port, flags = args[1], _flags()
        if len(args) == _ALL_OF_GETADDRINFO:
            rest = args[2:]
    read = read_c_lookup if kind is Kind.LOOKUP else read_c_reverse
    judge(kind, f"_{event}", 0, (subject, port, flags, *rest), None, unanswered(read, rest[0]))


def _flags() -> int:
    """Return the flags of the ``socket.getaddrinfo`` call that raised an event: the event does not carry them."""
    try:
        frame = sys._getframe(4)
    except ValueError:  # called from native code
        return 0
    if frame.f_code.co_name == "getaddrinfo" and frame.f_globals.get("__name__") == "socket":
        flags = frame.f_locals.get("flags", 0)
        return flags if isinstance(flags, int) else 0
    return 0


_KINDS: Final = {
    "socket.connect": Kind.CONNECT,
    "socket.bind": Kind.BIND,
    "socket.sendto": Kind.SEND,
    "socket.sendmsg": Kind.SEND,
    "socket.getaddrinfo": Kind.LOOKUP,
    "socket.gethostbyname": Kind.LOOKUP,
    "socket.gethostbyaddr": Kind.REVERSE_LOOKUP,
    "socket.getnameinfo": Kind.REVERSE_LOOKUP,
}
_ALL_OF_GETADDRINFO: Final = 5
_FEWEST: Final = {"socket.getaddrinfo": 2}
"""The number of an event's arguments that are read, where it is more than one."""
EVENTS: Final = {
    event: _socket_event
    if event in {"socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg"}
    else _name_event
    if _KINDS[event] is Kind.LOOKUP
    else _lookup_event
    for event in _KINDS
} | {
    # This handler's cost is paid for every file that is opened.
    "open": _open_event if sys.platform != "win32" else _open_event_of_windows,
    "_winapi.CreateFile": _pipe_event,
    "_winapi.CreateNamedPipe": _pipe_event,
}
