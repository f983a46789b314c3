# Group: Bound before the guard

# %% bound-method | `connect` of a socket, bound on import
s = socket.socket()
connect = s.connect


def test_way():
    connect(ADDRESS)
    s.close()
# conftest.py
import test_way

# %% bound-early | `connect` of a socket, bound before the plugin loaded
from early import connect, s


def test_way():
    connect(ADDRESS)
    s.close()
# early.py
import socket

s = socket.socket()
connect = s.connect

# %% bound-early-udp | `sendto` of a socket, bound before the plugin loaded
from early import send, s


def test_way():
    send(b"hello", ADDRESS)
    s.close()
# early.py
import socket

s = socket.socket(type=socket.SOCK_DGRAM)
send = s.sendto

# %% early-unbound | `socket.socket.connect` as a function, taken before the plugin loaded
from early import connect


def test_way():
    with socket.socket() as s:
        connect(s, ADDRESS)
# early.py
import socket

connect = socket.socket.connect

# %% early-connect-ex | `connect_ex`, taken before the plugin loaded
from early import connect


def test_way():
    with socket.socket() as s:
        connect(s, ADDRESS)
# early.py
import socket

connect = socket.socket.connect_ex

# %% early-connect-name | `connect` taken before the plugin loaded, with a name | only=foreign
from early import connect


def test_way():
    with socket.socket() as s:
        connect(s, (NAME, PORT))
# early.py
import socket

connect = socket.socket.connect

# %% early-sendto-name | `sendto` taken before the plugin loaded, with a name | only=foreign
from early import send


def test_way():
    with socket.socket(type=socket.SOCK_DGRAM) as s:
        send(s, b"hello", (NAME, PORT))
# early.py
import socket

send = socket.socket.sendto

# %% early-sendmsg | `sendmsg`, taken before the plugin loaded
from early import send


def test_way():
    with socket.socket(type=socket.SOCK_DGRAM) as s:
        send(s, [b"hello"], [], 0, ADDRESS)
# early.py
import socket

send = socket.socket.sendmsg

# %% early-create-connection | `create_connection`, imported before the plugin loaded
from early import create_connection


def test_way():
    create_connection(ADDRESS).close()
# early.py
from socket import create_connection

# %% early-create-connection-name | `create_connection`, imported before the plugin loaded, with a name | only=foreign
from early import create_connection


def test_way():
    create_connection((NAME, PORT)).close()
# early.py
from socket import create_connection

# %% early-getaddrinfo | `getaddrinfo`, imported before the plugin loaded | only=foreign
from early import getaddrinfo


def test_way():
    getaddrinfo(NAME, PORT)
# early.py
from socket import getaddrinfo

# %% early-gethostbyname | `gethostbyname`, imported before the plugin loaded | only=foreign
from early import gethostbyname


def test_way():
    gethostbyname(NAME)
# early.py
from socket import gethostbyname

# %% early-gethostbyname-ex | `gethostbyname_ex`, imported before the plugin loaded | only=foreign
from early import gethostbyname_ex


def test_way():
    gethostbyname_ex(NAME)
# early.py
from socket import gethostbyname_ex

# %% early-gethostbyaddr | `gethostbyaddr`, imported before the plugin loaded | only=foreign
from early import gethostbyaddr


def test_way():
    with contextlib.suppress(OSError):
        gethostbyaddr("198.51.100.1")
# early.py
from socket import gethostbyaddr

# %% early-getnameinfo | `getnameinfo`, imported before the plugin loaded | only=foreign
from early import getnameinfo


def test_way():
    getnameinfo(("198.51.100.1", 80), 0)
# early.py
from socket import getnameinfo

# %% early-bind-name | `bind` taken before the plugin loaded, to a name | only=foreign
from early import bind


def test_way():
    with socket.socket() as s, contextlib.suppress(OSError):
        bind(s, (NAME, 0))
# early.py
import socket

bind = socket.socket.bind

# %% early-class | a class of sockets, made before the plugin loaded
from early import Mine


def test_way():
    with Mine() as s:
        s.connect(ADDRESS)
# early.py
import socket


class Mine(socket.socket):
    dial = socket.socket.connect

    def connect(self, address):
        self.dial(address)

# %% early-slot | the interpreter's own `connect`, from the class dictionary
from early import connect


def test_way():
    with socket.socket() as s:
        connect.__get__(s)(ADDRESS)
# early.py
import _socket

connect = vars(_socket.socket)["connect"]

# %% internal-socket | `_socket.socket`
import _socket

s = _socket.socket()
s.connect(ADDRESS)
s.close()

# %% internal-socket-name | `_socket.socket`, with a name | only=foreign
import _socket

s = _socket.socket()
s.connect((NAME, PORT))
s.close()

# %% internal-connect-ex | `_socket.socket.connect_ex`
import _socket

s = _socket.socket()
s.connect_ex(ADDRESS)
s.close()

# %% internal-connect-ex-name | `_socket.socket.connect_ex`, with a name | only=foreign
import _socket

s = _socket.socket()
s.connect_ex((NAME, PORT))
s.close()

# %% internal-sendto | `_socket.socket.sendto`
import _socket

s = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
s.sendto(b"hello", ADDRESS)
s.close()

# %% internal-sendto-name | `_socket.socket.sendto`, with a name | only=foreign
import _socket

s = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
s.sendto(b"hello", (NAME, PORT))
s.close()

# %% internal-sendmsg-name | `_socket.socket.sendmsg`, with a name | only=foreign
import _socket

s = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
s.sendmsg([b"hello"], [], 0, (NAME, PORT))
s.close()

# %% internal-bind-name | `_socket.socket.bind`, to a name | only=foreign
import _socket

s = _socket.socket()
with contextlib.suppress(OSError):
    s.bind((NAME, 0))
s.close()

# %% internal-unbound | `_socket.socket.connect` on a socket of `socket`
import _socket

with socket.socket() as s:
    _socket.socket.connect(s, ADDRESS)

# %% internal-unbound-name | the same, with a name | only=foreign
import _socket

with socket.socket() as s:
    _socket.socket.connect(s, (NAME, PORT))

# %% super-connect | `super(socket.socket, s).connect`
with socket.socket() as s:
    super(socket.socket, s).connect(ADDRESS)

# %% super-connect-name | the same, with a name | only=foreign
with socket.socket() as s:
    super(socket.socket, s).connect((NAME, PORT))

# %% internal-subclass | a subclass of `_socket.socket`
import _socket


class Mine(_socket.socket):
    pass


def test_way():
    s = Mine()
    s.connect(ADDRESS)
    s.close()

# %% capi | the C interface's socket class
import _socket

assert _socket.SocketType is _socket.socket
s = _socket.SocketType()
s.connect(ADDRESS)
s.close()

# %% reload | the socket module, reloaded
import importlib

importlib.reload(socket)
socket.socket().connect(ADDRESS)

# %% reload-name | the socket module, reloaded; with a name | only=foreign
import importlib

importlib.reload(socket)
socket.socket().connect((NAME, PORT))

# %% reload-getaddrinfo | the socket module, reloaded; a look-up | only=foreign
import importlib

importlib.reload(socket)
socket.getaddrinfo(NAME, PORT)

# %% second-module | a second socket module
import importlib.util

spec = importlib.util.spec_from_file_location("second", socket.__file__)
second = sys.modules["second"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(second)
second.create_connection(ADDRESS).close()

# %% second-module-name | a second socket module, with a name | only=foreign
import importlib.util

spec = importlib.util.spec_from_file_location("second", socket.__file__)
second = sys.modules["second"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(second)
second.create_connection((NAME, PORT)).close()

# %% import-again | the socket module, dropped and imported again
del sys.modules["socket"]
import socket as again

try:
    again.create_connection(ADDRESS).close()
finally:
    sys.modules["socket"] = socket

# %% unwrap | the wrapper's own `__wrapped__`
with socket.socket() as s:
    getattr(type(s).connect, "__wrapped__", type(s).connect)(s, ADDRESS)

# %% unwrap-name | the wrapper's own `__wrapped__`, with a name | only=foreign
with socket.socket() as s:
    getattr(type(s).connect, "__wrapped__", type(s).connect)(s, (NAME, PORT))

# %% restore | the wrapper taken off by assignment
import _socket

was = socket.socket.connect
socket.socket.connect = _socket.socket.connect
try:
    socket.create_connection(ADDRESS).close()
finally:
    socket.socket.connect = was

# %% delete | the wrapper taken off by `del`
from unittest import mock

with mock.patch.object(socket.socket, "connect"):
    pass
if "connect" in vars(socket.socket):
    del socket.socket.connect
socket.create_connection(ADDRESS).close()

# %% monkeypatch-undo | a `monkeypatch.undo` that brings an old `connect` back
@pytest.fixture(scope="session", autouse=True)
def patched():
    real = socket.socket.connect
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", real)
        yield


def test_way(monkeypatch):
    monkeypatch.setattr(socket.socket, "connect", lambda self, address: None)
    monkeypatch.undo()
    socket.create_connection(ADDRESS).close()

# %% methodcaller | `operator.methodcaller`
import operator

with socket.socket() as s:
    operator.methodcaller("connect", ADDRESS)(s)

# %% partial-early | a `functools.partial`, made before the plugin loaded
from early import dial


def test_way():
    with socket.socket() as s:
        dial(s, ADDRESS)
# early.py
import functools
import socket

dial = functools.partial(socket.socket.connect)

# %% frozen-default | a default argument, bound before the plugin loaded
from early import dial


def test_way():
    dial(ADDRESS)
# early.py
import socket


def dial(address, connect=socket.create_connection):
    connect(address).close()

# %% early-ssl-class | `ssl.SSLSocket`, made before the plugin loaded
from early import context


def test_way():
    with context.wrap_socket(socket.socket()) as s:
        s.connect(ADDRESS)
# early.py
import socket
import ssl

context = ssl._create_unverified_context()

# %% early-ssl-connect | `ssl.SSLSocket.connect`, taken before the plugin loaded
from early import connect, context


def test_way():
    with context.wrap_socket(socket.socket()) as s:
        connect(s, ADDRESS)
# early.py
import ssl

connect = ssl.SSLSocket.connect
context = ssl._create_unverified_context()

# %% early-thread-start | `Thread.start`, taken before the plugin loaded
from early import start


def test_way():
    thread = threading.Thread(target=lambda: socket.create_connection(ADDRESS).close())
    start(thread)
    thread.join()
# early.py
import threading

start = threading.Thread.start

# %% early-start-new-thread | `_thread.start_new_thread`, taken before the plugin loaded
from early import start_new_thread


def test_way():
    done = threading.Event()

    def dial():
        try:
            socket.create_connection(ADDRESS).close()
        finally:
            done.set()

    start_new_thread(dial, ())
    done.wait(3)
    time.sleep(0.05)
# early.py
from _thread import start_new_thread

# %% early-submit | `ThreadPoolExecutor.submit`, taken before the plugin loaded
from early import pool, submit


def test_way():
    submit(pool, socket.create_connection, ADDRESS).result()
# early.py
from concurrent.futures import ThreadPoolExecutor

pool = ThreadPoolExecutor(1)
submit = ThreadPoolExecutor.submit

# %% late-hook | an audit hook added after ours that raises nothing
sys.addaudithook(lambda event, args: None)
socket.create_connection(ADDRESS).close()

# %% second-internal-module | a second `_socket` module
import _socket
import importlib.util

spec = importlib.util.spec_from_file_location("_socket", getattr(_socket, "__file__", None))


def test_way():
    second = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(second)
    second.socket().connect(ADDRESS)
