"""The table: which call of which library leads where."""

from __future__ import annotations

import functools
import importlib
from typing import TYPE_CHECKING, Any, Final

from pytest_test_categories._host.wrapping import EntryPoint
from pytest_test_categories._rules.named_tuples import NamedTuple
from pytest_test_categories._watch.clients.asking import wrapper

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest_test_categories._watch import Judge, Remember
    from pytest_test_categories._watch.clients import Read


class Row(NamedTuple):
    """One entry point of a native client.

    Attributes:
        module: The module that contains it.
        name: Its dotted path in the module. A type's method is preferred to the function that people call, since
            it is reached however that was imported.
        read: A reader, which yields where a call ``(instance, args, kwargs)`` leads, or the name of a reader in this
            package, as ``module:function``. Empty if ``after`` is given.
        kind: The value of a ``Kind``.
        also: Other modules that contain the same function under the same name.
        awaited: Whether it is a coroutine function, whose calls are judged when they are awaited.
        after: The name of a function that is called with the instance, the call's result, and its arguments; the call
            itself reaches nothing.
        steps: Whether the call then uses Python's sockets: their accesses are the same attempt, at the place that the
            caller named.
    """

    module: str
    name: str
    read: Read | str = ""
    kind: str = "connect"
    also: tuple[str, ...] = ()
    awaited: bool = False
    after: str = ""
    steps: bool = False


_HTTP_METHODS: Final = ("delete", "get", "head", "options", "patch", "post", "put", "request")
_AND_SOCKETS: Final = (*_HTTP_METHODS, "trace", "websocket")
_AND_STREAMS: Final = (*_HTTP_METHODS, "trace", "stream")


def _web(module: str, holders: Iterable[str], names: Iterable[str], also: tuple[str, ...] = ()) -> list[Row]:
    """Return the rows of an HTTP client's methods; ``request`` and ``stream`` take the URL as their second argument."""
    return [
        Row(module, f"{holder}{name}", f"web:url{'_of_request' if name in {'request', 'stream'} else ''}", also=also)
        for holder in holders
        for name in names
    ]


ROWS: Final = (
    # uvloop uses libuv's sockets. The wrappers of sockets see what it does with Python's (create_unix_server,
    # sock_connect to a numeric address).
    Row("uvloop.loop", "Loop.create_connection", "loops:connection", awaited=True),
    Row("uvloop.loop", "Loop.create_unix_connection", "loops:unix", awaited=True),
    Row("uvloop.loop", "Loop.sock_connect", "loops:sock_connect", awaited=True),
    Row("uvloop.loop", "Loop.create_datagram_endpoint", "loops:datagram_remote", awaited=True),
    Row("uvloop.loop", "Loop.create_datagram_endpoint", "loops:datagram_local", "bind", awaited=True),
    Row("uvloop.loop", "UDPTransport.sendto", "loops:sendto", "send"),
    Row("uvloop.loop", "Loop.create_server", "loops:server", "bind", awaited=True),
    Row("uvloop.loop", "Loop.getaddrinfo", "loops:lookup", "lookup", awaited=True),
    Row("uvloop.loop", "Loop.getnameinfo", "loops:reverse", "reverse-lookup", awaited=True),
    # rloop connects and looks up names with Python's sockets; only its datagram transports send by themselves.
    Row("rloop._rloop", "EventLoop._udp_conn", after="loops:rloop_transport"),
    # c-ares, by itself or under aiodns.
    Row("pycares", "Channel.getaddrinfo", "loops:cares_addresses", "lookup"),
    *(Row("pycares", f"Channel.{name}", "loops:cares", "lookup") for name in ("query", "search")),
    Row("pycares", "Channel.gethostbyaddr", "loops:cares", "reverse-lookup"),
    Row("pycares", "Channel.getnameinfo", "loops:cares_reverse", "reverse-lookup"),
    # dnspython repeats a failed query, whatever the error, until its lifetime ends: it is judged before the first one.
    # eventlet has its own copy of dnspython, which is not in sys.modules.
    *(
        Row(module, name, read, kind, awaited=module == "dns.asyncresolver", steps=True)
        for module, name in (
            ("dns.resolver", "Resolver.resolve"),
            ("dns.asyncresolver", "Resolver.resolve"),
            ("eventlet.support.greendns", "dns.resolver.Resolver.resolve"),
        )
        for read, kind in (("loops:dnspython", "lookup"), ("loops:dnspython_server", "send"))
    ),
    # Qt, whose event loop has its own sockets and requests.
    *(
        row
        for module in ("PySide6.QtNetwork", "PyQt5.QtNetwork")
        for row in (
            *(
                Row(module, f"QNetworkAccessManager.{name}", "loops:qt_request")
                for name in ("get", "head", "post", "put", "deleteResource", "sendCustomRequest")
            ),
            Row(module, "QAbstractSocket.connectToHost", "loops:qt_host"),
            Row(module, "QSslSocket.connectToHost", "loops:qt_host"),
            Row(module, "QSslSocket.connectToHostEncrypted", "loops:qt_host"),
            Row(module, "QUdpSocket.writeDatagram", "loops:qt_datagram", "send"),
            Row(module, "QHostInfo.fromName", "loops:qt_name", "lookup"),
            Row(module, "QHostInfo.lookupHost", "loops:qt_name", "lookup"),
            Row(module, "QTcpServer.listen", "loops:qt_listen", "bind"),
            Row(module, "QAbstractSocket.bind", "loops:qt_listen", "bind"),
        )
    ),
    # PostgreSQL's libpq. psycopg 3 calls it in one class of each implementation: C, binary and ctypes.
    Row("psycopg2._psycopg", "connection.__init__", "databases:psycopg2"),
    *(
        Row(module, f"PGconn.{name}", "databases:pgconn")
        for module in ("psycopg_binary.pq", "psycopg_c.pq", "psycopg.pq.pq_ctypes")
        for name in ("connect", "connect_start", "ping")
    ),
    # MySQL's and MariaDB's C clients, FreeTDS, libmemcached.
    Row("MySQLdb._mysql", "connection.__init__", "databases:mysql"),
    Row("_mysql_connector", "MySQL.connect", "databases:mysql_connector"),
    Row("pymssql._mssql", "MSSQLConnection.__init__", "databases:mssql"),
    *(
        Row("_pylibmc", f"client.{name}", "databases:memcached")
        for name in (
            *("get", "gets", "get_multi", "set", "set_multi", "add", "add_multi", "replace", "append", "prepend"),
            *("cas", "delete", "delete_multi", "incr", "incr_multi", "decr", "touch", "get_stats", "flush_all"),
        )
    ),
    Row("mariadb._mariadb", "connection.__init__", "databases:mysql"),
    # Clients of single databases. TigerBeetle's and Teradata's use ctypes: their Python methods are watched.
    Row("aerospike", "client", "databases:aerospike"),
    Row("couchbase.logic.pycbc_core._core", "pycbc_connection.pycbc_connect", "databases:couchbase"),
    Row("hdbcli.dbapi", "Connection.__init__", "databases:hana"),
    Row("libsql", "connect", "databases:libsql"),
    Row("libsql_experimental", "connect", "databases:libsql"),
    Row("mgclient", "Connection.__init__", "databases:memgraph"),
    *(
        Row("questdb._client", f"{name}", "databases:questdb")
        for name in ("Sender.from_conf", "Sender.from_env", "QuestDB.from_conf")
    ),
    Row("questdb._client", "Sender.__init__", "databases:questdb_sender"),
    Row("teradatasql", "TeradataConnection.__init__", "databases:teradata"),
    Row("tigerbeetle.client", "Client.__init__", "databases:tigerbeetle"),
    Row("typedb.connection.driver", "_Driver.__init__", "databases:typedb"),
    Row("psqlpy", "connect", "connectors:psqlpy"),
    Row("psqlpy", "connect_pool", "connectors:psqlpy"),
    Row("databend_driver.local", "connect", "connectors:url", also=("databend_driver",)),
    Row("taosws", "connect", "connectors:url"),
    # Databases named by a connection string: drivers of ODBC and ADBC, ConnectorX; then delta-rs, Temporal's core.
    Row("pyodbc", "connect", "connectors:odbc"),
    Row(
        "arrow_odbc.connect",
        "connect",
        "connectors:odbc",
        also=("arrow_odbc", "arrow_odbc.insert_into_table", "arrow_odbc.read_arrow_batches_from_odbc"),
    ),
    Row("ibm_db", "connect", "connectors:odbc"),
    Row("ibm_db", "pconnect", "connectors:odbc"),
    Row("mssql_python.ddbc_bindings", "Connection.__init__", "connectors:odbc"),
    Row("adbc_driver_manager._lib", "AdbcDatabase.__init__", "connectors:adbc"),
    *(Row("connectorx", name, "connectors:connectorx") for name in ("read_sql", "get_meta", "partition_sql")),
    Row("deltalake.table", "DeltaTable.__init__", "connectors:deltalake"),
    Row("deltalake.table", "DeltaTable.is_deltatable", "connectors:deltalake"),
    Row(
        "deltalake.writer.writer",
        "write_deltalake",
        "connectors:deltalake",
        also=("deltalake.writer", "deltalake"),
    ),
    Row("temporalio.bridge.temporal_sdk_bridge", "connect_client", "connectors:temporal"),
    # gRPC, whose channels connect at their first call.
    Row("grpc._cython.cygrpc", "Channel.segregated_call", "rpc:call"),
    Row("grpc._cython.cygrpc", "Channel.integrated_call", "rpc:call"),
    Row("grpc._cython.cygrpc", "Channel.check_connectivity_state", "rpc:check"),
    Row("grpc._channel", "Channel.subscribe", "rpc:subscribe"),
    Row("grpc._cython.cygrpc", "AioChannel.call", "rpc:call"),
    Row("grpc._cython.cygrpc", "AioChannel.check_connectivity_state", "rpc:check"),
    Row("grpc._cython.cygrpc", "Server.add_http2_port", "rpc:port", "bind"),
    Row("grpc._cython.cygrpc", "AioServer.add_insecure_port", "rpc:port", "bind"),
    Row("grpc._cython.cygrpc", "AioServer.add_secure_port", "rpc:port", "bind"),
    # ZeroMQ, which connects and serves in its own thread.
    Row("zmq.backend.cython._zmq", "Socket.connect", "queues:zmq"),
    Row("zmq.backend.cython._zmq", "Socket.bind", "queues:zmq", "bind"),
    # librdkafka, whose threads connect as soon as a client exists.
    *(
        Row("confluent_kafka.cimpl", f"{name}.__init__", "queues:kafka")
        for name in ("Producer", "Consumer", "ShareConsumer", "_AdminClientImpl")
    ),
    # libcurl. A handle's options for proxies and addresses can't be read back from it.
    *(
        row
        for module in ("pycurl", "curl_cffi.curl")
        for row in (
            Row(module, "Curl.setopt", after="web:curl_option"),
            Row(module, "Curl.reset", after="web:curl_reset"),
            Row(module, "Curl.duphandle", after="web:curl_duplicate"),
        )
    ),
    Row("pycurl", "Curl.setopt_string", after="web:curl_option"),
    Row("pycurl", "Curl.unsetopt", after="web:curl_unset"),
    Row("pycurl", "Curl.perform", "web:pycurl"),
    Row("pycurl", "Curl.perform_rb", "web:pycurl"),
    Row("pycurl", "Curl.perform_rs", "web:pycurl"),
    Row("pycurl", "CurlMulti.add_handle", "web:pycurl_multi"),
    *(Row("pycurl", f"CurlMulti.{name}", "web:pycurl_changed") for name in ("perform", "socket_action", "socket_all")),
    Row("curl_cffi.curl", "Curl.perform", "web:curl_cffi"),
    Row("curl_cffi.aio", "AsyncCurl.add_handle", "web:curl_cffi_multi"),
    # Rust's HTTP clients.
    *_web("primp.primp", ("Client.", "AsyncClient."), _HTTP_METHODS),
    *_web("primp.primp", ("",), _HTTP_METHODS, also=("primp",)),
    Row("httpr.httpr", "RClient.request", "web:url_of_request"),
    *_web("rnet.rnet", ("Client.",), _AND_SOCKETS),
    *_web("rnet.rnet", ("",), _AND_SOCKETS, also=("rnet",)),
    *_web("rnet.blocking", ("BlockingClient.",), _AND_SOCKETS),
    *_web("wreq.wreq", ("Client.", "blocking.Client.", "blocking."), _AND_SOCKETS),
    *_web("wreq.wreq", ("",), _AND_SOCKETS, also=("wreq",)),
    *_web("impit.impit", ("Client.", "AsyncClient."), _AND_STREAMS),
    *_web("impit.impit", ("",), [name for name in _AND_STREAMS if name != "request"], also=("impit",)),
    *(
        Row("pyreqwest._pyreqwest", f"request.{name}", "web:pyreqwest")
        for name in (
            *("ConsumedRequest.send", "StreamRequest.__aenter__"),
            *("SyncConsumedRequest.send", "SyncStreamRequest.__enter__"),
        )
    ),
    Row("pyreqwest._pyreqwest", "middleware.Next.run", "web:pyreqwest_next"),
    Row("pyreqwest._pyreqwest", "middleware.SyncNext.run", "web:pyreqwest_next"),
    *(Row("never_primp.never_primp", f"RClient.{name}", "web:url_of_request") for name in ("request", "request_async")),
    *(
        Row(
            "requests_rs._native",
            f"NativeSession.{name}{end}",
            f"web:url{'' if name == 'websocket' else '_of_request'}",
        )
        for name in ("request", "request_multipart", "request_stream", "websocket")
        for end in ("", "_async")
    ),
    *_web("ry.ryo3", ("Client.", "BlockingClient."), (*_HTTP_METHODS[:-1], "query", "fetch")),
    *_web("ry.ryo3", ("",), ("fetch", "fetch_sync"), also=("ry",)),
    Row("ry.ryo3", "Client.fetch_sync", "web:url"),
    Row("ry.ryo3", "WebSocket.__aenter__", "web:ry_websocket"),
    # pyqwest. Its clients don't show whether their transport sends anything: the transports are watched.
    Row("pyqwest._pyqwest", "HTTPTransport.execute", "web:pyqwest"),
    Row("pyqwest._pyqwest", "SyncHTTPTransport.execute_sync", "web:pyqwest"),
    # An HTTP client in Go, which Python calls by ctypes.
    Row("tls_client.cffi", "request", "web:tls_client", also=("tls_client.sessions",)),
    # libgit2, whose functions can't be wrapped: the methods that call them are.
    Row("pygit2", "clone_repository", "connectors:git_clone"),
    *(Row("pygit2.remotes", f"Remote.{name}", "connectors:git_remote") for name in ("connect", "fetch", "push")),
    Row("pygit2.submodules", "Submodule.update", "connectors:git_submodule"),
    # libssh. ssh-python is not watched: its sessions' options can't be read back.
    Row("pylibsshext.session", "Session.connect", "connectors:libssh"),
    # Valkey's client in Rust; Pulsar's in C++, which connects when a producer, consumer or reader is created.
    *(
        Row("glide.glide_client", f"{cls}.create", "queues:glide", awaited=True)
        for cls in ("GlideClient", "GlideClusterClient", "BaseClient")
    ),
    *(Row("glide_sync.glide_client", f"{cls}.create", "queues:glide") for cls in ("GlideClient", "GlideClusterClient")),
    *(
        Row("_pulsar", f"Client.{name}", "queues:pulsar")
        for name in (
            *("create_producer", "create_producer_async", "create_producer_async_v2", "create_reader"),
            *("create_reader_async", "create_reader_async_v2", "create_table_view", "get_topic_partitions"),
            *("get_topic_partitions_async", "get_schema_info", "subscribe", "subscribe_async", "subscribe_async_v2"),
            *("subscribe_async_pattern", "subscribe_async_topics", "subscribe_pattern", "subscribe_topics"),
        )
    ),
    # nng, Zenoh, clients of NATS and etcd in Rust, and Solace's, which uses ctypes.
    Row("pynng.nng", "Socket._dial", "queues:zmq"),
    Row("pynng.nng", "Socket.listen", "queues:zmq", "bind"),
    *(Row("zenoh", name, "queues:zenoh") for name in ("open", "scout")),
    Row("natsrpy", "Nats.startup", "queues:nats"),
    Row("etcd_client", "Client.__aenter__", "queues:etcd"),
    Row("solace.messaging.core._solace_session", "_SolaceSession.connect", "queues:solace"),
    # Snowflake's core in Rust.
    Row("snowflake.connector.connection._connection", "Connection._connect", "connectors:snowflake"),
    Row(
        "snowflake.connector.aio.connection._connection",
        "Connection._initialize_core_connection",
        "connectors:snowflake",
        awaited=True,
    ),
    # AWS's common runtime, by itself or under boto3.
    Row("_awscrt", "http_client_connection_new", "rpc:crt_http"),
    Row("_awscrt", "websocket_client_connect", "rpc:crt_websocket"),
    Row("_awscrt", "event_stream_rpc_client_connection_connect", "rpc:crt_events"),
    Row("_awscrt", "mqtt_client_connection_connect", "rpc:crt_mqtt"),
    Row("_awscrt", "mqtt5_client_new", "rpc:crt_mqtt5_made"),
    Row("awscrt.mqtt5", "Client.start", "rpc:crt_mqtt5"),
    Row("_awscrt", "s3_client_make_meta_request", "rpc:crt_s3"),
    # acurl's sessions, Samba's client.
    *_web("acurl", ("Session.",), _HTTP_METHODS[:-1]),
    *(
        Row("smbc", f"Context.{name}", "connectors:samba")
        for name in ("open", "opendir", "creat", "stat", "mkdir", "rmdir", "unlink", "rename", "chmod", "getxattr")
    ),
    # OpenLDAP, libvirt, LiveKit.
    Row("ldap.ldapobject", "SimpleLDAPObject._ldap_call", "connectors:ldap"),
    Row("bonsai.ldapconnection", "BaseLDAPConnection.open", "connectors:bonsai"),
    *(Row("libvirt", name, "connectors:libvirt") for name in ("open", "openReadOnly", "openAuth")),
    Row("livekit.rtc.room", "Room.connect", "web:url", awaited=True),
    # Agents that report or transfer data in their own threads.
    Row("ddtrace.internal.writer.writer", "NativeWriter._send_payload", "agents:ddtrace"),
    Row("pyroscope._native", "initialize_agent", "agents:pyroscope"),
    Row(
        "nominal_streaming.nominal_dataset_stream",
        "NominalDatasetStream.with_core_consumer",
        "agents:nominal",
    ),
    *(
        Row("hf_xet.hf_xet", f"XetSession.{name}", "agents:xet")
        for name in ("new_upload_commit", "new_file_download_group", "new_download_stream_group")
    ),
    *(
        Row("hf_xet.hf_xet", name, "agents:xet_files", also=("hf_xet",))
        for name in ("download_files", "upload_files", "upload_bytes")
    ),
    Row("hf_transfer.hf_transfer", "download", "web:url", also=("hf_transfer",)),
    Row("rerun_bindings", "connect_grpc", "agents:rerun"),
    Row("libtorrent", "session.add_torrent", "agents:torrent"),
    Row("libtorrent", "session.async_add_torrent", "agents:torrent"),
    # DuckDB, whose statements name what it reads and writes.
    *(
        Row("_duckdb", f"DuckDBPyConnection.{name}", "sql:duckdb")
        for name in (
            *("execute", "executemany", "sql", "query", "from_query", "read_csv", "from_csv_auto", "read_json"),
            *("read_parquet", "from_parquet", "_bind", "_submit", "_prepare_script"),
        )
    ),
    *(Row("_duckdb", name, "sql:duckdb", also=("duckdb",)) for name in ("execute", "executemany")),
    Row("_duckdb", "DuckDBPyConnection.install_extension", "sql:duckdb_install"),
    Row("_duckdb", "install_extension", "sql:duckdb_install", also=("duckdb",)),
    Row("_duckdb", "connect", "sql:duckdb_connect", also=("duckdb",)),
    # ClickHouse in this process, Kuzu and its successor Ladybug, SPARQL.
    *(
        Row("chdb._chdb", name, "sql:clickhouse")
        for name in (
            *("query", "connect.query", "connect.query_df", "connect.execute", "connect.send_query"),
            *("connect.send_insert", "cursor.execute"),
        )
    ),
    *(
        Row(module, f"Connection.{name}", "sql:ladybug")
        for module in ("ladybug._lbug", "kuzu._kuzu")
        for name in ("query", "prepare")
    ),
    *(Row("pyoxigraph", f"Store.{name}", "sql:sparql") for name in ("query", "update")),
    # pywin32, with which docker's client opens its named pipe.
    *(Row("win32file", name, "places:pipe") for name in ("CreateFile", "CreateFileW")),
    Row("win32pipe", "CallNamedPipe", "places:pipe"),
    Row("win32pipe", "CreateNamedPipe", "places:pipe", "bind"),
    # Object stores.
    *(
        Row("obstore._obstore", f"{name}{end}", "stores:obstore", also=("obstore",))
        for name in (
            *("copy", "delete", "get", "get_range", "get_ranges", "head", "list_with_delimiter", "put", "rename"),
            *("open_reader", "open_writer"),
        )
        for end in ("", "_async")
    ),
    Row("obstore._obstore", "list", "stores:obstore", also=("obstore",)),
    *(
        Row("pyarrow._fs", f"FileSystem.{name}", "stores:pyarrow")
        for name in (
            *("get_file_info", "create_dir", "delete_dir", "delete_dir_contents", "delete_file", "move", "copy_file"),
            *("open_input_file", "open_input_stream", "open_output_stream", "open_append_stream"),
        )
    ),
    *(
        Row("opendal", f"{cls}.{name}", "stores:opendal")
        for cls in ("Operator", "AsyncOperator")
        for name in (
            *("check", "copy", "create_dir", "delete", "exists", "list", "open", "read", "remove_all", "rename"),
            *("scan", "stat", "write"),
        )
    ),
    *(
        Row("icechunk._icechunk_python", f"PyRepository.{name}{end}", "stores:icechunk")
        for name in ("create", "exists", "fetch_config", "open", "open_or_create")
        for end in ("", "_async")
    ),
    *(
        Row("tiledb.libtiledb", f"VFS.{name}", "stores:tiledb")
        for name in (
            *("_copy_dir", "_copy_file", "_create_bucket", "_create_dir", "_dir_size", "_empty_bucket", "_file_size"),
            *("_is_bucket", "_is_dir", "_is_empty_bucket", "_is_file", "_ls", "_ls_recursive", "_move_dir"),
            *("_move_file", "_remove_bucket", "_remove_dir", "_remove_file", "_touch"),
        )
    ),
    *(Row("hdfs_native", f"{name}.__init__", "connectors:url") for name in ("Client", "AsyncClient")),
    Row("daft.daft", "ScanOperatorHandle.glob_scan", "stores:daft"),
    # LanceDB, whose two interfaces connect to a remote database in one coroutine; and Lance's tables without LanceDB.
    Row("lancedb", "connect_async", "stores:lancedb", awaited=True),
    Row("lancedb.db", "LanceDBConnection.__init__", "stores:lancedb"),
    Row("lance.dataset", "LanceDataset.__init__", "stores:lance"),
    Row("vortex.file", "open", "stores:lance", also=("vortex",)),
    Row("lance.dataset", "write_dataset", "stores:lance_write", also=("lance",)),
    *(
        Row("datafusion._internal", f"SessionContext.{verb}_{kind}", "stores:address")
        for verb in ("read", "register")
        for kind in ("avro", "csv", "json", "parquet")
    ),
    # Libraries that open files by URL: FFmpeg, GDAL, netCDF.
    Row("av.container.core", "open", "stores:address", also=("av", "av.container")),
    *(Row("cv2", name, "stores:address") for name in ("VideoCapture.__init__", "VideoCapture.open")),
    *(Row("cv2", name, "stores:address") for name in ("VideoWriter.__init__", "VideoWriter.open")),
    Row("netCDF4._netCDF4", "Dataset.__init__", "stores:address"),
    Row("rasterio._base", "DatasetBase.__init__", "stores:gdal"),
    *(Row("fiona.ogrext", f"{cls}.start", "stores:gdal") for cls in ("Session", "WritingSession")),
    Row("fiona.ogrext", "_listlayers", "stores:gdal", also=("fiona",)),
    *(
        Row("pyogrio._io", name, "stores:gdal", also=(module,))
        for module, names in (
            ("pyogrio.core", ("ogr_list_layers", "ogr_read_bounds", "ogr_read_info")),
            ("pyogrio.raw", ("ogr_open_arrow", "ogr_read", "ogr_write", "ogr_write_arrow")),
        )
        for name in names
    ),
    Row("pyarrow._flight", "FlightClient.__init__", "rpc:flight"),
    Row("pyarrow._dataset", "FileSystemDatasetFactory.__init__", "stores:pyarrow_dataset"),
    *(
        Row("polars._plr", f"PyLazyFrame.{name}", "stores:polars")
        for name in (
            *("new_from_csv", "new_from_ipc", "new_from_ndjson", "new_from_parquet", "new_from_scan_lines"),
            *("new_from_expand_paths", "sink_csv", "sink_ipc", "sink_ndjson", "sink_parquet"),
        )
    ),
)


@functools.cache
def _by_module() -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in ROWS:
        for module in (row.module, *row.also):
            found.setdefault(module, []).append(row)
    return found


def rows_of(module: str) -> list[Row]:
    """Return the table's rows for a module."""
    return _by_module().get(module, [])


def entry_points_of(row: Row, whom: Callable[[], tuple[Judge, Remember] | None]) -> list[EntryPoint]:
    """Return the entry points of a row: its function in each module that contains it, with one common wrapper."""
    read = row.read
    if isinstance(read, str):
        read = _function(read) if read else lambda *_: None
    wrap = wrapper(row, read, whom, _function(row.after) if row.after else None)
    return [EntryPoint(module, row.name, wrap) for module in (row.module, *row.also)]


def _function(name: str) -> Any:
    home, _, name = name.partition(":")
    return getattr(importlib.import_module(f"{__package__}.{home}"), name)
