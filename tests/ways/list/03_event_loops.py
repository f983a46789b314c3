# Group: Event loops

# %% asyncio-open-connection | `asyncio.open_connection`
async def main():
    _, writer = await asyncio.open_connection(HOST, PORT)
    writer.close()


def test_way():
    asyncio.run(main())

# %% asyncio-open-connection-name | `asyncio.open_connection` with a name | only=foreign
async def main():
    _, writer = await asyncio.open_connection(NAME, PORT)
    writer.close()


def test_way():
    asyncio.run(main())

# %% asyncio-happy-eyeballs | happy eyeballs | only=foreign
async def main():
    _, writer = await asyncio.open_connection(NAME, PORT, happy_eyeballs_delay=0.1)
    writer.close()


def test_way():
    asyncio.run(main())

# %% asyncio-happy-eyeballs-numeric | happy eyeballs with an address
async def main():
    _, writer = await asyncio.open_connection(HOST, PORT, happy_eyeballs_delay=0.1)
    writer.close()


def test_way():
    asyncio.run(main())

# %% asyncio-local-addr | a connection from a local address | shown=0.0.0.0
async def main():
    _, writer = await asyncio.open_connection(HOST, PORT, local_addr=("0.0.0.0", 0))
    writer.close()


def test_way():
    asyncio.run(main())

# %% asyncio-ssl | `asyncio.open_connection(ssl=...)`
async def main():
    context = ssl._create_unverified_context()
    _, writer = await asyncio.open_connection(HOST, PORT, ssl=context)
    writer.close()


def test_way():
    asyncio.run(main())

# %% asyncio-sock-connect | `loop.sock_connect`
async def main():
    with socket.socket() as s:
        s.setblocking(False)
        await asyncio.get_running_loop().sock_connect(s, ADDRESS)


def test_way():
    asyncio.run(main())

# %% asyncio-sock-connect-name | `loop.sock_connect` with a name | only=foreign
async def main():
    with socket.socket() as s:
        s.setblocking(False)
        await asyncio.get_running_loop().sock_connect(s, (NAME, PORT))


def test_way():
    asyncio.run(main())

# %% asyncio-sock-sendto | `loop.sock_sendto`
async def main():
    with socket.socket(type=socket.SOCK_DGRAM) as s:
        s.setblocking(False)
        await asyncio.get_running_loop().sock_sendto(s, b"hello", ADDRESS)


def test_way():
    asyncio.run(main())

# %% asyncio-datagram | `create_datagram_endpoint(remote_addr=...)`
async def main():
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        asyncio.DatagramProtocol, remote_addr=ADDRESS
    )
    transport.sendto(b"hello")
    await asyncio.sleep(0.05)
    transport.close()


def test_way():
    asyncio.run(main())

# %% asyncio-datagram-sendto | `DatagramTransport.sendto`, whose errors go to the protocol
async def main():
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        asyncio.DatagramProtocol, family=socket.AF_INET
    )
    transport.sendto(b"hello", ADDRESS)
    await asyncio.sleep(0.05)
    transport.close()


def test_way():
    asyncio.run(main())

# %% asyncio-unix | `asyncio.open_unix_connection` | only=local
async def main():
    _, writer = await asyncio.open_unix_connection(UNIX)
    writer.close()
    await asyncio.sleep(0.05)


def test_way():
    asyncio.run(main())

# %% asyncio-callback | a callback of the loop, whose error the loop logs
async def main():
    asyncio.get_running_loop().call_soon(lambda: socket.create_connection(ADDRESS).close())
    await asyncio.sleep(0.05)


def test_way():
    asyncio.run(main())

# %% asyncio-call-later | a timer of the loop
async def main():
    asyncio.get_running_loop().call_later(0.01, lambda: socket.create_connection(ADDRESS).close())
    await asyncio.sleep(0.05)


def test_way():
    asyncio.run(main())

# %% asyncio-threadsafe | `run_coroutine_threadsafe` into a loop in a thread
async def dial():
    _, writer = await asyncio.open_connection(HOST, PORT)
    writer.close()


def test_way():
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    future = asyncio.run_coroutine_threadsafe(dial(), loop)
    try:
        future.result(5)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

# %% asyncio-threadsafe-old-loop | a loop in a thread that a module started on import
loop = asyncio.new_event_loop()
threading.Thread(target=loop.run_forever, daemon=True).start()


async def dial():
    _, writer = await asyncio.open_connection(HOST, PORT)
    writer.close()


def test_way():
    asyncio.run_coroutine_threadsafe(dial(), loop).result(5)

# %% asyncio-threadsafe-old-loop-lost | the same, and nobody reads the result
loop = asyncio.new_event_loop()
threading.Thread(target=loop.run_forever, daemon=True).start()


async def dial():
    _, writer = await asyncio.open_connection(HOST, PORT)
    writer.close()


def test_way():
    asyncio.run_coroutine_threadsafe(dial(), loop)
    time.sleep(0.3)

# %% asyncio-to-thread | `asyncio.to_thread`
def test_way():
    asyncio.run(asyncio.to_thread(socket.create_connection, ADDRESS))

# %% asyncio-executor | `loop.run_in_executor`
async def main():
    (await asyncio.get_running_loop().run_in_executor(None, socket.create_connection, ADDRESS)).close()


def test_way():
    asyncio.run(main())

# %% asyncio-reader | a reader callback
async def main():
    left, right = socket.socketpair()
    asyncio.get_running_loop().add_reader(left, lambda: (left.recv(1), socket.create_connection(ADDRESS).close()))
    right.send(b"x")
    await asyncio.sleep(0.05)
    asyncio.get_running_loop().remove_reader(left)
    left.close()
    right.close()


def test_way():
    asyncio.run(main())

# %% asyncio-runner-kept | a runner kept by a session fixture
@pytest.fixture(scope="session")
def runner():
    with asyncio.Runner() as runner:
        yield runner


async def main():
    _, writer = await asyncio.open_connection(HOST, PORT)
    writer.close()


def test_way(runner):
    runner.run(main())

# %% asyncio-selector-connect | `_sock_connect` of the loop, by hand
async def main():
    with socket.socket() as s:
        s.setblocking(False)
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        loop._sock_connect(future, s, ADDRESS)
        await future


def test_way():
    asyncio.run(main())

# %% pytest-asyncio | a coroutine test | plugins=asyncio | needs=pytest_asyncio
@pytest.mark.asyncio
async def test_way():
    _, writer = await asyncio.open_connection(HOST, PORT)
    writer.close()

# %% pytest-asyncio-fixture | a coroutine fixture | plugins=asyncio | needs=pytest_asyncio
import pytest_asyncio


@pytest_asyncio.fixture
async def dialled():
    _, writer = await asyncio.open_connection(HOST, PORT)
    yield
    writer.close()


@pytest.mark.asyncio
async def test_way(dialled):
    pass

# %% pytest-asyncio-finalizer | a coroutine fixture's tear-down | plugins=asyncio | needs=pytest_asyncio
import pytest_asyncio


@pytest_asyncio.fixture
async def dialled():
    yield
    _, writer = await asyncio.open_connection(HOST, PORT)
    writer.close()


@pytest.mark.asyncio
async def test_way(dialled):
    pass

# %% pytest-asyncio-session-loop | a test on a loop of the session's | plugins=asyncio | needs=pytest_asyncio
@pytest.mark.asyncio(loop_scope="session")
async def test_way():
    _, writer = await asyncio.open_connection(HOST, PORT)
    writer.close()

# %% pytest-asyncio-session-task | a task of a session fixture's, woken by the test | plugins=asyncio | needs=pytest_asyncio
import pytest_asyncio


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def worker():
    jobs = asyncio.Queue()

    async def work():
        job = await jobs.get()
        await job()

    task = asyncio.create_task(work())
    yield jobs
    task.cancel()


async def dial():
    _, writer = await asyncio.open_connection(HOST, PORT)
    writer.close()


@pytest.mark.asyncio(loop_scope="session")
async def test_way(worker):
    await worker.put(dial)
    await asyncio.sleep(0.1)

# %% isolated-asyncio-test-case | `unittest.IsolatedAsyncioTestCase`
import unittest


class TestWay(unittest.IsolatedAsyncioTestCase):
    async def test_way(self):
        _, writer = await asyncio.open_connection(HOST, PORT)
        writer.close()

# %% isolated-asyncio-set-up | `asyncSetUp`
import unittest


class TestWay(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        _, writer = await asyncio.open_connection(HOST, PORT)
        writer.close()

    async def test_way(self):
        pass

# %% trio-open-tcp | `trio.open_tcp_stream` | needs=trio
import trio


async def main():
    async with await trio.open_tcp_stream(HOST, PORT):
        pass


def test_way():
    trio.run(main)

# %% trio-open-tcp-name | `trio.open_tcp_stream` with a name | needs=trio | only=foreign
import trio


async def main():
    async with await trio.open_tcp_stream(NAME, PORT):
        pass


def test_way():
    trio.run(main)

# %% trio-ssl | `trio.open_ssl_over_tcp_stream` | needs=trio
import trio


async def main():
    stream = await trio.open_ssl_over_tcp_stream(HOST, PORT, ssl_context=ssl._create_unverified_context())
    await stream.do_handshake()


def test_way():
    trio.run(main)

# %% trio-socket | `trio.socket` | needs=trio
import trio


async def main():
    with trio.socket.socket() as s:
        await s.connect(ADDRESS)


def test_way():
    trio.run(main)

# %% trio-sendto | `sendto` of a trio socket | needs=trio
import trio


async def main():
    with trio.socket.socket(type=socket.SOCK_DGRAM) as s:
        await s.sendto(b"hello", ADDRESS)


def test_way():
    trio.run(main)

# %% trio-thread | `trio.to_thread.run_sync` | needs=trio
import trio


def test_way():
    trio.run(trio.to_thread.run_sync, socket.create_connection, ADDRESS)

# %% trio-unix | `trio.open_unix_socket` | needs=trio | only=local
import trio


async def main():
    async with await trio.open_unix_socket(UNIX):
        await trio.sleep(0.05)


def test_way():
    trio.run(main)

# %% trio-thread-cache | trio's kept threads, by hand | needs=trio
import trio


def test_way():
    done = threading.Event()

    def deliver(result):
        done.set()

    trio.lowlevel.start_thread_soon(lambda: socket.create_connection(ADDRESS).close(), deliver)
    done.wait(5)

# %% anyio-connect | `anyio.connect_tcp` | needs=anyio
import anyio


async def main():
    async with await anyio.connect_tcp(HOST, PORT):
        pass


def test_way():
    anyio.run(main)

# %% anyio-connect-trio | `anyio.connect_tcp` on trio | needs=anyio trio
import anyio


async def main():
    async with await anyio.connect_tcp(HOST, PORT):
        pass


def test_way():
    anyio.run(main, backend="trio")

# %% anyio-connect-name | `anyio.connect_tcp` with a name | needs=anyio | only=foreign
import anyio


async def main():
    async with await anyio.connect_tcp(NAME, PORT):
        pass


def test_way():
    anyio.run(main)

# %% anyio-udp | `anyio.create_udp_socket` | needs=anyio | shown=0.0.0.0
import anyio


async def main():
    async with await anyio.create_udp_socket(family=socket.AF_INET) as udp:
        await udp.sendto(b"hello", HOST, PORT)
        await anyio.sleep(0.05)


def test_way():
    anyio.run(main)

# %% anyio-thread | `anyio.to_thread.run_sync` | needs=anyio
import anyio


def test_way():
    anyio.run(anyio.to_thread.run_sync, socket.create_connection, ADDRESS)

# %% anyio-test | a test of anyio's plugin | needs=anyio | plugins=anyio
import anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.mark.anyio
async def test_way():
    async with await anyio.connect_tcp(HOST, PORT):
        pass

# %% anyio-portal | anyio's blocking portal | needs=anyio
import anyio
import anyio.from_thread


async def dial():
    async with await anyio.connect_tcp(HOST, PORT):
        pass


def test_way():
    with anyio.from_thread.start_blocking_portal() as portal:
        portal.call(dial)

# %% anyio-portal-kept | a blocking portal that a module holds | needs=anyio
import anyio
import anyio.from_thread

kept = anyio.from_thread.start_blocking_portal()
portal = kept.__enter__()


async def dial():
    async with await anyio.connect_tcp(HOST, PORT):
        pass


def test_way():
    try:
        portal.call(dial)
    finally:
        kept.__exit__(None, None, None)

# %% gevent-connect | gevent's sockets | needs=gevent
import gevent.socket

gevent.socket.create_connection(ADDRESS).close()

# %% gevent-connect-name | gevent's sockets, with a name | needs=gevent | only=foreign
import gevent.socket

gevent.socket.create_connection((NAME, PORT)).close()

# %% gevent-greenlet | a greenlet | needs=gevent
import gevent
import gevent.socket

gevent.spawn(gevent.socket.create_connection, ADDRESS).join(3)

# %% gevent-threadpool | gevent's thread pool | needs=gevent
import gevent

gevent.get_hub().threadpool.apply(socket.create_connection, (ADDRESS,)).close()

# %% gevent-sendto | `sendto` of a gevent socket | needs=gevent
import gevent.socket

gevent.socket.socket(type=socket.SOCK_DGRAM).sendto(b"hello", ADDRESS)

# %% gevent-patched | gevent's monkey patches | needs=gevent
import socket as patched

patched.create_connection(ADDRESS).close()
# conftest.py
import gevent.monkey

gevent.monkey.patch_all()

# %% gevent-patched-in-test | gevent's monkey patches, in the test | needs=gevent
import gevent.monkey

gevent.monkey.patch_all()
socket.create_connection(ADDRESS).close()

# %% gevent-patched-thread | a thread under gevent's monkey patches | needs=gevent
def test_way():
    thread = threading.Thread(target=lambda: socket.create_connection(ADDRESS).close())
    thread.start()
    thread.join(3)
# conftest.py
import gevent.monkey

gevent.monkey.patch_all()

# %% twisted-connect | Twisted's `connectTCP` | needs=twisted
from twisted.internet import endpoints, protocol, reactor

endpoint = endpoints.TCP4ClientEndpoint(reactor, HOST, PORT, timeout=2)


def test_way():
    endpoint.connect(protocol.Factory.forProtocol(protocol.Protocol)).addBoth(lambda _: reactor.stop())
    reactor.callLater(2, lambda: reactor.running and reactor.stop())
    reactor.run(installSignalHandlers=False)

# %% twisted-udp | Twisted's datagrams | needs=twisted | shown=0.0.0.0
from twisted.internet import protocol, reactor


class Dial(protocol.DatagramProtocol):
    def startProtocol(self):
        self.transport.write(b"hello", ADDRESS)


def test_way():
    reactor.listenUDP(0, Dial())
    reactor.callLater(0.1, reactor.stop)
    reactor.run(installSignalHandlers=False)

# %% twisted-name | Twisted's `connectTCP` with a name | needs=twisted | only=foreign
from twisted.internet import endpoints, protocol, reactor

endpoint = endpoints.HostnameEndpoint(reactor, NAME, PORT, timeout=2)


def test_way():
    endpoint.connect(protocol.Factory.forProtocol(protocol.Protocol)).addBoth(lambda _: reactor.stop())
    reactor.callLater(2, lambda: reactor.running and reactor.stop())
    reactor.run(installSignalHandlers=False)

# %% tornado-tcp | Tornado's `TCPClient` | needs=tornado
from tornado.tcpclient import TCPClient


async def main():
    (await TCPClient().connect(HOST, PORT)).close()


def test_way():
    asyncio.run(main())

# %% tornado-http | Tornado's HTTP client | needs=tornado
from tornado.httpclient import AsyncHTTPClient


async def main():
    await AsyncHTTPClient().fetch(URL)


def test_way():
    asyncio.run(main())

# %% curio-like | a loop of one's own, on `select`
import select

with socket.socket() as s:
    s.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        s.connect(ADDRESS)
    select.select([], [s], [], 1)
