# Group: Standard library clients

# %% http-client | `http.client.HTTPConnection`
import http.client

http.client.HTTPConnection(HOST, PORT, timeout=2).request("GET", "/")

# %% http-client-name | `http.client` with a name | only=foreign
import http.client

http.client.HTTPConnection(NAME, PORT, timeout=2).request("GET", "/")

# %% https-client | `http.client.HTTPSConnection`
import http.client

http.client.HTTPSConnection(HOST, PORT, timeout=2, context=ssl._create_unverified_context()).request("GET", "/")

# %% http-tunnel | `HTTPConnection.set_tunnel`
import http.client

connection = http.client.HTTPConnection(HOST, PORT, timeout=2)
connection.set_tunnel("elsewhere.example")
connection.connect()

# %% urllib | `urllib.request.urlopen`
import urllib.request

urllib.request.urlopen(URL, timeout=2).read()

# %% urllib-name | `urllib.request.urlopen` with a name | only=foreign
import urllib.request

urllib.request.urlopen(f"http://{NAME}:{PORT}/", timeout=2).read()

# %% urllib-https | `urllib.request.urlopen` of https
import urllib.request

urllib.request.urlopen(HTTPS, timeout=2, context=ssl._create_unverified_context()).read()

# %% urllib-proxy | `urllib.request` through a proxy of the environment
import urllib.request

os.environ["http_proxy"] = URL


def test_way():
    urllib.request.build_opener().open("http://elsewhere.example/", timeout=2).read()

# %% urllib-retrieve | `urllib.request.urlretrieve`
import urllib.request

socket.setdefaulttimeout(2)
urllib.request.urlretrieve(URL)

# %% urllib-ftp | `urllib.request.urlopen` of ftp
import urllib.request

with contextlib.suppress(OSError):
    urllib.request.urlopen(f"ftp://{NETLOC}/file", timeout=1)

# %% robotparser | `urllib.robotparser`
import urllib.robotparser

urllib.robotparser.RobotFileParser(URL + "robots.txt").read()

# %% ftplib | `ftplib.FTP`
import ftplib

with contextlib.suppress(OSError, EOFError, ftplib.Error):
    ftplib.FTP().connect(HOST, PORT, timeout=1)

# %% ftplib-tls | `ftplib.FTP_TLS`
import ftplib

with contextlib.suppress(OSError, EOFError, ftplib.Error):
    ftplib.FTP_TLS(timeout=1).connect(HOST, PORT)

# %% smtplib | `smtplib.SMTP`
import smtplib

with contextlib.suppress(OSError):
    smtplib.SMTP(HOST, PORT, local_hostname="here", timeout=1)

# %% smtplib-own-name | `smtplib.SMTP`, which asks for this machine's name
import smtplib

with contextlib.suppress(OSError):
    smtplib.SMTP(HOST, PORT, timeout=1)

# %% smtplib-ssl | `smtplib.SMTP_SSL`
import smtplib

with contextlib.suppress(OSError):
    smtplib.SMTP_SSL(HOST, PORT, local_hostname="here", timeout=1, context=ssl._create_unverified_context())

# %% smtplib-lmtp | `smtplib.LMTP` on a unix socket | only=local
import smtplib

with contextlib.suppress(OSError):
    smtplib.LMTP(UNIX, local_hostname="here")

# %% imaplib | `imaplib.IMAP4`
import imaplib

with contextlib.suppress(OSError, imaplib.IMAP4.error):
    imaplib.IMAP4(HOST, PORT, timeout=1)

# %% imaplib-ssl | `imaplib.IMAP4_SSL`
import imaplib

with contextlib.suppress(OSError, imaplib.IMAP4.error):
    imaplib.IMAP4_SSL(HOST, PORT, timeout=1, ssl_context=ssl._create_unverified_context())

# %% poplib | `poplib.POP3`
import poplib

with contextlib.suppress(OSError, poplib.error_proto):
    poplib.POP3(HOST, PORT, timeout=1)

# %% poplib-ssl | `poplib.POP3_SSL`
import poplib

with contextlib.suppress(OSError, poplib.error_proto):
    poplib.POP3_SSL(HOST, PORT, timeout=1, context=ssl._create_unverified_context())

# %% xmlrpc | `xmlrpc.client.ServerProxy`
import xmlrpc.client

socket.setdefaulttimeout(2)
with contextlib.suppress(OSError, xmlrpc.client.Error, Exception):
    xmlrpc.client.ServerProxy(URL).ping()

# %% logging-socket | `logging.handlers.SocketHandler`
import logging.handlers

handler = logging.handlers.SocketHandler(HOST, PORT)
handler.emit(logging.makeLogRecord({"msg": "hello"}))
handler.close()

# %% logging-datagram | `logging.handlers.DatagramHandler`
import logging.handlers

handler = logging.handlers.DatagramHandler(HOST, PORT)
handler.emit(logging.makeLogRecord({"msg": "hello"}))
handler.close()

# %% logging-syslog | `logging.handlers.SysLogHandler`
import logging.handlers

handler = logging.handlers.SysLogHandler(ADDRESS)
handler.emit(logging.makeLogRecord({"msg": "hello"}))
handler.close()

# %% logging-syslog-tcp | `logging.handlers.SysLogHandler` over TCP
import logging.handlers

handler = logging.handlers.SysLogHandler(ADDRESS, socktype=socket.SOCK_STREAM)
handler.emit(logging.makeLogRecord({"msg": "hello"}))
handler.close()

# %% logging-http | `logging.handlers.HTTPHandler`
import logging.handlers

socket.setdefaulttimeout(2)
handler = logging.handlers.HTTPHandler(NETLOC, "/log")
handler.emit(logging.makeLogRecord({"msg": "hello"}))

# %% logging-smtp | `logging.handlers.SMTPHandler`
import logging.handlers

handler = logging.handlers.SMTPHandler(ADDRESS, "a@b.example", ["c@d.example"], "hello", timeout=1)
handler.emit(logging.makeLogRecord({"msg": "hello"}))

# %% logging-queue | a queue listener's thread
import logging.handlers
import queue

records = queue.Queue()
listener = logging.handlers.QueueListener(records, logging.handlers.SocketHandler(HOST, PORT))
listener.start()
records.put(logging.makeLogRecord({"msg": "hello"}))
listener.stop()

# %% logging-config | `logging.config.dictConfig`
import logging.config

logging.config.dictConfig(
    {
        "version": 1,
        "handlers": {"far": {"class": "logging.handlers.SocketHandler", "host": HOST, "port": PORT}},
        "root": {"handlers": ["far"]},
    }
)
logging.getLogger().error("hello")

# %% ssl-wrap | `SSLContext.wrap_socket` before `connect`
with ssl._create_unverified_context().wrap_socket(socket.socket()) as s:
    s.connect(ADDRESS)

# %% ssl-wrap-connect-ex | `SSLSocket.connect_ex`
with ssl._create_unverified_context().wrap_socket(socket.socket()) as s:
    s.connect_ex(ADDRESS)

# %% ssl-get-certificate | `ssl.get_server_certificate`
ssl.get_server_certificate(ADDRESS, timeout=2)

# %% multiprocessing-client | `multiprocessing.connection.Client`
from multiprocessing.connection import Client

with contextlib.suppress(OSError, EOFError):
    Client(ADDRESS).close()

# %% multiprocessing-client-unix | `multiprocessing.connection.Client` on a unix socket | only=local
from multiprocessing.connection import Client

with contextlib.suppress(OSError, EOFError):
    Client(UNIX).close()
time.sleep(0.05)

# %% multiprocessing-manager | a manager's `connect`
from multiprocessing.managers import BaseManager

with contextlib.suppress(OSError, EOFError, AssertionError):
    BaseManager(ADDRESS, b"key").connect()

# %% socketserver | a `socketserver` of the test's own | only=local
import socketserver

with socketserver.ThreadingTCPServer(("127.0.0.1", 0), socketserver.BaseRequestHandler) as server:
    socket.create_connection(server.server_address).close()

# %% http-server | an `http.server` of the test's own | only=local
import http.server
import urllib.request

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
threading.Thread(target=server.serve_forever, daemon=True).start()
urllib.request.urlopen(f"http://127.0.0.1:{server.server_address[1]}/", timeout=2).read()
server.shutdown()
server.server_close()

# %% telnetlib | `telnetlib.Telnet`, until 3.12 | needs=telnetlib
import warnings

warnings.simplefilter("ignore")
import telnetlib

telnetlib.Telnet(HOST, PORT, 2).close()

# %% nntplib | `nntplib.NNTP`, until 3.12 | needs=nntplib
import warnings

warnings.simplefilter("ignore")
import nntplib

with contextlib.suppress(OSError, nntplib.NNTPError, EOFError):
    nntplib.NNTP(HOST, PORT, timeout=1)

# %% webbrowser | `webbrowser` with curl as a browser | needs=program:curl
import webbrowser

webbrowser.register("curl", None, webbrowser.GenericBrowser(["curl", "-s", "%s"]), preferred=True)
webbrowser.open(URL)

# %% antigravity-like | an import that dials
import importlib

open("dials.py", "w").write(f"import socket; socket.create_connection({ADDRESS!r}).close()")
sys.path.insert(0, os.getcwd())
importlib.import_module("dials")

# %% pydoc | `pydoc`'s server, in a thread | only=local
import pydoc
import urllib.request

server = pydoc._start_server(lambda url, kind: "hello", "127.0.0.1", 0)
urllib.request.urlopen(server.url, timeout=2).read()
server.stop()

# %% dbm-like-exec | code by `exec` and `compile`
exec(compile("import socket; socket.create_connection(target).close()", "<string>", "exec"), {"target": ADDRESS})

# %% pickle | a pickle that dials
import pickle


class Bomb:
    def __reduce__(self):
        return socket.create_connection, (ADDRESS,)


def test_way():
    pickle.loads(pickle.dumps(Bomb())).close()

# %% wsgiref | a request through a proxy handler of one's own
import http.client


class Mine(http.client.HTTPConnection):
    def connect(self):
        self.sock = self._create_connection(ADDRESS, 2)


def test_way():
    Mine("elsewhere.example").request("GET", "/")
