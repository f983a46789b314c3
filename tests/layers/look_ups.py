"""Look-ups beside a name server that counts: whether it was asked, and what a guard makes of the same call.

Runs in a network of its own (``name_server.py``); prints what does not agree, and fails then.
"""

from __future__ import annotations

import _socket
import asyncio
import ipaddress
import re
import socket
import sys
import warnings
from typing import TYPE_CHECKING, Any, Final

import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.layers import name_server  # the very module that serves

from pytest_test_categories import NetworkAccessViolationError, network_guard
from pytest_test_categories._rules.address import host_text, normal_name

if TYPE_CHECKING:
    from collections.abc import Callable

FAILURES: Final[list[str]] = []
CANONICAL: Final = socket.AI_CANONNAME
STREAM, DATAGRAM = socket.SOCK_STREAM, socket.SOCK_DGRAM


def by_socket(act: str, name: Any, family: int = socket.AF_INET, kind: int = STREAM) -> Any:
    """Give a name to a method of a socket."""
    with socket.socket(family, kind) as sock:
        sock.settimeout(1)
        address = (name, 9)
        if act == "sendto":
            return sock.sendto(b"x", address)
        if act == "sendmsg":
            return sock.sendmsg([b"x"], [], 0, address)
        return getattr(sock, act)(address)


async def by_loop(name: Any, **wanted: Any) -> Any:
    """Ask asyncio's resolver."""
    return await asyncio.get_running_loop().getaddrinfo(name, 9, **wanted)


async def by_stream(name: Any) -> None:
    """Connect as asyncio does."""
    _, writer = await asyncio.open_connection(name, 9)
    writer.close()


async def by_server(name: Any) -> None:
    """Serve as asyncio does."""
    server = await asyncio.get_running_loop().create_server(asyncio.Protocol, name, 0)
    server.close()
    await server.wait_closed()


def on_uvloop(ask: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a way that takes uvloop's event loop, whose look-ups are native."""

    def way(name: Any) -> Any:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(ask(name))

    return way


LOOK_UPS: Final[dict[str, Callable[[Any], Any]]] = {
    "getaddrinfo": lambda name: socket.getaddrinfo(name, 80),
    "getaddrinfo for IPv4": lambda name: socket.getaddrinfo(name, 80, socket.AF_INET),
    "getaddrinfo for IPv6": lambda name: socket.getaddrinfo(name, 80, socket.AF_INET6),
    "getaddrinfo, canonical": lambda name: socket.getaddrinfo(name, 80, flags=CANONICAL),
    "getaddrinfo for IPv4, canonical": lambda name: socket.getaddrinfo(name, 80, socket.AF_INET, 0, 0, CANONICAL),
    "getaddrinfo for IPv6, canonical": lambda name: socket.getaddrinfo(name, 80, socket.AF_INET6, flags=CANONICAL),
    "getaddrinfo, IPv4 will do": lambda name: socket.getaddrinfo(name, 80, socket.AF_INET6, flags=socket.AI_V4MAPPED),
    "getaddrinfo by keywords": lambda name: socket.getaddrinfo(host=name, port="http", family=socket.AF_INET, type=1),
    "getaddrinfo by IDN": lambda name: socket.getaddrinfo(name, 80, flags=0x40),
    "_socket.getaddrinfo": lambda name: _socket.getaddrinfo(name, 80),
    "_socket.getaddrinfo for IPv4": lambda name: _socket.getaddrinfo(name, 80, socket.AF_INET),
    "gethostbyname": lambda name: socket.gethostbyname(name),
    "gethostbyname_ex": lambda name: socket.gethostbyname_ex(name),
    "gethostbyaddr": lambda name: socket.gethostbyaddr(name),
    "_socket.gethostbyname": lambda name: _socket.gethostbyname(name),
    "_socket.gethostbyaddr": lambda name: _socket.gethostbyaddr(name),
    "getfqdn": lambda name: socket.getfqdn(name),
    "getnameinfo": lambda name: socket.getnameinfo((name, 80), 0),
    "asyncio's getaddrinfo": lambda name: asyncio.run(by_loop(name)),
    "asyncio's getaddrinfo for IPv4": lambda name: asyncio.run(by_loop(name, family=socket.AF_INET)),
    "uvloop's getaddrinfo": on_uvloop(by_loop),
}
"""What only looks up."""

USES: Final[dict[str, Callable[[Any], Any]]] = {
    "connect": lambda name: by_socket("connect", name),
    "connect over IPv6": lambda name: by_socket("connect", name, socket.AF_INET6),
    "connect_ex": lambda name: by_socket("connect_ex", name),
    "connect of a datagram socket": lambda name: by_socket("connect", name, kind=DATAGRAM),
    "sendto": lambda name: by_socket("sendto", name, kind=DATAGRAM),
    "sendmsg": lambda name: by_socket("sendmsg", name, kind=DATAGRAM),
    "bind": lambda name: by_socket("bind", name),
    "bind over IPv6": lambda name: by_socket("bind", name, socket.AF_INET6),
    "create_connection": lambda name: socket.create_connection((name, 9), 1),
    "create_server": lambda name: socket.create_server((name, 0)).close(),
    "open_connection": lambda name: asyncio.run(by_stream(name)),
    "asyncio's create_server": lambda name: asyncio.run(by_server(name)),
    "uvloop's create_connection": on_uvloop(by_stream),
    "uvloop's create_server": on_uvloop(by_server),
}
"""What looks up, and goes on with what it was answered."""

PAST_THE_WRAPPERS: Final = ("_socket", "uvloop")
"""Ways where the guard can refuse, but can't answer in the place of a server."""

ARGUMENTS: Final[dict[str, Callable[[str], Any]]] = {
    "service unknown": lambda name: socket.getaddrinfo(name, "no-such-service"),
    "service of the other protocol": lambda name: socket.getaddrinfo(name, "tftp", 0, STREAM),
    "service known": lambda name: socket.getaddrinfo(name, "http"),
    "service in bytes": lambda name: socket.getaddrinfo(name, b"no-such-service"),
    "service unknown, past the wrapper": lambda name: _socket.getaddrinfo(name, "no-such-service"),
    "numeric service wanted": lambda name: socket.getaddrinfo(name, "http", flags=socket.AI_NUMERICSERV),
    "port too large": lambda name: socket.getaddrinfo(name, 70000),
    "port negative": lambda name: socket.getaddrinfo(name, -1),
    "port as text": lambda name: socket.getaddrinfo(name, "70000"),
    "no port": lambda name: socket.getaddrinfo(name, None),
    "port that is none": lambda name: socket.getaddrinfo(name, 1.5),  # type: ignore[arg-type]
    "unix family": lambda name: socket.getaddrinfo(name, 80, socket.AF_UNIX),
    "family unknown": lambda name: socket.getaddrinfo(name, 80, 77),
    "type unknown": lambda name: socket.getaddrinfo(name, 80, 0, 77),
    "type raw": lambda name: socket.getaddrinfo(name, 80, 0, socket.SOCK_RAW),
    "stream over UDP": lambda name: socket.getaddrinfo(name, 80, 0, STREAM, socket.IPPROTO_UDP),
    "UDP": lambda name: socket.getaddrinfo(name, 80, 0, 0, socket.IPPROTO_UDP),
    "protocol unknown": lambda name: socket.getaddrinfo(name, 80, 0, 0, 250),
    "flags unknown": lambda name: socket.getaddrinfo(name, 80, flags=1 << 20),
    "flags too large": lambda name: socket.getaddrinfo(name, 80, flags=1 << 40),
    "numeric host wanted": lambda name: socket.getaddrinfo(name, 80, flags=socket.AI_NUMERICHOST),
    "of configured families": lambda name: socket.getaddrinfo(name, 80, flags=socket.AI_ADDRCONFIG),
    "to serve": lambda name: socket.getaddrinfo(name, 80, flags=socket.AI_PASSIVE),
    "getnameinfo with unknown flags": lambda _name: socket.getnameinfo(("198.51.100.1", 80), 1 << 20),
    "getnameinfo with flags": lambda _name: socket.getnameinfo(("198.51.100.1", 80), socket.NI_NAMEREQD),
    "getnameinfo with a number wanted": lambda _name: socket.getnameinfo(("198.51.100.1", 80), socket.NI_NUMERICHOST),
    "getnameinfo with a bad port": lambda _name: socket.getnameinfo(("198.51.100.1", 70000), 0),
}
"""The same name with other arguments."""

FOREIGN: Final = (
    *("t.example", "t.example.", "_t.example", "t.-example", "t-.example", "256.1.1.1", "1.2.3.4.5", "1.2.3.4."),
    *("nosuch.invalid", "xn--tda.example", "\u00fc.example", "t\u3002example", "T.EXAMPLE", "a" * 63 + ".example"),
    *(b"t.example", b"\xc3\xbc.example", b".", ".", "1e5", "0x", "09.1.1.1", "t.exa\u0130ple"),
    *(
        "/",
        "[::1]",
        "[::1]x",
        "localhost:8080",
        "127.0.0.1/8",
        "http://t.example",
        "user@host",
        "a b.example",
        "-t.example",
    ),
    *("localhost ", " localhost", "::1q", "*.example.com", "127.0.0.1%lo", "t.example%lo", "a,b", "~", "\t", "a\nb"),
    *(
        "a" * 64 + ".example",
        ".".join(["a" * 50] * 5),
        ".".join(["a" * 63] * 4),
        "a." * 127 + "a",
        "a." * 127,
        "a" * 255,
    ),
    *(b"a" * 64 + b".example", b"a..example", b".example", b"t.example..", b"/", b"a b.example"),
    *(
        "..",
        "t.example..",
        "a..b",
        ".t",
        "a\\",
        "a\\.b.example",
        "a\\046b.example",
        "a\\\\b",
        "\\045t.example",
        "\\256",
    ),
    *("/\0", "t.example\0", b"t.example\0x", b"/\0", "", " ", "<broadcast>", "1.2.3.4 ", "1.2.3.4 x", "12345678901"),
)
LOCAL: Final = (
    *("localhost", "LOCALHOST", "localhost.", "app.localhost", b"localhost", b"app.localhost."),
    *("box7", "BOX7", "box7.", b"box7", "0", "::ffff:127.0.0.1", "127.0.0.9", "::1"),
)
OF_HOSTS: Final = ("mine.example", "mine.example.", "MINE.example", b"mine.example.", "six.example", "six.example.")
"""Those that the hosts file maps to loopback, unless it is empty."""


def outcome(call: Callable[[Any], Any], name: Any) -> tuple[str, str]:
    """Return what comes of a call."""
    try:
        return "answer", repr(call(name))
    except NetworkAccessViolationError as error:
        return "refused", error.violation.target
    except Exception as error:
        return type(error).__name__, str(error)


def compare(
    call: Callable[[Any], Any], name: Any, size: str
) -> tuple[tuple[str, str], list[str], tuple[str, str], list[str]]:
    """Return what comes of a call and what the name server was asked: without a guard, and under one."""
    name_server.asked()
    free = outcome(call, name)
    sent = name_server.asked()
    guarded = ("nothing", "")
    try:
        with network_guard(size):
            guarded = outcome(call, name)
    except NetworkAccessViolationError:
        if guarded[0] != "refused":  # caught on its way: not what a caller expects of its own call
            guarded = ("swallowed", str(guarded))
    return free, sent, guarded, name_server.asked()


def fault_of_foreign(call: Callable[[Any], Any], name: Any, size: str) -> str:
    """Return what is wrong with a call for a name that is not this machine's; empty if nothing is."""
    free, sent, guarded, leaked = compare(call, name, size)
    if leaked:
        return f"{leaked} was asked for under a guard"
    if sent and guarded[0] != "refused":
        return f"sends {sent}, and is not refused: {guarded}"
    if not sent and guarded != free:
        return f"sends nothing, and is {guarded} in the place of {free}"
    return ""


def fault_of_local(call: Callable[[Any], Any], name: Any, size: str, *, past_the_wrappers: bool) -> str:
    """Return what is wrong with a call for a name of this machine."""
    free, sent, guarded, leaked = compare(call, name, size)
    if leaked:
        return f"{leaked} was asked for under a guard"
    if past_the_wrappers and sent:
        return "" if guarded[0] == "refused" else f"sends {sent}, and is not refused: {guarded}"
    if guarded[0] in {"refused", "swallowed"}:
        return f"is {guarded}, sends {sent or 'nothing'}"
    if not sent and guarded != free:
        return f"sends nothing, and is {guarded} in the place of {free}"
    return ""


def note(size: str, what: str, name: object, fault: str) -> None:
    """Keep a fault."""
    if fault:
        FAILURES.append(f"{size}: {what} of {name!r:.80}: {fault}")


def is_another_matter(what: str, name: str | bytes) -> bool:
    """Tell whether getfqdn takes a name for this machine's own, or uvloop has its own view of what a name is."""
    if what.startswith("uvloop"):
        return isinstance(name, bytes) or not name.isascii() or name.startswith(".")
    return what == "getfqdn" and not name.strip()


def foreign_names() -> None:
    """Try each name in each way."""
    for size in ("small", "medium"):
        for ways in (LOOK_UPS, USES):
            for what, call in ways.items():
                for name in FOREIGN:
                    if is_another_matter(what, name) or (ways is USES and name in {"", "<broadcast>", "12345678901"}):
                        continue
                    note(size, what, name, fault_of_foreign(call, name, size))


def local_names() -> None:
    """Try names and addresses of this machine's own."""
    with open("/etc/hosts", encoding="ascii") as file:
        hosts = file.read()
    names = (*LOCAL, *(OF_HOSTS if hosts else ()))
    elsewhere = re.search(r"(10\.|fd00).*box7", hosts) is not None
    for size in ("small", "medium"):
        for what, call in LOOK_UPS.items():
            for name in names:
                if (
                    size == "small"
                    and is_number(name)
                    and ("gethostbyaddr" in what or what in {"getfqdn", "getnameinfo"})
                ):
                    continue  # small tests may not ask for the names of this machine's addresses
                past = what.startswith(PAST_THE_WRAPPERS)
                note(size, what, name, fault_of_local(call, name, size, past_the_wrappers=past))
    for what, call in USES.items():
        for name in names:
            if is_another_matter(what, name) or (elsewhere and normal_name(host_text(name)) == "box7"):
                continue  # as it is told apart from its addresses
            note(
                "medium",
                what,
                name,
                fault_of_local(call, name, "medium", past_the_wrappers=what.startswith(PAST_THE_WRAPPERS)),
            )


def arguments() -> None:
    """Try other arguments."""
    for size in ("small", "medium"):
        for what, call in ARGUMENTS.items():
            note(size, what, "t.example", fault_of_foreign(call, "t.example", size))


def is_number(name: str | bytes) -> bool:
    """Tell whether a host is an address."""
    text = name.decode("latin-1") if isinstance(name, bytes) else name
    try:
        return bool(socket.inet_aton(text))
    except (OSError, UnicodeError, ValueError):
        pass
    try:
        return bool(ipaddress.ip_address(text.partition("%")[0]))
    except ValueError:
        return False


LABEL: Final = st.one_of(
    st.text("abz09-_", max_size=4),
    st.text("abAZ09-_. \\/:%@*[]~+\u00fc\u0130\u3002\uff0e\u2024\xad\x7f\x01", max_size=5),
    st.integers(60, 66).map(lambda size: "a" * size),
    st.sampled_from(["localhost", "example", "\\045", "\\256", "\\a", "\\1", "1", "0x1", "-a", "--"]),
)
NAME: Final = st.builds(
    lambda labels, dot: ".".join(labels) + dot, st.lists(LABEL, min_size=1, max_size=5), st.sampled_from(["", "", "."])
)
NAMES: Final = st.one_of(
    NAME,
    NAME.map(lambda name: name.encode()),
    st.binary(min_size=1, max_size=8),
    st.text("0123456789.", min_size=1, max_size=12),
)


@settings(
    max_examples=int(sys.argv[2]) if len(sys.argv) > 2 else 400,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(NAMES, st.sampled_from([*LOOK_UPS.items(), *USES.items()]), st.sampled_from(["small", "medium"]))
def names_at_random(name: str | bytes, way: tuple[str, Callable[[Any], Any]], size: str) -> None:
    """A library sent a packet, and a guard refused the call: one where the other."""
    text = name.decode("latin-1") if isinstance(name, bytes) else name
    if is_number(name) or is_another_matter(way[0], name) or text.lower().rstrip(".").endswith("localhost"):
        return
    if not text and way in USES.items():
        return  # it stands for an address
    if "IDN" in way[0] and not name.isascii():
        return  # what libidn2 makes of it is not known: it counts as sent
    fault = fault_of_foreign(way[1], name, size)
    assert not fault, f"{way[0]} in {size}: {fault}"


PARTS: Final = {"foreign": foreign_names, "local": local_names, "arguments": arguments, "random": names_at_random}

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    with network_guard("large"):  # keeps everything wrapped
        PARTS[sys.argv[1]]()
    print(*FAILURES, sep="\n")
    sys.exit(bool(FAILURES))
