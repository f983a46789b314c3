# Group: Swallowed refusals

# %% except-exception | `except Exception`
try:
    socket.create_connection(ADDRESS).close()
except Exception:
    pass

# %% except-base-exception | `except BaseException`
try:
    socket.create_connection(ADDRESS).close()
except BaseException:
    pass

# %% bare-except | a bare `except`
try:
    socket.create_connection(ADDRESS).close()
except:
    pass

# %% suppress | `contextlib.suppress(Exception)`
with contextlib.suppress(Exception):
    socket.create_connection(ADDRESS).close()

# %% finally-return | `return` in `finally`
def dial():
    try:
        socket.create_connection(ADDRESS).close()
    finally:
        return None


def test_way():
    dial()

# %% raises-exception | `pytest.raises(Exception)`
try:
    with pytest.raises(Exception):
        socket.create_connection(ADDRESS).close()
except pytest.fail.Exception:
    pass

# %% raises-group | `pytest.RaisesGroup(Exception)`
async def main():
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.open_connection(HOST, PORT))


def test_way():
    try:
        with pytest.RaisesGroup(Exception):
            asyncio.run(main())
    except pytest.fail.Exception:
        pass

# %% assert-raises | `assertRaises(Exception)`
import unittest


class TestWay(unittest.TestCase):
    def test_way(self):
        try:
            with self.assertRaises(Exception):
                socket.create_connection(ADDRESS).close()
        except AssertionError:
            pass

# %% retry-loop | a retry loop that gives up in silence
for _ in range(3):
    try:
        socket.create_connection(ADDRESS).close()
        break
    except Exception:
        time.sleep(0.01)

# %% raise-other | another exception `from None`, which is expected
def dial():
    try:
        socket.create_connection(ADDRESS).close()
    except Exception:
        raise LookupError("no service") from None


def test_way():
    with contextlib.suppress(LookupError):
        dial()

# %% raises-other | another exception, which `pytest.raises` expects
def dial():
    try:
        socket.create_connection(ADDRESS).close()
    except Exception as error:
        raise LookupError("no service") from error
    raise LookupError("no answer")


def test_way():
    with pytest.raises(LookupError):
        dial()

# %% raises-other-match | another exception, with our text in it
def dial():
    try:
        socket.create_connection(ADDRESS).close()
    except Exception as error:
        raise LookupError(f"no service: {error}") from None
    raise LookupError("no service")


def test_way():
    with pytest.raises(LookupError, match="no service"):
        dial()

# %% skip | `pytest.skip` in the except clause
try:
    socket.create_connection(ADDRESS).close()
except Exception:
    pytest.skip("no network")

# %% importorskip | `pytest.importorskip` of a module that dials
open("dials.py", "w").write(
    f"import socket\ntry:\n    socket.create_connection({ADDRESS!r}).close()\nexcept Exception as e:\n    raise ImportError from e\n"
)
sys.path.insert(0, os.getcwd())
pytest.importorskip("dials", exc_type=ImportError)

# %% xfail | `pytest.xfail` in the except clause
try:
    socket.create_connection(ADDRESS).close()
except Exception:
    pytest.xfail("no network")

# %% xfail-mark | `mark.xfail`
@pytest.mark.xfail
def test_way():
    socket.create_connection(ADDRESS).close()
    raise LookupError

# %% xfail-mark-raises | `mark.xfail(raises=Exception)`
@pytest.mark.xfail(raises=Exception)
def test_way():
    socket.create_connection(ADDRESS).close()
    raise LookupError

# %% skip-test | `unittest.SkipTest`
import unittest


class TestWay(unittest.TestCase):
    def test_way(self):
        try:
            socket.create_connection(ADDRESS).close()
        except Exception:
            raise unittest.SkipTest("no network")

# %% expected-failure | `unittest.expectedFailure`
import unittest


class TestWay(unittest.TestCase):
    @unittest.expectedFailure
    def test_way(self):
        socket.create_connection(ADDRESS).close()
        raise LookupError

# %% subtest | a subtest
import unittest


class TestWay(unittest.TestCase):
    def test_way(self):
        with self.subTest("dial"):
            socket.create_connection(ADDRESS).close()

# %% subtests-fixture | a subtest of pytest's | needs=_pytest.subtests
def test_way(subtests):
    with subtests.test("dial"):
        try:
            socket.create_connection(ADDRESS).close()
        except Exception:
            pass

# %% gather | `gather(return_exceptions=True)`
async def main():
    await asyncio.gather(asyncio.open_connection(HOST, PORT), return_exceptions=True)


def test_way():
    asyncio.run(main())

# %% wait | `asyncio.wait`
async def main():
    await asyncio.wait([asyncio.create_task(asyncio.open_connection(HOST, PORT))])


def test_way():
    asyncio.run(main())

# %% wait-for | `asyncio.wait_for`, whose error is caught
async def main():
    with contextlib.suppress(Exception):
        await asyncio.wait_for(asyncio.open_connection(HOST, PORT), 1)


def test_way():
    asyncio.run(main())

# %% cancelled | a task that is cancelled in its except clause
async def dial():
    try:
        await asyncio.open_connection(HOST, PORT)
    except Exception:
        raise asyncio.CancelledError from None


async def main():
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.create_task(dial())


def test_way():
    asyncio.run(main())

# %% exception-handler | a loop's exception handler
async def main():
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda *_: None)
    loop.call_soon(lambda: socket.create_connection(ADDRESS).close())
    await asyncio.sleep(0.05)


def test_way():
    asyncio.run(main())

# %% task-group-except-star | `except*`
async def main():
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.open_connection(HOST, PORT))


def test_way():
    try:
        asyncio.run(main())
    except* Exception:
        pass

# %% future-exception | `Future.exception()`
from concurrent.futures import ThreadPoolExecutor

with ThreadPoolExecutor() as pool:
    pool.submit(socket.create_connection, ADDRESS).exception()

# %% system-exit | `sys.exit` in the except clause
try:
    socket.create_connection(ADDRESS).close()
except Exception:
    sys.exit(0)

# %% pytest-exit | `pytest.exit` in the except clause
try:
    socket.create_connection(ADDRESS).close()
except Exception:
    pytest.exit("no network", returncode=0)

# %% keyboard-interrupt | `KeyboardInterrupt` in the except clause
try:
    socket.create_connection(ADDRESS).close()
except Exception:
    raise KeyboardInterrupt

# %% os-exit | `os._exit` in the except clause
try:
    socket.create_connection(ADDRESS).close()
except Exception:
    os._exit(0)

# %% del-swallow | `__del__`, whose errors the interpreter prints
class Goodbye:
    def __del__(self):
        socket.create_connection(ADDRESS).close()


def test_way():
    hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
    try:
        Goodbye()
    finally:
        sys.unraisablehook = hook

# %% logging-swallow | a log handler, whose errors logging prints
import logging


class Far(logging.Handler):
    def emit(self, record):
        try:
            socket.create_connection(ADDRESS).close()
        except Exception:
            self.handleError(record)


def test_way():
    logging.raiseExceptions = False
    logger = logging.getLogger("far")
    logger.addHandler(Far())
    logger.error("hello")

# %% warnings-swallow | `NetworkAccessViolationError` caught by name
try:
    from pytest_test_categories import NetworkAccessViolationError as Refused
except ImportError:
    Refused = OSError
try:
    socket.create_connection(ADDRESS).close()
except Refused:
    pass

# %% clear-traceback | an error whose context is cleared, raised again as another
def dial():
    try:
        socket.create_connection(ADDRESS).close()
    except Exception as error:
        error.__context__ = error.__cause__ = None
        error.__class__ = error.__class__
        return repr(error)


def test_way():
    dial()

# %% reraise-by-type | an error made anew of its own class and text: `type(e)(str(e))`
def dial():
    try:
        socket.create_connection(ADDRESS).close()
    except Exception as error:
        raise type(error)(str(error)) from None


def test_way():
    dial()

# %% reraise-with-args | an error made anew of its class and arguments: `type(e)(*e.args)`
def dial():
    try:
        socket.create_connection(ADDRESS).close()
    except Exception as error:
        raise type(error)(*error.args) from None


def test_way():
    dial()

# %% reraise-prefixed | an error made anew with more text, then swallowed
def dial():
    try:
        socket.create_connection(ADDRESS).close()
    except Exception as error:
        raise type(error)(f"while dialling: {error}") from None


def test_way():
    with contextlib.suppress(Exception):
        dial()

# %% copy-error | an error that is copied
import copy


def dial():
    try:
        socket.create_connection(ADDRESS).close()
    except Exception as error:
        raise copy.copy(error) from None


def test_way():
    dial()

# %% pickle-error | an error that goes through a pickle
import pickle


def dial():
    try:
        socket.create_connection(ADDRESS).close()
    except Exception as error:
        raise pickle.loads(pickle.dumps(error)) from None


def test_way():
    dial()

# %% error-with-arguments | an error whose `args` are changed
def dial():
    try:
        socket.create_connection(ADDRESS).close()
    except Exception as error:
        error.args = ("something else",)
        raise


def test_way():
    dial()

# %% generator-exit | a generator that swallows and ends
def steps():
    try:
        yield socket.create_connection(ADDRESS).close()
    except Exception:
        return


def test_way():
    list(steps())

# %% exit-stack | an exit stack that swallows
with contextlib.ExitStack() as stack:
    stack.push(lambda *_: True)
    socket.create_connection(ADDRESS).close()

# %% trio-nursery | a nursery whose group is caught | needs=trio
import trio


async def main():
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.open_tcp_stream, HOST, PORT)
    except* Exception:
        pass


def test_way():
    trio.run(main)

# %% trio-cancelled | a cancelled trio scope | needs=trio
import trio


async def main():
    with trio.CancelScope() as scope:
        try:
            await trio.open_tcp_stream(HOST, PORT)
        finally:
            scope.cancel()
            await trio.sleep(0)


def test_way():
    with contextlib.suppress(Exception):
        trio.run(main)

# %% doctest-like-timeout | a SIGALRM that ends the test with success
import signal


class Done(BaseException):
    pass


def ring(*_):
    raise Done


def test_way():
    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        try:
            socket.create_connection(ADDRESS).close()
        except Exception:
            time.sleep(1)
        time.sleep(1)
    except Done:
        pass

# %% rerun | a flaky test that is run again and passes | plugins=rerunfailures | needs=pytest_rerunfailures
tries = []


@pytest.mark.flaky(reruns=2)
def test_way():
    tries.append(1)
    if len(tries) == 1:
        socket.create_connection(ADDRESS).close()
        raise LookupError

# %% rerun-swallowed | a flaky test that swallows | plugins=rerunfailures | needs=pytest_rerunfailures
@pytest.mark.flaky(reruns=2)
def test_way():
    try:
        socket.create_connection(ADDRESS).close()
    except Exception:
        pass
