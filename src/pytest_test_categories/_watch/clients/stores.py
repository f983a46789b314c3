"""Readers for object stores: obstore, Arrow's file systems, what polars scans."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from pytest_test_categories._watch.clients.places import of_url, of_web, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_test_categories._watch.clients import Where

_HTTPS: Final = 443
_GOOGLE: Final = "storage.googleapis.com"


def obstore(_module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read the store that a function of obstore's is called with."""
    store: Any = args[0] if args else kwargs.get("store")
    name = type(store).__name__
    if name == "HTTPStore":
        yield from of_web(text(store.url))
        return
    config = getattr(store, "config", None)
    if not isinstance(config, dict):  # in memory, or of files
        return
    kind = {"S3Store": "s3", "GCSStore": "gs", "AzureStore": "az"}.get(name)
    if kind is not None:
        yield from _of_store(kind, text(config.get("bucket") or config.get("container_name")), config)


def pyarrow(file_system: Any, _args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read a file system of Arrow's, of which most are local."""
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
    """Read the file system in which a dataset's files are looked for."""
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
    """Yield where a URL of a store leads, by its scheme."""
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
    """Yield the endpoint of a store: what the options say, then the environment, then the provider's."""
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
