"""The ways out that the selftest tries, and the program that tries them: a test's code, and not part of the plugin.

The lab copies this file to a directory of its own, so that it is a user's file there. It imports nothing of the plugin
unless a guard is asked for.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import socket
import sys
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE: Final = 5.0
"""How many seconds a way waits for an answer."""
_BOUND: Final = socket.socket.connect


class Target(NamedTuple):
    """Where a way is to lead.

    Attributes:
        host: A numeric address.
        port: A TCP or UDP port.
        name: A name that only a name server could know.
        path: A unix socket of another process.
        group: A multicast group.
        interface: The address of the interface that would join it.
    """

    host: str
    port: int
    name: str = ""
    path: str = ""
    group: str = ""
    interface: str = ""

    @property
    def address(self) -> tuple[str, int]:
        """Host and port, as socket functions take them."""
        return self.host, self.port


class Way(NamedTuple):
    """One way out.

    Attributes:
        title: The way in a few words, for the table.
        kind: What it leads to: ``tcp``, ``tcp6``, ``udp``, ``name``, ``unix`` or ``group``.
        layer: Which layer sees it first: ``python``, ``children`` or ``kernel``.
        attempt: Tries the way.
        needs: Programs, and attributes of modules such as ``os.fork``, that it needs.
        limit: Which known limitation lets it out without the kernel layer, a key of ``LIMITS``; empty if none does.
    """

    title: str
    kind: str
    layer: str
    attempt: Callable[[Target], object]
    needs: tuple[str, ...] = ()
    limit: str = ""

    def missing(self) -> str:
        """Return what this machine lacks for it; empty if nothing."""
        return ", ".join(need for need in self.needs if not _is_there(need))


WAYS: Final[dict[str, Way]] = {}
"""The ways by id, in the order of the table."""

PAGE: Final = "https://pytest-test-categories.readthedocs.io/reference/what-it-sees/"
LIMITS: Final = {
    "programs": (
        "programs that do not load the plugin: only the kernel layer sees them; a run counts them as unwatched",
        f"{PAGE}#seen-only-by-the-linux-kernel-layer",
    ),
    "native": (
        "system calls of native code: only the kernel layer sees them",
        f"{PAGE}#seen-only-by-the-linux-kernel-layer",
    ),
    "early": (
        "a name given to _socket: CPython looks it up before the plugin sees the call; the connection is refused",
        f"{PAGE}#not-seen-or-seen-too-late",
    ),
}
"""The known limitations that ways have without the kernel layer: in words, and where the documentation has them."""


def _is_there(need: str) -> bool:
    module, dot, name = need.partition(".")
    if not dot:
        return shutil.which(need) is not None
    return hasattr(sys.modules.get(module), name)


def way(
    key: str, title: str, kind: str, layer: str, *needs: str, limit: str = ""
) -> Callable[[Callable[[Target], object]], Callable[[Target], object]]:
    """Add the decorated function to the ways."""

    def add(attempt: Callable[[Target], object]) -> Callable[[Target], object]:
        WAYS[key] = Way(title, kind, layer, attempt, needs, limit)
        return attempt

    return add


# -- Python code -------------------------------------------------------------------------------------------------------


@way("connect", "socket.connect", "tcp", "python")
def connect(target: Target) -> None:
    """Connect; pools and threads are handed this function."""
    socket.create_connection(target.address, PATIENCE).close()


@way("connect-ipv6", "socket.connect, IPv6", "tcp6", "python")
def _connect_ipv6(target: Target) -> None:
    connect(target)


@way("connect-ex", "socket.connect_ex", "tcp", "python")
def _connect_ex(target: Target) -> None:
    with socket.socket() as sock:
        sock.settimeout(PATIENCE)
        sock.connect_ex(target.address)


@way("internal", "_socket.socket.connect", "tcp", "python")
def _internal(target: Target) -> None:
    import _socket

    sock = _socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.settimeout(PATIENCE)
    sock.connect(target.address)
    sock.close()


@way("bound", "connect, bound before the guard", "tcp", "python")
def _bound(target: Target) -> None:
    with socket.socket() as sock:
        sock.settimeout(PATIENCE)
        _BOUND(sock, target.address)


@way("ssl", "ssl.SSLSocket.connect", "tcp", "python", "socket.socket")
def _ssl(target: Target) -> None:
    import ssl

    with ssl.create_default_context().wrap_socket(socket.socket(), server_hostname="selftest.test") as sock:
        sock.settimeout(PATIENCE)
        sock.connect(target.address)


@way("http", "http.client", "tcp", "python")
def _http(target: Target) -> None:
    from http.client import HTTPConnection

    HTTPConnection(*target.address, timeout=PATIENCE).request("GET", "/")


@way("asyncio", "asyncio.open_connection", "tcp", "python")
def _asyncio(target: Target) -> None:
    import asyncio

    async def go() -> None:
        _, writer = await asyncio.wait_for(asyncio.open_connection(*target.address), PATIENCE)
        writer.close()

    asyncio.run(go())


@way("thread", "a thread", "tcp", "python")
def _thread(target: Target) -> None:
    import threading

    def go() -> None:
        with contextlib.suppress(Exception):
            connect(target)

    thread = threading.Thread(target=go)
    thread.start()
    thread.join()


@way("thread-pool", "ThreadPoolExecutor", "tcp", "python")
def _thread_pool(target: Target) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        pool.submit(connect, target).result()


@way("sendto", "socket.sendto, UDP", "udp", "python")
def _sendto(target: Target) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.sendto(b"selftest", target.address)


@way("sendmsg", "socket.sendmsg, UDP", "udp", "python", "socket.CMSG_LEN")
def _sendmsg(target: Target) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.sendmsg([b"selftest"], [], 0, target.address)


@way("udp-connected", "connect and send, UDP", "udp", "python")
def _udp_connected(target: Target) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.connect(target.address)
        sock.send(b"selftest")


@way("multicast", "join of a multicast group", "group", "python")
def _multicast(target: Target) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        member = socket.inet_aton(target.group) + socket.inet_aton(target.interface)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)


@way("getaddrinfo", "socket.getaddrinfo", "name", "python")
def _getaddrinfo(target: Target) -> None:
    socket.getaddrinfo(target.name, 80)


@way("gethostbyname", "socket.gethostbyname", "name", "python")
def _gethostbyname(target: Target) -> None:
    socket.gethostbyname(target.name)


@way("internal-getaddrinfo", "_socket.getaddrinfo", "name", "python")
def _internal_getaddrinfo(target: Target) -> None:
    import _socket

    _socket.getaddrinfo(target.name, 80)


@way("unix", "a unix socket of another program", "unix", "python", "socket.AF_UNIX")
def _unix(target: Target) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(target.path)


# -- child processes in Python -----------------------------------------------------------------------------------------


def _program(target: Target) -> str:
    return f"import socket; socket.create_connection({target.address!r}, {PATIENCE}).close()"


def _run(*words: str) -> None:
    import subprocess

    subprocess.run(  # noqa: S603 - the words of a way
        words,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=4 * PATIENCE,
    )


@way("python", "Python, by subprocess", "tcp", "children")
def _python(target: Target) -> None:
    _run(sys.executable, "-c", _program(target))


@way("shell-python", "Python, by a shell", "tcp", "children", "sh")
def _shell_python(target: Target) -> None:
    _run("sh", "-c", f"{shlex.join([sys.executable, '-c', _program(target)])}; true")


@way("fork", "os.fork", "tcp", "children", "os.fork")
def _fork(target: Target) -> None:
    child = os.fork()
    if not child:
        with contextlib.suppress(Exception):
            connect(target)
        os._exit(0)
    os.waitpid(child, 0)


@way("daemon", "a daemon: fork, setsid, fork", "tcp", "children", "os.fork")
def _daemon(target: Target) -> None:
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.close(read)
        os.setsid()
        if not os.fork():
            with contextlib.suppress(Exception):
                connect(target)
        os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    os.read(read, 1)  # the end of the daemon
    os.close(read)


@way("process-pool", "ProcessPoolExecutor", "tcp", "children")
def _process_pool(target: Target) -> None:
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        pool.submit(connect, target).result()


# -- native code and programs ------------------------------------------------------------------------------------------


def _native_address(target: Target) -> bytes:
    family = socket.AF_INET.to_bytes(2, sys.byteorder)
    return family + target.port.to_bytes(2) + socket.inet_aton(target.host) + bytes(8)


@way("ctypes-connect", "connect, by ctypes", "tcp", "kernel", "os.fork", limit="native")
def _ctypes_connect(target: Target) -> None:
    import ctypes

    address = _native_address(target)
    with socket.socket() as sock:
        ctypes.CDLL(None).connect(sock.fileno(), address, len(address))


@way("ctypes-sendto", "sendto, by ctypes, UDP", "udp", "kernel", "os.fork", limit="native")
def _ctypes_sendto(target: Target) -> None:
    import ctypes

    address = _native_address(target)
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        ctypes.CDLL(None).sendto(sock.fileno(), b"selftest", 8, 0, address, len(address))


@way("internal-name", "_socket.socket.connect of a name", "name", "kernel", limit="early")
def _internal_name(target: Target) -> None:
    import _socket

    sock = _socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.connect((target.name, 80))


@way("python-isolated", "python -I", "tcp", "kernel", limit="programs")
def _python_isolated(target: Target) -> None:
    _run(sys.executable, "-I", "-c", _program(target))


@way("python-cleaned", "env -i python", "tcp", "kernel", "env", limit="programs")
def _python_cleaned(target: Target) -> None:
    _run("env", "-i", sys.executable, "-c", _program(target))


@way("curl", "curl", "tcp", "kernel", "curl", limit="programs")
def _curl(target: Target) -> None:
    host, port = target.address
    _run("curl", "-q", "-s", "--noproxy", "*", "-m", str(PATIENCE), f"http://{host}:{port}/")


@way("bash", "bash, /dev/tcp", "tcp", "kernel", "bash", limit="programs")
def _bash(target: Target) -> None:
    host, port = target.address
    _run("bash", "-c", f"exec 3<>/dev/tcp/{host}/{port}")


@way("perl", "perl", "tcp", "kernel", "perl", limit="programs")
def _perl(target: Target) -> None:
    host, port = target.address
    _run("perl", "-MIO::Socket::INET", "-e", f"IO::Socket::INET->new(PeerAddr => '{host}:{port}', Timeout => 5)")


@way("getent", "getent, a look-up", "name", "kernel", "getent", limit="programs")
def _getent(target: Target) -> None:
    _run("getent", "ahosts", target.name)


# -- the program -------------------------------------------------------------------------------------------------------


def main() -> None:
    """Try the ways of ``order.json``: its ``targets``, by way, under a guard of its ``size``, empty for no guard.

    For each way that was tried a line of ``results`` says whether the guard has a violation on record.
    """
    with open("order.json", encoding="utf-8") as file:
        order = json.load(file)
    with open("results", "w", encoding="utf-8") as results:
        for key, fields in order["targets"].items():
            reported = _try(WAYS[key], Target(*fields), order["size"])
            print(json.dumps([key, reported]), file=results, flush=True)


def _try(one: Way, target: Target, size: str) -> bool:
    """Try one way; tell whether the guard has refused anything."""
    if not size:
        with contextlib.suppress(Exception):
            one.attempt(target)
        return False
    from pytest_test_categories import network_guard

    guard = network_guard(size, "strict")
    with contextlib.suppress(Exception), guard:
        one.attempt(target)
    return bool(guard.violations)


if __name__ == "__main__":
    main()
