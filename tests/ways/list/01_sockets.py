# Group: Python sockets

# %% connect | `socket.connect`
with socket.socket() as s:
    s.connect(ADDRESS)

# %% connect-ex | `socket.connect_ex`
with socket.socket() as s:
    s.connect_ex(ADDRESS)

# %% connect-ipv6 | `socket.connect` on IPv6
with socket.socket(socket.AF_INET6) as s:
    s.connect(ADDRESS6)

# %% connect-ipv6-flow | `socket.connect` on IPv6 with flow info and scope
with socket.socket(socket.AF_INET6) as s:
    s.connect((HOST6, PORT, 0, 0))

# %% connect-mapped | IPv4 mapped into IPv6
with socket.socket(socket.AF_INET6) as s:
    s.connect((f"::ffff:{HOST}", PORT))

# %% connect-mapped-hex | IPv4 mapped into IPv6, in hex | shown=::ffff:c6:33 ::ffff:7f:00 ::ffff:c633 ::ffff:7f00
with socket.socket(socket.AF_INET6) as s:
    s.connect(("::ffff:" + socket.inet_aton(HOST).hex(":", 2), PORT))

# %% connect-decimal | an IPv4 address as one decimal number | shown=3325256705 2130706433
with socket.socket() as s:
    s.connect((str(int.from_bytes(socket.inet_aton(HOST), "big")), PORT))

# %% connect-hex | an IPv4 address in hex | shown=0xc6336401 0x7f000001
with socket.socket() as s:
    s.connect(("0x" + socket.inet_aton(HOST).hex(), PORT))

# %% connect-octal | an IPv4 address in octal | shown=0306.063.0144.01 0177.00.00.01
with socket.socket() as s:
    s.connect((".".join(f"0{int(part):o}" for part in HOST.split(".")), PORT))

# %% connect-bytes | an address as bytes
with socket.socket() as s:
    s.connect((HOST.encode(), PORT))

# %% connect-bytearray | an address as a bytearray
with socket.socket() as s:
    s.connect((bytearray(HOST, "ascii"), PORT))

# %% connect-str-subclass | an address of a subclass of `str` that prints as another
class Liar(str):
    def __str__(self):
        return "localhost"

    def __eq__(self, other):
        return other == "localhost"

    def __hash__(self):
        return hash("localhost")

    def lower(self):
        return "localhost"

    def partition(self, sep):
        return ("localhost", "", "")


def test_way():
    with socket.socket() as s:
        s.connect((Liar(HOST), PORT))

# %% connect-tuple-subclass | an address of a subclass of `tuple` that indexes as another
class Liar(tuple):
    def __getitem__(self, index):
        return ("127.0.0.1", 1)[index]

    def __iter__(self):
        return iter(("127.0.0.1", 1))


def test_way():
    with socket.socket() as s:
        s.connect(Liar(ADDRESS))

# %% connect-name | `socket.connect` with a name | only=foreign
with socket.socket() as s:
    s.connect((NAME, PORT))

# %% connect-name-bytes | `socket.connect` with a name as bytes | only=foreign
with socket.socket() as s:
    s.connect((NAME.encode(), PORT))

# %% connect-ex-name | `socket.connect_ex` with a name | only=foreign
with socket.socket() as s:
    s.connect_ex((NAME, PORT))

# %% connect-nonblocking | a socket that does not block
with socket.socket() as s:
    s.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        s.connect(ADDRESS)
    time.sleep(0.1)

# %% connect-second-try | a second attempt on the same socket
s = socket.socket()
try:
    s.connect(ADDRESS)
except Exception:
    with contextlib.suppress(OSError):
        s.connect(ADDRESS)
s.close()

# %% connect-in-del | a connect in `__del__`
class Goodbye:
    def __del__(self):
        socket.create_connection(ADDRESS).close()


def test_way():
    goodbye = Goodbye()
    del goodbye

# %% connect-in-weakref | a connect in a weak reference's callback
import weakref


class Thing:
    pass


def test_way():
    thing = Thing()
    ref = weakref.ref(thing, lambda _: socket.create_connection(ADDRESS).close())
    del thing

# %% connect-in-gc-callback | a connect in a callback of the garbage collector
import gc

done = []


def dial(phase, info):
    if not done:
        done.append(1)
        socket.create_connection(ADDRESS).close()


def test_way():
    gc.callbacks.append(dial)
    try:
        gc.collect()
    finally:
        gc.callbacks.remove(dial)

# %% connect-in-signal | a connect in a signal handler
import signal


def test_way():
    signal.signal(signal.SIGUSR1, lambda *_: socket.create_connection(ADDRESS).close())
    os.kill(os.getpid(), signal.SIGUSR1)
    time.sleep(0.05)

# %% connect-in-trace | a connect in a trace function
done = []


def dial(frame, event, arg):
    if not done:
        done.append(1)
        socket.create_connection(ADDRESS).close()


def test_way():
    sys.setprofile(dial)
    try:
        len("")
    finally:
        sys.setprofile(None)

# %% connect-in-new-context | a connect in an empty context
import contextvars

contextvars.Context().run(lambda: socket.create_connection(ADDRESS).close())

# %% connect-in-generator | a connect in a generator that a fixture made
@pytest.fixture(scope="session")
def dialler():
    def steps():
        yield
        socket.create_connection(ADDRESS).close()
        yield

    made = steps()
    next(made)
    return made


def test_way(dialler):
    next(dialler)

# %% connect-subclass | a subclass of `socket.socket`
class Mine(socket.socket):
    pass


def test_way():
    with Mine() as s:
        s.connect(ADDRESS)

# %% connect-subclass-override | a subclass with a `connect` of its own that calls `super()`
class Mine(socket.socket):
    def connect(self, address):
        super().connect(address)


def test_way():
    with Mine() as s:
        s.connect(ADDRESS)

# %% connect-fileno | a socket made of a descriptor
s = socket.socket()
other = socket.socket(fileno=s.detach())
other.connect(ADDRESS)
other.close()

# %% connect-fromfd | `socket.fromfd`
s = socket.socket()
other = socket.fromfd(s.fileno(), socket.AF_INET, socket.SOCK_STREAM)
with s, other:
    other.connect(ADDRESS)

# %% connect-dup | `socket.dup`
with socket.socket() as s, s.dup() as other:
    other.connect(ADDRESS)

# %% connect-pickled | a socket through a pickle of multiprocessing's
import multiprocessing.reduction

s = socket.socket()
other = __import__("pickle").loads(multiprocessing.reduction.ForkingPickler.dumps(s))
with s, other:
    other.connect(ADDRESS)

# %% connect-sent-fd | a descriptor sent through a unix socket
left, right = socket.socketpair()
s = socket.socket()
socket.send_fds(left, [b"x"], [s.fileno()])
_, (fd,), _, _ = socket.recv_fds(right, 1, 1)
other = socket.socket(fileno=fd)
with left, right, s, other:
    other.connect(ADDRESS)

# %% create-connection | `socket.create_connection`
socket.create_connection(ADDRESS).close()

# %% create-connection-name | `socket.create_connection` with a name | only=foreign
socket.create_connection((NAME, PORT)).close()

# %% create-connection-source | `socket.create_connection` with a source address | shown=0.0.0.0
socket.create_connection(ADDRESS, 2, ("0.0.0.0", 0)).close()

# %% create-connection-all-errors | `socket.create_connection(all_errors=True)`
try:
    socket.create_connection(ADDRESS, all_errors=True).close()
except* OSError:
    pass

# %% udp-connect-send | `connect` and `send` of a datagram socket
with socket.socket(type=socket.SOCK_DGRAM) as s:
    s.connect(ADDRESS)
    s.send(b"hello")

# %% udp-sendto | `sendto`
with socket.socket(type=socket.SOCK_DGRAM) as s:
    s.sendto(b"hello", ADDRESS)

# %% udp-sendto-flags | `sendto` with flags
with socket.socket(type=socket.SOCK_DGRAM) as s:
    s.sendto(b"hello", 0, ADDRESS)

# %% udp-sendto-ipv6 | `sendto` on IPv6
with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
    s.sendto(b"hello", ADDRESS6)

# %% udp-sendto-name | `sendto` with a name | only=foreign
with socket.socket(type=socket.SOCK_DGRAM) as s:
    s.sendto(b"hello", (NAME, PORT))

# %% udp-sendmsg | `sendmsg`
with socket.socket(type=socket.SOCK_DGRAM) as s:
    s.sendmsg([b"hello"], [], 0, ADDRESS)

# %% udp-sendmsg-name | `sendmsg` with a name | only=foreign
with socket.socket(type=socket.SOCK_DGRAM) as s:
    s.sendmsg([b"hello"], [], 0, (NAME, PORT))

# %% udp-disconnect | a datagram socket whose peer is taken back by `AF_UNSPEC`, and dialled again
with socket.socket(type=socket.SOCK_DGRAM) as s:
    with contextlib.suppress(Exception):
        s.connect(ADDRESS)
    s.sendto(b"hello", ADDRESS)

# %% tcp-fast-open | TCP Fast Open by `sendto`
with socket.socket() as s:
    s.sendto(b"hello", socket.MSG_FASTOPEN, ADDRESS)

# %% tcp-fast-open-sendmsg | TCP Fast Open by `sendmsg`
with socket.socket() as s:
    s.sendmsg([b"hello"], [], socket.MSG_FASTOPEN, ADDRESS)

# %% raw-icmp | a raw socket that sends a ping
packet = b"\x08\x00\xf7\xff\x00\x00\x00\x00"
with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as s:
    s.sendto(packet, (HOST, 0))

# %% ping-socket | a datagram socket that sends a ping
packet = b"\x08\x00\xf7\xff\x00\x00\x00\x00"
open("/proc/sys/net/ipv4/ping_group_range", "w").write("0 100")
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP) as s:
    s.sendto(packet, (HOST, 0))

# %% packet-socket | a packet socket that sends a frame of its own | only=foreign | shown=packet:here
import struct

mac = open("/sys/class/net/here/address").read().strip() if os.path.exists("/sys/class/net/here/address") else ""
udp = struct.pack("!HHHH", 999, PORT, 13, 0) + b"hello"
ip = struct.pack("!BBHHHBBH4s4s", 69, 0, 20 + len(udp), 1, 0, 64, 17, 0, socket.inet_aton("198.51.100.2"), socket.inet_aton(HOST))


def test_way():
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as s:
        s.bind(("here", 0))
        s.send(b"\xff" * 6 + b"\x02\0\0\0\0\1" + b"\x08\0" + ip + udp)

# %% packet-socket-sendto | a packet socket that sends to an interface | only=foreign | shown=packet:here
import struct

udp = struct.pack("!HHHH", 999, PORT, 13, 0) + b"hello"
ip = struct.pack("!BBHHHBBH4s4s", 69, 0, 20 + len(udp), 1, 0, 64, 17, 0, socket.inet_aton("198.51.100.2"), socket.inet_aton(HOST))


def test_way():
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM) as s:
        s.sendto(ip + udp, ("here", 0x0800, 0, 0, b"\xff" * 6))

# %% udp-broadcast | a datagram to the network's broadcast address | only=foreign | shown=198.51.100.255
with socket.socket(type=socket.SOCK_DGRAM) as s:
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    s.sendto(b"hello", ("198.51.100.255", PORT))

# %% udp-multicast | a datagram to a multicast group | only=foreign | shown=239.1.1.1
with socket.socket(type=socket.SOCK_DGRAM) as s:
    s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("198.51.100.2"))
    s.sendto(b"hello", ("239.1.1.1", PORT))

# %% sendfile-udp | `sendfile` on a datagram socket
import tempfile

with socket.socket(type=socket.SOCK_DGRAM) as s, tempfile.TemporaryFile() as file:
    file.write(b"hello")
    file.seek(0)
    s.connect(ADDRESS)
    os.sendfile(s.fileno(), file.fileno(), 0, 5)

# %% unix-connect | `connect` of a unix socket | only=local
with socket.socket(socket.AF_UNIX) as s:
    s.connect(UNIX)
    time.sleep(0.05)

# %% unix-connect-bytes | `connect` of a unix socket, the path as bytes | only=local
with socket.socket(socket.AF_UNIX) as s:
    s.connect(UNIX.encode())
    time.sleep(0.05)

# %% unix-connect-relative | `connect` of a unix socket by a relative path | only=local
with socket.socket(socket.AF_UNIX) as s:
    s.connect(os.path.relpath(UNIX))
    time.sleep(0.05)

# %% unix-connect-link | `connect` of a unix socket through a symbolic link | only=local | shown=link.sock
os.symlink(UNIX, "link.sock")
with socket.socket(socket.AF_UNIX) as s:
    s.connect("link.sock")
    time.sleep(0.05)

# %% unix-own-then-foreign | a path that the test bound itself, then linked elsewhere | only=local | shown=mine.sock
with socket.socket(socket.AF_UNIX) as mine:
    mine.bind("mine.sock")
os.unlink("mine.sock")
os.symlink(UNIX, "mine.sock")
with socket.socket(socket.AF_UNIX) as s:
    s.connect("mine.sock")
    time.sleep(0.05)

# %% unix-chdir | a relative path that the test bound, in another directory | only=local | shown=mine.sock
os.mkdir("there")
os.symlink(UNIX, "there/mine.sock")
with socket.socket(socket.AF_UNIX) as mine:
    mine.bind("mine.sock")
os.chdir("there")
with socket.socket(socket.AF_UNIX) as s:
    s.connect("mine.sock")
    time.sleep(0.05)

# %% own-server | a server of the test's own, dialled by the test | only=local
with socket.create_server(("127.0.0.1", 0)) as server:
    socket.create_connection(server.getsockname()).close()

# %% own-server-ipv6 | a server on `::1`, dialled as `localhost` | only=local
with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
    socket.create_connection(("localhost", server.getsockname()[1])).close()

# %% machine-name | this machine's own address, by the interface | only=local
with socket.create_server(("", 0)) as server:
    socket.create_connection(("198.51.100.2", server.getsockname()[1])).close()

# %% unspecified | `0.0.0.0` as a target | only=local
socket.create_connection(("0.0.0.0", PORT)).close()

# %% empty-host | the empty host as a target | only=local
with socket.socket() as s:
    s.connect(("", PORT))

# %% loopback-far | another address of 127.0.0.0/8 | only=local | shown=127.9.9.9
with socket.create_server(("127.9.9.9", 0)) as server:
    socket.create_connection(server.getsockname()).close()

# %% nonlocal-bind | a machine that lets any address be bound | only=foreign
knob = "/proc/sys/net/ipv4/ip_nonlocal_bind"
open(knob, "w").write("1")


def test_way():
    try:
        socket.create_connection(ADDRESS).close()
    finally:
        open(knob, "w").write("0")

# %% connect-compatible | an IPv4-compatible IPv6 address beside a local one | only=foreign | shown=::127.0.0.1
with socket.socket(socket.AF_INET6) as s:
    with contextlib.suppress(OSError):
        s.connect(("::127.0.0.1", PORT))
    s.connect(ADDRESS6)

# %% memo-equal | an address equal to one that was permitted
class Liar(str):
    def __eq__(self, other):
        return other == "127.0.0.1"

    def __hash__(self):
        return hash("127.0.0.1")


def test_way():
    with contextlib.suppress(Exception):
        socket.create_connection(("127.0.0.1", PORT)).close()
    with socket.socket() as s:
        s.connect((Liar(HOST), PORT))

# %% multicast-ipv6 | a link's multicast group, with its scope | only=foreign | shown=ff02::1
with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
    s.sendto(b"hello", ("ff02::1%here", PORT))

# %% connect-after-close | a socket that the refusal has closed, and another in its place
with contextlib.suppress(Exception):
    socket.create_connection(ADDRESS).close()
socket.create_connection(ADDRESS).close()

# %% many-targets | so many targets that the record is full
for port in range(2000, 3100):
    with socket.socket() as s, contextlib.suppress(Exception):
        s.connect_ex((HOST, port))
with socket.socket() as s, contextlib.suppress(Exception):
    s.connect_ex(ADDRESS)
