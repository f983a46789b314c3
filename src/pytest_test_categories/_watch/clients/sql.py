"""Readers for engines whose statements name what they read, write, attach or install: DuckDB, ClickHouse, Ladybug."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any, Final

from pytest_test_categories._watch.clients.connectors import postgres
from pytest_test_categories._watch.clients.places import host_and_port, of_url, of_web, text
from pytest_test_categories._watch.clients.stores import of_cloud

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_test_categories._watch.clients import Where

_EXTENSIONS: Final = {"community": "community-extensions.duckdb.org", "core_nightly": "nightly-extensions.duckdb.org"}
_TOKEN: Final = re.compile(r"""--[^\n]*|/\*.*?\*/|'(?:[^']|\'\')*'|"(?:[^"]|"")*"|\$(\w*)\$.*?\$\1\$""", re.DOTALL)
_URL: Final = re.compile(r"(https?|s3a?|gcs|gs|r2|az|azure|abfss?|hf)://", re.IGNORECASE)
_READS: Final = re.compile(
    r"\b(?:from|join|to|attach|database|if\s+not\s+exists)\s*$"
    r"|\b\w*(?:read|scan|glob|sniff|parquet)\w*\s*\([^()]*$",
    re.IGNORECASE,
)
"""The code before a string literal that a statement opens; any other string is data."""

_INSTALL: Final = re.compile(
    r"(?:^|;)\s*(?:force\s+)?install\s+\S+(?:\s+from\s+(\w+|\0\d+))?|(?:^|;)\s*update\s+extensions\b",
    re.IGNORECASE,
)
_FUNCTION: Final = re.compile(
    r"\b(remote(?:secure)?|mongodb|mysql|postgresql|redis"
    r"|(?:azure|cosn|deltalake|gcs|hdfs|http|hudi|iceberg|oss|paimon|s3|url)\w*)\s*\(([^()]*)$",
    re.IGNORECASE,
)
"""The table function, engine or source of which a string literal is an argument, and the arguments before it."""

_CLICKHOUSE: Final = {
    "mongodb": 27017,
    "mysql": 3306,
    "postgresql": 5432,
    "redis": 6379,
    "remote": 9000,
    "remotesecure": 9440,
}
"""Functions whose first argument is ``host:port``."""

_STORES: Final = ("az", "abfs", "abfss", "gs", "gcs", "http", "https", "s3", "s3a")
_SPARQL: Final = re.compile(r"\b(?:load|service)\s+(?:silent\s+)?<(https?://[^>]+)>", re.IGNORECASE)
_DATABASE: Final = re.compile(
    r"\battach\b[^;]*?\0(\d+)[^;]*?\(\s*[^;)]*?\btype\s+(postgres|mysql)|\b(postgres|mysql)_\w+\s*\(\s*\0(\d+)",
    re.IGNORECASE,
)


def duckdb(connection: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read a statement and its parameters, or the files that one of DuckDB's own readers opens."""
    found: dict[Where, None] = {}
    for given in (*args, *kwargs.values()):
        for one in (
            given.values() if isinstance(given, dict) else given if isinstance(given, (list, tuple)) else [given]
        ):
            if not isinstance(one, str):
                continue
            places = _of_url(connection, one) if _URL.match(one) else of_statement(connection, one)
            found.update(dict.fromkeys(places))
    yield from found


def duckdb_connect(_module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read the database that is opened, which may be a remote one."""
    database = text(args[0] if args else kwargs.get("database"))
    if database.startswith(("md:", "motherduck:")):
        yield "api.motherduck.com", 443
    elif _URL.match(database):
        yield from of_cloud(database, {})


def duckdb_install(_connection: Any, _args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read ``install_extension(name, repository=, repository_url=)``."""
    repository = text(kwargs.get("repository_url") or kwargs.get("repository"))
    if _URL.match(repository):
        yield from of_web(repository)
    elif "/" not in repository:
        yield from of_web(f"https://{_EXTENSIONS.get(repository.lower(), 'extensions.duckdb.org')}")


def of_statement(connection: Any, statement: str) -> Iterator[Where]:
    """Yield where the statements in a text lead."""
    code, texts = _parted(statement)
    for number, one in enumerate(texts):
        if _URL.match(one) and _READS.search(code.partition(f"\0{number} ")[0]):
            yield from _of_url(connection, one)
    for install in _INSTALL.finditer(code):
        repository = install[1] or ""
        if repository.startswith("\0"):
            repository = texts[int(repository[1:])]
        yield from duckdb_install(None, (), {"repository": repository})
    for database in _DATABASE.finditer(code):
        conninfo = texts[int(database[1] or database[4])]
        if (database[2] or database[3]).lower() == "postgres":
            yield from postgres(conninfo)
        else:
            options = dict(re.findall(r"(\w+)\s*=\s*(\S+)", conninfo))
            host, port = options.get("host", "localhost"), options.get("port", "")
            yield f"unix:{options['socket']}" if options.get("socket") else (host, (port.strip("0") and port) or 3306)


def _parted(statement: str) -> tuple[str, list[str]]:
    """Return a statement without comments, with a number in place of each string literal, and these strings."""
    texts: list[str] = []

    def keep(token: re.Match[str]) -> str:
        if token[0].startswith(("--", "/*")):
            return " "
        quote = token[0][0]
        texts.append(token[0][1:-1].replace(quote * 2, quote) if quote in "'\"" else token[0].split("$", 2)[2])
        return f"\0{len(texts) - 1} "

    return _TOKEN.sub(keep, statement), texts


def clickhouse(_connection: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read a ClickHouse statement that chDB runs: its table functions and engines name what they reach."""
    code, texts = _parted(text(args[0] if args else next(iter(kwargs.values()), "")))
    for number, one in enumerate(texts):
        if not (opened := _FUNCTION.search(code.partition(f"\0{number} ")[0])):
            continue
        if (scheme := one.partition("://")[0].lower()) in _STORES:
            yield from of_cloud(one, {})
        elif "://" in one and scheme != "file":
            yield of_url(one)
        elif not opened[2] and (port := _CLICKHOUSE.get(opened[1].lower())):
            for host in re.split(r"[,|]", one):
                yield host_and_port(host, port)


def ladybug(connection: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read a statement of Ladybug, or of its predecessor Kuzu."""
    code, texts = _parted(text(args[0] if args else kwargs.get("query")))
    for number, one in enumerate(texts):
        if "://" in one and _READS.search(code.partition(f"\0{number} ")[0]):
            yield from of_cloud(one, {})
    for install in _INSTALL.finditer(code):
        if install[1]:  # a repository, which was read above
            continue
        if type(connection).__module__.startswith("kuzu"):
            yield "extension.kuzudb.com", 80
        else:
            yield "extension.ladybugdb.com", 443


def sparql(_store: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read a SPARQL query or update: the documents that it loads, and the services that it queries."""
    for found in _SPARQL.finditer(text(args[0] if args else next(iter(kwargs.values()), ""))):
        yield from of_web(found[1])


def _of_url(connection: Any, url: str) -> Iterator[Where]:
    if url.lower().startswith("http"):
        yield from of_web(url)
    elif url.lower().startswith("r2:"):
        yield from of_web("https://r2.cloudflarestorage.com")
    else:
        endpoint = _endpoint(connection) if url.lower().startswith("s3") else ""
        yield from of_cloud(url, {"endpoint": endpoint} if endpoint else {})


def _endpoint(connection: Any) -> str:
    """Return the S3 endpoint in the secrets or settings of a connection."""
    native = sys.modules["_duckdb"]
    if not isinstance(connection, native.DuckDBPyConnection):  # a function of the module was called
        connection = native.default_connection()
    asked = connection.cursor()
    for statement, form in (
        ("select secret_string from duckdb_secrets() where type = 's3'", r"endpoint=([^;]+)"),
        ("select value from duckdb_settings() where name = 's3_endpoint'", r"(.+)"),
    ):
        for (value,) in asked.execute(statement).fetchall():
            if found := re.search(form, text(value)):
                return found[1]
    return ""
