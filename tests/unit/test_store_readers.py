"""Where calls of databases, engines, stores and queues lead, whose clients are of single makers."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_test_categories._watch.clients import connectors, databases, queues, sql, stores


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        *("AWS_ENDPOINT", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REGION", "AWS_S3_ENDPOINT"),
        *("PGHOST", "PGHOSTADDR", "PGPORT", "PGSERVICE", "QDB_CLIENT_CONF"),
        *(f"{kind}_proxy" for kind in ("http", "https", "all", "no")),
        *(f"{kind}_PROXY" for kind in ("HTTP", "HTTPS", "ALL", "NO")),
    ):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    "read, args, kwargs, expected",
    [
        (databases.aerospike, ({"hosts": [("a", 1), ("b", 2, "tls")]},), {}, [("a", 1), ("b", 2)]),
        (databases.couchbase, (), {"connstr": "couchbase://a,b:1?x=y"}, [("a", 11210), ("b", 1)]),
        (databases.couchbase, (), {"connstr": "couchbases://a/bucket"}, [("a", 11207)]),
        (databases.couchbase, (), {"connstr": "a"}, [("a", 11210)]),
        (databases.hana, ("a", 1, "user"), {}, [("a", 1)]),
        (databases.hana, (), {"address": "a:1;b:2"}, [("a", 1), ("b", 2)]),
        (databases.hana, (), {"key": "stored"}, []),
        (databases.libsql, ("local.db",), {}, []),
        (databases.libsql, ("local.db",), {"sync_url": "libsql://a.example"}, [("a.example", 443)]),
        (databases.libsql, ("http://a.example",), {}, [("a.example", 80)]),
        (databases.libsql, ("file:local.db",), {"sync_url": ""}, []),
        (databases.memgraph, (), {}, [("127.0.0.1", 7687)]),
        (databases.memgraph, (), {"host": "a", "port": 1}, [("a", 1)]),
        (databases.memgraph, (), {"address": "10.0.0.1"}, [("10.0.0.1", 7687)]),
        (databases.questdb, ("http::addr=a:1;username=u;",), {}, [("a", 1)]),
        (databases.questdb, ("tcps::addr=a;",), {}, [("a", 9009)]),
        (databases.questdb, ("ws::addr=a,b:1;addr=c;",), {}, [("a", 9000), ("b", 1), ("c", 9000)]),
        (databases.teradata, (), {"host": "a"}, [("a", 1025), ("a", 443)]),
        (databases.teradata, ('{"host": "a", "dbs_port": "1"}',), {}, [("a", "1"), ("a", 443)]),
        (databases.teradata, ('{"host": "a", "https_port": "2"}',), {"host": "b"}, [("b", 1025), ("b", "2")]),
        (databases.teradata, (), {"host": "a", "sslmode": "disable"}, [("a", 1025)]),
        (databases.tigerbeetle, (0, "3000"), {}, [("127.0.0.1", "3000")]),
        (databases.tigerbeetle, (), {"replica_addresses": "a:1,10.0.0.1"}, [("a", 1), ("10.0.0.1", 3001)]),
        (databases.typedb, ("a",), {}, [("a", 1729)]),
        (databases.typedb, (["a:1", "b:2"],), {}, [("a", 1), ("b", 2)]),
        (databases.typedb, ({"public:1": "private:2"},), {}, [("public", 1)]),
        (connectors.odbc, (), {"connection_string": "DRIVER=FreeTDS;SERVER=a;PORT=1"}, [("a", 1)]),
        (connectors.odbc, ("DATABASE=d;HOSTNAME=a;PORT=1;PROTOCOL=TCPIP;UID=u;PWD=p", "", ""), {}, [("a", 1)]),
        (connectors.psqlpy, ("postgres://u:p@a:1/d",), {}, [("a", "1")]),
        (connectors.psqlpy, (), {}, [("127.0.0.1", 5432)]),
        (connectors.psqlpy, (), {"hosts": ["a", "b"], "ports": [1, 2]}, [("a", 1), ("b", 2)]),
        (connectors.psqlpy, (), {"host": "/run/x"}, ["unix:/run/x/.s.PGSQL.5432"]),
        (connectors.url, ("taosws://u:p@a/d",), {}, [("a", 6041)]),
        (connectors.url, (), {"url": "hdfs://a"}, [("a", 8020)]),
        (connectors.url, (":memory:",), {}, []),
        (connectors.url, (), {}, []),
        (connectors.adbc, (), {"driver": "libadbc_driver_snowflake.so", "uri": "u:p@a:1/d"}, [("a", 1)]),
        (
            connectors.adbc,
            (),
            {"driver": "x/libadbc_driver_snowflake.so", "adbc.snowflake.sql.account": "me"},
            [("me.snowflakecomputing.com", 443)],
        ),
        (
            connectors.adbc,
            (),
            {
                "driver": "x/libadbc_driver_snowflake.so",
                "adbc.snowflake.sql.uri.host": "a",
                "adbc.snowflake.sql.uri.port": "1",
            },
            [("a", "1")],
        ),
        (connectors.adbc, (), {"driver": "x/libadbc_driver_bigquery.so"}, [("bigquery.googleapis.com", 443)]),
    ],
)
def test_clients_of_single_makers(
    read: Any, args: tuple[Any, ...], kwargs: dict[str, Any], expected: list[Any]
) -> None:
    assert list(read(None, args, kwargs)) == expected


def test_questdbs_sender_may_be_told_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(databases.questdb(None, (), {})) == []
    monkeypatch.setenv("QDB_CLIENT_CONF", "http::addr=a:1;")
    assert list(databases.questdb(None, (), {})) == [("a", 1)]
    assert databases.questdb_sender(None, ("http", "a", 1), {}) == ("a", 1)


@pytest.mark.parametrize(
    "statement, expected",
    [
        ("SELECT 1", []),
        ("SELECT 'http://a.example/'", []),
        ("SELECT * FROM url('http://a.example:1/t.csv', CSV)", [("a.example", 1)]),
        ("SELECT * FROM url(\n'https://a.example/t.csv')", [("a.example", 443)]),
        ("INSERT INTO FUNCTION s3('http://127.0.0.1:9000/b/k', 'key', 'secret') SELECT 1", [("127.0.0.1", 9000)]),
        ("SELECT * FROM s3('s3://b/k')", [("b.s3.amazonaws.com", 443)]),
        ("SELECT * FROM s3(credentials, 'url', 'x')", []),
        ("SELECT * FROM file('local.csv', CSV)", []),
        ("SELECT * FROM file('file:///local.csv')", []),
        ("SELECT * FROM remote('a,b:1', system, one)", [("a", 9000), ("b", 1)]),
        ("SELECT * FROM postgresql('a:5432', 'd', 't', 'u', 'p')", [("a", 5432)]),
        ("SELECT * FROM mysql('a', 'd', 't', 'u', 'p')", [("a", 3306)]),
        ("CREATE TABLE t (x Int8) ENGINE = MongoDB('a:1', 'd', 'c', 'u', 'p')", [("a", 1)]),
        ("CREATE TABLE t (x Int8) ENGINE = URL('http://a.example/', CSV)", [("a.example", 80)]),
        ("SELECT * FROM hdfs('hdfs://a:9000/x', TSV)", [("a", 9000)]),
        ("SELECT domain('http://a.example/'), cutURLParameter('https://a.example/?b=c', 'b')", []),
        (
            "CREATE DICTIONARY d (x Int8) PRIMARY KEY x SOURCE(HTTP(url 'http://a.example/' format 'TSV'))",
            [("a.example", 80)],
        ),
        ("-- url('http://a.example/')\nSELECT upper('b:1')", []),
    ],
)
def test_clickhouse_in_this_process(statement: str, expected: list[Any]) -> None:
    assert list(sql.clickhouse(None, (statement, "CSV"), {})) == expected


@pytest.mark.parametrize(
    "statement, expected",
    [
        ("INSTALL httpfs", [("extension.ladybugdb.com", 443)]),
        ("INSTALL httpfs FROM 'http://a.example/'", [("a.example", 80)]),
        ("LOAD EXTENSION httpfs", []),
        ("LOAD FROM 'https://a.example/t.csv' RETURN *", [("a.example", 443)]),
        ("COPY t FROM 's3://b/t.csv'", [("b.s3.amazonaws.com", 443)]),
        ("ATTACH 'https://a.example/d' AS d (dbtype duckdb)", [("a.example", 443)]),
        ("LOAD FROM 'local.csv' RETURN *", []),
        ("CREATE (:Page {url: 'https://a.example/'})", []),
    ],
)
def test_ladybug(statement: str, expected: list[Any]) -> None:
    assert list(sql.ladybug(None, (statement,), {})) == expected


@pytest.mark.parametrize(
    "statement, expected",
    [
        ("LOAD <http://a.example/x.nt>", [("a.example", 80)]),
        ("LOAD SILENT <https://a.example/x.nt> INTO GRAPH <http://g.example/>", [("a.example", 443)]),
        ("SELECT * { SERVICE <http://a.example:1/sparql> { ?s ?p ?o } }", [("a.example", 1)]),
        ("SELECT * FROM <http://a.example/> { ?s ?p <http://o.example/> }", []),
    ],
)
def test_sparql(statement: str, expected: list[Any]) -> None:
    assert list(sql.sparql(None, (statement,), {})) == expected


@pytest.mark.parametrize(
    "name, expected",
    [
        ("http://a.example/x.tif", [("a.example", 80)]),
        ("/vsicurl/https://a.example:1/x.tif", [("a.example", 1)]),
        ("/vsizip//vsicurl/https://a.example/x.zip/y.shp", [("a.example", 443)]),
        ("/vsis3/bucket/x.tif", [("bucket.s3.amazonaws.com", 443)]),
        ("/vsigs/bucket/x.tif", [("storage.googleapis.com", 443)]),
        ("WMS:https://a.example/?layers=x", [("a.example", 443)]),
        ("PG:dbname=d host=a.example user=u", [("a.example", 5432)]),
        ("MYSQL:d,host=a.example,user=u", [("a.example", 3306)]),
        ("/vsimem/x.tif", []),
        ("local/http.tif", []),
    ],
)
def test_gdal(name: str, expected: list[Any]) -> None:
    assert list(stores.gdal(None, (name,), {})) == expected
    assert list(stores.gdal(None, (SimpleNamespace(as_vsi=lambda: name),), {})) == expected
    assert list(stores.gdal(None, (SimpleNamespace(path=name),), {})) == expected


def test_gdals_end_point_is_what_it_was_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_S3_ENDPOINT", "http://a.example:1")
    assert list(stores.gdal(None, ("/vsis3/bucket/x",), {})) == [("a.example", 1)]
    environment = SimpleNamespace(hasenv=lambda: True, getenv=lambda: {"AWS_S3_ENDPOINT": "127.0.0.1:2"})
    monkeypatch.setitem(sys.modules, "rasterio.env", environment)
    assert list(stores.gdal(None, ("/vsis3/bucket/x",), {})) == [("127.0.0.1", 2)]


@pytest.mark.parametrize(
    "given, expected",
    [
        ("http://a.example/a.mp4", [("a.example", 80)]),
        ("rtsp://u:p@a.example/a", [("a.example", 554)]),
        ("udp://239.0.0.1:1234", [("239.0.0.1", 1234)]),
        ("souphttpsrc location=https://a.example/a ! decodebin ! appsink", [("a.example", 443)]),
        (["https://a.example/1.csv", "local.csv"], [("a.example", 443)]),
        ("dods://a.example/x", [("a.example", 80)]),
        ("local.mp4", []),
        ("file:///local.mp4", []),
        (0, []),
        (None, []),
    ],
)
def test_files_by_address(given: Any, expected: list[Any]) -> None:
    assert list(stores.address(None, (given,), {})) == expected


@pytest.mark.parametrize(
    "made, expected",
    [
        (("http", {"endpoint": "http://a.example:1"}), [("a.example", 1)]),
        (("http://a.example:1/", {}), [("a.example", 1)]),
        (("s3", {"bucket": "b", "region": "r"}), [("b.s3.r.amazonaws.com", 443)]),
        (("s3", {"bucket": "b", "endpoint": "http://127.0.0.1:1"}), [("127.0.0.1", 1)]),
        (("azblob", {"container": "c", "account_name": "me"}), [("me.blob.core.windows.net", 443)]),
        (("gdrive", {"root": "/"}), [("www.googleapis.com", 443)]),
        (("redis", {"endpoint": "tcp://a.example:6379"}), [("a.example", 6379)]),
        (("fs", {"root": "/tmp"}), []),
        (("memory", {}), []),
    ],
)
def test_opendal(made: Any, expected: list[Any]) -> None:
    operator = SimpleNamespace(__reduce__=lambda: (None, made))
    assert list(stores.opendal(operator, ("key",), {})) == expected


class Named:
    """Tells of itself by its representation alone."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


@pytest.mark.parametrize(
    "storage, expected",
    [
        (
            "S3Storage(bucket=b, prefix=p, config=S3Options(region=r, endpoint_url=None))",
            [("b.s3.r.amazonaws.com", 443)],
        ),
        ("S3Storage(bucket=b, config=S3Options(region=r, endpoint_url=http://127.0.0.1:1))", [("127.0.0.1", 1)]),
        ("InMemoryStorage()", []),
        ("LocalFileSystemStorage(path=/tmp/x)", []),
    ],
)
def test_icechunk(storage: str, expected: list[Any]) -> None:
    assert list(stores.icechunk(None, (Named(storage),), {})) == expected


@pytest.mark.parametrize(
    "read, args, kwargs, expected",
    [
        (stores.lancedb, ("db://d",), {"region": "r"}, [("d.r.api.lancedb.com", 443)]),
        (stores.lancedb, ("db://d",), {"host_override": "http://127.0.0.1:1"}, [("127.0.0.1", 1)]),
        (stores.lancedb, ("s3://b/d",), {}, [("b.s3.amazonaws.com", 443)]),
        (stores.lancedb, ("/tmp/d",), {}, []),
        (stores.lancedb, ("memory://",), {}, []),
        (stores.lance, ("s3://b/t",), {"storage_options": {"aws_endpoint": "http://127.0.0.1:1"}}, [("127.0.0.1", 1)]),
        (stores.lance, ("t.lance",), {}, []),
        (stores.lance, (), {"path": "https://a.example/t.vortex"}, [("a.example", 443)]),
        (stores.lance_write, ([], "gs://b/t"), {}, [("storage.googleapis.com", 443)]),
        (stores.lance_write, ([], SimpleNamespace(uri="s3://b/t")), {}, []),
        (stores.daft, (["https://a.example/x.csv"], None, None), {}, [("a.example", 443)]),
        (stores.daft, (["local.csv"], None, None), {}, []),
        (
            stores.daft,
            (),
            {
                "glob_path": "s3://b/x",
                "storage_config": SimpleNamespace(
                    io_config=SimpleNamespace(s3=SimpleNamespace(endpoint_url="http://a:1"))
                ),
            },
            [("a", 1)],
        ),
        (queues.zmq, (), {"address": "tcp://a:1"}, [("a", 1)]),
        (queues.zmq, ("abstract://name",), {}, ["unix:@name"]),
        (queues.zmq, ("socket://7",), {}, []),
    ],
)
def test_tables_and_queues(read: Any, args: tuple[Any, ...], kwargs: dict[str, Any], expected: list[Any]) -> None:
    assert list(read(None, args, kwargs)) == expected


@pytest.mark.parametrize(
    "endpoint, expected",
    [
        ("", [("b.s3.amazonaws.com", 443)]),
        ("127.0.0.1:1", [("127.0.0.1", 1)]),
    ],
)
def test_tiledb(endpoint: str, expected: list[Any]) -> None:
    store = SimpleNamespace(_config={"vfs.s3.endpoint_override": endpoint})
    assert list(stores.tiledb(store, ("s3://b/k",), {})) == expected
    assert list(stores.tiledb(store, ("/tmp/k",), {})) == []
    assert list(stores.tiledb(store, ("file:///tmp/k", "mem://k"), {})) == []


@pytest.mark.parametrize(
    "settings, expected",
    [
        ({"connect/endpoints": ["tcp/a:1", "unixsock-stream//run/x"], "mode": "client"}, [("a", 1), "unix:/run/x"]),
        ({"connect/endpoints": ["tls/a:1#x=y"], "scouting/multicast/enabled": False}, [("a", 1)]),
        ({"connect/endpoints": {"peer": ["tcp/[::1]:1"]}}, [("::1", 1), ("224.0.0.224", 7446)]),
        ({"mode": "client"}, [("224.0.0.224", 7446)]),
        ({"scouting/multicast/enabled": False}, []),
    ],
)
def test_zenoh(settings: dict[str, Any], expected: list[Any]) -> None:
    config = SimpleNamespace(get_json=lambda name: json.dumps(settings.get(name)))
    assert list(queues.zenoh(None, (config,), {})) == expected
    assert list(queues.zenoh(None, (), {"config": config})) == expected


def test_clients_that_tell_of_their_servers() -> None:
    assert list(queues.nats(SimpleNamespace(addr=["nats://a:1", "b"]), (), {})) == [("a", 1), ("b", 4222)]
    client = Named('Client(endpoints=["http://a:1", "b"], connect_options=PyConnectOptions("x"))')
    assert list(queues.etcd(client, (), {})) == [("a", 1), ("b", 2379)]
    assert list(queues.solace(SimpleNamespace(_host="tcps://a:1,b"), (), {})) == [("a", 1), ("b", 55555)]


@pytest.mark.parametrize(
    "kwargs, expected",
    [
        ({}, [("extensions.duckdb.org", 443)]),
        ({"repository": "community"}, [("community-extensions.duckdb.org", 443)]),
        ({"repository": "/srv/extensions"}, []),
        ({"repository_url": "http://a.example:1"}, [("a.example", 1)]),
    ],
)
def test_duckdbs_extensions(kwargs: dict[str, Any], expected: list[Any]) -> None:
    assert list(sql.duckdb_install(None, ("httpfs",), kwargs)) == expected
    where = kwargs.get("repository_url") or kwargs.get("repository") or "core"
    stated = f"'{where}'" if "/" in where else where
    assert list(dict.fromkeys(sql.of_statement(None, f"INSTALL httpfs FROM {stated}"))) == expected
