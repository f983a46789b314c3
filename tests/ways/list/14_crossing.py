# Group: Work that outlives or crosses its test

# %% process-pool-job | a job of a kept `ProcessPoolExecutor`
from concurrent.futures import ProcessPoolExecutor

POOL = ProcessPoolExecutor(1)


def dial():
    socket.create_connection(ADDRESS).close()


def test_way():
    POOL.submit(dial).exception()

# %% process-pool-spawn | a job of a `ProcessPoolExecutor` that spawns
import multiprocessing
from concurrent.futures import ProcessPoolExecutor


def dial():
    socket.create_connection(ADDRESS).close()


def test_way():
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        pool.submit(dial).exception()

# %% process-pool-map | `ProcessPoolExecutor.map`, with chunks
from concurrent.futures import ProcessPoolExecutor


def dial(_):
    try:
        socket.create_connection(ADDRESS).close()
    except Exception:
        pass


def test_way():
    with ProcessPoolExecutor(2) as pool:
        list(pool.map(dial, range(4), chunksize=2))

# %% multiprocessing-pool-kept | a job of a kept `multiprocessing.Pool`
import multiprocessing


def dial():
    socket.create_connection(ADDRESS).close()


POOL = multiprocessing.get_context("fork").Pool(1)


def test_way():
    POOL.apply_async(dial).wait()
    POOL.terminate()

# %% multiprocessing-pool-imap | `Pool.imap_unordered` of forkserver's workers
import multiprocessing


def dial(_):
    try:
        socket.create_connection(ADDRESS).close()
    except Exception:
        pass


def test_way():
    with multiprocessing.get_context("forkserver").Pool(1) as pool:
        list(pool.imap_unordered(dial, range(2)))

# %% joblib-loky | a job of joblib's, in loky's workers | needs=joblib
import joblib


def dial():
    try:
        socket.create_connection(ADDRESS).close()
    except Exception:
        pass


def test_way():
    joblib.Parallel(n_jobs=2)(joblib.delayed(dial)() for _ in range(2))

# %% gevent-outlives | a greenlet that goes on after its test | needs=gevent
import gevent


def test_way():
    gevent.spawn_later(0.1, lambda: socket.create_connection(ADDRESS).close())
# conftest.py
import gevent


def pytest_sessionfinish():
    gevent.sleep(0.4)

# %% eventlet-outlives | a green thread of eventlet's that goes on after its test | needs=eventlet
import eventlet


def test_way():
    eventlet.spawn_after(0.1, lambda: socket.create_connection(ADDRESS).close())
# conftest.py
import eventlet


def pytest_sessionfinish():
    eventlet.sleep(0.4)

# %% swallowed-then-expected | swallowed once, then expected at the same line
def dial():
    socket.create_connection(ADDRESS).close()


def test_way():
    try:
        dial()
    except Exception:
        pass
    try:
        with pytest.raises(Exception, match="TC001|."):
            dial()
    except pytest.fail.Exception:
        pass
