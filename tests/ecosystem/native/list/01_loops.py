# Group: Event loops and resolvers

# %% uvloop | `asyncio.open_connection(host, port)` on `uvloop.run` | needs=uvloop | package=uvloop | only=foreign
import uvloop


async def main():
    _, writer = await asyncio.wait_for(asyncio.open_connection(HOST, PORT), 2)
    writer.close()


def test_way():
    uvloop.run(main())

# %% gevent | `gevent.socket.create_connection((host, port))` | needs=gevent | package=gevent | only=foreign
import gevent.socket

gevent.socket.create_connection(ADDRESS, timeout=2).close()

# %% pycares | `pycares.Channel().query(name, ...)` | needs=pycares | package=pycares | only=foreign
import pycares

done = threading.Event()
channel = pycares.Channel(timeout=1, tries=1)
channel.query(NAME, pycares.QUERY_TYPE_A, callback=lambda *_: done.set())
done.wait(1)
