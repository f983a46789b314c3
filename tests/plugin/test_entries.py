"""``network_only`` and deny entries: what narrows a test, whatever its size."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[..., pytest.RunResult]

ONLY = """
import asyncio, socket, subprocess, sys, threading, unittest
import pytest
from pytest_test_categories import LargeTest, SmallTest, network_guard

def reach(host="127.0.0.8", port=9):
    with socket.socket() as s:
        s.connect_ex((host, port))

def send(host):
    with socket.socket(type=socket.SOCK_DGRAM) as s:
        s.sendto(b"x", (host, 9))

only = pytest.mark.network_only

@pytest.mark.large
@only("127.0.0.7:9")
class TestLarge:
    def test_listed(self): reach("127.0.0.7")
    def test_spelled_otherwise(self): reach("127.7")
    def test_mapped(self):
        with socket.socket(socket.AF_INET6) as s:
            s.connect_ex(("::ffff:127.0.0.7", 9))
    def test_another_host(self): reach()
    def test_another_port(self): reach("127.0.0.7", 10)
    def test_datagram(self): send("127.0.0.8")
    def test_listed_datagram(self): send("127.0.0.7")
    def test_another_name(self): socket.getaddrinfo("elsewhere.invalid", 80)
    def test_server(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            assert server.getsockname()
    def test_thread(self):
        thread = threading.Thread(target=reach)
        thread.start()
        thread.join()
    def test_loop(self):
        async def main():
            with pytest.raises(OSError):
                await asyncio.open_connection("127.0.0.7", 9)
        asyncio.run(main())
    def test_child(self):
        subprocess.run([sys.executable, "-c", "import socket; socket.socket().connect_ex(('127.0.0.8', 9))"])
    def test_listed_child(self):
        subprocess.run([sys.executable, "-c", "import socket; socket.socket().connect_ex(('127.0.0.7', 9))"])
    def test_own_processes(self, tmp_path, monkeypatch):
        with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
            monkeypatch.chdir(tmp_path); server.bind("s")
            server.listen()
            client.connect("s")
    def test_swallows(self):
        try:
            reach()
        except BaseException:
            pass

@pytest.mark.xlarge
@only("127.0.0.7")
def test_xlarge(): reach()

@only("127.0.0.7")
def test_unsized(): reach()

@only("127.0.0.7")
def test_unsized_listed(): reach("127.0.0.7")

@pytest.mark.medium
@only("127.0.0.7")
def test_medium(): reach()

@pytest.mark.small
@only("127.0.0.7")
def test_small(): reach("127.0.0.7")

@pytest.mark.small
@pytest.mark.network_allow("127.0.0.7", "127.0.0.8")
@only("127.0.0.7")
def test_small_allows_two(): reach()

@pytest.mark.small
@pytest.mark.network_allow("127.0.0.7", "127.0.0.8")
@only("127.0.0.7")
def test_small_lists_one(): reach("127.0.0.7")

@pytest.mark.large
@only("127.0.0.7", "127.0.0.8")
class TestBoth:
    @only("127.0.0.8", "127.0.0.9")
    def test_in_both(self): reach()
    @only("127.0.0.8", "127.0.0.9")
    def test_in_one(self): reach("127.0.0.9")

@pytest.mark.large
@pytest.mark.parametrize("host", [pytest.param("127.0.0.7", marks=only("127.0.0.7")), pytest.param("127.0.0.8", marks=only("127.0.0.7"))])
def test_set(host): reach(host)

class Attribute(LargeTest, unittest.TestCase):
    network_only = ["127.0.0.7"]
    def test_listed(self): reach("127.0.0.7")
    def test_other(self): reach()

class Derived(Attribute):
    network_only = ["127.0.0.8"]

@pytest.mark.large
def test_block():
    with network_guard("large", only="127.0.0.7"):
        reach()

@pytest.mark.large
@network_guard("large", only=["127.0.0.8"])
def test_decorated(): reach()
"""

FAILING = {
    "TestLarge::test_another_host",
    "TestLarge::test_another_port",
    "TestLarge::test_datagram",
    "TestLarge::test_another_name",
    "TestLarge::test_thread",
    "TestLarge::test_child",
    "TestLarge::test_swallows",
    "test_xlarge",
    "test_unsized",
    "test_medium",
    "test_small",
    "test_small_allows_two",
    "TestBoth::test_in_one",
    "test_set[127.0.0.8]",
    "Attribute::test_other",
    "Derived::test_listed",
    "test_block",
}


def test_network_only_permits_what_it_lists_of_what_the_size_permits(
    pytester: pytest.Pytester, run_pytest: Run, outcomes: Any, workers: int
) -> None:
    pytester.makepyfile(ONLY)
    found = outcomes(run_pytest("-v", "--strict-markers", workers=workers))
    assert {name for name, outcome in found.items() if outcome == {"FAILED"}} == FAILING
    assert len(found) == 32
    assert {frozenset(outcome) for outcome in found.values()} == {frozenset({"FAILED"}), frozenset({"PASSED"})}


def test_the_report_says_that_no_size_would_help(pytester: pytest.Pytester, run_pytest: Run) -> None:
    pytester.makepyfile(
        test_it="""
        import socket
        import pytest
        @pytest.mark.network_only("127.0.0.7")
        @pytest.mark.large
        def test_large(): socket.create_connection(("127.0.0.8", 9))
        @pytest.mark.network_only("127.0.0.7")
        def test_none(): socket.create_connection(("127.0.0.8", 9))
        """
    )
    output = run_pytest().stdout.str()
    assert "Category: LARGE" in output
    assert "Category: NONE" in output
    assert "no size permits 127.0.0.8:9: network_only of test_it.py::test_large does not list it" in output
    assert "test_it.py::test_none [no size]" in output
    assert "needs @pytest.mark.large" not in output


def test_a_marker_holds_for_the_test_and_its_own_fixtures(
    pytester: pytest.Pytester, run_pytest: Run, outcomes: Any
) -> None:
    pytester.makepyfile("""
        import socket
        import pytest
        pytestmark = pytest.mark.large
        def reach():
            with socket.socket() as s:
                s.connect_ex(("127.0.0.8", 9))
        @pytest.fixture
        def own(): reach()
        @pytest.fixture(scope="module")
        def shared(): reach()
        @pytest.mark.network_only("127.0.0.7")
        def test_own(own): pass
        @pytest.mark.network_only("127.0.0.7")
        def test_shared(shared): pass
        def test_unmarked(own, shared): reach()
    """)
    assert outcomes(run_pytest("-v")) == {
        "test_own": {"ERROR"},
        "test_shared": {"PASSED"},
        "test_unmarked": {"PASSED"},
    }


def test_markers_that_a_conftest_adds_narrow(
    pytester: pytest.Pytester, run_pytest: Run, outcomes: Any, workers: int
) -> None:
    pytester.makeconftest("""
        import pytest
        def pytest_collection_modifyitems(items):
            for item in items:
                item.add_marker(pytest.mark.network_only("127.0.0.7"))
    """)
    pytester.makepyfile("""
        import socket
        def test_it():
            with socket.socket() as s:
                s.connect_ex(("127.0.0.8", 9))
    """)
    assert outcomes(run_pytest("-v", workers=workers)) == {"test_it": {"FAILED"}}


@pytest.mark.parametrize("arguments", ["", "'no entry!'", "'small: 127.0.0.7'", "only='127.0.0.7'", "7"])
def test_a_marker_with_what_is_no_entry_is_an_error_of_its_module(
    pytester: pytest.Pytester, run_pytest: Run, arguments: str
) -> None:
    pytester.makepyfile(f"import pytest\n@pytest.mark.network_only({arguments})\ndef test_it(): pass\n")
    result = run_pytest()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["*::test_it: @pytest.mark.network_only: *"])


def test_a_class_attribute_with_what_is_no_entry_is_an_error_of_its_module(
    pytester: pytest.Pytester, run_pytest: Run
) -> None:
    pytester.makepyfile("class TestIt:\n    network_only = ['small: db']\n    def test_it(self): pass\n")
    result = run_pytest()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["*::TestIt: 'small: db'*"])


def test_in_off_mode_no_list_narrows(pytester: pytest.Pytester, run_pytest: Run) -> None:
    pytester.makepyfile("""
        import socket
        import pytest
        @pytest.mark.network_only("127.0.0.7")
        def test_it():
            with socket.socket() as s:
                s.connect_ex(("127.0.0.8", 9))
    """)
    run_pytest("--test-categories-enforcement=off", "--network-deny=127.0.0.8").assert_outcomes(passed=1)


DENIED = """
import os, socket, subprocess, sys, threading
import pytest
from pytest_test_categories import network_guard

def reach(host="127.0.0.8", port=9):
    with socket.socket() as s:
        s.connect_ex((host, port))

@pytest.mark.parametrize("size", [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("small", "medium", "large", "xlarge")])
@pytest.mark.network_allow("127.0.0.8")
def test_sized(size): reach()

def test_unsized(): reach()

def test_unsized_free(): reach("127.0.0.7")

@pytest.mark.large
@pytest.mark.network_only("127.0.0.8")
def test_listed(): reach()

@pytest.mark.large
def test_spelled_otherwise(): reach("127.8")

@pytest.mark.large
def test_mapped():
    with socket.socket(socket.AF_INET6) as s:
        s.connect_ex(("::ffff:127.0.0.8", 9))

@pytest.mark.large
def test_free():
    for _ in range(2):
        reach("127.0.0.7")

@pytest.mark.large
def test_name():
    with socket.socket() as s:
        s.connect_ex(("Api.Example.com.", 443))

@pytest.mark.large
def test_alias(monkeypatch):  # as a hosts file has it: the name is denied, its address here is not
    reach("127.0.0.1", 9)
    def answer(host, *args):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 9))]
    from pytest_test_categories._host.names import hosts_file
    monkeypatch.setattr(type(hosts_file), "maps_to_loopback", lambda self, name: name == "api.example.com")
    monkeypatch.setattr(socket, "getaddrinfo", answer)
    with pytest.raises(OSError):
        socket.create_connection(("api.example.com", 9))

@pytest.mark.large
def test_datagram():
    with socket.socket(type=socket.SOCK_DGRAM) as s:
        s.connect(("127.0.0.8", 9))
        s.send(b"x")

@pytest.mark.large
def test_unix(tmp_path):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect_ex("/run/denied.sock")

@pytest.mark.large
def test_guard():
    with network_guard("large", allow=["127.0.0.8"]):
        reach()

@pytest.mark.large
def test_child():
    subprocess.run([sys.executable, "-c", "import socket; socket.socket().connect_ex(('127.0.0.8', 9))"])

@pytest.mark.large
def test_forked():
    if (pid := os.fork()) == 0:
        try:
            reach()
        finally:
            os._exit(0)
    os.waitpid(pid, 0)

@pytest.mark.large
class TestOff:
    network_mode = "off"
    def test_it(self): reach()

@pytest.mark.large
def test_open_connection():
    with socket.create_server(("127.0.0.7", 0)) as server:
        with network_guard("large", "off"):
            pass
        with socket.create_connection(server.getsockname()) as client:
            client.send(b"x")
"""


def test_nothing_lifts_a_deny_entry(pytester: pytest.Pytester, run_pytest: Run, outcomes: Any, workers: int) -> None:
    pytester.makeini("""
        [pytest]
        test_categories_network_allow = small: 127.0.0.8
        test_categories_network_deny =
            127.0.0.8
            *.example.com
    """)
    pytester.makepyfile(DENIED)
    found = outcomes(run_pytest("-v", "--network-deny", "unix:/run/denied.sock", workers=workers))
    passed = {"test_unsized_free", "test_free", "TestOff::test_it", "test_open_connection"}
    assert {name for name, outcome in found.items() if outcome == {"PASSED"}} == passed
    assert len(found) == 19
    assert {frozenset(outcome) for outcome in found.values()} == {frozenset({"FAILED"}), frozenset({"PASSED"})}


@pytest.mark.parametrize("where", ["test_it.py", "conftest.py"])
@pytest.mark.parametrize("size", ["large", "filterwarnings('default')"])
def test_a_deny_entry_holds_while_modules_are_imported(
    pytester: pytest.Pytester, run_pytest: Run, where: str, size: str
) -> None:
    reaching = "import socket\ntry:\n    socket.create_connection(('127.0.0.8', 9))\nexcept Exception:\n    pass\n"
    pytester.makepyfile(conftest="")
    pytester.makepyfile(test_it=f"import pytest\n@pytest.mark.{size}\ndef test_it(): pass\n")
    path = pytester.path / where
    path.write_text(reaching + path.read_text())
    result = run_pytest("--network-deny=127.0.0.8")
    assert result.ret != pytest.ExitCode.OK
    assert "127.0.0.8:9" in result.stdout.str()
    assert run_pytest().ret == pytest.ExitCode.OK


def test_a_deny_entry_holds_for_shared_fixtures_and_the_exit(
    pytester: pytest.Pytester, run_pytest: Run, outcomes: Any
) -> None:
    pytester.makepyfile("""
        import atexit, socket
        import pytest
        pytestmark = pytest.mark.large
        def reach():
            with socket.socket() as s:
                s.connect_ex(("127.0.0.8", 9))
        @pytest.fixture(scope="session")
        def shared(): reach()
        def test_shared(shared): pass
        def test_leaves(): atexit.register(reach)
    """)
    result = run_pytest("-v", "--network-deny=127.0.0.8")
    assert outcomes(result) == {"test_shared": {"ERROR"}, "test_leaves": {"PASSED"}}
    assert "violation after the run: the end of the process attempted 127.0.0.8:9" in result.stderr.str()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--network-deny=small: db"], "--network-deny: 'small: db': such an entry holds for every size"),
        (["-o", "test_categories_network_deny=http://x"], "test_categories_network_deny: 'http://x' is not a network"),
    ],
)
@pytest.mark.parametrize("mode", ["strict", "off"])
def test_a_deny_entry_that_means_nothing_stops_the_run(
    pytester: pytest.Pytester, run_pytest: Run, arguments: list[str], text: str, mode: str
) -> None:
    pytester.makepyfile("def test_it(): pass")
    result = run_pytest(f"--test-categories-enforcement={mode}", *arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert text in result.stderr.str()


def test_a_denied_attempt_says_what_denies_it_and_no_larger_size(pytester: pytest.Pytester, run_pytest: Run) -> None:
    pytester.makepyfile("""
        import socket, pytest
        @pytest.mark.medium
        def test_it(): socket.getaddrinfo("api.example.com", 443)
    """)
    output = run_pytest("--network-deny=api.example.com").stdout.str()
    assert (
        "no size and no allow entry permits api.example.com:443: api.example.com is in test_categories_network_deny"
        in output
    )
    assert "@pytest.mark.large" not in output


def test_a_denied_unix_socket_is_denied_by_every_name_that_leads_to_it(
    pytester: pytest.Pytester, run_pytest: Run, outcomes: Any, tmp_path: Path
) -> None:
    directory = Path(tempfile.mkdtemp(dir="/tmp"))  # short enough for the address of a socket
    path = directory / "real" / "s"
    path.parent.mkdir()
    (directory / "linked").symlink_to(path.parent)
    (directory / "other").symlink_to(path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen(50)
        os.link(path, directory / "hard")
        pytester.makepyfile(f"""
            import os, socket
            import pytest
            pytestmark = pytest.mark.large
            @pytest.mark.parametrize("name", ["real/s", "other", "linked/s", "linked/../real/s", "hard"])
            @pytest.mark.parametrize("relative", [True, False])
            def test_denied(name, relative, monkeypatch):
                monkeypatch.chdir("{directory}")
                with socket.socket(socket.AF_UNIX) as s:
                    s.connect(name if relative else "{directory}/" + name)
            def test_free():
                with socket.socket(socket.AF_UNIX) as s:
                    s.connect_ex("{directory}/free")
        """)
        for entry in (path, directory / "linked" / "s", f"{path.parent}/*"):
            found = outcomes(run_pytest("-v", f"--network-deny=unix:{entry}"))
            assert found.pop("test_free") == {"PASSED"}
            passed = {name for name, outcome in found.items() if outcome == {"PASSED"}}
            # A pattern knows a file by its path: of a hard link it has another one.
            assert passed == (
                {"test_denied[True-hard]", "test_denied[False-hard]"} if entry == f"{path.parent}/*" else set()
            )
        assert run_pytest().ret == pytest.ExitCode.OK
    shutil.rmtree(directory)


def test_work_that_is_handed_on_is_held_to_the_list_of_its_own_test(
    pytester: pytest.Pytester, run_pytest: Run, outcomes: Any
) -> None:
    pytester.makepyfile("""
        import multiprocessing, socket, threading
        from concurrent.futures import ProcessPoolExecutor
        import pytest
        pytestmark = pytest.mark.large
        only = pytest.mark.network_only("127.0.0.7")
        go, gone = threading.Event(), threading.Event()
        def reach():
            with socket.socket() as s:
                s.connect_ex(("127.0.0.8", 9))
        def later():
            go.wait(10)
            try:
                reach()
            finally:
                gone.set()
        @pytest.fixture(scope="module")
        def pool():
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
                yield pool
        @pytest.fixture(scope="module")
        def client():
            with socket.create_server(("127.0.0.8", 0)) as server:
                with socket.create_connection(server.getsockname()) as client:
                    yield client
        def test_pool_first(pool): pool.submit(reach).result()
        @only
        def test_pool_listed(pool): pool.submit(reach).result()
        def test_pool_last(pool): pool.submit(reach).result()
        def test_opens(client): client.send(b"x")
        @only
        def test_open_connection(client): client.send(b"x")
        @only
        def test_leaves(): threading.Thread(target=later).start()
        def test_bystander():
            go.set()
            assert gone.wait(10)
            reach()
    """)
    result = run_pytest("-v")
    failed = {name for name, outcome in outcomes(result).items() if outcome == {"FAILED"}}
    assert failed == {"test_pool_listed", "test_open_connection"}
    result.stdout.fnmatch_lines(
        ["network violations that no running test is charged with: 1*", "*::test_leaves [[]large]"]
    )


WAYS = """
import _socket, asyncio, socket
import pytest

def test_raw():
    s = _socket.socket()
    s.connect_ex(("127.0.0.8", 9))
def test_raw_sendto():
    s = _socket.socket(type=2)
    s.sendto(b"", ("127.0.0.8", 9))
def test_raw_lookup():
    _socket.getaddrinfo("elsewhere.invalid", 1)
def test_raw_byname():
    _socket.gethostbyname("elsewhere.invalid")
def test_reverse():
    socket.gethostbyaddr("198.51.100.4")
def test_uvloop():
    uvloop = pytest.importorskip("uvloop")
    async def go():
        await asyncio.open_connection("127.0.0.8", 9)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as r: r.run(go())
def test_bound_before():
    c = socket.socket.connect
    c(socket.socket(), ("127.0.0.8", 9))
def test_broadcast():
    s = socket.socket(type=2)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1); s.sendto(b"", ("255.255.255.255", 9))
def test_multicast():
    s = socket.socket(type=2)
    s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton("239.1.2.3")+socket.inet_aton("0.0.0.0"))
def test_abstract():
    s = socket.socket(socket.AF_UNIX)
    s.connect_ex(b"\\0foo")
def test_pycurl():
    pycurl = pytest.importorskip("pycurl")
    c = pycurl.Curl(); c.setopt(c.URL, "http://127.0.0.8:9/"); c.perform()
def test_psycopg():
    psycopg = pytest.importorskip("psycopg")
    psycopg.connect("host=127.0.0.8 port=9 connect_timeout=1")
def test_dns():
    dns = pytest.importorskip("dns.resolver")
    dns.resolve("elsewhere.invalid")
def test_fqdn_free(): socket.getfqdn(); socket.gethostbyname(socket.gethostname())
def test_httpserver_free():
    import http.server
    with http.server.HTTPServer(("", 0), http.server.SimpleHTTPRequestHandler): pass
def test_asyncio_free():
    async def go():
        t, p = await asyncio.get_running_loop().create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)); t.close()
        r = await asyncio.create_subprocess_exec("true"); await r.wait()
    asyncio.run(go())
def test_socketpair_free():
    a, b = socket.socketpair(); a.send(b"x")
def test_mp_free():
    import multiprocessing
    with multiprocessing.get_context("spawn").Pool(1) as p: assert p.map(abs, [-1]) == [1]
"""


@pytest.mark.parametrize(
    ("narrowed", "options"),
    [
        pytest.param('pytest.mark.network_only("127.0.0.7:9")', (), id="only"),
        pytest.param(
            "pytest.mark.large",
            ("127.0.0.8", "*.invalid", "198.51.100.0/24", "255.255.255.255", "239.1.2.0/24", "unix:@foo"),
            id="deny",
        ),
    ],
)
def test_every_way_is_narrowed_and_what_sends_nothing_stays_free(
    pytester: pytest.Pytester, run_pytest: Run, outcomes: Any, narrowed: str, options: tuple[str, ...]
) -> None:
    pytester.makepyfile(f"{WAYS}\npytestmark = [pytest.mark.large, {narrowed}]\n")
    found = outcomes(run_pytest("-v", *(f"--network-deny={entry}" for entry in options)))
    free = {name for name, outcome in found.items() if outcome == {"PASSED"}}
    assert free == {name for name in found if name.endswith("_free")}
    assert len(found) == 18


@pytest.mark.parametrize(
    "mark",
    ["@pytest.mark.network_only('staging.example.com')", "@network_guard('large', only=['staging.example.com'])"],
)
def test_a_shared_connection_is_listed_by_the_name_that_it_was_opened_by(
    pytester: pytest.Pytester, run_pytest: Run, outcomes: Any, mark: str
) -> None:
    pytester.makepyfile(f"""
        import socket
        import pytest
        from pytest_test_categories import network_guard
        pytestmark = pytest.mark.large

        ADDRESSES = {{"staging.example.com": "127.0.0.8", "other.example.com": "127.0.0.9"}}
        def answer(host, *args, **kwargs):
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ADDRESSES[host], args[0]))]

        @pytest.fixture(scope="module", params=["staging.example.com", "other.example.com"])
        def client(request):
            with socket.create_server((ADDRESSES[request.param], 0)) as server, pytest.MonkeyPatch.context() as patch:
                # A function of Python stands for the system's: it is remembered like the answer of a real one.
                import _socket
                patch.setattr(_socket, "getaddrinfo", answer)
                with socket.create_connection((request.param, server.getsockname()[1])) as client:
                    yield client

        {mark}
        def test_it(client): client.send(b"x")
        def test_free(client): client.send(b"x")
    """)
    found = outcomes(run_pytest("-v"))
    assert found == {
        "test_it[staging.example.com]": {"PASSED"},
        "test_free[staging.example.com]": {"PASSED"},
        "test_it[other.example.com]": {"FAILED"},
        "test_free[other.example.com]": {"PASSED"},
    }
