# Group: Connections that were open before

# %% open-send | `send` on a connection of a module's | token=sent
from early import s


def test_way():
    s.send(TOKEN)
    s.recv(100)
# early.py
s = socket.create_connection(ADDRESS)

# %% open-sendall | `sendall` | token=sent
from early import s


def test_way():
    s.sendall(TOKEN)
    s.recv(100)
# early.py
s = socket.create_connection(ADDRESS)

# %% open-sendall-swallowed | `sendall`, swallowed | token=sent
from early import s


def test_way():
    with contextlib.suppress(Exception):
        s.sendall(TOKEN)
        s.recv(100)
# early.py
s = socket.create_connection(ADDRESS)

# %% open-sendmsg | `sendmsg` | token=sent
from early import s


def test_way():
    s.sendmsg([TOKEN])
    s.recv(100)
# early.py
s = socket.create_connection(ADDRESS)

# %% open-sendfile | `sendfile` of a socket | token=sent
import tempfile

from early import s


def test_way():
    with tempfile.TemporaryFile() as file:
        file.write(TOKEN)
        file.seek(0)
        s.sendfile(file)
    s.recv(100)
# early.py
s = socket.create_connection(ADDRESS)

# %% open-os-sendfile | `os.sendfile` | token=sent
import tempfile

from early import s


def test_way():
    with tempfile.TemporaryFile() as file:
        file.write(TOKEN)
        file.flush()
        os.sendfile(s.fileno(), file.fileno(), 0, len(TOKEN))
    s.recv(100)
# early.py
s = socket.create_connection(ADDRESS)

# %% open-os-write | `os.write` | token=sent
from early import s


def test_way():
    os.write(s.fileno(), TOKEN)
    s.recv(100)
# early.py
s = socket.create_connection(ADDRESS)

# %% open-os-writev | `os.writev` | token=sent
from early import s


def test_way():
    os.writev(s.fileno(), [TOKEN])
    s.recv(100)
# early.py
s = socket.create_connection(ADDRESS)

# %% open-os-splice | `os.splice` | token=sent
from early import s


def test_way():
    left, right = os.pipe()
    os.write(right, TOKEN)
    os.splice(left, s.fileno(), len(TOKEN))
    s.recv(100)
# early.py
s = socket.create_connection(ADDRESS)

# %% open-makefile | a file made of a socket | token=sent
from early import file, s


def test_way():
    file.write(TOKEN)
    file.flush()
    s.recv(100)
# early.py
s = socket.create_connection(ADDRESS)
file = s.makefile("wb")

# %% open-fdopen | a file made of a descriptor | token=sent
from early import file, s


def test_way():
    file.write(TOKEN)
    s.recv(100)
# early.py
s = socket.create_connection(ADDRESS)
file = os.fdopen(os.dup(s.fileno()), "wb", buffering=0)

# %% open-bound-send | `send`, bound before the plugin loaded | token=sent
from early import s, send


def test_way():
    send(TOKEN)
    s.recv(100)
# early.py
s = socket.create_connection(ADDRESS)
send = s.send

# %% open-dup | a duplicate of a connected socket | token=sent
from early import s


def test_way():
    with s.dup() as other:
        other.sendall(TOKEN)
        other.recv(100)
# early.py
s = socket.create_connection(ADDRESS)

# %% open-fromfd | a socket made of a connected descriptor | token=sent
from early import s


def test_way():
    with socket.socket(fileno=os.dup(s.fileno())) as other:
        other.sendall(TOKEN)
        other.recv(100)
# early.py
s = socket.create_connection(ADDRESS)

# %% open-internal | `_socket.socket.send` | token=sent
import _socket

from early import s


def test_way():
    _socket.socket.send(s, TOKEN)
    s.recv(100)
# early.py
s = socket.create_connection(ADDRESS)

# %% open-thread | a thread of the test's | token=sent
from early import s


def test_way():
    thread = threading.Thread(target=lambda: (s.sendall(TOKEN), s.recv(100)))
    thread.start()
    thread.join()
# early.py
s = socket.create_connection(ADDRESS)

# %% open-fork | a forked child | token=sent
from early import s


def test_way():
    if not (child := os.fork()):
        with contextlib.suppress(BaseException):
            s.sendall(TOKEN)
            s.recv(100)
        os._exit(0)
    os.waitpid(child, 0)
# early.py
s = socket.create_connection(ADDRESS)

# %% open-child | a child that inherits the descriptor | token=sent
from early import s


def test_way():
    code = f"import os; os.write({s.fileno()}, {TOKEN!r})"
    subprocess.run([sys.executable, "-c", code], pass_fds=[s.fileno()])
    s.recv(100)
# early.py
s = socket.create_connection(ADDRESS)

# %% open-child-stdout | a child whose output is the connection | token=sent
from early import s


def test_way():
    subprocess.run(["echo", TOKEN.decode()], stdout=s)
    s.recv(100)
# early.py
s = socket.create_connection(ADDRESS)

# %% open-child-inheritable | a child that inherits it because nothing is closed | token=sent
from early import s


def test_way():
    s.set_inheritable(True)
    code = f"import os; os.write({s.fileno()}, {TOKEN!r})"
    subprocess.run([sys.executable, "-c", code], close_fds=False)
    s.recv(100)
# early.py
s = socket.create_connection(ADDRESS)

# %% open-spawn-inheritable | `os.posix_spawn` of a program that inherits it | token=sent
from early import s


def test_way():
    s.set_inheritable(True)
    code = f"import os; os.write({s.fileno()}, {TOKEN!r})"
    os.waitpid(os.posix_spawn(sys.executable, [sys.executable, "-c", code], os.environ), 0)
    s.recv(100)
# early.py
s = socket.create_connection(ADDRESS)

# %% open-exec | a program in the place of a fork, which inherits it | token=sent
from early import s


def test_way():
    s.set_inheritable(True)
    code = f"import os; os.write({s.fileno()}, {TOKEN!r})"
    if not (child := os.fork()):
        try:
            os.execv(sys.executable, [sys.executable, "-c", code])
        finally:
            os._exit(1)
    os.waitpid(child, 0)
    s.recv(100)
# early.py
s = socket.create_connection(ADDRESS)

# %% open-uvloop-child | a child of uvloop's that keeps it | token=sent | needs=uvloop
import uvloop

from early import s


async def main():
    code = f"import os; os.write({s.fileno()}, {TOKEN!r})"
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", code, pass_fds=[s.fileno()])
    await child.wait()


def test_way():
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
    s.recv(100)
# early.py
s = socket.create_connection(ADDRESS)

# %% open-write-index | `os.write` to an object that stands for a descriptor | token=sent
from early import s


class Descriptor:
    def __index__(self):
        return s.fileno()


def test_way():
    os.write(Descriptor(), TOKEN)
    s.recv(100)
# early.py
s = socket.create_connection(ADDRESS)

# %% open-udp | `send` of a connected datagram socket | token=sent
from early import s


def test_way():
    s.send(TOKEN)
    s.recv(100)
# early.py
s = socket.socket(type=socket.SOCK_DGRAM)
s.connect(ADDRESS)

# %% open-unix | `sendall` on a unix socket | token=sent | only=local
from early import s


def test_way():
    s.sendall(TOKEN)
    s.recv(100)
# early.py
s = socket.socket(socket.AF_UNIX)
s.connect(UNIX)

# %% open-ssl | `sendall` over TLS | token=sent
from early import s


def test_way():
    s.sendall(TOKEN)
    s.recv(100)
# early.py
s = ssl._create_unverified_context().wrap_socket(socket.create_connection(ADDRESS))

# %% open-ssl-write | `SSLSocket.write` | token=sent
from early import s


def test_way():
    s.write(TOKEN)
    s.read(100)
# early.py
s = ssl._create_unverified_context().wrap_socket(socket.create_connection(ADDRESS))

# %% open-fixture | a connection of a session fixture's of a larger size | token=sent
@pytest.fixture(scope="session")
def connection(request):
    from early import connect

    with contextlib.closing(connect(ADDRESS)) as s:
        yield s


def test_way(connection):
    connection.sendall(TOKEN)
    connection.recv(100)
# early.py
import threading
import queue

_jobs, _results = queue.Queue(), queue.Queue()


def _work():
    while True:
        _results.put(socket.create_connection(_jobs.get()))


threading.Thread(target=_work, daemon=True).start()


def connect(address):
    _jobs.put(address)
    return _results.get()

# %% open-http-client | `http.client`, kept alive | token=sent
from early import connection


def test_way():
    connection.request("GET", "/" + TOKEN.decode())
    connection.getresponse().read()
# early.py
import http.client

connection = http.client.HTTPConnection(HOST, PORT, timeout=3)
connection.request("GET", "/")
connection.getresponse().read()

# %% open-https-client | `http.client` over TLS, kept alive | token=sent
from early import connection


def test_way():
    connection.request("GET", "/" + TOKEN.decode())
    connection.getresponse().read()
# early.py
import http.client

connection = http.client.HTTPSConnection(HOST, PORT, timeout=3, context=ssl._create_unverified_context())
connection.request("GET", "/")
connection.getresponse().read()

# %% open-requests | a session of requests, kept alive | token=sent | needs=requests
from early import session


def test_way():
    session.get(URL + TOKEN.decode(), timeout=2)
# early.py
import requests

session = requests.Session()
session.get(URL, timeout=2)

# %% open-httpx | a client of httpx, kept alive | token=sent | needs=httpx
from early import client


def test_way():
    client.get(URL + TOKEN.decode())
# early.py
import httpx

client = httpx.Client(timeout=2)
client.get(URL)

# %% open-asyncio | a transport of asyncio's | token=sent
from early import reader, runner, writer


async def main():
    writer.write(TOKEN)
    await writer.drain()
    await reader.read(100)


def test_way():
    runner.run(main())
# early.py
runner = asyncio.Runner()
reader, writer = runner.run(asyncio.open_connection(HOST, PORT))

# %% open-asyncio-ssl | a transport of asyncio's, over TLS | token=sent
from early import reader, runner, writer


async def main():
    writer.write(TOKEN)
    await writer.drain()
    await reader.read(100)


def test_way():
    runner.run(main())
# early.py
runner = asyncio.Runner()
reader, writer = runner.run(asyncio.open_connection(HOST, PORT, ssl=ssl._create_unverified_context()))

# %% open-asyncio-datagram | a datagram transport of asyncio's | token=sent
from early import runner, transport


async def main():
    transport.sendto(TOKEN)
    await asyncio.sleep(0.1)


def test_way():
    runner.run(main())
# early.py
async def dial():
    return await asyncio.get_running_loop().create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=ADDRESS)


runner = asyncio.Runner()
transport, _ = runner.run(dial())

# %% open-asyncio-sock-sendall | `loop.sock_sendall` | token=sent
from early import s


async def main():
    await asyncio.get_running_loop().sock_sendall(s, TOKEN)
    await asyncio.get_running_loop().sock_recv(s, 100)


def test_way():
    asyncio.run(main())
# early.py
s = socket.create_connection(ADDRESS)
s.setblocking(False)

# %% open-aiohttp | a session of aiohttp's, kept alive | token=sent | needs=aiohttp
from early import runner, session


async def main():
    async with session.get(URL + TOKEN.decode()) as response:
        await response.read()


def test_way():
    runner.run(main())
# early.py
import aiohttp


async def dial():
    session = aiohttp.ClientSession()
    async with session.get(URL) as response:
        await response.read()
    return session


runner = asyncio.Runner()
session = runner.run(dial())

# %% open-uvloop | a transport of uvloop's | token=sent | needs=uvloop
from early import reader, runner, writer


async def main():
    writer.write(TOKEN)
    await writer.drain()
    await reader.read(100)


def test_way():
    runner.run(main())
# early.py
import uvloop

runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
reader, writer = runner.run(asyncio.open_connection(HOST, PORT))

# %% open-trio | a stream of trio's, of a socket that was open | token=sent | needs=trio
import trio

from early import s


async def main():
    stream = trio.SocketStream(trio.socket.from_stdlib_socket(s))
    await stream.send_all(TOKEN)
    await stream.receive_some(100)


def test_way():
    trio.run(main)
# early.py
s = socket.create_connection(ADDRESS)

# %% open-logging | a log handler that holds its connection | token=sent
import logging

from early import handler


def test_way():
    handler.emit(logging.makeLogRecord({"msg": TOKEN.decode()}))
    time.sleep(0.1)
# early.py
import logging.handlers

handler = logging.handlers.SysLogHandler(ADDRESS, socktype=socket.SOCK_STREAM)
handler.emit(logging.makeLogRecord({"msg": "hello"}))

# %% open-logging-datagram | a log handler on a datagram socket | token=sent
import logging

from early import handler


def test_way():
    handler.emit(logging.makeLogRecord({"msg": TOKEN.decode()}))
    time.sleep(0.1)
# early.py
import logging.handlers

handler = logging.handlers.SysLogHandler(ADDRESS)

# %% open-ctypes | `send` through ctypes | token=sent
import ctypes

from early import s


def test_way():
    ctypes.CDLL(None).send(s.fileno(), TOKEN, len(TOKEN), 0)
    s.recv(100)
# early.py
s = socket.create_connection(ADDRESS)

# %% open-pycurl | a handle of pycurl's, kept alive | token=sent | needs=pycurl
from early import curl, pycurl


def test_way():
    curl.setopt(pycurl.URL, URL + TOKEN.decode())
    curl.perform()
# early.py
import pycurl

curl = pycurl.Curl()
curl.setopt(pycurl.URL, URL)
curl.setopt(pycurl.TIMEOUT, 2)
curl.setopt(pycurl.WRITEFUNCTION, lambda data: None)
curl.perform()

# %% open-zmq | a socket of pyzmq's | token=sent | needs=zmq
from early import s


def test_way():
    s.send(TOKEN)
    time.sleep(0.3)
# early.py
import zmq

context = zmq.Context()
s = context.socket(zmq.STREAM)
s.setsockopt(zmq.LINGER, 0)
s.connect(f"tcp://{NETLOC}")
identity = s.recv()
s.recv()
s.send(identity, zmq.SNDMORE)
