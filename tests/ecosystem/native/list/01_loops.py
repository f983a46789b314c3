# Group: Event loops and resolvers

# %% uvloop | `asyncio.open_connection(host, port)` on `uvloop.run` | needs=uvloop | package=uvloop | only=foreign
import uvloop


async def main():
    _, writer = await asyncio.wait_for(asyncio.open_connection(HOST, PORT), 2)
    writer.close()


def test_way():
    uvloop.run(main())

# %% uvloop-name | `loop.getaddrinfo(name, port)` on `uvloop.run` | needs=uvloop | package=uvloop | only=foreign
import uvloop


async def main():
    await asyncio.get_running_loop().getaddrinfo(NAME, PORT)


def test_way():
    uvloop.run(main())

# %% rloop | `asyncio.open_connection(host, port)` on rloop | needs=rloop | package=rloop | only=foreign
import rloop


async def main():
    _, writer = await asyncio.wait_for(asyncio.open_connection(HOST, PORT), 2)
    writer.close()


def test_way():
    with asyncio.Runner(loop_factory=rloop.new_event_loop) as runner:
        runner.run(main())

# %% rloop-datagram | `transport.sendto(data, (host, port))` on rloop | needs=rloop | package=rloop | only=foreign
import rloop


async def main():
    loop = asyncio.get_running_loop()
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, sock=sock)
        transport.sendto(b"hello", ADDRESS)
        await asyncio.sleep(0.1)
        transport.close()


def test_way():
    with asyncio.Runner(loop_factory=rloop.new_event_loop) as runner:
        runner.run(main())

# %% gevent | `gevent.socket.create_connection((host, port))` | needs=gevent | package=gevent | only=foreign
import gevent.socket

gevent.socket.create_connection(ADDRESS, timeout=2).close()

# %% gevent-ares | `gevent.socket.gethostbyname(name)` by its c-ares resolver | needs=gevent | package=gevent | only=foreign
import gevent
import gevent.socket
from gevent.resolver.ares import Resolver

gevent.get_hub().resolver = Resolver(timeout=1, tries=1)
gevent.socket.gethostbyname(NAME)

# %% pycares | `pycares.Channel().query(name, ...)` | needs=pycares | package=pycares | only=foreign
import pycares

done = threading.Event()
channel = pycares.Channel(timeout=1, tries=1)
channel.query(NAME, pycares.QUERY_TYPE_A, callback=lambda *_: done.set())
done.wait(1)

# %% aiodns | `aiodns.DNSResolver().getaddrinfo(name)` | needs=aiodns | package=aiodns | only=foreign
import aiodns


async def main():
    with contextlib.suppress(aiodns.error.DNSError):
        await aiodns.DNSResolver(timeout=1, tries=1).getaddrinfo(NAME, family=socket.AF_INET)


def test_way():
    asyncio.run(main())

# %% pyside6 | `QNetworkAccessManager().get(request)` | needs=PySide6 | package=PySide6-Essentials | only=foreign
from PySide6 import QtCore, QtNetwork

application = QtCore.QCoreApplication([])
manager = QtNetwork.QNetworkAccessManager()
reply = manager.get(QtNetwork.QNetworkRequest(QtCore.QUrl(URL)))
reply.finished.connect(application.quit)
QtCore.QTimer.singleShot(2000, application.quit)
application.exec()

# %% pyside6-socket | `QTcpSocket().connectToHost(host, port)` | needs=PySide6 | package=PySide6-Essentials | only=foreign
from PySide6 import QtCore, QtNetwork

application = QtCore.QCoreApplication([])
client = QtNetwork.QTcpSocket()
client.connectToHost(HOST, PORT)
client.waitForConnected(2000)
client.abort()

# %% pyside6-datagram | `QUdpSocket().writeDatagram(data, address, port)` | needs=PySide6 | package=PySide6-Essentials | only=foreign
from PySide6 import QtCore, QtNetwork

application = QtCore.QCoreApplication([])
QtNetwork.QUdpSocket().writeDatagram(b"hello", QtNetwork.QHostAddress(HOST), PORT)

# %% pyside6-name | `QHostInfo.fromName(name)` | needs=PySide6 | package=PySide6-Essentials | only=foreign
from PySide6 import QtCore, QtNetwork

application = QtCore.QCoreApplication([])
QtNetwork.QHostInfo.fromName(NAME)

# %% pyqt5 | `QNetworkAccessManager().get(request)` | needs=PyQt5 | package=PyQt5 | only=foreign
from PyQt5 import QtCore, QtNetwork

application = QtCore.QCoreApplication([])
manager = QtNetwork.QNetworkAccessManager()
reply = manager.get(QtNetwork.QNetworkRequest(QtCore.QUrl(URL)))
reply.finished.connect(application.quit)
QtCore.QTimer.singleShot(2000, application.quit)
application.exec_()

# %% pyqt5-socket | `QTcpSocket().connectToHost(host, port)` | needs=PyQt5 | package=PyQt5 | only=foreign
from PyQt5 import QtCore, QtNetwork

application = QtCore.QCoreApplication([])
client = QtNetwork.QTcpSocket()
client.connectToHost(HOST, PORT)
client.waitForConnected(2000)
client.abort()

# %% pyqt5-datagram | `QUdpSocket().writeDatagram(data, address, port)` | needs=PyQt5 | package=PyQt5 | only=foreign
from PyQt5 import QtCore, QtNetwork

application = QtCore.QCoreApplication([])
QtNetwork.QUdpSocket().writeDatagram(b"hello", QtNetwork.QHostAddress(HOST), PORT)

# %% pyqt5-name | `QHostInfo.fromName(name)` | needs=PyQt5 | package=PyQt5 | only=foreign
from PyQt5 import QtCore, QtNetwork

application = QtCore.QCoreApplication([])
QtNetwork.QHostInfo.fromName(NAME)

# %% dnspython | `dns.resolver.resolve(name)`, in Python, which tries again whatever is refused | needs=dns | package=dnspython | only=foreign
import dns.resolver

dns.resolver.resolve(NAME, "A", lifetime=1)

# %% dnspython-async | `await dns.asyncresolver.resolve(name)` | needs=dns | package=dnspython | only=foreign
import dns.asyncresolver


async def main():
    await dns.asyncresolver.resolve(NAME, "A", lifetime=1)


def test_way():
    asyncio.run(main())

# %% eventlet | `eventlet.green.socket.getaddrinfo(name, port)`, by dnspython | needs=eventlet dns | package=eventlet | with=dnspython | only=foreign
import eventlet.green.socket
import eventlet.support.greendns

eventlet.support.greendns.getaddrinfo(NAME, PORT)

# %% eventlet-connect | `eventlet.connect((host, port))` | needs=eventlet | package=eventlet | with=dnspython | only=foreign
import eventlet

eventlet.connect(ADDRESS).close()
