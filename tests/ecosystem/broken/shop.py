"""An application that dials. The line that does is marked with the name of the test that leads there."""

import asyncio
import contextlib
import ftplib
import http.client
import imaplib
import smtplib
import socket
import urllib.request
from typing import Any

HOST = "api.example.com"
URL = f"https://{HOST}/things"
PLAIN = f"http://{HOST}:8080/things"


def by_requests() -> Any:
    import requests

    return requests.get(URL, timeout=5)  # requests


def by_a_patient_session() -> Any:
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3.util import Retry

    with requests.Session() as session:
        session.mount("https://", HTTPAdapter(max_retries=Retry(3, backoff_factor=0.1)))
        try:
            return session.post(URL, json={}, timeout=5)  # a_patient_session
        except requests.RequestException:
            return None


def by_requests_in_vain() -> Any:
    import requests

    with contextlib.suppress(Exception):
        requests.get(PLAIN, timeout=5)  # requests_in_vain


def by_httpx() -> Any:
    import httpx

    with httpx.Client() as client:
        return client.get(URL)  # httpx


async def by_httpx_async() -> Any:
    import httpx

    async with httpx.AsyncClient() as client:
        return await client.get(URL)  # httpx_async


async def by_httpx_gathered() -> Any:
    import httpx

    async def one(client: httpx.AsyncClient, number: int) -> Any:
        return await client.get(f"{PLAIN}/{number}")  # httpx_gathered

    async with httpx.AsyncClient() as client:
        return await asyncio.gather(*(one(client, number) for number in range(3)), return_exceptions=True)


def by_httpx_under_trio() -> Any:
    import httpx
    import trio

    async def main() -> Any:
        async with httpx.AsyncClient() as client:
            return await client.get(URL)  # httpx_under_trio

    return trio.run(main)


def by_httpx_under_trio_in_vain() -> Any:
    import httpx
    import trio

    async def one(url: str) -> None:
        with contextlib.suppress(Exception):
            async with httpx.AsyncClient() as client:
                await client.get(url)  # httpx_under_trio_in_vain

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(one, URL)

    trio.run(main)


async def by_aiohttp() -> Any:
    import aiohttp

    async with aiohttp.ClientSession() as session:
        return await session.get(URL)  # aiohttp


async def by_aiohttp_in_a_task() -> Any:
    import aiohttp

    async def one(session: aiohttp.ClientSession) -> Any:
        async with session.get(PLAIN) as answer:  # aiohttp_in_a_task
            return await answer.text()

    async with aiohttp.ClientSession() as session:
        return await asyncio.wait_for(asyncio.create_task(one(session)), 10)


async def by_aiohttp_with_its_own_resolver() -> Any:
    import aiohttp

    connector = aiohttp.TCPConnector(resolver=aiohttp.ThreadedResolver(), use_dns_cache=False)
    async with aiohttp.ClientSession(connector=connector) as session:
        with contextlib.suppress(aiohttp.ClientError):
            return await session.get(URL)  # aiohttp_with_its_own_resolver


async def by_aiohttp_to_an_address() -> Any:
    import aiohttp

    async with aiohttp.ClientSession() as session:
        return await session.get("http://198.51.100.7:8080/")  # aiohttp_to_an_address


def by_urllib() -> Any:
    return urllib.request.urlopen(URL, timeout=5)  # urllib


def by_http_client() -> Any:
    connection = http.client.HTTPSConnection(HOST, timeout=5)
    connection.request("GET", "/")  # http_client
    return connection.getresponse()


def by_urllib3() -> Any:
    import urllib3

    return urllib3.PoolManager().request("GET", URL, retries=3)  # urllib3


def by_boto3() -> Any:
    import boto3
    from botocore.exceptions import BotoCoreError

    client = boto3.client("s3", aws_access_key_id="none", aws_secret_access_key="none", region_name="eu-west-1")
    try:
        return client.list_objects_v2(Bucket="things")  # boto3
    except BotoCoreError:
        return None


def by_botocore() -> Any:
    import botocore.session

    keys = {"aws_access_key_id": "none", "aws_secret_access_key": "none", "region_name": "eu-west-1"}
    return botocore.session.get_session().create_client("sqs", **keys).list_queues()  # botocore


def by_boto3_without_credentials() -> Any:
    import boto3

    return boto3.Session().get_credentials()  # boto3_without_credentials


async def by_asyncpg() -> Any:
    import asyncpg

    return await asyncpg.connect(host="db.example.com", port=6543, user="shop", database="shop", timeout=5)  # asyncpg


def by_redis() -> Any:
    import redis

    return redis.Redis(host="cache.example.com", port=6380).get("thing")  # redis


async def by_redis_async() -> Any:
    from redis import asyncio as redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    async with redis.Redis(host="cache.example.com", retry=Retry(NoBackoff(), 2)) as client:
        return await client.get("thing")  # redis_async


def by_smtplib() -> Any:
    return smtplib.SMTP("mail.example.com", 587, timeout=5)  # smtplib


def by_ftplib() -> Any:
    return ftplib.FTP("files.example.com", timeout=5)  # ftplib


def by_imaplib() -> Any:
    return imaplib.IMAP4("mail.example.com", timeout=5)  # imaplib


async def by_websockets() -> Any:
    import websockets

    async with websockets.connect(f"ws://{HOST}/feed", proxy=None) as client:  # websockets
        return await client.recv()


def by_websockets_sync() -> Any:
    from websockets.sync.client import connect

    with connect(f"ws://{HOST}/feed", proxy=None, open_timeout=5) as client:  # websockets_sync
        return client.recv()


async def by_asyncio() -> Any:
    return await asyncio.open_connection(HOST, 443)  # asyncio


async def by_asyncio_to_an_address() -> Any:
    return await asyncio.open_connection("2001:db8::7", 443)  # asyncio_to_an_address


def by_anyio() -> Any:
    import anyio

    async def main() -> Any:
        return await anyio.connect_tcp(HOST, 443)  # anyio

    return anyio.run(main)


def by_sockets() -> Any:
    return socket.create_connection((HOST, 443), 5)  # sockets


def by_sockets_to_an_address() -> Any:
    with socket.socket() as sock:
        return sock.connect_ex(("198.51.100.7", 443))  # sockets_to_an_address


def under_a_cassette() -> Any:
    import requests
    import vcr

    with vcr.use_cassette("nowhere/missing.yaml", record_mode="once"):
        return requests.get(URL, timeout=5)  # a_cassette


async def under_a_cassette_async() -> Any:
    import httpx
    import vcr

    with vcr.use_cassette("nowhere/missing.yaml", record_mode="once"):
        async with httpx.AsyncClient() as client:
            return await client.get(URL)  # a_cassette_async


async def under_a_cassette_of_aiohttp() -> Any:
    import aiohttp
    import vcr

    with vcr.use_cassette("nowhere/missing.yaml", record_mode="new_episodes"):
        async with aiohttp.ClientSession() as session:
            return await session.get(URL)  # a_cassette_of_aiohttp
