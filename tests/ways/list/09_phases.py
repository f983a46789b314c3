# Group: Imports, fixtures and hooks

# %% import-module | the test module, on import
socket.create_connection(ADDRESS).close()


def test_way():
    pass

# %% import-module-swallowed | the test module, on import, swallowed
try:
    socket.create_connection(ADDRESS).close()
except Exception:
    pass


def test_way():
    pass

# %% import-parametrize | the arguments of `parametrize`
def cases():
    socket.create_connection(ADDRESS).close()
    return [1]


@pytest.mark.parametrize("case", cases())
def test_way(case):
    pass

# %% import-skipif | the condition of `skipif`
def reachable():
    try:
        socket.create_connection(ADDRESS).close()
    except Exception:
        return False
    return True


@pytest.mark.skipif(not reachable(), reason="no network")
def test_way():
    pass

# %% skipif-string | the condition of `skipif`, as text
@pytest.mark.skipif(f"__import__('socket').create_connection({ADDRESS!r}).close()", reason="no network")
def test_way():
    pass

# %% import-in-test | a module imported by the test
open("dials.py", "w").write(f"import socket; socket.create_connection({ADDRESS!r}).close()")
sys.path.insert(0, os.getcwd())
import dials

# %% import-conftest | conftest.py, on import
def test_way():
    pass
# conftest.py
socket.create_connection(ADDRESS).close()

# %% import-thread | a thread that the test module starts on import
thread = threading.Thread(target=lambda: socket.create_connection(ADDRESS).close())
thread.start()
thread.join()


def test_way():
    pass

# %% generate-tests | `pytest_generate_tests`
def pytest_generate_tests(metafunc):
    socket.create_connection(ADDRESS).close()


def test_way():
    pass

# %% fixture | a fixture's set-up
@pytest.fixture
def dialled():
    socket.create_connection(ADDRESS).close()


def test_way(dialled):
    pass

# %% fixture-teardown | a fixture's tear-down
@pytest.fixture
def dialled():
    yield
    socket.create_connection(ADDRESS).close()


def test_way(dialled):
    pass

# %% fixture-teardown-swallowed | a fixture's tear-down that swallows
@pytest.fixture
def dialled():
    yield
    with contextlib.suppress(Exception):
        socket.create_connection(ADDRESS).close()


def test_way(dialled):
    pass

# %% fixture-finalizer | a finalizer
@pytest.fixture
def dialled(request):
    request.addfinalizer(lambda: socket.create_connection(ADDRESS).close())


def test_way(dialled):
    pass

# %% fixture-session | a session fixture
@pytest.fixture(scope="session")
def dialled():
    socket.create_connection(ADDRESS).close()


def test_way(dialled):
    pass

# %% fixture-session-teardown | a session fixture's tear-down
@pytest.fixture(scope="session")
def dialled():
    yield
    socket.create_connection(ADDRESS).close()


def test_way(dialled):
    pass

# %% fixture-session-skip | a session fixture that skips when there is no network
@pytest.fixture(scope="session")
def dialled():
    try:
        socket.create_connection(ADDRESS).close()
    except Exception:
        pytest.skip("no network")


def test_way(dialled):
    pass

# %% fixture-dynamic | `getfixturevalue`
@pytest.fixture(scope="module")
def dialled():
    socket.create_connection(ADDRESS).close()


def test_way(request):
    request.getfixturevalue("dialled")

# %% fixture-autouse-session | an autouse session fixture
@pytest.fixture(scope="session", autouse=True)
def dialled():
    socket.create_connection(ADDRESS).close()


def test_way():
    pass

# %% fixture-class | a fixture of a class's scope
class TestWay:
    @pytest.fixture(scope="class")
    def dialled(self):
        socket.create_connection(ADDRESS).close()

    def test_way(self, dialled):
        pass

# %% fixture-parametrized | a fixture with parameters
@pytest.fixture(params=[1], scope="module")
def dialled(request):
    socket.create_connection(ADDRESS).close()


def test_way(dialled):
    pass

# %% fixture-kept-generator | a session fixture's callable
@pytest.fixture(scope="session")
def dial():
    return lambda: socket.create_connection(ADDRESS).close()


def test_way(dial):
    dial()

# %% setup-module | `setup_module`
def setup_module():
    socket.create_connection(ADDRESS).close()


def test_way():
    pass

# %% teardown-module | `teardown_module`
def teardown_module():
    socket.create_connection(ADDRESS).close()


def test_way():
    pass

# %% setup-function | `setup_function`
def setup_function():
    socket.create_connection(ADDRESS).close()


def test_way():
    pass

# %% setup-class | `setup_class`
class TestWay:
    @classmethod
    def setup_class(cls):
        socket.create_connection(ADDRESS).close()

    def test_way(self):
        pass

# %% setup-method | `setup_method`
class TestWay:
    def setup_method(self):
        socket.create_connection(ADDRESS).close()

    def test_way(self):
        pass

# %% teardown-method | `teardown_method`
class TestWay:
    def teardown_method(self):
        socket.create_connection(ADDRESS).close()

    def test_way(self):
        pass

# %% unittest-setup | `setUp`
import unittest


class TestWay(unittest.TestCase):
    def setUp(self):
        socket.create_connection(ADDRESS).close()

    def test_way(self):
        pass

# %% unittest-setup-class | `setUpClass`
import unittest


class TestWay(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        socket.create_connection(ADDRESS).close()

    def test_way(self):
        pass

# %% unittest-teardown-class | `tearDownClass`
import unittest


class TestWay(unittest.TestCase):
    @classmethod
    def tearDownClass(cls):
        socket.create_connection(ADDRESS).close()

    def test_way(self):
        pass

# %% unittest-cleanup | `addCleanup`
import unittest


class TestWay(unittest.TestCase):
    def test_way(self):
        self.addCleanup(lambda: socket.create_connection(ADDRESS).close())

# %% unittest-class-cleanup | `addClassCleanup`
import unittest


class TestWay(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.addClassCleanup(lambda: socket.create_connection(ADDRESS).close())

    def test_way(self):
        pass

# %% unittest-module | `setUpModule`
import unittest


def setUpModule():
    socket.create_connection(ADDRESS).close()


class TestWay(unittest.TestCase):
    def test_way(self):
        pass

# %% hook-runtest-setup | `pytest_runtest_setup` of a conftest
def test_way():
    pass
# conftest.py
def pytest_runtest_setup(item):
    socket.create_connection(ADDRESS).close()

# %% hook-runtest-call | `pytest_runtest_call` of a conftest
def test_way():
    pass
# conftest.py
def pytest_runtest_call(item):
    socket.create_connection(ADDRESS).close()

# %% hook-runtest-teardown | `pytest_runtest_teardown` of a conftest
def test_way():
    pass
# conftest.py
def pytest_runtest_teardown(item):
    socket.create_connection(ADDRESS).close()

# %% hook-fixture-setup | `pytest_fixture_setup` of a conftest
@pytest.fixture
def thing():
    pass


def test_way(thing):
    pass
# conftest.py
def pytest_fixture_setup(fixturedef):
    if fixturedef.argname == "thing":
        socket.create_connection(ADDRESS).close()

# %% hook-pyfunc-call | `pytest_pyfunc_call` of a conftest
def test_way():
    pass
# conftest.py
@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    socket.create_connection(ADDRESS).close()

# %% doctest | a doctest | plugins=doctest
def dial():
    """Dial.

    >>> dial()
    """
    socket.create_connection(ADDRESS).close()


def test_way():
    import doctest

    doctest.run_docstring_examples(dial, globals())

# %% assertion-repr | a `__repr__` that an assertion calls
class Thing:
    def __repr__(self):
        with contextlib.suppress(Exception):
            socket.create_connection(ADDRESS).close()
        return "Thing()"


def test_way():
    try:
        assert Thing() == 1
    except AssertionError:
        pass

# %% custom-item | an item of a collector of one's own
def test_way():
    pass
# conftest.py
class Item(pytest.Item):
    def runtest(self):
        socket.create_connection(ADDRESS).close()


class File(pytest.File):
    def collect(self):
        item = Item.from_parent(self, name="dial")
        item.add_marker(open("test_way.py").read().partition("pytestmark = pytest.mark.")[2].split()[0])
        yield item


def pytest_collect_file(file_path, parent):
    if file_path.name == "pytest.ini":
        return File.from_parent(parent, path=file_path)

# %% nested-guard-large | a guard of size large inside the test
try:
    from pytest_test_categories import network_guard
except ImportError:
    network_guard = lambda size: contextlib.nullcontext()
with network_guard("large"):
    socket.create_connection(ADDRESS).close()

# %% nested-guard-off | a guard in mode off inside the test
try:
    from pytest_test_categories import network_guard
except ImportError:
    network_guard = lambda size, mode: contextlib.nullcontext()
with network_guard("large", mode="off"):
    socket.create_connection(ADDRESS).close()

# %% nested-guard-allow | a guard that allows more inside the test
try:
    from pytest_test_categories import network_guard
except ImportError:
    network_guard = lambda size, allow: contextlib.nullcontext()
with network_guard("small", allow=[f"small: {HOST}"]):
    socket.create_connection(ADDRESS).close()

# %% environment-off | the mode's variable, set in the test
os.environ["TEST_CATEGORIES_ENFORCEMENT"] = "off"
try:
    socket.create_connection(ADDRESS).close()
finally:
    del os.environ["TEST_CATEGORIES_ENFORCEMENT"]

# %% override-isolation-fixture | `network_isolation` overridden by a fixture
@pytest.fixture(autouse=True)
def network_isolation():
    yield


def test_way():
    socket.create_connection(ADDRESS).close()

# %% dynamic-marker | a larger marker added by the test itself
def test_way(request):
    request.node.add_marker(pytest.mark.large)
    socket.create_connection(ADDRESS).close()

# %% nested-pytest | `pytest.main` in the test
open("test_inner.py", "w").write(
    f"import socket\ndef test_inner():\n    socket.create_connection({ADDRESS!r}).close()\n"
)
pytest.main(["-q", "-p", "no:cacheprovider", "test_inner.py"])

# %% nested-unittest | `unittest`'s runner in the test
import unittest


class Inner(unittest.TestCase):
    def test_inner(self):
        socket.create_connection(ADDRESS).close()


Inner.__test__ = False


def test_way():
    unittest.TextTestRunner(stream=open(os.devnull, "w")).run(unittest.defaultTestLoader.loadTestsFromTestCase(Inner))

# %% hook-runtest-protocol | `pytest_runtest_protocol` of a conftest
def test_way():
    pass
# conftest.py
@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    socket.create_connection(ADDRESS).close()
    return (yield)

# %% hook-makereport | `pytest_runtest_makereport` of a conftest
def test_way():
    pass
# conftest.py
def pytest_runtest_makereport(item, call):
    if call.when == "call":
        with contextlib.suppress(Exception):
            socket.create_connection(ADDRESS).close()

# %% hook-fixture-post-finalizer | `pytest_fixture_post_finalizer` of a conftest
@pytest.fixture
def thing():
    pass


def test_way(thing):
    pass
# conftest.py
def pytest_fixture_post_finalizer(fixturedef):
    if fixturedef.argname == "thing":
        socket.create_connection(ADDRESS).close()

# %% setup-wrapper | a wrapper of `pytest_runtest_setup` that goes first
def test_way():
    pass
# conftest.py
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item):
    socket.create_connection(ADDRESS).close()
    return (yield)

# %% teardown-wrapper | a wrapper of `pytest_runtest_teardown` that goes last
def test_way():
    pass
# conftest.py
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item):
    result = yield
    socket.create_connection(ADDRESS).close()
    return result

# %% fixture-package | a fixture of a package's scope
@pytest.fixture(scope="package")
def dialled():
    yield
    socket.create_connection(ADDRESS).close()


def test_way(dialled):
    pass

# %% tmp-path-finalizer | a finalizer of the node
def test_way(request):
    request.node.addfinalizer(lambda: socket.create_connection(ADDRESS).close())

# %% session-finalizer | a finalizer of the session's node
def test_way(request):
    request.session.addfinalizer(lambda: socket.create_connection(ADDRESS).close())

# %% config-cleanup | a clean-up of the configuration
def test_way(request):
    request.config.add_cleanup(lambda: socket.create_connection(ADDRESS).close())

# %% module-getattr | a module's `__getattr__` that an import calls
open("dials.py", "w").write(
    f"import socket\ndef __getattr__(name):\n    socket.create_connection({ADDRESS!r}).close()\n    return 1\n"
)
sys.path.insert(0, os.getcwd())
from dials import anything

# %% assertion-rewrite | a module that pytest rewrites
open("dials.py", "w").write(f"import socket; assert socket.create_connection({ADDRESS!r}).close() is None")
sys.path.insert(0, os.getcwd())
pytest.register_assert_rewrite("dials")
import dials

# %% parametrize-ids | a function that names parameters
def name(value):
    socket.create_connection(ADDRESS).close()
    return "one"


@pytest.mark.parametrize("value", [1], ids=name)
def test_way(value):
    pass

# %% fixture-large-declared | a session fixture, declared large, that lends its dialler
@pytest.fixture(scope="session")
def dial():
    return lambda: socket.create_connection(ADDRESS).close()


def test_way(dial):
    dial()
# settings.ini
test_categories_fixture_sizes = dial = large
