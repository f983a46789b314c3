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
