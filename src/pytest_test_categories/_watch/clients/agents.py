"""Readers for libraries that report or transfer data in the background: telemetry agents, Hugging Face's Xet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pytest_test_categories._watch.clients.places import of_url, of_web, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_test_categories._watch.clients import Where

_NOMINAL: Final = "https://api.gov.nominal.io/api"


def ddtrace(writer: Any, _args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read where Datadog's tracer sends a payload."""
    url = text(getattr(writer, "_otlp_endpoint", None) or writer.intake_url)
    if url.startswith("unix:"):
        yield url
    else:
        yield from of_web(url)


def pyroscope(_module: Any, args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read ``initialize_agent(application, server, ...)``, which starts a thread that uploads profiles."""
    yield from of_web(text(args[1]))


def nominal(stream: Any, _args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read where a Nominal stream that does not only write to a file leads."""
    yield from of_web(text(getattr(stream._opts, "base_api_url", "") or _NOMINAL))


def xet(_session: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read where an Xet session opens a group or transfers files."""
    for url in (args[0] if args else kwargs.get("endpoint"), kwargs.get("token_refresh_url")):
        if text(url).startswith("http"):
            yield from of_web(text(url))


def xet_files(_module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read ``download_files(files, endpoint, ...)`` and similar functions."""
    yield from xet(None, args[1:], kwargs)


def rerun(_module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read ``connect_grpc(url="rerun+http://host:port/proxy")``; the default is a viewer on this machine."""
    yield of_url(text(args[0] if args else kwargs.get("url")) or "http://127.0.0.1:9876")


def torrent(_session: Any, args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read the trackers, web seeds and peers with which a torrent is added; other peers are found later."""
    params = args[0]
    get: Any = params.get if isinstance(params, dict) else lambda name: getattr(params, name, None)
    for url in (*(get("trackers") or ()), *(get("url_seeds") or ())):
        yield of_url(text(url))
    yield from get("peers") or ()
