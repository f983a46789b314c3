"""The message fits what real clients do: the host asked for, the port, the user's line, the client, its cure."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest

from pytest_test_categories import expect_network_violation, network_guard
from pytest_test_categories._errors import CURES

if TYPE_CHECKING:
    from collections.abc import Callable


class Dial(NamedTuple):
    """An inner test that reaches for the network, and what its message has to say.

    Attributes:
        body: The test's code; the guilty line ends in ``# here``.
        target: What is named.
        seen: The client library that is named.
        needs: Libraries without which there is nothing to see.
        cassette: Whether the hint for VCR.py stands in the message.
        hints: Further parts of the message.
    """

    body: str
    target: str
    seen: str
    needs: tuple[str, ...] = ()
    cassette: bool = False
    hints: tuple[str, ...] = ()


METADATA: Final = "AWS_EC2_METADATA_DISABLED=true stops boto"

DIALS: Final = {
    "requests": Dial(
        """
        import requests
        requests.get("https://api.example.com/users", timeout=1)  # here
        """,
        "api.example.com:443",
        "requests",
        ("requests",),
    ),
    "requests_session_with_retries": Dial(
        """
        import requests, urllib3
        from requests.adapters import HTTPAdapter
        with requests.Session() as session:
            session.mount("http://", HTTPAdapter(max_retries=urllib3.Retry(3, backoff_factor=5)))
            session.post("http://api.example.com:8080/users", json={}, timeout=1)  # here
        """,
        "api.example.com:8080",
        "requests",
        ("requests",),
    ),
    "requests_swallowed": Dial(
        """
        import requests
        try:
            requests.get("https://api.example.com/users", timeout=1)  # here
        except Exception:
            pass
        """,
        "api.example.com:443",
        "requests",
        ("requests",),
    ),
    "httpx": Dial(
        """
        import httpx
        httpx.get("https://api.example.com/users")  # here
        """,
        "api.example.com:443",
        "httpx",
        ("httpx",),
    ),
    "httpx_async": Dial(
        """
        import httpx
        async def fetch():
            async with httpx.AsyncClient() as client:
                return await client.get("https://api.example.com/users")  # here
        asyncio.run(fetch())
        """,
        "api.example.com:443",
        "httpx",
        ("httpx",),
    ),
    "httpx_gathered": Dial(
        """
        import httpx
        async def fetch(client):
            return await client.get("http://api.example.com:8080/users")  # here
        async def main():
            async with httpx.AsyncClient() as client:
                await asyncio.gather(fetch(client), return_exceptions=True)
        asyncio.run(main())
        """,
        "api.example.com:8080",
        "httpx",
        ("httpx",),
    ),
    "aiohttp": Dial(
        """
        import aiohttp
        async def fetch():
            async with aiohttp.ClientSession() as session:
                async with session.get("https://api.example.com/users") as answer:  # here
                    return await answer.json()
        asyncio.run(fetch())
        """,
        "api.example.com:443",
        "aiohttp",
        ("aiohttp",),
    ),
    "aiohttp_address": Dial(
        """
        import aiohttp
        async def fetch():
            async with aiohttp.ClientSession() as session:
                await session.get("http://198.51.100.1:8080/users")  # here
        asyncio.run(fetch())
        """,
        "198.51.100.1:8080",
        "aiohttp",
        ("aiohttp",),
    ),
    "urllib": Dial(
        """
        import urllib.request
        urllib.request.urlopen("https://api.example.com/users", timeout=1)  # here
        """,
        "api.example.com:443",
        "urllib",
    ),
    "urllib3": Dial(
        """
        import urllib3
        with urllib3.PoolManager() as pool:
            pool.request("GET", "https://api.example.com/users", timeout=1)  # here
        """,
        "api.example.com:443",
        "urllib3",
        ("urllib3",),
    ),
    "http_client": Dial(
        """
        import http.client
        connection = http.client.HTTPSConnection("api.example.com", timeout=1)
        connection.request("GET", "/users")  # here
        """,
        "api.example.com:443",
        "http.client",
    ),
    "boto3": Dial(
        """
        import boto3
        keys = {"aws_access_key_id": "k", "aws_secret_access_key": "s", "region_name": "eu-central-1"}
        try:
            boto3.client("sqs", **keys).list_queues()  # here
        except Exception:
            pass
        """,
        "sqs.eu-central-1.amazonaws.com:443",
        "botocore",  # of boto3 itself nothing is left on the stack of a client's method
        ("boto3",),
    ),
    "botocore": Dial(
        """
        import botocore.session
        keys = {"aws_access_key_id": "k", "aws_secret_access_key": "s", "region_name": "eu-central-1"}
        botocore.session.get_session().create_client("sqs", **keys).list_queues()  # here
        """,
        "sqs.eu-central-1.amazonaws.com:443",
        "botocore",
        ("botocore",),
    ),
    "boto3_metadata": Dial(
        """
        import boto3
        try:
            boto3.client("sqs", region_name="eu-central-1").list_queues()  # here
        except Exception:
            pass
        """,
        "169.254.169.254:80",
        "boto3",
        ("boto3",),
        hints=(METADATA,),
    ),
    "asyncpg": Dial(
        """
        import asyncpg
        async def fetch():
            await asyncpg.connect("postgresql://me@db.example.com:6543/shop", timeout=1)  # here
        asyncio.run(fetch())
        """,
        "db.example.com:6543",
        "asyncpg",
        ("asyncpg",),
    ),
    "redis": Dial(
        """
        import redis
        redis.Redis("cache.example.com", 6380).get("key")  # here
        """,
        "cache.example.com:6380",
        "redis",
        ("redis",),
    ),
    "redis_async": Dial(
        """
        import redis.asyncio
        async def fetch():
            async with redis.asyncio.Redis(host="cache.example.com", port=6380) as client:
                await client.get("key")  # here
        asyncio.run(fetch())
        """,
        "cache.example.com:6380",
        "redis",
        ("redis",),
    ),
    "smtplib": Dial(
        """
        import smtplib
        smtplib.SMTP("mail.example.com", 587, timeout=1)  # here
        """,
        "mail.example.com:587",
        "smtplib",
    ),
    "ftplib": Dial(
        """
        import ftplib
        ftplib.FTP("files.example.com", timeout=1)  # here
        """,
        "files.example.com:21",
        "ftplib",
    ),
    "websockets": Dial(
        """
        from websockets.asyncio.client import connect
        async def fetch():
            async with connect("ws://chat.example.com:8765/") as connection:  # here
                await connection.recv()
        asyncio.run(fetch())
        """,
        "chat.example.com:8765",
        "websockets",
        ("websockets",),
    ),
    "websockets_sync": Dial(
        """
        from websockets.sync.client import connect
        connect("ws://chat.example.com:8765/", open_timeout=1)  # here
        """,
        "chat.example.com:8765",
        "websockets",
        ("websockets",),
    ),
    "vcr_requests": Dial(
        """
        import requests, vcr
        with vcr.use_cassette("empty.yaml", record_mode="new_episodes"):
            requests.get("https://api.example.com/users", timeout=1)  # here
        """,
        "api.example.com:443",
        "requests",
        ("requests", "vcr"),
        cassette=True,
    ),
    "vcr_httpx": Dial(
        """
        import httpx, vcr
        with vcr.use_cassette("empty.yaml", record_mode="new_episodes"):
            httpx.get("https://api.example.com/users")  # here
        """,
        "api.example.com:443",
        "httpx",
        ("httpx", "vcr"),
        cassette=True,
    ),
    "vcr_aiohttp": Dial(
        """
        import aiohttp, vcr
        async def fetch():
            async with aiohttp.ClientSession() as session:
                await session.get("https://api.example.com/users")  # here
        with vcr.use_cassette("empty.yaml", record_mode="new_episodes"):
            asyncio.run(fetch())
        """,
        "api.example.com:443",
        "aiohttp",
        ("aiohttp", "vcr"),
        cassette=True,
    ),
}

HEAD: Final = """
import asyncio
import pytest

pytestmark = pytest.mark.small

"""
ENVIRONMENT: Final = ("AWS_", "BOTO_", "http_proxy", "https_proxy", "all_proxy", "no_proxy", "NO_GCE_CHECK")
"""Beginnings of the names of variables by which clients find other ways."""


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_the_message_names_host_port_line_client_and_cure(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    monkeypatch: pytest.MonkeyPatch,
    workers: int,
) -> None:
    for name in os.environ:
        if name.lower().startswith(tuple(start.lower() for start in ENVIRONMENT)):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(pytester.path))  # no credentials of whoever runs this

    dials = {name: dial for name, dial in DIALS.items() if all(map(importlib.util.find_spec, dial.needs))}
    bodies = [f"def test_{name}():{dial.body.rstrip()}\n" for name, dial in dials.items()]
    source = HEAD + "\n".join(bodies).replace("\n        ", "\n    ")
    pytester.path.joinpath("test_dials.py").write_text(source, encoding="utf-8")
    lines = source.splitlines()

    result = run_pytest("--tb=short", "-p", "no:randomly", workers=workers, timeout=180)
    assert result.parseoutcomes() == {"failed": len(dials)}, result.outlines
    wrong = {}
    for name, dial in dials.items():
        start = next(at for at, line in enumerate(lines) if line == f"def test_{name}():")
        at = next(at for at in range(start, len(lines)) if lines[at].endswith("# here")) + 1
        message = _message(result.outlines, f"test_dials.py::test_{name}")
        wanted = [
            f"  Attempted network connection to {dial.target}\n    at test_dials.py:{at} in ",
            f"    seen: {dial.seen}. Use {CURES[dial.seen]}\n",
            *dial.hints,
        ]
        missing = [part for part in wanted if part not in message]
        if missing or ("under a VCR cassette" in message) is not dial.cassette or "Also attempted" in message:
            wrong[name] = (missing, message)
    assert wrong == {}


def test_a_job_that_begins_before_its_task_waits_for_it_names_the_line_of_the_task() -> None:
    async def resolve() -> None:
        with ThreadPoolExecutor(1) as pool:
            # Runs while this coroutine does, as the look-up of asyncio's loop may before the coroutine is suspended.
            refused = pool.submit(socket.getaddrinfo, "api.example.com", 443)
            refused.exception(10)

    async def main() -> None:
        await resolve()

    with network_guard("small", "strict"), expect_network_violation() as seen:
        asyncio.run(main())
    assert [(violation.target, violation.function) for violation in seen] == [("api.example.com:443", "resolve")]


def _message(lines: list[str], test: str) -> str:
    """Return the first TC001 text of a test, without the margin that pytest gives it."""
    found = (
        (at, match) for at, line in enumerate(lines) if (match := re.match(rf"(E? *)Test: {re.escape(test)}$", line))
    )
    start, margin = next(found, (len(lines), None))
    message = ""
    for line in lines[start:]:
        message += line[len(margin[1]) if margin else 0 :] + "\n"
        if "Documentation: " in line:
            break
    return message
