# Group: RPC and web sockets

# %% grpc | `grpc.insecure_channel(target).unary_unary(...)(...)` | needs=grpc | package=grpcio | only=foreign
import grpc

with contextlib.suppress(grpc.RpcError):
    grpc.insecure_channel(NETLOC).unary_unary("/a/b")(b"", timeout=1)

# %% grpc-aio | `await grpc.aio.insecure_channel(target).unary_unary(...)(...)` | needs=grpc | package=grpcio | only=foreign
import grpc
import grpc.aio


async def main():
    async with grpc.aio.insecure_channel(NETLOC) as channel:
        with contextlib.suppress(grpc.RpcError):
            await channel.unary_unary("/a/b")(b"", timeout=1)


def test_way():
    asyncio.run(main())

# %% grpclib | `grpclib.client.Channel(host, port).__connect__()`, by Python's sockets | needs=grpclib | package=grpclib | only=foreign
import grpclib.client


async def main():
    channel = grpclib.client.Channel(HOST, PORT)
    await asyncio.wait_for(channel.__connect__(), 2)
    channel.close()


def test_way():
    asyncio.run(main())

# %% thriftpy2 | `thriftpy2.transport.TSocket(host, port).open()`, by Python's sockets | needs=thriftpy2 | package=thriftpy2 | only=foreign
from thriftpy2.transport import TSocket

TSocket(HOST, PORT, connect_timeout=2000).open()

# %% pycapnp | `await capnp.AsyncIoStream.create_connection(host, port)`, by Python's sockets | needs=capnp | package=pycapnp | only=foreign
import capnp


async def main():
    await capnp.AsyncIoStream.create_connection(host=HOST, port=PORT)


def test_way():
    asyncio.run(capnp.run(main()))

# %% picows | `await picows.ws_connect(listener, url)`, by Python's sockets | needs=picows | package=picows | only=foreign
import picows


async def main():
    await picows.ws_connect(picows.WSListener, f"ws://{NETLOC}/", websocket_handshake_timeout=1)


def test_way():
    asyncio.run(main())

# %% websockets | `websockets.sync.client.connect(url)`, by Python's sockets | needs=websockets | package=websockets | only=foreign
import websockets.sync.client

websockets.sync.client.connect(f"ws://{NETLOC}/", open_timeout=1)

# %% aioquic | `aioquic.asyncio.connect(host, port)`, by Python's sockets | needs=aioquic | package=aioquic | only=foreign
import aioquic.asyncio
from aioquic.quic.configuration import QuicConfiguration


async def main():
    async with aioquic.asyncio.connect(HOST, PORT, configuration=QuicConfiguration(is_client=True)):
        pass


def test_way():
    with contextlib.suppress(TimeoutError):
        asyncio.run(asyncio.wait_for(main(), 0.5))
