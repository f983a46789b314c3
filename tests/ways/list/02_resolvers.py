# Group: Resolvers

# %% getaddrinfo | `socket.getaddrinfo` | only=foreign
socket.getaddrinfo(NAME, PORT)

# %% getaddrinfo-keywords | `socket.getaddrinfo` by keywords | only=foreign
socket.getaddrinfo(host=NAME, port=PORT, family=socket.AF_INET)

# %% getaddrinfo-bytes | `socket.getaddrinfo` with bytes | only=foreign
socket.getaddrinfo(NAME.encode(), PORT)

# %% getaddrinfo-service | `socket.getaddrinfo` with a service | only=foreign
socket.getaddrinfo(NAME, "http")

# %% getaddrinfo-canonname | `AI_CANONNAME` | only=foreign
socket.getaddrinfo(NAME, None, flags=socket.AI_CANONNAME)

# %% getaddrinfo-nul | a name with a NUL in it | only=foreign
socket.getaddrinfo(NAME + "\0.localhost", PORT)

# %% getaddrinfo-nul-after-localhost | `localhost` behind a NUL | only=foreign
socket.getaddrinfo(NAME + "\0", PORT)

# %% getaddrinfo-upper | a name in capitals | only=foreign | shown=WAY-OUT.EXAMPLE
socket.getaddrinfo(NAME.upper(), PORT)

# %% getaddrinfo-idna | an international name | only=foreign
socket.getaddrinfo("bücher.way-out.example", PORT)

# %% getaddrinfo-underscore | a name with an underscore | only=foreign
socket.getaddrinfo("_dmarc.way-out.example", PORT)

# %% getaddrinfo-dot | a name with a trailing dot | only=foreign
socket.getaddrinfo(NAME + ".", PORT)

# %% getaddrinfo-localhost-like | a foreign name that begins as a local one | only=foreign
socket.getaddrinfo("localhost.way-out.example", PORT)

# %% getaddrinfo-127-like | a foreign name that looks like a loopback address | only=foreign
socket.getaddrinfo("127.0.0.1.way-out.example", PORT)

# %% getaddrinfo-single-label | a name of one label | only=foreign | shown=way-out
with contextlib.suppress(socket.gaierror):
    socket.getaddrinfo("way-out", PORT)

# %% getaddrinfo-local-suffix | a name that ends as a local one, behind a search list | only=foreign | shown=way-out.local
with contextlib.suppress(socket.gaierror):
    socket.getaddrinfo("way-out.local", PORT)

# %% getaddrinfo-numeric-like | a number that is no address, looked up as a name | only=foreign | shown=1.2.3.4.5
with contextlib.suppress(socket.gaierror):
    socket.getaddrinfo("1.2.3.4.5", PORT)

# %% getaddrinfo-addrconfig | `AI_ADDRCONFIG` and `AI_V4MAPPED` | only=foreign
socket.getaddrinfo(NAME, PORT, socket.AF_INET6, flags=socket.AI_ADDRCONFIG | socket.AI_V4MAPPED)

# %% getaddrinfo-numericserv | `AI_NUMERICSERV`, which is not `AI_NUMERICHOST` | only=foreign
socket.getaddrinfo(NAME, "80", flags=socket.AI_NUMERICSERV)

# %% gethostbyname | `socket.gethostbyname` | only=foreign
socket.gethostbyname(NAME)

# %% gethostbyname-bytes | `socket.gethostbyname` with bytes | only=foreign
socket.gethostbyname(NAME.encode())

# %% gethostbyname-ex | `socket.gethostbyname_ex` | only=foreign
socket.gethostbyname_ex(NAME)

# %% gethostbyaddr | `socket.gethostbyaddr` of an address | only=foreign
with contextlib.suppress(OSError):
    socket.gethostbyaddr("198.51.100.1")

# %% gethostbyaddr-name | `socket.gethostbyaddr` of a name | only=foreign
with contextlib.suppress(OSError):
    socket.gethostbyaddr(NAME)

# %% getnameinfo | `socket.getnameinfo` | only=foreign
socket.getnameinfo(("198.51.100.1", PORT), 0)

# %% getnameinfo-ipv6 | `socket.getnameinfo` of an IPv6 address | only=foreign
socket.getnameinfo(("2001:db8::1", PORT, 0, 0), socket.NI_NUMERICSERV)

# %% getnameinfo-namereqd | `NI_NAMEREQD` | only=foreign
with contextlib.suppress(OSError):
    socket.getnameinfo(("198.51.100.1", PORT), socket.NI_NAMEREQD)

# %% getfqdn | `socket.getfqdn` of a name | only=foreign
socket.getfqdn(NAME)

# %% getfqdn-address | `socket.getfqdn` of an address | only=foreign
socket.getfqdn("198.51.100.1")

# %% bind-name | `bind` to a name | only=foreign
with socket.socket() as s, contextlib.suppress(OSError):
    s.bind((NAME, 0))

# %% create-server-name | `socket.create_server` at a name | only=foreign
with contextlib.suppress(OSError):
    socket.create_server((NAME, 0)).close()

# %% ip-options-name | the source address of `create_connection` as a name | only=foreign
with contextlib.suppress(OSError):
    socket.create_connection(("127.0.0.1", PORT), 1, (NAME, 0))

# %% internal-getaddrinfo | `_socket.getaddrinfo` | only=foreign
import _socket

_socket.getaddrinfo(NAME, PORT)

# %% internal-gethostbyname | `_socket.gethostbyname` | only=foreign
import _socket

_socket.gethostbyname(NAME)

# %% internal-getnameinfo | `_socket.getnameinfo` | only=foreign
import _socket

_socket.getnameinfo(("198.51.100.1", PORT), 0)

# %% loop-getaddrinfo | asyncio's `loop.getaddrinfo` | only=foreign
async def main():
    await asyncio.get_running_loop().getaddrinfo(NAME, PORT)


def test_way():
    asyncio.run(main())

# %% loop-getnameinfo | asyncio's `loop.getnameinfo` | only=foreign
async def main():
    await asyncio.get_running_loop().getnameinfo(("198.51.100.1", PORT))


def test_way():
    asyncio.run(main())

# %% dns-by-hand | a DNS query by hand, over UDP | only=foreign
query = b"\0\1\1\0\0\1\0\0\0\0\0\0" + b"\7way-out\7example\0" + b"\0\1\0\1"
with socket.socket(type=socket.SOCK_DGRAM) as s:
    s.sendto(query, ("198.51.100.53", 53))
    s.recv(100)

# %% dnspython | dnspython's resolver | only=foreign | needs=dns
import dns.resolver

dns.resolver.resolve(NAME, "A", lifetime=1)

# %% dnspython-tcp | dnspython over TCP | only=foreign | needs=dns
import dns.resolver

dns.resolver.resolve(NAME, "A", tcp=True, lifetime=1)

# %% dnspython-query | dnspython's `query.udp` | only=foreign | needs=dns
import dns.message
import dns.query

dns.query.udp(dns.message.make_query(NAME, "A"), "198.51.100.53", timeout=1)

# %% dnspython-async | dnspython's resolver on asyncio | only=foreign | needs=dns
import dns.asyncresolver


async def main():
    await dns.asyncresolver.resolve(NAME, "A", lifetime=1)


def test_way():
    asyncio.run(main())

# %% mail-mx | dnspython, for mail exchangers | only=foreign | needs=dns
import dns.resolver

with contextlib.suppress(Exception):
    dns.resolver.resolve(NAME, "MX", lifetime=1)

# %% trio-getaddrinfo | trio's `getaddrinfo` | only=foreign | needs=trio
import trio

trio.run(trio.socket.getaddrinfo, NAME, PORT)

# %% anyio-getaddrinfo | anyio's `getaddrinfo` | only=foreign | needs=anyio
import anyio

anyio.run(anyio.getaddrinfo, NAME, PORT)

# %% gevent-getaddrinfo | gevent's `getaddrinfo` | only=foreign | needs=gevent
import gevent.socket

gevent.socket.getaddrinfo(NAME, PORT)

# %% gevent-ares | gevent's c-ares resolver | only=foreign | needs=gevent
import gevent
import gevent.socket

gevent.config.resolver = "ares"
gevent.socket.getaddrinfo(NAME, PORT)

# %% gevent-dnspython | gevent's dnspython resolver | only=foreign | needs=gevent dns
import gevent
import gevent.socket

gevent.config.resolver = "dnspython"
gevent.socket.gethostbyname(NAME)

# %% twisted-names | Twisted's resolver | only=foreign | needs=twisted | shown=0.0.0.0
from twisted.names import client
from twisted.internet import reactor

client.Resolver(servers=[("198.51.100.53", 53)]).lookupAddress(NAME, timeout=[1]).addBoth(lambda _: reactor.stop())
reactor.callLater(2, lambda: reactor.running and reactor.stop())
reactor.run(installSignalHandlers=False)

# %% reverse-loopback | the name of another address of 127.0.0.0/8 | only=foreign | shown=127.0.0.2 | answered=medium
with contextlib.suppress(OSError):
    socket.gethostbyaddr("127.0.0.2")

# %% reverse-loopback-getnameinfo | the same, by `getnameinfo` | only=foreign | shown=127.0.0.2 | answered=medium
with contextlib.suppress(OSError):
    socket.getnameinfo(("127.0.0.2", PORT), 0)

# %% reverse-loopback-getfqdn | the same, by `getfqdn` | only=foreign | shown=127.0.0.2 | answered=medium
socket.getfqdn("127.0.0.2")

# %% reverse-own-address | the name of this machine's own address | only=foreign | shown=198.51.100.2 | answered=medium
with contextlib.suppress(OSError):
    socket.gethostbyaddr("198.51.100.2")

# %% reverse-unspecified | the name of the unspecified address | only=foreign | shown=0.0.0.0 | answered=medium
with contextlib.suppress(OSError):
    socket.gethostbyaddr("0.0.0.0")

# %% connect-long-label | `connect` to a name whose label is as long as can be | only=foreign | shown=aaaa
with socket.socket() as s, contextlib.suppress(OSError):
    s.connect(("a" * 63 + ".way-out.example", PORT))

# %% connect-wide-digits | an address in full-width digits | shown=１９８ １２７
with socket.socket() as s:
    s.connect(("".join(chr(0xFEE0 + ord(c)) if c.isdigit() else c for c in HOST), PORT))

# %% connect-ideographic-dot | a name with an ideographic dot, that ends as a local one | only=foreign | shown=localhost
with socket.socket() as s, contextlib.suppress(OSError):
    s.connect(("localhost。way-out.example", PORT))

# %% hostaliases | an alias of `HOSTALIASES` | only=foreign | shown=nickname
open("aliases", "w").write("nickname way-out.example\n")
os.environ["HOSTALIASES"] = os.path.abspath("aliases")
with contextlib.suppress(OSError):
    socket.getaddrinfo("nickname", PORT)

# %% getaddrinfo-subclass | a name of a subclass of `str` that compares as another | only=foreign
class Liar(str):
    def __eq__(self, other):
        return other == "localhost"

    def __hash__(self):
        return hash("localhost")

    def lower(self):
        return "localhost"

    def casefold(self):
        return "localhost"

    def partition(self, sep):
        return ("localhost", "", "")


def test_way():
    socket.getaddrinfo(Liar(NAME), PORT)
