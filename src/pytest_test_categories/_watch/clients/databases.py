"""Readers for native database clients: libpq, MySQL's, FreeTDS, libmemcached, and clients of single databases."""

from __future__ import annotations

import os
import sys
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final

from pytest_test_categories._host.system import System
from pytest_test_categories._watch.clients.places import host_and_port, of_url, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_test_categories._watch.clients import Where

_POSTGRES_DIRECTORIES: Final = ("/var/run/postgresql", "/run/postgresql", "/tmp")  # noqa: S108 - libpq's own defaults
_POSTGRES_VARIABLES: Final = {
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "port": "PGPORT",
    "service": "PGSERVICE",
}
_MYSQL_SOCKETS: Final = ("/run/mysqld/mysqld.sock", "/var/run/mysqld/mysqld.sock", "/tmp/mysql.sock")  # noqa: S108 - as above


def psycopg2(_module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read psycopg2's ``_connect(dsn)``."""
    native = sys.modules["psycopg2._psycopg"]
    dsn = args[0] if args else kwargs.get("dsn")
    try:
        options = native.parse_dsn(dsn)
    except (native.ProgrammingError, TypeError):  # the call itself raises the error
        return
    yield from libpq(options)


def pgconn(pgconn_class: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read ``PGconn.connect(conninfo)`` of psycopg 3, in any of its implementations."""
    conninfo = args[0] if args else kwargs.get("conninfo")
    parser = sys.modules[pgconn_class.__module__].Conninfo
    try:
        options = {text(option.keyword): text(option.val) for option in parser.parse(conninfo) if option.val}
    except Exception:  # noqa: BLE001 - each implementation has errors of its own, and the call will say so
        return
    yield from libpq(options)


def libpq(options: Mapping[str, Any]) -> Iterator[Where]:
    """Yield where libpq connects, by options, then the service file, then the environment, then its own defaults."""
    options = {key: text(value) for key, value in options.items() if value}
    service = options.get("service") or os.environ.get("PGSERVICE")
    named = {key: os.environ[name] for key, name in _POSTGRES_VARIABLES.items() if os.environ.get(name)}
    options = named | (_service(service) if service else {}) | options
    names, numbers = (options.get(key, "").split(",") for key in ("host", "hostaddr"))
    ports = (options.get("port") or "5432").split(",")
    for index, (name, number) in enumerate(zip_longest(names, numbers, fillvalue="")):
        port = (ports[index] if index < len(ports) else ports[0]).strip() or "5432"
        host = (number or name).strip() or _postgres_directory(port)
        if host.startswith(("/", "@")):
            yield f"unix:{host}/.s.PGSQL.{port}"
        else:
            yield host, port


def _postgres_directory(port: str) -> str:
    """Return the directory of the server's socket: libpq's default is set when it is built, so existing ones count."""
    if os.name == "nt":
        return "localhost"
    for directory in _POSTGRES_DIRECTORIES:
        if System.exists(f"{directory}/.s.PGSQL.{port}"):
            return directory
    return _POSTGRES_DIRECTORIES[0]


def _service(name: str) -> dict[str, str]:
    """Return the options in a section of the connection service file."""
    files = (
        os.environ.get("PGSERVICEFILE") or os.path.expanduser("~/.pg_service.conf"),
        os.path.join(os.environ.get("PGSYSCONFDIR", "/etc/postgresql-common"), "pg_service.conf"),
    )
    for path in files:
        found = sections(path).get(name)
        if found:
            return found
    return {}


def sections(path: str) -> dict[str, dict[str, str]]:
    """Return the sections of an option file of libpq, MySQL or ODBC; none if the file is missing or unreadable."""
    import configparser

    parser = configparser.RawConfigParser(
        allow_no_value=True, strict=False, delimiters=("=",), comment_prefixes=("#", ";", "!")
    )
    try:
        parser.read(os.path.expanduser(path), encoding="utf-8")
    except (configparser.Error, UnicodeError, OSError):
        return {}
    return {
        section: {key: text(value).strip("'\" ") for key, value in parser.items(section)}
        for section in parser.sections()
    }


def mysql(_connection: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read the arguments of MySQLdb's ``connect``: host, user, password, database, port, unix_socket."""
    names = ("host", "user", "password", "database", "port", "unix_socket")
    given = dict(zip(names, args, strict=False)) | {key: value for key, value in kwargs.items() if value}
    options: dict[str, Any] = {}
    if given.get("read_default_file") or given.get("read_default_group"):
        found = sections(text(given.get("read_default_file")) or "~/.my.cnf")
        for section in ("client", "client-server", "client-mariadb", text(given.get("read_default_group"))):
            options |= {key.replace("-", "_"): value for key, value in found.get(section, {}).items()}
    host = text(given.get("host") or options.get("host") or os.environ.get("MYSQL_HOST"))
    port = given.get("port") or options.get("port") or os.environ.get("MYSQL_TCP_PORT") or 3306
    path = text(given.get("unix_socket") or options.get("socket") or os.environ.get("MYSQL_UNIX_PORT"))
    if os.name != "nt" and host in {"", "localhost"}:  # the client uses a socket file for these
        path = path or next((path for path in _MYSQL_SOCKETS if System.exists(path)), _MYSQL_SOCKETS[0])
        yield f"unix:{path}"
    else:
        yield host or "localhost", port


def mssql(_connection: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read ``MSSQLConnection(server, ..., port=)``; the server may include a port or the name of an instance."""
    server = text(args[0] if args else kwargs.get("server", "localhost")).strip()
    port = text(kwargs.get("port") or 1433)
    if server in {"", ".", "(local)"}:
        server = "localhost"
    server, _, _instance = server.partition("\\")  # a server at port 1434 gives the instance's port
    host, own_port = host_and_port(server.replace(",", ":"), port)
    yield os.environ.get("TDSHOST") or host, os.environ.get("TDSPORT") or own_port


def memcached(client: Any, _args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read the servers of a pylibmc client: a hash of the key chooses one of them."""
    for server in getattr(client, "addresses", ()):
        if isinstance(server, tuple):  # (type, host, port)
            server = f"{server[1]}:{server[2]}"  # noqa: PLW2901 - the same thing in its other form
        server = text(server).removeprefix("udp:").removeprefix("tcp:")  # noqa: PLW2901 - as above
        if server.startswith("/"):
            yield f"unix:{server}"
        else:
            parts = server.split(":")  # host, port, weight
            yield host_and_port(server if server.startswith("[") else ":".join(parts[:2]), 11211)


def mysql_connector(_connection: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read ``MySQL.connect(host, ...)`` of mysql-connector-python's C extension; without a host it uses loopback."""
    host = text(args[0] if args else kwargs.get("host"))
    if path := text(kwargs.get("unix_socket")):
        yield f"unix:{path}"
    else:
        yield host or "127.0.0.1", kwargs.get("port") or 3306


def aerospike(_client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read the hosts in the configuration of an Aerospike client, which connects as soon as it is created."""
    config: Any = args[0] if args else kwargs.get("config")
    for host, port, *_tls_name in config["hosts"]:
        yield text(host), port


def couchbase(_connection: Any, _args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read a Couchbase connection string: ``couchbase://host:11210,host``."""
    scheme, _, rest = text(kwargs.get("connstr")).rpartition("://")
    for host in rest.partition("/")[0].partition("?")[0].split(","):
        yield host_and_port(host.partition("=")[0], 11207 if scheme == "couchbases" else 11210)


def hana(_connection: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read SAP HANA's ``connect(address, port)``; the address may list several, each with its own port."""
    given = dict(zip(("address", "port"), args, strict=False)) | kwargs
    for address in text(given.get("address")).replace(";", ",").split(","):
        if address:
            yield host_and_port(address, given.get("port"))


def libsql(_module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read libSQL's ``connect(database, sync_url=)``: either may be a server's URL."""
    for where in (args[0] if args else kwargs.get("database"), kwargs.get("sync_url")):
        if "://" in text(where) and not text(where).startswith("file:"):
            yield of_url(text(where), 443)


def memgraph(_connection: Any, _args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read the keyword arguments of Memgraph's ``connect``."""
    yield text(kwargs.get("address") or kwargs.get("host")) or "127.0.0.1", kwargs.get("port") or 7687


def questdb(_sender: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read QuestDB's ``from_conf("http::addr=host:9000;")``; ``from_env`` reads the same text from the environment."""
    given = text(args[0] if args else kwargs.get("conf_str")) or os.environ.get("QDB_CLIENT_CONF", "")
    scheme, _, options = given.partition("::")
    for option in options.split(";"):
        key, _, hosts = option.partition("=")
        for host in hosts.split(",") if key.strip() == "addr" else ():
            yield host_and_port(host, 9009 if scheme.startswith("tcp") else 9000)


def questdb_sender(_sender: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Where:
    """Read QuestDB's ``Sender(protocol, host, port)``."""
    given = dict(zip(("protocol", "host", "port"), args, strict=False)) | kwargs
    return text(given.get("host")), given.get("port")


def teradata(_connection: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read the arguments of Teradata's ``connect``, which may be given as JSON."""
    import json

    given = json.loads(text(args[0] if args else kwargs.get("sConnectParams")) or "{}") | kwargs
    yield text(given.get("host")), given.get("dbs_port") or 1025
    if text(given.get("sslmode")).upper() != "DISABLE":  # the HTTPS port is tried before the other, or after it
        yield text(given.get("host")), given.get("https_port") or 443


def tigerbeetle(_client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read TigerBeetle's ``Client(cluster_id, replica_addresses)``; a port without a host means this machine."""
    for address in text(args[1] if len(args) > 1 else kwargs.get("replica_addresses")).split(","):
        yield ("127.0.0.1", address) if address.strip().isdecimal() else host_and_port(address, 3001)


def typedb(_driver: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read the addresses of a TypeDB driver: one, several, or a dict of public addresses with private ones."""
    given = args[0] if args else kwargs.get("addresses")
    for address in [given] if isinstance(given, str) else given or ():
        yield host_and_port(text(address).rpartition("://")[2], 1729)
