# Group: HTTP

# %% pycurl | `pycurl.Curl().perform()` | needs=pycurl | package=pycurl | only=foreign
import pycurl

curl = pycurl.Curl()
curl.setopt(pycurl.URL, URL)
curl.setopt(pycurl.TIMEOUT, 2)
curl.setopt(pycurl.WRITEFUNCTION, lambda data: None)
curl.perform()

# %% curl-cffi | `curl_cffi.get(url)` | needs=curl_cffi | package=curl_cffi | only=foreign
import curl_cffi

curl_cffi.get(URL, timeout=2)

# %% curl-cffi-async | `await curl_cffi.AsyncSession().get(url)` | needs=curl_cffi | package=curl_cffi | only=foreign
import curl_cffi


async def main():
    async with curl_cffi.AsyncSession() as session:
        await session.get(URL, timeout=2)


def test_way():
    asyncio.run(main())

# %% primp | `primp.get(url)` | needs=primp | package=primp | only=foreign
import primp

primp.get(URL, timeout=2)

# %% primp-async | `await primp.AsyncClient().get(url)` | needs=primp | package=primp | only=foreign
import primp


async def main():
    await primp.AsyncClient(timeout=2).get(URL)


def test_way():
    asyncio.run(main())

# %% httpr | `httpr.get(url)` | needs=httpr | package=httpr | only=foreign
import httpr

httpr.get(URL, timeout=2)

# %% rnet | `await rnet.get(url)` | needs=rnet | package=rnet | only=foreign
import rnet


async def main():
    await rnet.get(URL, timeout=2)


def test_way():
    asyncio.run(main())

# %% rnet-blocking | `rnet.BlockingClient().get(url)` | needs=rnet | package=rnet | only=foreign
import rnet

rnet.BlockingClient().get(URL, timeout=2)

# %% wreq | `await wreq.Client().get(url)` | needs=wreq | package=wreq | only=foreign
import datetime

import wreq


async def main():
    await wreq.Client().get(URL, timeout=datetime.timedelta(seconds=2))


def test_way():
    asyncio.run(main())

# %% wreq-blocking | `wreq.blocking.Client().get(url)` | needs=wreq | package=wreq | only=foreign
import datetime

import wreq.blocking

wreq.blocking.Client().get(URL, timeout=datetime.timedelta(seconds=2))

# %% impit | `impit.Client().get(url)` | needs=impit | package=impit | only=foreign
import impit

impit.Client(timeout=2).get(URL)

# %% impit-async | `await impit.AsyncClient().get(url)` | needs=impit | package=impit | only=foreign
import impit


async def main():
    await impit.AsyncClient(timeout=2).get(URL)


def test_way():
    asyncio.run(main())

# %% pyreqwest | `client.get(url).build().send()` | needs=pyreqwest | package=pyreqwest | only=foreign
import datetime

from pyreqwest.client import SyncClientBuilder

SyncClientBuilder().timeout(datetime.timedelta(seconds=2)).build().get(URL).build().send()

# %% pyreqwest-async | `await client.get(url).build().send()` | needs=pyreqwest | package=pyreqwest | only=foreign
import datetime

from pyreqwest.client import ClientBuilder


async def main():
    await ClientBuilder().timeout(datetime.timedelta(seconds=2)).build().get(URL).build().send()


def test_way():
    asyncio.run(main())

# %% pyqwest | `pyqwest.SyncClient().get(url)` | needs=pyqwest | package=pyqwest | only=foreign | note=a client does not tell which transport it was given, and those for tests send nothing
import pyqwest

pyqwest.SyncClient().get(URL, timeout=2)

# %% pyqwest-transport | `pyqwest.SyncHTTPTransport().execute_sync(request)` | needs=pyqwest | package=pyqwest | only=foreign
import pyqwest

with pyqwest.SyncHTTPTransport() as transport:
    transport.execute_sync(pyqwest.SyncRequest("GET", URL)).close()

# %% pyqwest-transport-async | `await pyqwest.HTTPTransport().execute(request)` | needs=pyqwest | package=pyqwest | only=foreign
import pyqwest


async def main():
    async with pyqwest.HTTPTransport() as transport:
        await transport.execute(pyqwest.Request("GET", URL))


def test_way():
    asyncio.run(main())

# %% tls-client | `tls_client.Session().get(url)` | needs=tls_client | package=tls-client | only=foreign
import tls_client

tls_client.Session(client_identifier="chrome_120").get(URL, timeout=2)

# %% tls-client-async | `await tls_client.AsyncSession().get(url)` | needs=tls_client | package=tls-client | only=foreign
import tls_client


async def main():
    async with tls_client.AsyncSession(client_identifier="chrome_120") as session:
        await session.get(URL, timeout=2)


def test_way():
    asyncio.run(main())

# %% requests-rs | `requests_rs.requests.get(url)` | needs=requests_rs | package=requests-rs | only=foreign
from requests_rs import requests

requests.get(URL, timeout=2)

# %% requests-rs-async | `await requests_rs.requests.AsyncSession().get(url)` | needs=requests_rs | package=requests-rs | only=foreign
from requests_rs import requests


async def main():
    async with requests.AsyncSession() as session:
        await session.get(URL, timeout=2)


def test_way():
    asyncio.run(main())

# %% never-primp | `never_primp.get(url)` | needs=never_primp | package=never-primp | only=foreign
import never_primp

never_primp.get(URL, timeout=2)

# %% never-primp-async | `await never_primp.AsyncClient().get(url)` | needs=never_primp | package=never-primp | only=foreign
import never_primp


async def main():
    await never_primp.AsyncClient(timeout=2).get(URL)


def test_way():
    asyncio.run(main())

# %% ry | `await ry.fetch(url)` | needs=ry | package=ry | only=foreign
import ry


async def main():
    await ry.fetch(URL)


def test_way():
    asyncio.run(main())

# %% ry-blocking | `ry.BlockingClient().get(url)` | needs=ry | package=ry | only=foreign
import ry

ry.BlockingClient().get(URL)

# %% ry-websocket | `async with ry.websocket(url)` | needs=ry | package=ry | only=foreign
import ry


async def main():
    async with ry.websocket(f"ws://{NETLOC}/"):
        pass


def test_way():
    asyncio.run(asyncio.wait_for(main(), 2))

# %% niquests | `niquests.get(url)`, by Python's sockets | needs=niquests | package=niquests | only=foreign
import niquests

niquests.get(URL, timeout=2)

# %% acurl | `await acurl.CurlWrapper(loop).session().get(url)` | needs=acurl | package=acurl | only=foreign
import acurl


async def main():
    session = acurl.CurlWrapper(asyncio.get_running_loop()).session()
    await asyncio.wait_for(session.get(URL), 2)


def test_way():
    asyncio.run(main())
