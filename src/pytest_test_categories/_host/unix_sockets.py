"""Ownership of unix sockets: which ones belong to this process and its family, whatever path reaches them.

A family is a process that guards tests (its root) and all processes that it has started. A socket in the file system is
identified by device, inode and modification time, since inodes are used again; one in Linux' abstract namespace by its
name, as long as it is open. The sockets that this process binds are noted. Those of the other processes are found so:

- On Linux the system reports what each unix socket is bound to (sock_diag(7)), and which processes hold it (proc(5)).
  This works for programs in any language.
- Elsewhere, Python processes write the paths that they bind into a file that their family shares.

If a path does not exist yet, and lies in a directory for temporary files that only one user can write to, only the
family will create it: connecting to it is permitted until something is there.

A daemon that has left the family does not belong to it. Named pipes of Windows are identified by their names, in the
same way.
"""

from __future__ import annotations

import _socket
import contextlib
import functools
import json
import os
import struct
import sys
import tempfile
import weakref
from typing import TYPE_CHECKING, Final, TypeAlias

from pytest_test_categories._host.system import System
from pytest_test_categories._rules.named_tuples import NamedTuple
from pytest_test_categories._rules.policy import LookedUp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pytest_test_categories._rules.address import AllowEntry

Identity: TypeAlias = "tuple[int, int, int]"

_REMEMBERED: Final = 4096
"""The number of sockets that are remembered; on systems other than Linux no others are known."""


def identity(path: str) -> Identity | None:
    """Return device, inode and modification time of the file at a path; None if there is none."""
    try:
        stat = System.stat(path)
    except (OSError, ValueError):
        return None
    return stat.st_dev, stat.st_ino, stat.st_mtime_ns  # not st_ctime, which links and renames change


def names_denied(path: str, deny: Iterable[AllowEntry]) -> tuple[LookedUp, ...]:
    """Return the other names under which deny entries may list the socket at a path: a link may lead there.

    Args:
        path: The path to which a call connects.
        deny: The deny entries.
    """
    wanted = [entry.path for entry in deny if entry.path]
    if not wanted or path.startswith("@"):
        return ()
    found = {_absolute(path), os.path.realpath(path)}
    if (here := identity(path)) is not None:
        found.update(one for one in wanted if identity(one) == here)
    return tuple(map(LookedUp, sorted(found - {path})))


def name_of(address: object) -> str | None:
    """Return the path of a unix socket's address, or its abstract name after an ``@``; None if it is neither."""
    if isinstance(address, (bytes, bytearray)):
        address = bytes(address).decode("utf-8", "surrogateescape")
    if not isinstance(address, str):
        return None
    return "@" + address[1:] if address.startswith("\0") else address


def _absolute(path: str) -> str:
    try:
        return System.absolute(path)
    except OSError:  # the current directory is gone
        return path


class _Bound(NamedTuple):
    """What the system reports about a unix socket with a name: the socket's inode, its name, its file."""

    inode: int
    name: str
    file: int
    device: int

    def is_at(self, key: Identity) -> bool:
        """Return whether the socket is bound to a file."""
        if self.file != key[1] & 0xFFFFFFFF:  # the system reports 32 bits of the inode
            return False
        device = os.makedev(self.device >> 20, self.device & 0xFFFFF)
        # On btrfs and some overlay file systems a file has another device number than its file system.
        return device == key[0] or identity(self.name) == key


class Family:
    """The unix sockets of a process and of the processes that it started.

    Args:
        root: The process; by default the current one, also in its forked children. If another process is given, the
            current one does not belong to the family.

    Attributes:
        inherited: Inodes (of sockets, from ``fstat``) that the root inherited from the process that started it.
        tell: See ``share``.
        told: See ``share``.
    """

    def __init__(self, root: int = 0) -> None:
        self.root = root or os.getpid()
        self._foreign = bool(root)
        self.inherited: frozenset[int] = frozenset()
        self.tell: Callable[[bytes], None] | None = None
        self.told = ""
        self._read = 0
        self._known: dict[Identity, None] = {}
        self._paths: dict[str, bool] = {}  # True while the identity of the file at the path is not known yet
        self._names: dict[str, weakref.ref[_socket.socket]] = {}

    def share(self, told: str, tell: Callable[[bytes], None]) -> None:
        """Share the paths that are bound, now and later, with the family, where the system can't report them.

        Args:
            told: The file that all processes of the family read.
            tell: Writes a line into that file.
        """
        if self.told:  # a parent process has already named the file
            return
        self.told, self.tell = told, tell
        if self._paths and not can_ask():
            for path in list(self._paths):
                tell(json.dumps([path, identity(path)]).encode())

    def note(self, sock: object, address: object) -> None:
        """Note the address to which a socket of this process was bound."""
        path = name_of(address)
        if path and not path.startswith("@"):
            self._add(_absolute(path), identity(path))
        elif path is not None and isinstance(sock, _socket.socket):
            with contextlib.suppress(OSError):
                if name := name_of(_socket.socket.getsockname(sock)):
                    self._names[name] = weakref.ref(sock, lambda _: self._names.pop(name, None))

    def note_path(self, address: object) -> None:
        """Note a path that is about to be bound, where the system can't report it afterwards."""
        path = name_of(address)
        if path and not path.startswith("@") and not can_ask() and identity(path) is None:
            self._add(_absolute(path), None)

    def note_pipe(self, name: str) -> None:
        """Note that this process serves a named pipe of Windows."""
        self._add(name.lower(), None)

    def has_pipe(self, name: str) -> bool:
        """Return whether a process of the family has served a named pipe."""
        if name.lower() not in self._paths:
            self._hear()
        return name.lower() in self._paths

    def _add(self, path: str, key: Identity | None) -> None:
        self._keep(path, key)
        if self.tell is not None and not can_ask():
            self.tell(json.dumps([path, key]).encode())

    def _keep(self, path: str, key: Identity | None) -> None:
        self._paths[path] = key is None
        if key is not None:
            self._known[key] = None
        with contextlib.suppress(StopIteration, KeyError, RuntimeError):  # another thread may do so at the same time
            if len(self._known) > _REMEMBERED:
                del self._known[next(iter(self._known))]
            if len(self._paths) > _REMEMBERED:
                del self._paths[next(iter(self._paths))]

    def knows(self, name: str) -> bool:
        """Return whether a path or abstract name is known to be a socket of the family, also after its removal."""
        if name.startswith("@"):
            ref = self._names.get(name)
            sock = None if ref is None else ref()
            return sock is not None and _socket.socket.fileno(sock) >= 0
        key = identity(name)
        if key is not None and key in self._known:
            return True
        if not self._paths:
            return False
        path = _absolute(name)
        if key is None or not self._paths.get(path, False):
            return key is None and path in self._paths
        self._keep(path, key)  # the first look at the file since the path was bound
        return True

    def holds(self, name: str) -> bool:
        """Return whether a process of the family holds the socket at a path or abstract name.

        Args:
            name: The path or name as this process sees it.
        """
        abstract = name.startswith("@")
        key = None if abstract else identity(name)
        if not can_ask():
            self._hear()
            return self.knows(name) or (key is None and not abstract and _is_private(name))
        if key is None and not abstract:
            return _is_private(name)
        with contextlib.suppress(OSError):  # for example, no descriptor is free
            found = _bound_to(name, key)
            for pause in _PAUSES if not found and key is not None and _is_private(name) else ():
                System.sleep(pause)  # the file appears a moment before the socket
                if found := _bound_to(name, key):
                    break
            wanted = {f"socket:[{one.inode}]" for one in found if one.inode not in self.inherited}
            if wanted and any(_holds(process, wanted) for process in self._processes()):
                if key is not None:
                    self._keep(_absolute(name), key)
                return True
        return False

    def has(self, process: int) -> bool:
        """Return whether a process belongs to the family; only the current one does where the system can't tell."""
        if process == os.getpid():
            return True
        with contextlib.suppress(OSError):
            return process > 0 and can_ask() and process in self._processes()
        return False

    def _hear(self) -> None:
        """Read the paths that other processes of the family have bound."""
        with contextlib.suppress(OSError):  # no process has bound any yet
            data = System.contents(self.told)
            lines, self._read = data[self._read :].splitlines(), len(data)
            for line in lines:
                with contextlib.suppress(ValueError, TypeError):  # an incomplete line: its writer was killed
                    path, key = json.loads(line)
                    self._keep(path, None if key is None else tuple(key))

    def _processes(self) -> Iterator[int]:
        """Yield the ids of the family's processes, likely ones first: the wanted one is mostly among these."""
        found = [self.root] if self._foreign else list(dict.fromkeys((os.getpid(), self.root)))
        yield from found
        children: dict[int, list[int]] = {}
        for entry in System.listdir("/proc"):
            if entry.isdigit():
                with contextlib.suppress(OSError):  # the process has ended
                    status = System.contents(f"/proc/{entry}/stat")
                    parent = int(status.rpartition(b")")[2].split()[1])
                    children.setdefault(parent, []).append(int(entry))
        for process in found:
            born = children.pop(process, [])
            yield from born
            found += born


def _is_private(path: str) -> bool:
    """Return whether a path lies where only one user creates files: in a private directory below the temporary one."""
    top, at, private = tempfile.gettempdir(), _absolute(path), None
    while path and not _is_link(at):
        parent = os.path.dirname(at)
        if parent == at:
            break
        at = parent
        with contextlib.suppress(OSError):  # the parent does not exist either
            stat = System.stat(at)
            others = 0o022 if private is None else 0o077  # others may write to the innermost, or enter an outer one
            private = private or not stat.st_mode & others
            if os.path.samestat(stat, System.stat(top)):
                return private
    return False


def _is_link(path: str) -> bool:
    try:
        return bool(System.readlink(path))
    except OSError:
        return False


our_family: Final = Family()


# -- what Linux reports ------------------------------------------------------------------------------------------------

_NETLINK, _RAW, _SOCK_DIAG = 16, 3, 4
_HEADER: Final = struct.Struct("=IHHII")  # size, type, flags, number, process
_ASK: Final = struct.Struct("=BBHIIIII")  # family, protocol, padding, states, inode, what to show, cookie
_ONE: Final = struct.Struct("=BBBxI8x")  # family, type, state, inode
_BY_FAMILY, _ALL_OF_THEM, _DONE, _ERROR = 20, 0x301, 3, 2
_SHOW_NAME, _SHOW_FILE = 1, 2
_NAME, _FILE = 0, 1
_CONNECTED: Final = 1
_EVERY: Final = 0xFFFFFFFF
_LARGEST: Final = 1 << 16
_PAUSES: Final = (0.001, 0.004, 0.016, 0.032)


@functools.cache
def can_ask() -> bool:
    """Return whether the system reports which process holds a unix socket."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, ValueError, struct.error):
            # A /proc of another PID namespace would list other processes.
            return int(System.readlink("/proc/self")) == os.getpid() and _bound_sockets() is not None
    return False


def _bound_sockets() -> list[_Bound]:
    """Return the unix sockets to which a process may connect or send.

    Raises:
        OSError: The system does not report them.
    """
    sock = _socket.socket(_NETLINK, _RAW, _SOCK_DIAG)
    try:
        sock.setblocking(True)
        sock.send(
            _HEADER.pack(_HEADER.size + _ASK.size, _BY_FAMILY, _ALL_OF_THEM, 1, 0)
            + _ASK.pack(_socket.AF_UNIX, 0, 0, _EVERY, 0, _SHOW_NAME | _SHOW_FILE, _EVERY, _EVERY)
        )
        found: list[_Bound] = []
        while _take(sock.recv(_LARGEST), found):
            pass
        return found
    finally:
        sock.close()


def _bound_to(name: str, key: Identity | None) -> list[_Bound]:
    return [one for one in _bound_sockets() if (one.name == name if key is None else one.is_at(key))]


def _take(data: bytes, found: list[_Bound]) -> bool:
    """Add the sockets in a message to ``found``, and return whether more messages follow."""
    at = 0
    while at < len(data):
        size, what, *_ = _HEADER.unpack_from(data, at)
        if what == _ERROR:
            raise OSError(-struct.unpack_from("=i", data, at + _HEADER.size)[0], "sock_diag")
        if what == _DONE:
            return False
        _family, kind, state, inode = _ONE.unpack_from(data, at + _HEADER.size)
        facts = dict(_attributes(data, at + _HEADER.size + _ONE.size, at + size))
        # A connection that a server has accepted has the server's name, too.
        if facts and not (state == _CONNECTED and kind != _socket.SOCK_DGRAM):
            name = facts.get(_NAME, b"")
            text = name if name.startswith(b"\0") else name.partition(b"\0")[0]
            file, device = struct.unpack("=II", facts[_FILE]) if _FILE in facts else (0, 0)
            found.append(_Bound(inode, name_of(text) or "", file, device))
        at += (size + 3) & ~3
    return True


def _attributes(data: bytes, at: int, end: int) -> Iterator[tuple[int, bytes]]:
    while at + 4 <= end:
        size, what = struct.unpack_from("=HH", data, at)
        yield what, data[at + 4 : at + size]
        at += (max(size, 4) + 3) & ~3


def _holds(process: int, wanted: set[str]) -> bool:
    """Return whether a process has a descriptor whose target, as /proc names it, is among the wanted ones."""
    directory = f"/proc/{process}/fd"
    with contextlib.suppress(OSError):  # the process has ended, or belongs to another user
        for entry in System.listdir(directory):
            with contextlib.suppress(OSError):  # the descriptor is closed by now
                if System.readlink(f"{directory}/{entry}") in wanted:
                    return True
    return False


def peer_process(sock: _socket.socket) -> int:
    """Return the process that called ``listen`` at the other end of a stream socket; 0 if it is not known."""
    option = getattr(_socket, "SO_PEERCRED", None)
    if option is None:
        return 0
    try:
        return int(struct.unpack("=3i", _socket.socket.getsockopt(sock, _socket.SOL_SOCKET, option, 12))[0])
    except (OSError, struct.error):
        return 0
