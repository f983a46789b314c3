"""Where calls lead: ``host:port``, paths of sockets and pipes, URLs, and the proxies that URLs are reached through."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from pytest_test_categories._rules.address import pipe_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_test_categories._watch.clients import Where

PORTS: Final = {
    "amqp": 5672,
    "dict": 2628,
    "ftp": 21,
    "ftps": 990,
    "gopher": 70,
    "http": 80,
    "git": 9418,
    "https": 443,
    "imap": 143,
    "imaps": 993,
    "ldap": 389,
    "ldaps": 636,
    "mqtt": 1883,
    "mysql": 3306,
    "pop3": 110,
    "pop3s": 995,
    "postgres": 5432,
    "postgresql": 5432,
    "pulsar": 6650,
    "pulsar+ssl": 6651,
    "redis": 6379,
    "rtsp": 554,
    "scp": 22,
    "sftp": 22,
    "smb": 445,
    "smtp": 25,
    "smtps": 465,
    "ssh": 22,
    "socks4": 1080,
    "socks4a": 1080,
    "socks5": 1080,
    "socks5h": 1080,
    "telnet": 23,
    "ws": 80,
    "wss": 443,
}
"""The default port of a URL, by its scheme."""


def pipe(_module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Where | None:
    """Read a call of pywin32 that opens or serves a named pipe; None if it opens a file."""
    path = text(args[0] if args else next(iter(kwargs.values()), None))
    return path if pipe_of(path) is not None else None


def text(value: Any) -> str:
    """Return a value as text: bytes are decoded, and None becomes an empty text."""
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).decode("utf-8", "surrogateescape")
    return "" if value is None else str(value)


def place(where: Any) -> tuple[str, Any]:
    """Return ``("unix", path)``, ``("pipe", path)`` or ``("ip", (host, port))`` for what a reader returned.

    Text in an unknown form counts as a host name: it is better to judge it than to ignore it.
    """
    if isinstance(where, tuple):
        host, port = where
        return "ip", (text(host), port_of(port))
    where = text(where)
    if where.startswith("unix:"):
        path = where.removeprefix("unix:")
        return "unix", "/" + path.lstrip("/") if path.startswith("//") else path
    if pipe_of(where) is not None:
        return "pipe", where
    if "://" in where:
        return "ip", of_url(where)
    return "ip", host_and_port(where)


def port_of(port: Any, default: int | str | None = None) -> int | str | None:
    """Return a port as a number if it is numeric; the default if there is none."""
    if isinstance(port, int):
        return port
    port = text(port).strip()
    return int(port) if port.isascii() and port.isdecimal() else port or default


def host_and_port(where: str, default: int | str | None = None) -> tuple[str, int | str | None]:
    """Split ``host``, ``host:port``, ``[v6]:port`` or a bare v6 address."""
    where = where.strip()
    if where.startswith("["):
        host, _, rest = where[1:].partition("]")
        return host, port_of(rest.removeprefix(":"), default)
    if where.count(":") == 1:
        host, _, port = where.partition(":")
        return host, port_of(port, default)
    return where, default


def of_url(url: str, default: int | None = None) -> tuple[str, int | str | None]:
    """Return the host and port of a URL, as browsers and curl read it."""
    url = url.strip().replace("\\", "/")
    scheme, _, rest = url.partition("://")
    scheme = scheme.lower()
    try:
        host = urlsplit(f"{scheme}://{rest}").netloc.rpartition("@")[2]
    except ValueError:  # brackets that don't match
        host = rest
    return host_and_port(unquote(host), PORTS.get(scheme, default))


def of_web(url: str, *, only_lower: bool = False) -> Iterator[Where]:
    """Yield where a request for a URL leads: the URL's own host, and the proxy that the environment names.

    Args:
        url: The URL; its scheme may be missing, as curl permits.
        only_lower: Whether the client reads ``http_proxy`` only in lower case, as curl does.
    """
    if "://" not in url:
        url = f"http://{url}"
    yield of_url(url)
    yield from proxies(url, only_lower=only_lower)


def proxies(url: str, *names: str, only_lower: bool = False) -> Iterator[Where]:
    """Yield the proxy that the environment names for a URL, if there is one."""
    scheme = url.partition("://")[0].lower()
    names = names or (f"{scheme}_proxy", "all_proxy")
    for name in names:
        upper = "" if only_lower and name == "http_proxy" else os.environ.get(name.upper(), "")
        proxy = os.environ.get(name) or upper
        if proxy:
            if not bypasses(of_url(url)[0]):
                yield of_url(proxy if "://" in proxy else f"http://{proxy}", 1080)
            return


def bypasses(host: object, without_proxy: str | None = None) -> bool:
    """Return whether a host is reached without a proxy, by a list such as ``NO_PROXY``, or else by the environment."""
    from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]  # undocumented

    listed = None if without_proxy is None else {"no": without_proxy}
    return bool(proxy_bypass_environment(str(host), listed))
