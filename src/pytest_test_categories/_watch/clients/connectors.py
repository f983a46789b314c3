"""Readers for libraries that connect to a database named by a string: ODBC, ADBC, ConnectorX."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from pytest_test_categories._host.system import System
from pytest_test_categories._rules.address import pipe_of
from pytest_test_categories._watch.clients.databases import libpq, sections
from pytest_test_categories._watch.clients.places import host_and_port, of_url, port_of, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_test_categories._watch.clients import Where

_HOST_KEYS: Final = ("server", "servername", "address", "addr", "networkaddress", "host", "hostname")
_PORTS: Final = {
    "sql server": 1433,
    "tds": 1433,
    "postgres": 5432,
    "psql": 5432,
    "mysql": 3306,
    "maria": 3306,
    "hdfs": 8020,
    "taosws": 6041,
}
_OF_FILES: Final = ("sqlite", "duckdb", "access", "excel", "text")
_PAIR: Final = re.compile(r"\s*([^=;]+?)\s*=\s*(\{(?:[^}]|\}\})*\}|[^;]*)")
_SCP: Final = re.compile(r"(?:[^/@:]+@)?(\[[^\]/]+\]|[^/:\\]{2,}):")  # a single letter is a drive
_LIBVIRT: Final = {"tls": 16514, "tcp": 16509, "ssh": 22, "libssh": 22, "libssh2": 22}
_CONNINFO: Final = re.compile(r"(\w+)\s*=\s*('(?:[^'\\]|\\.)*'|\S*)")


def odbc(_module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read ``connect(connection_string, **keywords)`` of pyodbc and others, and the data source that it may name."""
    given = text(args[0] if args else kwargs.get("connectionstring") or kwargs.get("connection_string"))
    options = {key.lower(): value.strip().strip("{}") for key, value in _PAIR.findall(given)}
    options |= {key.lower(): text(value) for key, value in kwargs.items()}
    if options.get("dsn"):
        options = _source(options["dsn"]) | options
    driver = options.get("driver", "").lower()
    if any(part in driver for part in _OF_FILES):
        return
    default = next((port for part, port in _PORTS.items() if part in driver), None)
    port = port_of(options.get("port"), default)
    server = next((options[key] for key in _HOST_KEYS if options.get(key)), "")
    if server:
        server = server.rpartition(":")[2] if server.startswith(("tcp:", "np:", "lpc:")) else server
        if pipe_of(server) is not None:
            yield server
            return
        server = server.partition("\\")[0] if "," not in server else server.replace("\\", ",", 1)
        host, *rest = [part.strip() for part in server.split(",")]
        host, own = host_and_port("localhost" if host in {".", "(local)", "(localdb)"} else host, port)
        yield host, port_of(rest[-1]) if rest else own
    elif default is not None:  # the default host of a network driver
        yield "localhost", port


def _source(name: str) -> dict[str, str]:
    """Return the options of a data source in ``odbc.ini``."""
    files = (os.environ.get("ODBCINI") or "~/.odbc.ini", os.environ.get("ODBCSYSINI", "/etc") + "/odbc.ini")
    for path in files:
        for section, options in sections(path).items():
            if section.lower() == name.lower():
                return options
    return {}


def adbc(_database: Any, _args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read ``AdbcDatabase(driver=..., uri=...)``."""
    driver, uri = text(kwargs.get("driver")), text(kwargs.get("uri"))
    uri = uri or (driver if "://" in driver else "")
    if "postgres" in driver or uri.startswith("postgres"):
        yield from postgres(uri)
    elif "snowflake" in driver:
        host = text(kwargs.get("adbc.snowflake.sql.uri.host")) or uri.partition("/")[0].rpartition("@")[2]
        account = text(kwargs.get("adbc.snowflake.sql.account"))
        port = kwargs.get("adbc.snowflake.sql.uri.port") or 443
        yield host_and_port(host or f"{account}.snowflakecomputing.com".lstrip("."), port)
    elif "bigquery" in driver:
        yield "bigquery.googleapis.com", 443
    else:
        yield from _of_url(uri)


def connectorx(_module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read the connection of ``read_sql(conn, query)``: a URL, or a dict of several."""
    given = args[0] if args else kwargs.get("conn")
    urls = given.values() if isinstance(given, dict) else [given]
    for url in map(text, urls):
        if url.startswith(("postgres", "redshift")):
            yield from postgres(url)
        else:
            yield from _of_url(url)


def _of_url(url: str) -> Iterator[Where]:
    scheme = url.partition("://")[0].lower()
    if "://" in url and not scheme.startswith((*_OF_FILES, "file")):
        if scheme == "bigquery":
            yield "bigquery.googleapis.com", 443
        else:
            yield of_url(url, _PORTS.get(scheme.replace("mssql", "sql server").partition("+")[0]))


def postgres(uri: str) -> Iterator[Where]:
    """Read a connection URI of libpq, or its ``key=value`` form, without using libpq."""
    if "://" not in uri:
        yield from libpq({key: value.strip("'") for key, value in _CONNINFO.findall(uri)})
        return
    from urllib.parse import parse_qsl

    rest, _, query = uri.partition("://")[2].partition("?")
    options: Mapping[str, str] = dict(parse_qsl(query))
    pairs = [
        host_and_port(unquote(part)) if not part.startswith("%2") else (unquote(part), None)
        for part in rest.partition("/")[0].rpartition("@")[2].split(",")
    ]
    hosts = {
        "host": ",".join(host for host, _ in pairs),
        "port": ",".join(text(port or "5432") for _, port in pairs) if any(port for _, port in pairs) else "",
    }
    yield from libpq({key: value for key, value in hosts.items() if value.strip(",")} | dict(options))


def deltalake(_table: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read the table that delta-rs opens, checks or writes."""
    from pytest_test_categories._watch.clients.stores import of_cloud

    table = args[0] if args else next((kwargs[key] for key in ("table_uri", "table_or_uri") if key in kwargs), None)
    url = text(getattr(table, "table_uri", table))
    if "://" in url and not url.startswith(("file:", "memory:")):
        options = kwargs.get("storage_options") or next((arg for arg in args[1:] if isinstance(arg, dict)), {})
        yield from of_cloud(url, options)


def temporal(_module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read the target of temporalio's client, whose core is in Rust."""
    config: Any = args[1] if len(args) > 1 else kwargs.get("config")
    yield of_url(config.target_url)


def snowflake(connection: Any, _args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read the host of a Snowflake connection, or that of its account, and its proxy."""
    config: Any = connection.config
    if config.server_url:
        yield of_url(text(config.server_url), 443)
    else:
        host = text(config.host) or f"{text(config.account)}.snowflakecomputing.com".lstrip(".")
        yield host, config.port or 443
    if config.proxy_host:
        yield text(config.proxy_host), config.proxy_port


def ldap(connection: Any, args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read the servers of a python-ldap connection, of which it uses one; setting options reaches nothing."""
    if getattr(args[0], "__name__", "") not in {"get_option", "set_option"}:
        for url in text(connection._uri).split():
            yield _of_ldap(url)


def bonsai(connection: Any, _args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read the server of a bonsai connection that is opened."""
    yield _of_ldap(text(connection._BaseLDAPConnection__client.url))


def _of_ldap(url: str) -> Where:
    scheme, _, rest = url.partition("://")
    if scheme.lower() == "ldapi":
        return f"unix:{unquote(rest.partition('/')[0]) or '/run/slapd/ldapi'}"
    return of_url(url)


def samba(_context: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read the address of a file or directory: ``smb://host/share/...``."""
    host, port = of_url(text(args[0] if args else next(iter(kwargs.values()), None)))
    if host:
        yield host, port


def libvirt(_module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read ``open("driver+transport://host/path")``; without a host it uses this machine's daemon, or none."""
    name = text(args[0] if args else kwargs.get("name")) or os.environ.get("LIBVIRT_DEFAULT_URI", "")
    driver, _, transport = name.partition("://")[0].partition("+")
    host, port = of_url(name, _LIBVIRT.get(transport or "tls")) if "://" in name else ("", None)
    if host:
        yield host, port
    elif driver != "test":
        yield "unix:/run/libvirt/libvirt-sock"


def libssh(session: Any, _args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read where ansible-pylibssh connects, unless it is given a socket."""
    host = kwargs.get("host") or session.get_ssh_options("host")
    if host and kwargs.get("fd") is None:
        yield text(host), kwargs.get("port") or session.port


def psqlpy(_module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read psqlpy's ``connect(dsn)``, or its keyword arguments."""
    if dsn := text(args[0] if args else kwargs.get("dsn")):
        yield from postgres(dsn)
        return
    hosts = kwargs.get("hosts") or [kwargs.get("host") or "127.0.0.1"]
    ports = kwargs.get("ports") or [kwargs.get("port") or 5432]
    for index, host in enumerate(hosts):
        port = ports[min(index, len(ports) - 1)]
        yield f"unix:{host}/.s.PGSQL.{port}" if text(host).startswith("/") else (text(host), port)


def url(_callee: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read a call whose first argument may be a URL."""
    if "://" in (given := text(args[0] if args else next(iter(kwargs.values()), ""))):
        yield of_url(given, _PORTS.get(given.partition("://")[0]))


def git_clone(_module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read the URL of ``clone_repository(url, path)``."""
    yield from _of_git(args[0] if args else kwargs.get("url"), kwargs.get("proxy"))


def git_remote(remote: Any, _args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read the URLs of a remote, for fetching and for pushing."""
    for url in {text(remote.url), text(remote.push_url)} - {""}:
        yield from _of_git(url, kwargs.get("proxy"))


def git_submodule(submodule: Any, _args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read the URL of a submodule."""
    yield from _of_git(submodule.url, None)


def _of_git(url: Any, proxy: Any) -> Iterator[Where]:
    """Yield where a Git URL leads: one with a scheme, or ``user@host:path``, but not the path of a directory."""
    url = text(url)
    if "://" in url:
        if not url.startswith("file:"):
            yield of_url(url)
    elif (found := _SCP.match(url)) and not System.exists(url):
        yield found[1].strip("[]"), 22
    if isinstance(proxy, str) and proxy:
        yield of_url(proxy)
