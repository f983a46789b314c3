"""Where connection strings, URLs and arguments of native clients lead, as far as text tells."""

from __future__ import annotations

import sys
from enum import IntEnum
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from pytest_test_categories._watch.clients import agents, connectors, databases, loops, queues, rpc, stores, web
from pytest_test_categories._watch.clients.places import proxies

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (
        *("PGHOST", "PGHOSTADDR", "PGPORT", "PGSERVICE", "PGSERVICEFILE", "MYSQL_HOST", "MYSQL_TCP_PORT"),
        *("MYSQL_UNIX_PORT", "TDSHOST", "TDSPORT", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REGION"),
        *(f"{kind}_proxy" for kind in ("http", "https", "all", "no", "grpc")),
        *(f"{kind}_PROXY" for kind in ("HTTP", "HTTPS", "ALL", "NO", "GRPC")),
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("ODBCSYSINI", str(tmp_path))
    monkeypatch.setenv("PGSYSCONFDIR", str(tmp_path))


@pytest.mark.parametrize(
    "options, expected",
    [
        ({"host": "a,b", "port": "1,2"}, [("a", "1"), ("b", "2")]),
        ({"host": "a,b", "port": "1"}, [("a", "1"), ("b", "1")]),
        ({"host": "a,b", "hostaddr": ",10.0.0.2"}, [("a", "5432"), ("10.0.0.2", "5432")]),
        ({"hostaddr": "10.0.0.1"}, [("10.0.0.1", "5432")]),
        ({"host": "/run/x"}, ["unix:/run/x/.s.PGSQL.5432"]),
        ({"host": "a,/run/x", "port": "1,"}, [("a", "1"), "unix:/run/x/.s.PGSQL.5432"]),
    ],
)
def test_libpq(options: dict[str, str], expected: list[Any]) -> None:
    assert list(databases.libpq(options)) == expected


def test_libpq_without_a_host_takes_a_socket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(databases, "_POSTGRES_DIRECTORIES", ("/nowhere", str(tmp_path)))
    assert list(databases.libpq({})) == ["unix:/nowhere/.s.PGSQL.5432"]
    (tmp_path / ".s.PGSQL.5432").touch()
    assert list(databases.libpq({})) == [f"unix:{tmp_path}/.s.PGSQL.5432"]


def test_libpqs_services_are_found_for_the_user_and_the_system(tmp_path: Path) -> None:
    (tmp_path / "pg_service.conf").write_text("[both]\nhost=system\n[system]\nhost = system\n")
    (tmp_path / ".pg_service.conf").write_text("# mine\n[both]\nhost=user\nport=1\n")
    assert list(databases.libpq({"service": "both"})) == [("user", "1")]
    assert list(databases.libpq({"service": "both", "port": "2"})) == [("user", "2")]
    assert list(databases.libpq({"service": "system"})) == [("system", "5432")]
    (tmp_path / ".pg_service.conf").write_text("no section\n")
    assert list(databases.libpq({"service": "both"})) == [("system", "5432")]


@pytest.mark.parametrize(
    "args, kwargs, expected",
    [
        (("db.example",), {}, [("db.example", 3306)]),
        ((), {"host": "db.example", "port": 3307}, [("db.example", 3307)]),
        (("db.example", "u", "p", "d", 3308), {}, [("db.example", 3308)]),
        ((), {"unix_socket": "/run/m.sock"}, ["unix:/run/m.sock"]),
        (("127.0.0.1",), {"unix_socket": "/run/m.sock"}, [("127.0.0.1", 3306)]),
        ((), {"read_default_group": "mine"}, [("group.example", "3310")]),
        ((), {"read_default_file": "~/.my.cnf"}, [("client.example", "3309")]),
    ],
)
def test_mysql(args: tuple[Any, ...], kwargs: dict[str, Any], expected: list[Any], tmp_path: Path) -> None:
    (tmp_path / ".my.cnf").write_text(
        "!includedir /etc\n[client]\nhost=client.example\nport=3309\nssl\n[mine]\nhost='group.example'\nport=3310\n"
    )
    assert list(databases.mysql(None, args, kwargs)) == expected


def test_mysql_takes_a_socket_where_no_host_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(databases, "_MYSQL_SOCKETS", ("/nowhere/mysqld.sock",))
    assert list(databases.mysql(None, ("localhost",), {})) == ["unix:/nowhere/mysqld.sock"]
    monkeypatch.setenv("MYSQL_UNIX_PORT", "/run/other.sock")
    assert list(databases.mysql(None, (), {})) == ["unix:/run/other.sock"]


@pytest.mark.parametrize(
    "args, kwargs, expected",
    [
        ((), {"server": "db.example", "port": "1434"}, ("db.example", "1434")),
        ((), {"server": "db.example:99"}, ("db.example", 99)),
        ((), {"server": "db.example,99"}, ("db.example", 99)),
        ((), {"server": "db.example\\SQLEXPRESS"}, ("db.example", "1433")),
        (("(local)",), {}, ("localhost", "1433")),
        ((), {}, ("localhost", "1433")),
    ],
)
def test_mssql(args: tuple[Any, ...], kwargs: dict[str, Any], expected: tuple[str, Any]) -> None:
    assert list(databases.mssql(None, args, kwargs)) == [expected]


@pytest.mark.parametrize(
    "server, expected",
    [
        ("db.example", ("db.example", 11211)),
        ("db.example:1", ("db.example", 1)),
        ("db.example:1:3", ("db.example", 1)),
        ("udp:db.example:1", ("db.example", 1)),
        ("[::1]:1", ("::1", 1)),
        ("/run/m.sock", "unix:/run/m.sock"),
        ((1, "db.example", 7), ("db.example", 7)),
    ],
)
def test_memcached(server: Any, expected: Any) -> None:
    assert list(databases.memcached(SimpleNamespace(addresses=[server]), (), {})) == [expected]


@pytest.mark.parametrize(
    "text, expected",
    [
        ("DRIVER={ODBC Driver 18 for SQL Server};SERVER=tcp:db.example,1444;UID=x;PWD={a;b}", [("db.example", 1444)]),
        ("Driver={ODBC Driver 18 for SQL Server};Server=db.example\\INSTANCE", [("db.example", 1433)]),
        ("Driver={ODBC Driver 18 for SQL Server};Server=db.example\\INSTANCE,1444", [("db.example", 1444)]),
        ("DRIVER=FreeTDS;SERVER=db.example;PORT=1445", [("db.example", 1445)]),
        ("DRIVER={PostgreSQL Unicode};SERVER=db.example", [("db.example", 5432)]),
        ("DRIVER={MySQL ODBC 8.0};Server = db.example", [("db.example", 3306)]),
        ("DRIVER={PostgreSQL Unicode};DATABASE=x", [("localhost", 5432)]),
        ("DRIVER={SQLite3};Database=/tmp/x", []),
        ("DSN=Mine;UID=x", [("source.example", 5433)]),
        ("DSN=none", []),
    ],
)
def test_odbc(text: str, expected: list[Any], tmp_path: Path) -> None:
    (tmp_path / "odbc.ini").write_text("[mine]\nDriver = PostgreSQL Unicode\nServername = source.example\nPort=5433\n")
    assert list(connectors.odbc(None, (text,), {})) == expected


def test_odbcs_keywords_come_on_top() -> None:
    assert list(connectors.odbc(None, ("DRIVER=FreeTDS",), {"server": "db.example", "port": 7})) == [("db.example", 7)]


@pytest.mark.parametrize(
    "uri, expected",
    [
        ("postgresql://u:p@db.example:1/d", [("db.example", "1")]),
        ("postgresql://db.example/d?port=2", [("db.example", "2")]),
        ("postgresql://a:1,b:2/d", [("a", "1"), ("b", "2")]),
        ("postgresql://a,b:2/d", [("a", "5432"), ("b", "2")]),
        ("postgresql://[::1]:3/d", [("::1", "3")]),
        ("postgresql://%2Frun%2Fx/d", ["unix:/run/x/.s.PGSQL.5432"]),
        ("postgresql:///d?host=/run/x", ["unix:/run/x/.s.PGSQL.5432"]),
        ("host=db.example port='4' dbname=d", [("db.example", "4")]),
    ],
)
def test_adbc_with_postgresql(uri: str, expected: list[Any]) -> None:
    assert list(connectors.adbc(None, (), {"driver": "/lib/libadbc_driver_postgresql.so", "uri": uri})) == expected


@pytest.mark.parametrize(
    "conn, expected",
    [
        ("mysql://u@db.example/d", [("db.example", 3306)]),
        ("mssql://u@db.example/d", [("db.example", 1433)]),
        ("postgres://u@db.example/d", [("db.example", "5432")]),
        ({"a": "mysql://a.example", "b": "mysql://b.example:1"}, [("a.example", 3306), ("b.example", 1)]),
        ("sqlite:///tmp/x", []),
        ("bigquery:///key.json", [("bigquery.googleapis.com", 443)]),
    ],
)
def test_connectorx(conn: Any, expected: list[Any]) -> None:
    assert list(connectors.connectorx(None, (conn, "select 1"), {})) == expected


@pytest.mark.parametrize(
    "target, expected",
    [
        ("db.example", [("db.example", 443)]),
        ("db.example:1", [("db.example", 1)]),
        ("dns:db.example:1", [("db.example", 1)]),
        ("dns:///[::1]:1", [("::1", 1)]),
        ("dns://1.2.3.4/db.example", [("1.2.3.4", 53), ("db.example", 443)]),
        ("ipv4:1.2.3.4:5,6.7.8.9", [("1.2.3.4", 5), ("6.7.8.9", 443)]),
        ("unix:relative", ["unix:relative"]),
        ("unix:///run/x", ["unix:/run/x"]),
        ("xds:///service.example", [("service.example", 443)]),
    ],
)
def test_grpc(target: str, expected: list[Any]) -> None:
    assert list(rpc.of_target(target)) == expected


@pytest.mark.parametrize(
    "endpoint, expected",
    [
        ("tcp://db.example:1", [("db.example", 1)]),
        (b"tcp://127.0.0.1:1", [("127.0.0.1", 1)]),
        ("tcp://eth0:0;db.example:1", [("db.example", 1)]),
        ("tcp://*:1", [("", 1)]),
        ("tcp://[::1]:1", [("::1", 1)]),
        ("ws://db.example:1/path", [("db.example", 1)]),
        ("ipc:///run/x", ["unix:/run/x"]),
        ("ipc://@name", ["unix:@name"]),
        ("inproc://x", []),
    ],
)
def test_zmq(endpoint: Any, expected: list[Any]) -> None:
    assert list(queues.zmq(None, (endpoint,), {})) == expected


@pytest.mark.parametrize(
    "args, kwargs, expected",
    [
        (({"bootstrap.servers": "a,b:1, SSL://c:2"},), {}, [("a", 9092), ("b", 1), ("c", 2)]),
        (({"metadata.broker.list": "a"},), {}, [("a", 9092)]),
        ((), {"bootstrap.servers": "a"}, [("a", 9092)]),
        (({"test.mock.num.brokers": 3},), {}, [("127.0.0.1", 9092)]),
        (({},), {}, []),
    ],
)
def test_kafka(args: tuple[Any, ...], kwargs: dict[str, Any], expected: list[Any]) -> None:
    assert list(queues.kafka(None, args, kwargs)) == expected


def test_requests_to_a_path_lead_to_the_clients_base() -> None:
    client = SimpleNamespace(base_url="http://db.example:1/v1", proxy="http://proxy.example:2")
    assert list(web.url(client, ("/users",), {})) == [("db.example", 1), ("proxy.example", 2)]
    assert list(web.url(client, ("http://other.example",), {"proxy": "http://mine.example"})) == [
        ("other.example", 80),
        ("mine.example", 80),
    ]
    assert list(web.url_of_request(None, ("GET",), {"url": "https://other.example"})) == [("other.example", 443)]
    assert list(web.url(None, (), {})) == []


@pytest.mark.parametrize(
    "url, options, expected",
    [
        ("s3://bucket/x", {}, [("bucket.s3.amazonaws.com", 443)]),
        ("s3://bucket/x", {"aws_region": "r"}, [("bucket.s3.r.amazonaws.com", 443)]),
        ("s3a://bucket/x", {"AWS_ENDPOINT_URL": "http://127.0.0.1:9000"}, [("127.0.0.1", 9000)]),
        ("gs://bucket/x", {}, [("storage.googleapis.com", 443)]),
        ("az://container/x", {"account_name": "me"}, [("me.blob.core.windows.net", 443)]),
        ("abfss://c@me.dfs.core.windows.net/x", {}, [("me.dfs.core.windows.net", 443)]),
        ("hf://datasets/x", {}, [("huggingface.co", 443)]),
        ("hdfs://db.example:8020/x", {}, [("db.example", 8020)]),
    ],
)
def test_stores(url: str, options: dict[str, str], expected: list[Any]) -> None:
    assert list(stores.of_cloud(url, options)) == expected


def test_polars_and_delta_tables_of_files_are_no_network(tmp_path: Path) -> None:
    sources: Iterable[Any] = ([str(tmp_path)], [tmp_path], f"file://{tmp_path}", b"bytes", None)
    for source in sources:
        assert list(stores.polars(None, (), {"sources": source})) == []
    assert list(connectors.deltalake(None, (tmp_path,), {})) == []
    assert list(connectors.deltalake(None, (SimpleNamespace(table_uri="s3://b/t"),), {})) == [
        ("b.s3.amazonaws.com", 443)
    ]


@pytest.mark.parametrize(
    "read, args, kwargs, expected",
    [
        (loops.connection, ("factory", "db.example", 1), {}, [("db.example", 1)]),
        (loops.connection, ("factory",), {"sock": "sock"}, []),
        (loops.unix, ("factory", "\0name"), {}, ["unix:@name"]),
        (loops.datagram_remote, ("factory",), {"remote_addr": ("db.example", 1)}, [("db.example", 1)]),
        (loops.datagram_local, ("factory", ("127.0.0.1", 0)), {}, [("127.0.0.1", 0)]),
        (loops.server, ("factory", ["a", "b"], 1), {}, [("a", 1), ("b", 1)]),
        (loops.server, ("factory", None, 1), {}, [("", 1)]),
        (loops.server, ("factory",), {"sock": "sock"}, []),
        (loops.lookup, ("db.example", 1), {"flags": 4}, []),
        (loops.reverse, (("10.0.0.1", 1), 1), {}, []),
    ],
)
def test_uvloop(read: Any, args: tuple[Any, ...], kwargs: dict[str, Any], expected: list[Any]) -> None:
    assert list(read(None, args, kwargs)) == expected


def test_proxies_are_those_that_the_environment_names(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(proxies("https://db.example")) == []
    monkeypatch.setenv("HTTP_PROXY", "proxy.example:1")
    assert list(proxies("http://db.example")) == [("proxy.example", 1)]
    assert list(proxies("http://db.example", only_lower=True)) == []  # curl's rule
    monkeypatch.setenv("all_proxy", "socks5://all.example")
    assert list(proxies("https://db.example")) == [("all.example", 1080)]
    monkeypatch.setenv("no_proxy", "db.example")
    assert list(proxies("https://db.example")) == []


@pytest.mark.parametrize(
    "told, expected",
    [
        ({"UNIX_SOCKET_PATH": "/run/x"}, ["unix:/run/x"]),
        ({"ABSTRACT_UNIX_SOCKET": b"x"}, ["unix:@x"]),
        ({"PROXY": "proxy.example"}, [("proxy.example", 1080), ("db.example", 80)]),
        ({"PRE_PROXY": "socks5://a", "PROXY": "http://b:3"}, [("a", 1080), ("b", 3), ("db.example", 80)]),
        ({"CONNECT_TO": ["db.example:80:[::1]:81"]}, [("::1", "81")]),
        ({"CONNECT_TO": ["::other.example:"]}, [("other.example", 80)]),
        ({"CONNECT_TO": ["db.example:80::81"]}, [("db.example", "81")]),
        ({"CONNECT_TO": ["db.example:81:a:1", "what is this"]}, [("db.example", 80)]),
        ({"RESOLVE": ["+db.example:80:10.0.0.1,[::1]"]}, [("10.0.0.1", 80), ("::1", 80)]),
        ({"RESOLVE": ["*:80:10.0.0.1"]}, [("10.0.0.1", 80)]),
        ({"RESOLVE": ["-db.example:80", "db.example:81:10.0.0.1"]}, [("db.example", 80)]),
        ({"PROXY": ""}, [("db.example", 80)]),
    ],
)
def test_what_a_handle_of_curl_was_told(told: dict[str, Any], expected: list[Any]) -> None:
    assert list(web._as_told("db.example/path", told)) == expected


@pytest.mark.parametrize(
    "args, kwargs, expected",
    [
        (("grpc://flight.example:1",), {}, ("flight.example", 1)),
        ((b"grpc+tls://[::1]",), {}, ("::1", 443)),
        ((), {"location": ("flight.example", 1)}, ("flight.example", 1)),
        ((SimpleNamespace(uri=b"grpc+unix:///run/x"),), {}, "unix:/run/x"),
    ],
)
def test_arrow_flight(args: tuple[Any, ...], kwargs: dict[str, Any], expected: Any) -> None:
    assert list(rpc.flight(None, args, kwargs)) == [expected]


def test_requests_as_clients_hand_them_on(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(web.ry_websocket(SimpleNamespace(uri="wss://a.example/x"), (), {})) == [("a.example", 443)]
    request = SimpleNamespace(url="http://a.example:8080/x")
    assert list(web.pyqwest(None, (request,), {})) == [("a.example", 8080)]
    assert list(web.pyqwest(None, (), {"request": request})) == [("a.example", 8080)]
    order = b'{"requestUrl": "https://a.example/", "proxyUrl": "http://proxy.example:3128"}'
    assert list(web.tls_client(None, (order,), {})) == [("proxy.example", 3128), ("a.example", 443)]
    order = b'{"requestUrl": "https://a.example/", "proxyUrl": ""}'
    assert list(web.tls_client(None, (order,), {})) == [("a.example", 443)]
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    assert list(web.pyqwest(None, (SimpleNamespace(url="https://a.example/"),), {})) == [
        ("a.example", 443),
        ("proxy.example", 3128),
    ]


@pytest.mark.parametrize(
    "kwargs, expected",
    [
        ({"host": "a.example"}, [("a.example", 22)]),
        ({"host": "a.example", "port": 2222}, [("a.example", 2222)]),
        ({"host": "a.example", "fd": 5}, []),
        ({}, [("set.example", 22)]),
    ],
)
def test_libssh(kwargs: dict[str, Any], expected: list[Any]) -> None:
    session = SimpleNamespace(port=22, get_ssh_options={"host": "set.example"}.get)
    assert list(connectors.libssh(session, (), kwargs)) == expected


def test_agents_tell_where_they_report_to() -> None:
    tracer = SimpleNamespace(_otlp_endpoint=None, intake_url="http://agent.example:8126")
    assert list(agents.ddtrace(tracer, (b"",), {})) == [("agent.example", 8126)]
    tracer.intake_url = "unix:///var/run/datadog/apm.socket"
    assert list(agents.ddtrace(tracer, (b"",), {})) == ["unix:///var/run/datadog/apm.socket"]
    tracer._otlp_endpoint = "http://collector.example:4318/v1/traces"
    assert list(agents.ddtrace(tracer, (b"",), {})) == [("collector.example", 4318)]
    assert list(agents.pyroscope(None, ("app", "http://a.example:4040"), {})) == [("a.example", 4040)]
    assert list(agents.nominal(SimpleNamespace(_opts=None), ("rid",), {})) == [("api.gov.nominal.io", 443)]
    stream = SimpleNamespace(_opts=SimpleNamespace(base_api_url="http://a.example/api"))
    assert list(agents.nominal(stream, ("rid",), {})) == [("a.example", 80)]


@pytest.mark.parametrize(
    "args, kwargs, expected",
    [
        (("https://cas.example",), {}, [("cas.example", 443)]),
        ((), {"token_refresh_url": "https://hub.example/t"}, [("hub.example", 443)]),
        ((), {"endpoint": "local:///tmp/x"}, []),
        ((), {}, []),
    ],
)
def test_xet(args: tuple[Any, ...], kwargs: dict[str, Any], expected: list[Any]) -> None:
    assert list(agents.xet(None, args, kwargs)) == expected
    assert list(agents.xet_files(None, (["file"], *args), kwargs)) == expected


def test_awss_common_runtime() -> None:
    tcp, unix = (SimpleNamespace(domain=SimpleNamespace(name=name)) for name in ("IPv6", "Local"))
    proxy = SimpleNamespace(host_name="proxy.example", port=3128, auth_type=0)
    here, there = [("a.example", 80)], [("a.example", 80), ("proxy.example", 3128)]
    assert list(rpc.crt_http(None, (0, "a.example", 80, tcp, None, None), {})) == here
    assert list(rpc.crt_http(None, (0, "a.example", 80, tcp, None, proxy), {})) == there
    assert list(rpc.crt_http(None, (0, "/run/x", 0, unix, None, None), {})) == ["unix:/run/x"]
    assert list(rpc.crt_websocket(None, ("a.example", 80, 0, 0, tcp, None, proxy), {})) == there
    assert list(rpc.crt_events(None, ("a.example", 80, 0, tcp), {})) == here
    assert list(rpc.crt_mqtt(None, (0, "id", "a.example", 80, tcp, None, 1), {})) == here
    assert list(rpc.crt_mqtt(None, (0, "id", "a.example", 80, tcp, None, 1, proxy), {})) == there
    request = SimpleNamespace(headers={"Host": "bucket.s3.eu-west-1.amazonaws.com"})
    assert list(rpc.crt_s3(None, (0, 0, request), {})) == [("bucket.s3.eu-west-1.amazonaws.com", 443)]
    client = type("Client", (), {})()
    assert rpc.crt_mqtt5(client, (), {}) is None
    rpc.crt_mqtt5_made(None, (client, "a.example", 8883), {})
    assert rpc.crt_mqtt5(client, (), {}) == ("a.example", 8883)


@pytest.mark.parametrize(
    "uri, expected",
    [
        ("ldap://a.example ldaps://b.example:1636", [("a.example", 389), ("b.example", 1636)]),
        ("ldapi://%2Frun%2Fldapi/", ["unix:/run/ldapi"]),
        ("ldapi:///", ["unix:/run/slapd/ldapi"]),
    ],
)
def test_ldap(uri: str, expected: list[Any]) -> None:
    def simple_bind() -> None: ...
    def set_option() -> None: ...

    connection = SimpleNamespace(_uri=uri, _BaseLDAPConnection__client=SimpleNamespace(url=uri.split(maxsplit=1)[0]))
    assert list(connectors.ldap(connection, (simple_bind,), {})) == expected
    assert list(connectors.ldap(connection, (set_option,), {})) == []
    assert list(connectors.bonsai(connection, (), {})) == expected[:1]


@pytest.mark.parametrize(
    "args, expected",
    [
        (("qemu+tcp://a.example/system",), [("a.example", 16509)]),
        (("qemu+ssh://root@a.example:2222/system",), [("a.example", 2222)]),
        (("xen://a.example/",), [("a.example", 16514)]),
        (("qemu:///system",), ["unix:/run/libvirt/libvirt-sock"]),
        (("test:///default",), []),
        ((None,), ["unix:/run/libvirt/libvirt-sock"]),
    ],
)
def test_libvirt(args: tuple[Any, ...], expected: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LIBVIRT_DEFAULT_URI", raising=False)
    assert list(connectors.libvirt(None, args, {})) == expected
    monkeypatch.setenv("LIBVIRT_DEFAULT_URI", text_of(args))
    assert list(connectors.libvirt(None, (), {})) == expected


def text_of(args: tuple[Any, ...]) -> str:
    return args[0] or ""


def test_qt(monkeypatch: pytest.MonkeyPatch) -> None:
    address = SimpleNamespace(toString=lambda: "198.51.100.1")
    here = IntEnum("Special", {"HERE": 2}).HERE  # type: ignore[attr-defined]
    special = {here: SimpleNamespace(toString=lambda: "127.0.0.1")}
    monkeypatch.setitem(sys.modules, "PySide6.QtNetwork", SimpleNamespace(QHostAddress=special.__getitem__))
    assert list(loops.qt_host(None, ("a.example", 80), {})) == [("a.example", 80)]
    assert list(loops.qt_host(None, (address, 80), {})) == [("198.51.100.1", 80)]
    assert list(loops.qt_host(None, (here, 80), {})) == [("127.0.0.1", 80)]
    assert loops.qt_name(None, ("a.example", print), {}) == ("a.example", None)
    assert loops.qt_listen(None, (), {}) == ("", None)
    assert loops.qt_listen(None, (here, 80), {}) == ("127.0.0.1", 80)
    assert loops.qt_listen(None, (80,), {}) == ("", 80)
    assert list(loops.qt_datagram(None, (b"x", address, 80), {})) == [("198.51.100.1", 80)]
    datagram = SimpleNamespace(destinationAddress=lambda: address, destinationPort=lambda: 80)
    assert list(loops.qt_datagram(None, (datagram,), {})) == [("198.51.100.1", 80)]
    assert list(loops.qt_datagram(None, (b"x",), {})) == []


@pytest.mark.parametrize(
    "url, expected",
    [("https://a.example/x", [("a.example", 443)]), ("qrc:/x", []), ("file:///x", []), ("data:,x", [])],
)
def test_qts_requests(url: str, expected: list[Any]) -> None:
    request = SimpleNamespace(url=lambda: SimpleNamespace(toString=lambda: url))
    assert list(loops.qt_request(None, (request,), {})) == expected


def test_samba() -> None:
    assert list(connectors.samba(None, ("smb://u@a.example/share",), {})) == [("a.example", 445)]
    assert list(connectors.samba(None, (), {"uri": "smb://a.example:4455/share"})) == [("a.example", 4455)]
    assert list(connectors.samba(None, ("smb://",), {})) == []


def test_rerun() -> None:
    assert list(agents.rerun(None, (), {"url": "rerun+http://a.example:9876/proxy"})) == [("a.example", 9876)]
    assert list(agents.rerun(None, (), {"url": None})) == [("127.0.0.1", 9876)]


def test_torrents() -> None:
    given = {"trackers": ["udp://a.example:6969/announce"], "url_seeds": ["http://b.example/"], "peers": [("c", 1)]}
    expected = [("a.example", 6969), ("b.example", 80), ("c", 1)]
    assert list(agents.torrent(None, (given,), {})) == expected
    assert list(agents.torrent(None, (SimpleNamespace(**given),), {})) == expected
