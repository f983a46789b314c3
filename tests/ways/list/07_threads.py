# Group: Threads, jobs and tasks

# %% thread | a thread
thread = threading.Thread(target=lambda: socket.create_connection(ADDRESS).close())
thread.start()
thread.join()

# %% thread-daemon | a daemon thread
thread = threading.Thread(target=lambda: socket.create_connection(ADDRESS).close(), daemon=True)
thread.start()
time.sleep(0.2)

# %% thread-in-thread | a thread of a thread
def outer():
    inner = threading.Thread(target=lambda: socket.create_connection(ADDRESS).close())
    inner.start()
    inner.join()


def test_way():
    thread = threading.Thread(target=outer)
    thread.start()
    thread.join()

# %% thread-subclass | a subclass of `Thread` with a `start` of its own
class Mine(threading.Thread):
    def start(self):
        super().start()

    def run(self):
        socket.create_connection(ADDRESS).close()


def test_way():
    thread = Mine()
    thread.start()
    thread.join()

# %% thread-excepthook | a thread whose errors nobody sees
def test_way():
    hook, threading.excepthook = threading.excepthook, lambda _: None
    thread = threading.Thread(target=lambda: socket.create_connection(ADDRESS).close())
    thread.start()
    thread.join()
    threading.excepthook = hook

# %% timer | `threading.Timer`
timer = threading.Timer(0.01, lambda: socket.create_connection(ADDRESS).close())
timer.start()
timer.join()

# %% start-new-thread | `_thread.start_new_thread`
import _thread

done = threading.Event()


def dial():
    try:
        socket.create_connection(ADDRESS).close()
    finally:
        done.set()


def test_way():
    _thread.start_new_thread(dial, ())
    done.wait(3)
    time.sleep(0.05)

# %% start-new | `_thread.start_new`, the old name
import _thread

done = threading.Event()


def dial():
    try:
        socket.create_connection(ADDRESS).close()
    finally:
        done.set()


def test_way():
    _thread.start_new(dial, ())
    done.wait(3)
    time.sleep(0.05)

# %% start-joinable-thread | `_thread.start_joinable_thread` | needs=python:3.13
import _thread

_thread.start_joinable_thread(lambda: socket.create_connection(ADDRESS).close()).join()

# %% executor | `ThreadPoolExecutor`
from concurrent.futures import ThreadPoolExecutor

with ThreadPoolExecutor() as pool:
    pool.submit(socket.create_connection, ADDRESS).result().close()

# %% executor-map | `ThreadPoolExecutor.map`
from concurrent.futures import ThreadPoolExecutor

with ThreadPoolExecutor() as pool:
    for s in pool.map(socket.create_connection, [ADDRESS]):
        s.close()

# %% executor-lost | a Future that nobody reads
from concurrent.futures import ThreadPoolExecutor

with ThreadPoolExecutor() as pool:
    pool.submit(socket.create_connection, ADDRESS)

# %% executor-callback | a callback of a Future
from concurrent.futures import ThreadPoolExecutor

with ThreadPoolExecutor() as pool:
    pool.submit(time.sleep, 0.02).add_done_callback(lambda _: socket.create_connection(ADDRESS).close())

# %% executor-initializer | an executor's initializer
from concurrent.futures import ThreadPoolExecutor


def test_way():
    with ThreadPoolExecutor(1, initializer=lambda: socket.create_connection(ADDRESS).close()) as pool:
        with contextlib.suppress(Exception):
            pool.submit(print).result(2)

# %% executor-kept | an executor of a module, warmed up on import
from concurrent.futures import ThreadPoolExecutor

pool = ThreadPoolExecutor(1)
pool.submit(print).result()


def test_way():
    pool.submit(socket.create_connection, ADDRESS).result().close()

# %% executor-kept-fixture | an executor of a session fixture
from concurrent.futures import ThreadPoolExecutor


@pytest.fixture(scope="session")
def pool():
    with ThreadPoolExecutor(1) as pool:
        pool.submit(print).result()
        yield pool


def test_way(pool):
    pool.submit(socket.create_connection, ADDRESS).result().close()

# %% thread-pool | `multiprocessing.pool.ThreadPool`
from multiprocessing.pool import ThreadPool

with ThreadPool(1) as pool:
    pool.apply(socket.create_connection, (ADDRESS,)).close()

# %% thread-pool-imap | `ThreadPool.imap_unordered`
from multiprocessing.pool import ThreadPool

with ThreadPool(1) as pool:
    for s in pool.imap_unordered(socket.create_connection, [ADDRESS]):
        s.close()

# %% thread-pool-lost | a job of a `ThreadPool` whose result nobody reads
from multiprocessing.pool import ThreadPool

with ThreadPool(1) as pool:
    pool.apply_async(socket.create_connection, (ADDRESS,))
    pool.close()
    pool.join()

# %% dummy-process | `multiprocessing.dummy.Process`
from multiprocessing.dummy import Process

process = Process(target=socket.create_connection, args=(ADDRESS,))
process.start()
process.join()

# %% own-queue | a worker of a module, fed through a queue of its own
import queue

jobs = queue.Queue()


def work():
    while True:
        job = jobs.get()
        with contextlib.suppress(Exception):
            job()


threading.Thread(target=work, daemon=True).start()


def test_way():
    jobs.put(lambda: socket.create_connection(ADDRESS).close())
    time.sleep(0.2)

# %% own-queue-fixture | a worker of a session fixture, fed through a queue of its own
import queue


@pytest.fixture(scope="session")
def jobs():
    jobs = queue.Queue()

    def work():
        while job := jobs.get():
            with contextlib.suppress(Exception):
                job()

    thread = threading.Thread(target=work)
    thread.start()
    yield jobs
    jobs.put(None)
    thread.join()


def test_way(jobs):
    jobs.put(lambda: socket.create_connection(ADDRESS).close())
    time.sleep(0.2)

# %% early-worker | a worker that lived before the plugin, fed through a queue
from early import jobs


def test_way():
    jobs.put(lambda: socket.create_connection(ADDRESS).close())
    time.sleep(0.2)
# early.py
import queue

jobs = queue.Queue()


def work():
    while True:
        job = jobs.get()
        with contextlib.suppress(Exception):
            job()


threading.Thread(target=work, daemon=True).start()

# %% early-executor | an executor that lived before the plugin
from early import pool


def test_way():
    pool.submit(socket.create_connection, ADDRESS).result().close()
# early.py
from concurrent.futures import ThreadPoolExecutor

pool = ThreadPoolExecutor(1)
pool.submit(print).result()

# %% early-executor-lost | the same, and nobody reads the result
from early import pool


def test_way():
    pool.submit(socket.create_connection, ADDRESS)
    time.sleep(0.2)
# early.py
from concurrent.futures import ThreadPoolExecutor

pool = ThreadPoolExecutor(1)
pool.submit(print).result()

# %% early-loop | an event loop in a thread that lived before the plugin
from early import loop


async def dial():
    _, writer = await asyncio.open_connection(HOST, PORT)
    writer.close()


def test_way():
    asyncio.run_coroutine_threadsafe(dial(), loop).result(3)
# early.py
import asyncio
import threading

loop = asyncio.new_event_loop()
threading.Thread(target=loop.run_forever, daemon=True).start()

# %% early-loop-callback | a callback into a loop that lived before the plugin
from early import loop


def test_way():
    loop.call_soon_threadsafe(lambda: socket.create_connection(ADDRESS).close())
    time.sleep(0.2)
# early.py
import asyncio
import threading

loop = asyncio.new_event_loop()
threading.Thread(target=loop.run_forever, daemon=True).start()

# %% executor-in-early-thread | a job submitted by a thread that lived before the plugin
from early import jobs


def test_way():
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor(1)
    jobs.put(lambda: pool.submit(socket.create_connection, ADDRESS))
    time.sleep(0.2)
# early.py
import queue

jobs = queue.Queue()


def work():
    while True:
        job = jobs.get()
        with contextlib.suppress(Exception):
            job()


threading.Thread(target=work, daemon=True).start()

# %% scheduler | `sched`
import sched

scheduler = sched.scheduler()
scheduler.enter(0.01, 1, lambda: socket.create_connection(ADDRESS).close())
scheduler.run()

# %% greenlet | a bare greenlet | needs=greenlet
import greenlet

greenlet.greenlet(lambda: socket.create_connection(ADDRESS).close()).switch()

# %% greenlet-other-thread | a greenlet in a thread | needs=greenlet
import greenlet


def test_way():
    thread = threading.Thread(target=lambda: greenlet.greenlet(lambda: socket.create_connection(ADDRESS).close()).switch())
    thread.start()
    thread.join()

# %% task | a task that is awaited
async def dial():
    _, writer = await asyncio.open_connection(HOST, PORT)
    writer.close()


async def main():
    await asyncio.create_task(dial())


def test_way():
    asyncio.run(main())

# %% task-lost | a task that nobody awaits
async def dial():
    _, writer = await asyncio.open_connection(HOST, PORT)
    writer.close()


async def main():
    task = asyncio.create_task(dial())
    await asyncio.sleep(0.1)


def test_way():
    asyncio.run(main())

# %% task-empty-context | a task in an empty context
import contextvars


async def dial():
    _, writer = await asyncio.open_connection(HOST, PORT)
    writer.close()


async def main():
    await asyncio.create_task(dial(), context=contextvars.Context())


def test_way():
    asyncio.run(main())

# %% task-group | `asyncio.TaskGroup`
async def dial():
    _, writer = await asyncio.open_connection(HOST, PORT)
    writer.close()


async def main():
    async with asyncio.TaskGroup() as group:
        group.create_task(dial())


def test_way():
    asyncio.run(main())

# %% thread-outlives | a thread that dials after the test
threading.Thread(target=lambda: (time.sleep(0.3), socket.create_connection(ADDRESS).close())).start()

# %% thread-outlives-daemon | a daemon thread that dials after the last test
threading.Thread(target=lambda: (time.sleep(0.2), socket.create_connection(ADDRESS).close()), daemon=True).start()
# conftest.py
def pytest_sessionfinish():
    time.sleep(0.5)

# %% executor-outlives | a job that dials after the test
from concurrent.futures import ThreadPoolExecutor

pool = ThreadPoolExecutor(1)


def test_way():
    pool.submit(lambda: (time.sleep(0.3), socket.create_connection(ADDRESS).close()))

# %% timer-outlives | a timer that fires after the test
threading.Timer(0.3, lambda: socket.create_connection(ADDRESS).close()).start()

# %% atexit | a function registered for the interpreter's exit
import atexit

atexit.register(lambda: socket.create_connection(ADDRESS).close())

# %% threading-atexit | a function registered for the end of threading
threading._register_atexit(lambda: socket.create_connection(ADDRESS).close())

# %% finalize-exit | `weakref.finalize`, at exit
import weakref

keep = [type("Thing", (), {})()]
weakref.finalize(keep[0], lambda: socket.create_connection(ADDRESS).close())


def test_way():
    pass

# %% atexit-in-test-thread | a thread started at exit
import atexit


def dial():
    thread = threading.Thread(target=lambda: socket.create_connection(ADDRESS).close())
    thread.start()
    thread.join()


def test_way():
    atexit.register(dial)

# %% task-outlives | a task of a session's loop that goes on after the test | plugins=asyncio | needs=pytest_asyncio
import pytest_asyncio


@pytest_asyncio.fixture(scope="session", loop_scope="session", autouse=True)
async def patience():
    yield
    await asyncio.sleep(0.3)


async def dial():
    await asyncio.sleep(0.1)
    _, writer = await asyncio.open_connection(HOST, PORT)
    writer.close()


tasks = []


@pytest.mark.asyncio(loop_scope="session")
async def test_way():
    tasks.append(asyncio.create_task(dial()))

# %% call-later-outlives | a loop's timer that fires after the test | plugins=asyncio | needs=pytest_asyncio
import pytest_asyncio


@pytest_asyncio.fixture(scope="session", loop_scope="session", autouse=True)
async def patience():
    yield
    await asyncio.sleep(0.3)


@pytest.mark.asyncio(loop_scope="session")
async def test_way():
    asyncio.get_running_loop().call_later(0.1, lambda: socket.create_connection(ADDRESS).close())

# %% async-generator-outlives | an asynchronous generator that the loop closes
async def steps():
    try:
        yield
    finally:
        socket.create_connection(ADDRESS).close()


async def main():
    async for _ in steps():
        break


def test_way():
    asyncio.run(main())
    __import__("gc").collect()

# %% generator-outlives | a generator that is closed after the test
def steps():
    try:
        yield
    finally:
        socket.create_connection(ADDRESS).close()


@pytest.fixture(scope="module")
def kept():
    kept = []
    yield kept
    kept.clear()


def test_way(kept):
    kept.append(steps())
    next(kept[0])

# %% subinterpreter | a subinterpreter | needs=_xxsubinterpreters
import _xxsubinterpreters as interpreters

other = interpreters.create()
with contextlib.suppress(Exception):
    interpreters.run_string(other, f"import socket; socket.create_connection({ADDRESS!r}).close()")
interpreters.destroy(other)

# %% subinterpreter-313 | a subinterpreter, from 3.13 on | needs=_interpreters
import _interpreters as interpreters

other = interpreters.create()
with contextlib.suppress(Exception):
    interpreters.exec(other, f"import socket; socket.create_connection({ADDRESS!r}).close()")
interpreters.destroy(other)

# %% interpreter-pool | `InterpreterPoolExecutor` | needs=python:3.14
from concurrent.futures import InterpreterPoolExecutor

with InterpreterPoolExecutor(1) as pool:
    pool.submit(exec, f"import socket; socket.create_connection({ADDRESS!r}).close()").exception()

# %% context-of-import | a context that was copied on import
import contextvars

context = contextvars.copy_context()


def test_way():
    context.run(lambda: socket.create_connection(ADDRESS).close())

# %% context-of-session | a context that a session fixture copied
import contextvars


@pytest.fixture(scope="session")
def context():
    return contextvars.copy_context()


def test_way(context):
    context.run(lambda: socket.create_connection(ADDRESS).close())

# %% context-of-large-guard | a context copied in a guard of size large, on import
import contextvars

try:
    from pytest_test_categories import network_guard
except ImportError:
    network_guard = lambda size: contextlib.nullcontext()
with network_guard("large"):
    context = contextvars.copy_context()


def test_way():
    context.run(lambda: socket.create_connection(ADDRESS).close())

# %% large-guard-open | a guard of size large that a module holds open
try:
    from pytest_test_categories import network_guard
except ImportError:
    network_guard = lambda size: contextlib.nullcontext()
guard = network_guard("large")
guard.__enter__()


def test_way():
    socket.create_connection(ADDRESS).close()

# %% large-guard-session | a guard of size large that a session fixture holds open
@pytest.fixture(scope="session", autouse=True)
def open_guard():
    try:
        from pytest_test_categories import network_guard
    except ImportError:
        network_guard = lambda size: contextlib.nullcontext()
    with network_guard("large"):
        yield


def test_way():
    socket.create_connection(ADDRESS).close()

# %% expect-unrelated | an `expect_network_violation` that is over
try:
    from pytest_test_categories import expect_network_violation
except ImportError:
    expect_network_violation = contextlib.nullcontext
with expect_network_violation():
    with contextlib.suppress(Exception):
        socket.create_connection(ADDRESS).close()
with contextlib.suppress(Exception):
    socket.create_connection(ADDRESS).close()

# %% expect-in-thread | an `expect_network_violation` around a thread that goes on
try:
    from pytest_test_categories import expect_network_violation
except ImportError:
    expect_network_violation = contextlib.nullcontext


def dial():
    for _ in range(2):
        with contextlib.suppress(Exception):
            socket.create_connection(ADDRESS).close()
        time.sleep(0.2)


def test_way():
    with expect_network_violation():
        thread = threading.Thread(target=dial)
        thread.start()
        time.sleep(0.1)
    thread.join()

# %% signal-outlives | a timer's signal that comes after the test
import signal


def test_way():
    signal.signal(signal.SIGALRM, lambda *_: socket.create_connection(ADDRESS).close())
    signal.setitimer(signal.ITIMER_REAL, 0.2)
# conftest.py
def pytest_sessionfinish():
    time.sleep(0.5)

# %% logging-at-exit | a log handler that the interpreter's exit flushes
import logging.handlers

memory = logging.handlers.MemoryHandler(100, target=logging.handlers.SocketHandler(HOST, PORT))


def test_way():
    memory.emit(logging.makeLogRecord({"msg": "hello", "levelno": logging.INFO}))

# %% fixture-value-del | `__del__` of a fixture's value
class Goodbye:
    def __del__(self):
        socket.create_connection(ADDRESS).close()


@pytest.fixture
def goodbye():
    return Goodbye()


def test_way(goodbye):
    pass

# %% cycle-del | `__del__` of a cycle that is collected after the test
class Goodbye:
    def __del__(self):
        socket.create_connection(ADDRESS).close()


def test_way():
    goodbye = Goodbye()
    goodbye.me = goodbye
# conftest.py
def pytest_sessionfinish():
    import gc

    gc.collect()
