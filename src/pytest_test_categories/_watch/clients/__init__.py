"""Native clients by name: libraries whose traffic meets no socket of Python's.

``rows`` holds the table. A row is wrapped when the project has imported the row's module: nothing is imported, and of
table and readers nothing is loaded, for libraries that a project doesn't use.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from pytest_test_categories._host.imports import on_import
from pytest_test_categories._host.wrapping import EntryPoint, remove_all, writing
from pytest_test_categories._watch.clients.announced import announced_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest_test_categories._watch import Judge, Remember
    from pytest_test_categories._watch.clients.rows import Row

    Where = str | tuple[str, int | str | None]
    Read = Callable[[Any, tuple[Any, ...], dict[str, Any]], Iterable[Where] | Where | None]

GROUP: Final = "pytest_test_categories.clients"
"""The entry-point group: a module to wait for, and a function to call once it has been imported."""

KINDS: Final = ("connect", "send", "lookup", "reverse-lookup", "bind")

MODULES: Final = (
    "MySQLdb._mysql",
    "PyQt5.QtNetwork",
    "PySide6.QtNetwork",
    "_awscrt",
    "_duckdb",
    "_mysql_connector",
    "_pulsar",
    "_pylibmc",
    "acurl",
    "adbc_driver_manager._lib",
    "aerospike",
    "arrow_odbc",
    "arrow_odbc.connect",
    "arrow_odbc.insert_into_table",
    "arrow_odbc.read_arrow_batches_from_odbc",
    "av",
    "av.container",
    "av.container.core",
    "awscrt.mqtt5",
    "bonsai.ldapconnection",
    "chdb._chdb",
    "confluent_kafka.cimpl",
    "connectorx",
    "couchbase.logic.pycbc_core._core",
    "curl_cffi.aio",
    "curl_cffi.curl",
    "cv2",
    "daft.daft",
    "databend_driver",
    "databend_driver.local",
    "datafusion._internal",
    "ddtrace.internal.writer.writer",
    "deltalake",
    "deltalake.table",
    "deltalake.writer",
    "deltalake.writer.writer",
    "dns.asyncresolver",
    "dns.resolver",
    "duckdb",
    "etcd_client",
    "eventlet.support.greendns",
    "fiona",
    "fiona.ogrext",
    "glide.glide_client",
    "glide_sync.glide_client",
    "grpc._channel",
    "grpc._cython.cygrpc",
    "hdbcli.dbapi",
    "hdfs_native",
    "hf_transfer",
    "hf_transfer.hf_transfer",
    "hf_xet",
    "hf_xet.hf_xet",
    "httpr.httpr",
    "ibm_db",
    "icechunk._icechunk_python",
    "impit",
    "impit.impit",
    "kuzu._kuzu",
    "ladybug._lbug",
    "lance",
    "lance.dataset",
    "lancedb",
    "lancedb.db",
    "ldap.ldapobject",
    "libsql",
    "libsql_experimental",
    "libtorrent",
    "libvirt",
    "livekit.rtc.room",
    "mariadb._mariadb",
    "mgclient",
    "mssql_python.ddbc_bindings",
    "natsrpy",
    "netCDF4._netCDF4",
    "never_primp.never_primp",
    "nominal_streaming.nominal_dataset_stream",
    "obstore",
    "obstore._obstore",
    "opendal",
    "polars._plr",
    "primp",
    "primp.primp",
    "psqlpy",
    "psycopg.pq.pq_ctypes",
    "psycopg2._psycopg",
    "psycopg_binary.pq",
    "psycopg_c.pq",
    "pyarrow._dataset",
    "pyarrow._flight",
    "pyarrow._fs",
    "pycares",
    "pycurl",
    "pygit2",
    "pygit2.remotes",
    "pygit2.submodules",
    "pylibsshext.session",
    "pymssql._mssql",
    "pynng.nng",
    "pyodbc",
    "pyogrio._io",
    "pyogrio.core",
    "pyogrio.raw",
    "pyoxigraph",
    "pyqwest._pyqwest",
    "pyreqwest._pyreqwest",
    "pyroscope._native",
    "questdb._client",
    "rasterio._base",
    "requests_rs._native",
    "rerun_bindings",
    "rloop._rloop",
    "rnet",
    "rnet.blocking",
    "rnet.rnet",
    "ry",
    "ry.ryo3",
    "smbc",
    "snowflake.connector.aio.connection._connection",
    "snowflake.connector.connection._connection",
    "solace.messaging.core._solace_session",
    "taosws",
    "temporalio.bridge.temporal_sdk_bridge",
    "teradatasql",
    "tigerbeetle.client",
    "tiledb.libtiledb",
    "tls_client.cffi",
    "tls_client.sessions",
    "typedb.connection.driver",
    "uvloop.loop",
    "vortex",
    "vortex.file",
    "win32file",
    "win32pipe",
    "wreq",
    "wreq.wreq",
    "zenoh",
    "zmq.backend.cython._zmq",
)
"""The modules of the table, which itself is not loaded before one of them."""


class _State:
    """Which clients are watched: the part of this file that changes.

    Attributes:
        rows: Those that were added, by module.
        entry_points: Made once for each row: each knows its own wrapper again.
        awaited: Modules that are waited for.
        announced: Entry points of the group, by the module that each waits for; None until they are read.
        asked: Who is asked; None while nobody guards.
    """

    def __init__(self) -> None:
        self.rows: dict[str, list[Row]] = {}
        self.entry_points: dict[Row, list[EntryPoint]] = {}
        self.awaited: set[str] = set()
        self.announced: dict[str, list[Any]] | None = None
        self.asked: tuple[Judge, Remember] | None = None


state: Final = _State()


def start(judge: Judge, remember: Remember) -> None:
    """Watch the clients that are imported, and those that will be."""
    state.asked = (judge, remember)
    if state.announced is None:
        state.announced = announced_in(sys.path, GROUP)
    for module in modules():
        _watch(module)


def modules() -> tuple[str, ...]:
    """Return the modules that hold clients which are watched once they are imported."""
    return (*MODULES, *state.rows, *(state.announced or ()))


def stop() -> None:
    """Take every wrapper off."""
    with writing.lock:
        state.asked = None
        for entry_points in state.entry_points.values():
            remove_all(entry_points)


def watch_client(
    target: str,
    endpoints: Read,
    *,
    kind: str = "connect",
    also: Iterable[str] = (),
    awaited: bool = False,
) -> Callable[[], None]:
    """Have calls of a native client judged, as those of the sockets are.

    Nothing is imported: the function is watched once its module has been, and while a guard is active.

    Args:
        target: What is called, as ``module:function`` or ``module:Class.method``. A type of a C extension may be named
            like any other.
        endpoints: Called as ``endpoints(instance, args, kwargs)`` before each call; returns where it leads, or
            several such places, or None if it reaches nothing. A place is ``"host:port"``, ``("host", port)``, a URL
            or ``"unix:/path"``, or the path of a named pipe of Windows.
        kind: ``connect``, ``send``, ``lookup``, ``reverse-lookup`` or ``bind``.
        also: Further modules that hold the same function under the same name.
        awaited: Whether it is a coroutine function, to be judged when it is awaited.

    Returns:
        A function that ends the watch.

    Raises:
        ValueError: ``target`` is not of that form, or there is no such kind.
    """
    module, _, name = target.partition(":")
    if not module or not name:
        raise ValueError(f"{target!r} is not of the form 'module:function' or 'module:Class.method'")
    if kind not in KINDS:
        raise ValueError(f"{kind!r} is not a kind of network access; choose one of {', '.join(KINDS)}")
    from pytest_test_categories._watch.clients.rows import Row

    row = Row(module, name, endpoints, kind, tuple(also), awaited)
    for module in (row.module, *row.also):
        state.rows.setdefault(module, []).append(row)
    if state.asked is not None:
        for module in (row.module, *row.also):
            _watch(module)

    def remove() -> None:
        with writing.lock:
            for module in (row.module, *row.also):
                if row in state.rows[module]:
                    state.rows[module].remove(row)
            remove_all(state.entry_points.pop(row, []))

    return remove


def watch_type(kind: type, row: Row) -> None:
    """Have a row's method judged of a type that stands in no module: it was met in what a call returned."""
    from pytest_test_categories._watch.clients.rows import entry_points_of

    made = entry_points_of(row, _whom)
    with writing.lock:
        if row not in state.entry_points:
            state.rows.setdefault(row.module, []).append(row)  # for the guards to come
            state.entry_points[row] = [EntryPoint(row.module, row.name, one.wrapper, kind) for one in made]
        if state.asked is not None:
            for entry_point in state.entry_points[row]:
                entry_point.install()


def _watch(module: str) -> None:
    if module in sys.modules:
        _wrap(module)
    if module not in state.awaited:
        state.awaited.add(module)
        on_import(module, lambda _module: _imported(module))


def _imported(module: str) -> None:
    """Wrap what the table has for a module that is there now, and for those that came with it.

    A native module may put others into ``sys.modules`` by itself, as PyO3's submodules do: no import hook hears of it.
    """
    root = module.partition(".")[0]
    for other in modules():
        if other == module or (other.startswith(f"{root}.") and other in sys.modules):
            _wrap(other)


def _wrap(module: str) -> None:
    if state.asked is None:
        return
    from pytest_test_categories._watch.clients.rows import entry_points_of, rows_of

    for announced in (state.announced or {}).pop(module, ()):
        announced.load()()
    rows = (*rows_of(module), *state.rows.get(module, ()))
    made = {row: entry_points_of(row, _whom) for row in rows if row not in state.entry_points}
    with writing.lock:
        # Meanwhile the last guard may have ended, in another thread, or the watch on a row.
        for row in (*rows_of(module), *state.rows.get(module, ())) if state.asked is not None else ():
            if row in made:
                state.entry_points.setdefault(row, made[row])
            for entry_point in state.entry_points.get(row, ()):
                # A module that re-exports a function may be in the middle of its own import: it takes the wrapped one,
                # and is looked at again when it is done.
                if entry_point.module in sys.modules:
                    entry_point.install()


def _whom() -> tuple[Judge, Remember] | None:
    return state.asked
