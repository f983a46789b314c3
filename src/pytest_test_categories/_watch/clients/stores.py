"""Readers for object stores and the data in them, and for files opened by URL."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING, Any, Final

from pytest_test_categories._watch.clients.places import PORTS, of_url, of_web, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_test_categories._watch.clients import Where

_HTTPS: Final = 443
_GOOGLE: Final = "storage.googleapis.com"
_ICECHUNK: Final = {"S3": "s3", "R2": "s3", "Tigris": "s3", "Gcs": "gs", "GCS": "gs", "Azure": "az"}
_OPENDAL: Final = {
    "dropbox": "api.dropboxapi.com",
    "gdrive": "www.googleapis.com",
    "github": "api.github.com",
    "hf": "huggingface.co",
    "onedrive": "graph.microsoft.com",
}
_ADDRESS: Final = re.compile(
    r"\b(?:dods|ftps?|gopher|https?|icecast|mms[ht]?|rtmp\w*|rtp|rtsps?|sftp|srt|tcp|tls|udp)://[^\s'\"]+"
)


def obstore(_module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read the store with which a function of obstore is called."""
    store: Any = args[0] if args else kwargs.get("store")
    name = type(store).__name__
    if name == "HTTPStore":
        yield from of_web(text(store.url))
        return
    config = getattr(store, "config", None)
    if not isinstance(config, dict):  # a store in memory or in files
        return
    kind = {"S3Store": "s3", "GCSStore": "gs", "AzureStore": "az"}.get(name)
    if kind is not None:
        yield from _of_store(kind, text(config.get("bucket") or config.get("container_name")), config)


def pyarrow(file_system: Any, _args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read a file system of Arrow; most of them are local."""
    kind = getattr(file_system, "type_name", "")
    if kind == "subtree":
        yield from pyarrow(file_system.base_fs, (), {})
    if kind not in {"s3", "gcs", "hdfs", "abfs"}:
        return
    _, (options, *_others) = file_system.__reduce__()
    if kind == "hdfs":
        yield text(options.get("host")), options.get("port")
        return
    if kind == "abfs":
        authority = text(options.get("blob_storage_authority"))
        yield from _of_store("az", "", {**options, "endpoint": authority if ":" in authority else ""})
        return
    if endpoint := text(options.get("endpoint_override")):
        scheme = text(options.get("scheme")) or "https"
        yield from of_web(endpoint if "://" in endpoint else f"{scheme}://{endpoint}")
    else:
        yield from _of_store("s3" if kind == "s3" else "gs", "", options)
    proxy = options.get("proxy_options") or {}
    if proxy.get("host"):
        yield proxy["host"], proxy.get("port")


def pyarrow_dataset(_factory: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read the file system that contains a dataset's files."""
    yield from pyarrow(args[0] if args else kwargs.get("filesystem"), (), {})


def polars(_frame: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read the sources of a scan, or the target of a sink."""
    options = kwargs.get("cloud_options")
    for holder in (kwargs.get("scan_options"), kwargs.get("sink_options")):
        options = options or getattr(holder, "storage_options", None)
    sources = [kwargs.get("source"), kwargs.get("sources"), kwargs.get("target"), *args]
    found = {}
    for source in sources:
        for one in source if isinstance(source, (list, tuple)) else [source]:
            url = text(one) if isinstance(one, str) or hasattr(one, "__fspath__") else ""
            if "://" in url and not url.startswith("file:"):
                found.update(dict.fromkeys(of_cloud(url, dict(options or ()))))
    yield from found


def of_cloud(url: str, options: Mapping[str, Any]) -> Iterator[Where]:
    """Yield where the URL of a store leads, by its scheme."""
    scheme, _, rest = url.partition("://")
    scheme = scheme.lower()
    bucket = rest.partition("/")[0]
    if scheme in {"http", "https"}:
        yield from of_web(url)
    elif scheme in {"s3", "s3a", "gs", "gcs", "az", "azure", "adl", "abfs", "abfss"}:
        yield from _of_store("s3" if scheme == "s3a" else "gs" if scheme == "gcs" else scheme, bucket, options)
    elif scheme == "hf":
        yield from of_web("https://huggingface.co")
    else:
        yield of_url(url, _HTTPS)


def _of_store(scheme: str, bucket: str, options: Mapping[str, Any]) -> Iterator[Where]:
    """Yield the endpoint of a store: that of the options, else of the environment, else the provider's."""
    plain = {text(key).lower().removeprefix("aws_").removeprefix("azure_"): text(options[key]) for key in options}
    endpoint = plain.get("endpoint_url") or plain.get("endpoint") or plain.get("base_url") or ""
    if not endpoint and scheme == "s3":
        named = map(os.environ.get, ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"))
        endpoint = next(filter(None, named), "")
    if endpoint:
        yield from of_web(endpoint)
    elif scheme == "s3":
        region = plain.get("region") or plain.get("default_region") or os.environ.get("AWS_REGION")
        host = f"s3.{region}.amazonaws.com" if region else "s3.amazonaws.com"
        yield from of_web(f"https://{bucket}.{host}" if bucket else f"https://{host}")
    elif scheme == "gs":
        yield from of_web(f"https://{_GOOGLE}")
    else:
        account = plain.get("account_name") or plain.get("storage_account_name") or bucket.partition("@")[2]
        host = account if "." in account else f"{account}.blob.core.windows.net"
        yield from of_web(f"https://{host.lstrip('.')}")


def daft(_operator: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read Daft's ``glob_scan(paths, format, storage_config)``."""
    paths = args[0] if args else kwargs.get("glob_path")
    storage: Any = args[2] if len(args) > 2 else kwargs.get("storage_config")  # noqa: PLR2004 - the third
    for path in [paths] if isinstance(paths, str) else paths or ():
        if "://" in text(path) and not text(path).startswith("file:"):
            config = getattr(storage, "io_config", None)
            told = getattr(config, "s3", None) if text(path).startswith("s3") else None
            yield from of_cloud(text(path), {"endpoint": getattr(told, "endpoint_url", None) or ""})


def icechunk(_repository: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read the storage of an Icechunk repository, which shows its options only in its ``repr``."""
    storage = repr(args[0] if args else kwargs.get("storage"))
    kind = next((short for name, short in _ICECHUNK.items() if storage.startswith(name)), None)
    if kind is not None:
        options = dict(re.findall(r"(bucket|container|account|region|endpoint_url)=([^,()]+)", storage))
        options = {key: value for key, value in options.items() if value != "None"}
        bucket = options.get("bucket") or options.get("container") or ""
        yield from _of_store(kind, bucket, options | {"account_name": options.get("account", "")})


def lancedb(_module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read LanceDB's ``connect_async(uri, api_key=, region=, host_override=, storage_options=)``."""
    uri = text(args[0] if args else kwargs.get("uri"))
    if uri.startswith("db://"):
        host = f"{uri.removeprefix('db://')}.{kwargs.get('region') or 'us-east-1'}.api.lancedb.com"
        yield from of_web(text(kwargs.get("host_override")) or f"https://{host}")
    else:
        yield from lance(None, (uri,), kwargs)


def lance(_dataset: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read where a table of Lance or Vortex is stored."""
    uri = text(args[0] if args else kwargs.get("uri") or kwargs.get("path"))
    if "://" in uri and not uri.startswith(("file", "memory:", "shared-memory:")):
        yield from of_cloud(uri, kwargs.get("storage_options") or {})


def lance_write(_module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read ``write_dataset(data, uri)``; a table passed instead of a URI has already been opened."""
    uri = args[1] if len(args) > 1 else kwargs.get("uri")
    if isinstance(uri, str) or hasattr(uri, "__fspath__"):
        yield from lance(None, (uri,), kwargs)


def opendal(operator: Any, _args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read an OpenDAL operator, whose pickled form contains its options."""
    _, (scheme, options) = operator.__reduce__()
    kind = {"s3": "s3", "gcs": "gs", "azblob": "az", "azdls": "az"}.get(scheme)
    if "://" in scheme:  # made from a URI
        yield from of_cloud(scheme, options)
    elif kind is not None:
        yield from _of_store(kind, text(options.get("bucket") or options.get("container")), options)
    elif endpoint := text(options.get("endpoint") or options.get("connection_string")):
        yield from of_web(endpoint)
    elif scheme in _OPENDAL:
        yield _OPENDAL[scheme], _HTTPS


def tiledb(store: Any, args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read the URIs passed to a TileDB file system, and the endpoint in its configuration."""
    for uri in map(text, args):
        if "://" in uri and not uri.startswith(("file", "mem")):
            endpoint = store._config["vfs.s3.endpoint_override"] if uri.startswith("s3") else ""
            yield from of_cloud(uri, {"endpoint": endpoint})


def gdal(_holder: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read the name of a GDAL data set, which may refer to a virtual network file system or to a database."""
    given: Any = args[0] if args else next(iter(kwargs.values()), None)
    name = text(given.as_vsi() if hasattr(given, "as_vsi") else getattr(given, "path", given))
    if found := re.search(r"/vsi(s3|gs|az|adls)(?:_streaming)?/([^/]*)", name):
        kind = {"adls": "az"}.get(found[1], found[1])
        yield from _of_store(kind, found[2], {"endpoint": _gdal_option("AWS_S3_ENDPOINT") if kind == "s3" else ""})
    elif found := re.match(r"(PG|MYSQL):.*?\bhost=['\"]?([^\s,'\"]+)", name, re.IGNORECASE):
        yield found[2], PORTS["postgres" if found[1].upper() == "PG" else "mysql"]
    else:
        yield from address(None, (name,), {})


def _gdal_option(name: str) -> str:
    """Return an option of GDAL, as set in rasterio, Fiona or pyogrio, or in the environment."""
    for module in map(sys.modules.get, ("rasterio.env", "fiona.env")):
        if module is not None and module.hasenv() and (told := module.getenv().get(name)):
            return text(told)
    native = sys.modules.get("pyogrio._ogr")
    return text(native and native.get_gdal_config_option(name)) or os.environ.get(name, "")


def address(_callee: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read a call whose first argument is a file, a URL from which a file is streamed, or a list of these."""
    given = args[0] if args else next(iter(kwargs.values()), None)
    for one in given if isinstance(given, (list, tuple)) else (given,):
        if isinstance(one, str) and (found := _ADDRESS.search(one)):
            url = found[0].replace("dods://", "http://")
            yield from of_web(url) if url.startswith("http") else (of_url(url),)
