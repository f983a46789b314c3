"""Native clients: libraries whose traffic does not use Python's sockets, watched by the names of their functions.

``rows`` contains the table. A row is wrapped once the project has imported its module. For libraries that a project
does not use, nothing is imported, and neither the table nor its readers are loaded.
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
"""The entry-point group; an entry point names a module, and a function to call once the module has been imported."""

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
"""The modules in the table; the table itself is loaded only after one of them."""


class _State:
    """Which clients are watched: the mutable state of this module.

    Attributes:
        rows: The rows that were added by ``watch_client``, by module.
        entry_points: The entry points of each row, created once: each recognizes its own wrapper.
        awaited: The modules that have an import hook.
        announced: The group's entry points that are not loaded yet, by module; None until they are read.
        asked: The judge and its memory for look-ups; None while no guard is active.
    """

    def __init__(self) -> None:
        self.rows: dict[str, list[Row]] = {}
        self.entry_points: dict[Row, list[EntryPoint]] = {}
        self.awaited: set[str] = set()
        self.announced: dict[str, list[Any]] | None = None
        self.asked: tuple[Judge, Remember] | None = None


state: Final = _State()


def start(judge: Judge, remember: Remember) -> None:
    """Watch the clients that are already imported, and those that will be."""
    state.asked = (judge, remember)
    if state.announced is None:
        state.announced = announced_in(sys.path, GROUP)
    for module in modules():
        _watch(module)


def modules() -> tuple[str, ...]:
    """Return the modules whose clients are watched once they are imported."""
    return (*MODULES, *state.rows, *(state.announced or ()))


def stop() -> None:
    """Remove every wrapper."""
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
    """Judge the calls of a native client as network access, as socket calls are.

    Nothing is imported: the function is watched once its module has been imported, and while a guard is active.

    Args:
        target: The function to watch, as ``module:function`` or ``module:Class.method``. The class may be a type of a
            C extension.
        endpoints: Called as ``endpoints(instance, args, kwargs)`` before each call; returns the place that the call
            leads to, or several places, or None if it reaches nothing. A place is ``"host:port"``, ``("host", port)``,
            a URL, ``"unix:/path"``, or the path of a named pipe of Windows.
        kind: ``connect``, ``send``, ``lookup``, ``reverse-lookup`` or ``bind``.
        also: Other modules that contain the same function under the same name.
        awaited: Whether it is a coroutine function; its calls are judged when they are awaited.

    Returns:
        A function that stops watching.

    Raises:
        ValueError: ``target`` does not have that form, or there is no such kind.
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
    """Watch a row's method on a type that no module exposes, and that was found in the result of a call."""
    from pytest_test_categories._watch.clients.rows import entry_points_of

    made = entry_points_of(row, _whom)
    with writing.lock:
        if row not in state.entry_points:
            state.rows.setdefault(row.module, []).append(row)  # for later guards
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
    """Wrap the table's functions in a module that has been imported, and in the modules that came with it.

    A native module may add others to ``sys.modules`` by itself, such as PyO3's submodules, without an import hook being
    called.
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
        # Meanwhile another thread may have ended the last guard, or stopped watching a row.
        for row in (*rows_of(module), *state.rows.get(module, ())) if state.asked is not None else ():
            if row in made:
                state.entry_points.setdefault(row, made[row])
            for entry_point in state.entry_points.get(row, ()):
                # A module that re-exports a function may still be importing itself: it gets the wrapped function, and
                # is checked again when its import is complete.
                if entry_point.module in sys.modules:
                    entry_point.install()


def _whom() -> tuple[Judge, Remember] | None:
    return state.asked
